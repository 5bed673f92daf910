/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/policyauth.h"

#include "base/log.h"
#include "base/obj.h"

#define GROUP "policy.linkerd.io"

enum clients { ANYBODY, ANY_TLS, ANY_IDENTITY, NOBODY };

/* `cluster`: from the cluster's networks only. */
struct default_policy {
	const char *name;
	enum clients clients;
	bool cluster;
};

static const struct default_policy policies[] = {
	{"all-unauthenticated", ANYBODY, false},
	{"all-authenticated", ANY_IDENTITY, false},
	{"all-tls-unauthenticated", ANY_TLS, false},
	{"cluster-unauthenticated", ANYBODY, true},
	{"cluster-authenticated", ANY_IDENTITY, true},
	{"cluster-tls-unauthenticated", ANY_TLS, true},
	{"audit", ANYBODY, false},
};
const struct default_policy default_policy_deny = {"deny", NOBODY, false};

const struct default_policy *default_policy_find(const char *name)
{
	for (size_t i = 0; i < countof(policies); i++)
		if (strcmp(policies[i].name, name) == 0)
			return &policies[i];
	return strcmp(name, default_policy_deny.name) == 0 ? &default_policy_deny
							   : NULL;
}

const char *default_policy_name(const struct default_policy *p)
{
	return p->name;
}

bool default_policy_is_known(const char *name)
{
	return default_policy_find(name) != NULL;
}

Common__Label **authz_labels(
	const char *group, const char *kind, const char *name, struct arena *a)
{
	Common__Label **v = MAKE_LIST(Common__Label *, 3, a);

	v[0] = api_label("group", group, a);
	v[1] = api_label("kind", kind, a);
	v[2] = api_label("name", name, a);
	must(v[0] && v[1] && v[2]);
	return v;
}

/* ---- lists ---- */

static void add(struct authorizing *z, struct authz_list *out, Inbound__Authz *m)
{
	Inbound__Authz **grown;

	if (out->n == out->room) {
		out->room = out->room ? 2 * out->room : 4;
		grown = MAKE_LIST(Inbound__Authz *, out->room, z->arena);
		for (size_t i = 0; i < out->n; i++)
			grown[i] = out->v[i];
		out->v = grown;
	}
	out->v[out->n++] = m;
}

/* ---- networks ---- */

static Inbound__Network *network(
	const struct cidr *net, const struct cidr *except, size_t n, struct arena *a)
{
	Inbound__Network *m = MAKE(Inbound__Network, inbound__network, a);

	m->net = api_cidr(net, a);
	m->except = MAKE_LIST(Net__IPNetwork *, n, a);
	m->n_except = n;
	must(m->net);
	for (size_t i = 0; i < n; i++) {
		m->except[i] = api_cidr(&except[i], a);
		must(m->except[i]);
	}
	return m;
}

static void set_cidrs(
	Inbound__Authz *m, const struct cidr *v, size_t n, struct arena *a)
{
	m->networks = MAKE_LIST(Inbound__Network *, n, a);
	m->n_networks = n;
	for (size_t i = 0; i < n; i++)
		m->networks[i] = network(&v[i], NULL, 0, a);
}

static void set_networks(
	Inbound__Authz *m, const struct networks *nets, struct arena *a)
{
	m->networks = MAKE_LIST(Inbound__Network *, nets->n, a);
	m->n_networks = nets->n;
	for (size_t i = 0; i < nets->n; i++)
		m->networks[i] = network(
			&nets->v[i].net, nets->v[i].except, nets->v[i].nexcept, a);
}

static const struct cidr everywhere[] = {{{.family = 4}, 0}, {{.family = 6}, 0}};

static void set_everywhere(Inbound__Authz *m, struct arena *a)
{
	set_cidrs(m, everywhere, countof(everywhere), a);
}

/* ---- clients ---- */

static Inbound__Authn__PermitUnauthenticated *nothing(struct arena *a)
{
	return MAKE(Inbound__Authn__PermitUnauthenticated,
		inbound__authn__permit_unauthenticated, a);
}

/* "a.b.c" by its labels; "": none, which is the end of every name. */
static Inbound__IdentitySuffix *suffix(const char *name, struct arena *a)
{
	Inbound__IdentitySuffix *m =
		MAKE(Inbound__IdentitySuffix, inbound__identity_suffix, a);
	struct slice rest = slice_of(name), part;

	m->parts = MAKE_LIST(char *, strlen(name), a);
	while (*name && slice_cut(&rest, '.', &part)) {
		m->parts[m->n_parts] = api_text(part, a);
		must(m->parts[m->n_parts++]);
	}
	return m;
}

#define ACCOUNTS_FMT "serviceaccount.identity.%s.%s"

static void add_identity(struct authorizing *z, Inbound__ClientIdentities *m,
	const struct identity_ref *id)
{
	const char *ns = z->cfg->namespace, *domain = z->cfg->trust_domain;
	const char *name = id->name;

	if (id->kind == IDENTITY_ACCOUNT)
		name = make_text(
			z->arena, "%s.%s." ACCOUNTS_FMT, id->name, id->ns, ns, domain);
	else if (id->kind == IDENTITY_NAMESPACE)
		name = make_text(z->arena, "%s." ACCOUNTS_FMT, id->name, ns, domain);
	if (id->kind == IDENTITY_SUFFIX || id->kind == IDENTITY_NAMESPACE) {
		m->suffixes[m->n_suffixes++] = suffix(name, z->arena);
		return;
	}
	m->identities[m->n_identities] =
		MAKE(Inbound__Identity, inbound__identity, z->arena);
	m->identities[m->n_identities++]->name = make_text(z->arena, "%s", name);
}

static Inbound__ClientIdentities *identities(
	struct authorizing *z, const struct identity_refs *refs)
{
	Inbound__ClientIdentities *m =
		MAKE(Inbound__ClientIdentities, inbound__client_identities, z->arena);

	m->identities = MAKE_LIST(Inbound__Identity *, refs->n, z->arena);
	m->suffixes = MAKE_LIST(Inbound__IdentitySuffix *, refs->n, z->arena);
	for (size_t i = 0; i < refs->n; i++)
		add_identity(z, m, &refs->v[i]);
	return m;
}

static const struct identity_ref any[] = {{IDENTITY_SUFFIX, "", ""}};
static const struct identity_refs any_identity = {any, 1};

/* `refs` NULL: TLS without an identity will do. */
static Inbound__Authn *by_tls(struct authorizing *z, const struct identity_refs *refs)
{
	Inbound__Authn *m = MAKE(Inbound__Authn, inbound__authn, z->arena);
	Inbound__Authn__PermitMeshTLS *tls = MAKE(Inbound__Authn__PermitMeshTLS,
		inbound__authn__permit_mesh_tls, z->arena);

	m->permit_case = INBOUND__AUTHN__PERMIT_MESH_TLS;
	m->mesh_tls = tls;
	tls->clients_case =
		refs ? INBOUND__AUTHN__PERMIT_MESH_TLS__CLIENTS_IDENTITIES
		     : INBOUND__AUTHN__PERMIT_MESH_TLS__CLIENTS_UNAUTHENTICATED;
	if (refs)
		tls->identities = identities(z, refs);
	else
		tls->unauthenticated = nothing(z->arena);
	return m;
}

static Inbound__Authn *by_anybody(struct authorizing *z)
{
	Inbound__Authn *m = MAKE(Inbound__Authn, inbound__authn, z->arena);

	m->permit_case = INBOUND__AUTHN__PERMIT_UNAUTHENTICATED;
	m->unauthenticated = nothing(z->arena);
	return m;
}

/* ---- defaults ---- */

static Inbound__Authz *authz_default(struct authorizing *z, const char *name)
{
	Inbound__Authz *m = MAKE(Inbound__Authz, inbound__authz, z->arena);

	m->labels = authz_labels("", "default", name, z->arena);
	m->n_labels = 3;
	m->metadata = api_meta_default(name, z->arena);
	must(m->metadata);
	return m;
}

void authorize_default(
	struct authorizing *z, const struct default_policy *p, struct authz_list *out)
{
	const struct cidr_list *cluster = &z->cfg->cluster_networks;
	Inbound__Authz *m;

	if (p->clients == NOBODY || (p->cluster && cluster->n == 0))
		return;
	m = authz_default(z, p->name);
	if (p->cluster)
		set_cidrs(m, cluster->v, cluster->n, z->arena);
	else
		set_everywhere(m, z->arena);
	m->authentication = p->clients == ANYBODY   ? by_anybody(z)
			    : p->clients == ANY_TLS ? by_tls(z, NULL)
						    : by_tls(z, &any_identity);
	add(z, out, m);
}

void authorize_probes(struct authorizing *z, struct authz_list *out)
{
	Inbound__Authz *m = authz_default(z, "probe");

	set_cidrs(m, z->cfg->probe_networks.v, z->cfg->probe_networks.n, z->arena);
	m->authentication = by_anybody(z);
	add(z, out, m);
}

/* ---- objects ---- */

static Inbound__Authz *authz_of(
	struct authorizing *z, const char *kind, const struct view *v)
{
	Inbound__Authz *m = MAKE(Inbound__Authz, inbound__authz, z->arena);

	m->labels = authz_labels(GROUP, kind, v->name, z->arena);
	m->n_labels = 3;
	m->metadata = api_meta(GROUP, kind, v->ns, v->name, 0, z->arena);
	must(m->metadata);
	return m;
}

static void by_server_authorization(struct authorizing *z,
	const struct server_authorization_view *a, struct authz_list *out)
{
	const struct cidr_list *cluster = &z->cfg->cluster_networks;
	Inbound__Authz *m = authz_of(z, "serverauthorization", &a->view);

	if (!a->anywhere)
		set_networks(m, &a->networks, z->arena);
	else if (a->unauthenticated)
		set_cidrs(m, cluster->v, cluster->n, z->arena);
	else
		set_everywhere(m, z->arena);
	if (a->unauthenticated)
		m->authentication = by_anybody(z);
	else if (a->unauthenticated_tls)
		m->authentication = by_tls(z, NULL);
	else if (a->identities.n)
		m->authentication = by_tls(z, &a->identities);
	if (m->authentication && m->n_networks)
		add(z, out, m);
}

/* What an AuthorizationPolicy requires, as far as it was looked up. */
struct required {
	const struct networks *networks; /* NULL: none were named */
	struct identity_refs identities;
	bool by_identity;
	const char *wrong; /* NULL: all is well */
};

static void require_mesh_tls(
	struct authorizing *z, const struct object_ref *ref, struct required *q)
{
	const struct mesh_tls_view *t = index_named_as(
		z->reader, VIEW_MESH_TLS, mesh_tls_view, ref->ns, ref->name);

	if (!t)
		q->wrong = "there is no such MeshTLSAuthentication";
	else if (q->by_identity)
		q->wrong = "it requires two authentications of identities";
	else
		q->identities = t->identities;
	q->by_identity = true;
}

static void require_account(
	struct authorizing *z, const struct object_ref *ref, struct required *q)
{
	struct identity_ref *one = MAKE_LIST(struct identity_ref, 1, z->arena);

	*one = (struct identity_ref){IDENTITY_ACCOUNT, ref->name, ref->ns};
	if (q->by_identity)
		q->wrong = "it requires two authentications of identities";
	q->identities = (struct identity_refs){one, 1};
	q->by_identity = true;
}

static void require_network(
	struct authorizing *z, const struct object_ref *ref, struct required *q)
{
	const struct network_view *n = index_named_as(
		z->reader, VIEW_NETWORK, network_view, ref->ns, ref->name);

	if (!n)
		q->wrong = "there is no such NetworkAuthentication";
	else if (q->networks)
		q->wrong = "it requires two NetworkAuthentications";
	else
		q->networks = &n->networks;
}

static const struct {
	const char *group, *kind;
	void (*look)(struct authorizing *z, const struct object_ref *ref,
		struct required *q);
} authentications[] = {
	{GROUP, "MeshTLSAuthentication", require_mesh_tls},
	{GROUP, "NetworkAuthentication", require_network},
	{"", "ServiceAccount", require_account},
};

static void require(
	struct authorizing *z, const struct object_ref *ref, struct required *q)
{
	for (size_t i = 0; i < countof(authentications); i++)
		if (strcmp(authentications[i].kind, ref->kind) == 0 &&
			strcmp(authentications[i].group, ref->group) == 0) {
			authentications[i].look(z, ref, q);
			return;
		}
	q->wrong = "it requires an authentication of no known kind";
}

static void by_policy(struct authorizing *z, const struct authorization_view *p,
	struct authz_list *out)
{
	Inbound__Authz *m = authz_of(z, "authorizationpolicy", &p->view);
	struct required q = {0};

	for (size_t i = 0; i < p->nrequired; i++)
		require(z, &p->required[i], &q);
	if (q.wrong) {
		log_warn("ctl", "an AuthorizationPolicy authorizes nobody",
			LS("namespace", p->view.ns), LS("name", p->view.name),
			LS("why", q.wrong));
		return;
	}
	if (q.networks)
		set_networks(m, q.networks, z->arena);
	else
		set_everywhere(m, z->arena);
	m->authentication = q.by_identity ? by_tls(z, &q.identities) : by_anybody(z);
	if (m->n_networks)
		add(z, out, m);
}

/* ---- whose ---- */

static int by_name(const void *a, const void *b)
{
	const struct view *const *x = a, *const *y = b;
	int d = strcmp((*x)->name, (*y)->name);

	return d ? d : strcmp((*x)->ns, (*y)->ns);
}

/* In an order that does not change by itself. */
static const struct view **sorted(
	struct authorizing *z, enum view_kind kind, const char *ns, size_t *n)
{
	const struct list *places = index_all(z->reader, kind, ns);
	const struct view **v =
		MAKE_LIST(const struct view *, places_count(places), z->arena);
	struct place *p;

	*n = 0;
	list_each(p, places, node)
	{
		v[(*n)++] = p->view;
	}
	qsort(v, *n, sizeof *v, by_name);
	return v;
}

static bool is_about_server(const struct authorization_view *p, const struct view *s)
{
	const struct object_ref *t = &p->target;

	if (strcmp(t->ns, s->ns) != 0)
		return false;
	if (strcmp(t->kind, "Namespace") == 0)
		return !*t->group && strcmp(t->name, s->ns) == 0;
	return strcmp(t->kind, "Server") == 0 && strcmp(t->group, GROUP) == 0 &&
	       strcmp(t->name, s->name) == 0;
}

static bool selects_server(
	const struct server_authorization_view *a, const struct server_view *s)
{
	return *a->server ? strcmp(a->server, s->view.name) == 0
			  : selector_selects(&a->servers, &s->labels);
}

void authorize_server(
	struct authorizing *z, const struct server_view *s, struct authz_list *out)
{
	size_t n;
	const struct view **v = sorted(z, VIEW_SERVER_AUTHORIZATION, s->view.ns, &n);

	for (size_t i = 0; i < n; i++) {
		const struct server_authorization_view *a = container_of(
			v[i], const struct server_authorization_view, view);

		if (selects_server(a, s))
			by_server_authorization(z, a, out);
	}
	v = sorted(z, VIEW_AUTHORIZATION, s->view.ns, &n);
	for (size_t i = 0; i < n; i++) {
		const struct authorization_view *p =
			container_of(v[i], const struct authorization_view, view);

		if (is_about_server(p, &s->view))
			by_policy(z, p, out);
	}
}

void authorize_route(
	struct authorizing *z, const struct route_view *r, struct authz_list *out)
{
	size_t n;
	const struct view **v = sorted(z, VIEW_AUTHORIZATION, r->view.ns, &n);

	for (size_t i = 0; i < n; i++) {
		const struct authorization_view *p =
			container_of(v[i], const struct authorization_view, view);

		if (strcmp(p->target.kind, route_kind(r)) == 0 &&
			strcmp(p->target.group, route_group(r)) == 0 &&
			strcmp(p->target.name, r->view.name) == 0)
			by_policy(z, p, out);
	}
}
