/* SPDX-License-Identifier: Apache-2.0 */
/*
 * InboundServerPolicies: what a pod's port speaks and who may use it, by its default
 * policy (spec control-plane.md §4.2).
 */
#include "api/http_route.pb-c.h"
#include "api/http_types.pb-c.h"
#include "api/inbound.pb-c.h"
#include "base/clock.h"
#include "base/obj.h"
#include "ctl/destint.h"

#define DETECT (10 * NS_PER_S)

enum clients { ANYBODY, ANY_TLS, ANY_IDENTITY, NOBODY };

/* `cluster`: from the cluster's networks only. */
static const struct default_policy {
	const char *name;
	enum clients clients;
	bool cluster;
} policies[] = {
	{"all-unauthenticated", ANYBODY, false},
	{"all-authenticated", ANY_IDENTITY, false},
	{"all-tls-unauthenticated", ANY_TLS, false},
	{"cluster-unauthenticated", ANYBODY, true},
	{"cluster-authenticated", ANY_IDENTITY, true},
	{"cluster-tls-unauthenticated", ANY_TLS, true},
	{"audit", ANYBODY, false},
};
static const struct default_policy deny = {"deny", NOBODY, false};

static const struct default_policy *policy_find(const char *name)
{
	for (size_t i = 0; i < countof(policies); i++)
		if (strcmp(policies[i].name, name) == 0)
			return &policies[i];
	return strcmp(name, deny.name) == 0 ? &deny : NULL;
}

bool default_policy_is_known(const char *name)
{
	return policy_find(name) != NULL;
}

/* A policy nobody knows opens nothing. */
static const struct default_policy *policy_of(
	const struct destination_config *cfg, const struct pod_view *p)
{
	const struct default_policy *found = policy_find(
		p->default_policy ? p->default_policy : cfg->default_policy);

	return found ? found : &deny;
}

/* ---- authorizations ---- */

static const struct cidr everywhere[] = {{{.family = 4}, 0}, {{.family = 6}, 0}};

static Common__Label **labels(const char *kind, const char *name, struct arena *a)
{
	Common__Label **v = MAKE_LIST(Common__Label *, 3, a);

	v[0] = api_label("group", "", a);
	v[1] = api_label("kind", kind, a);
	v[2] = api_label("name", name, a);
	must(v[0] && v[1] && v[2]);
	return v;
}

static void set_networks(
	Inbound__Authz *m, const struct cidr *v, size_t n, struct arena *a)
{
	m->networks = MAKE_LIST(Inbound__Network *, n, a);
	m->n_networks = n;
	for (size_t i = 0; i < n; i++) {
		m->networks[i] = MAKE(Inbound__Network, inbound__network, a);
		m->networks[i]->net = api_cidr(&v[i], a);
		must(m->networks[i]->net);
	}
}

static Inbound__Authn__PermitUnauthenticated *nothing(struct arena *a)
{
	return MAKE(Inbound__Authn__PermitUnauthenticated,
		inbound__authn__permit_unauthenticated, a);
}

/* Any identity at all: one suffix without parts. */
static Inbound__ClientIdentities *any_identity(struct arena *a)
{
	Inbound__ClientIdentities *m =
		MAKE(Inbound__ClientIdentities, inbound__client_identities, a);

	m->suffixes = MAKE_LIST(Inbound__IdentitySuffix *, 1, a);
	m->suffixes[0] = MAKE(Inbound__IdentitySuffix, inbound__identity_suffix, a);
	m->n_suffixes = 1;
	return m;
}

static Inbound__Authn *authn(enum clients clients, struct arena *a)
{
	Inbound__Authn *m = MAKE(Inbound__Authn, inbound__authn, a);
	Inbound__Authn__PermitMeshTLS *tls;

	if (clients == ANYBODY) {
		m->permit_case = INBOUND__AUTHN__PERMIT_UNAUTHENTICATED;
		m->unauthenticated = nothing(a);
		return m;
	}
	tls = MAKE(Inbound__Authn__PermitMeshTLS, inbound__authn__permit_mesh_tls, a);
	m->permit_case = INBOUND__AUTHN__PERMIT_MESH_TLS;
	m->mesh_tls = tls;
	if (clients == ANY_TLS) {
		tls->clients_case =
			INBOUND__AUTHN__PERMIT_MESH_TLS__CLIENTS_UNAUTHENTICATED;
		tls->unauthenticated = nothing(a);
	} else {
		tls->clients_case = INBOUND__AUTHN__PERMIT_MESH_TLS__CLIENTS_IDENTITIES;
		tls->identities = any_identity(a);
	}
	return m;
}

static Inbound__Authz *authz(const char *name, enum clients clients,
	const struct cidr *nets, size_t n, struct arena *a)
{
	Inbound__Authz *m = MAKE(Inbound__Authz, inbound__authz, a);

	set_networks(m, nets, n, a);
	m->authentication = authn(clients, a);
	m->labels = labels("default", name, a);
	m->n_labels = 3;
	m->metadata = api_meta_default(name, a);
	must(m->metadata);
	return m;
}

static void authorize(Inbound__Server *m, const struct destination_config *cfg,
	const struct default_policy *p, struct arena *a)
{
	const struct cidr *nets = p->cluster ? cfg->cluster_networks.v : everywhere;
	size_t n = p->cluster ? cfg->cluster_networks.n : countof(everywhere);

	if (p->clients == NOBODY || n == 0)
		return;
	m->authorizations = MAKE_LIST(Inbound__Authz *, 1, a);
	m->authorizations[0] = authz(p->name, p->clients, nets, n, a);
	m->n_authorizations = 1;
}

/* ---- routes ---- */

static HttpRoute__HttpRouteMatch *match_path(
	HttpRoute__PathMatch__KindCase how, const char *path, struct arena *a)
{
	HttpRoute__HttpRouteMatch *m =
		MAKE(HttpRoute__HttpRouteMatch, http_route__http_route_match, a);

	m->path = MAKE(HttpRoute__PathMatch, http_route__path_match, a);
	m->path->kind_case = how;
	m->path->exact = make_text(a, "%s", path); /* a union: prefix, too */
	return m;
}

static Inbound__HttpRoute *route(const char *name, HttpRoute__HttpRouteMatch **matches,
	size_t n, struct arena *a)
{
	Inbound__HttpRoute *m = MAKE(Inbound__HttpRoute, inbound__http_route, a);

	m->metadata = api_meta_default(name, a);
	must(m->metadata);
	m->rules = MAKE_LIST(Inbound__HttpRoute__Rule *, 1, a);
	m->rules[0] = MAKE(Inbound__HttpRoute__Rule, inbound__http_route__rule, a);
	m->rules[0]->matches = matches;
	m->rules[0]->n_matches = n;
	m->n_rules = 1;
	return m;
}

static Inbound__HttpRoute *default_route(struct arena *a)
{
	HttpRoute__HttpRouteMatch **all = MAKE_LIST(HttpRoute__HttpRouteMatch *, 1, a);

	all[0] = match_path(HTTP_ROUTE__PATH_MATCH__KIND_PREFIX, "/", a);
	return route("default", all, 1, a);
}

/* Who probes has no identity. */
static Inbound__HttpRoute *probe_route(const struct destination_config *cfg,
	const struct pod_view *p, uint16_t port, struct arena *a)
{
	HttpRoute__HttpRouteMatch **v =
		MAKE_LIST(HttpRoute__HttpRouteMatch *, p->nprobes, a);
	Inbound__HttpRoute *m;
	size_t n = 0;

	for (size_t i = 0; i < p->nprobes; i++) {
		if (p->probes[i].port != port)
			continue;
		v[n] = match_path(
			HTTP_ROUTE__PATH_MATCH__KIND_EXACT, p->probes[i].path, a);
		v[n]->method = MAKE(HttpTypes__HttpMethod, http_types__http_method, a);
		v[n]->method->type_case = HTTP_TYPES__HTTP_METHOD__TYPE_REGISTERED;
		v[n++]->method->registered = HTTP_TYPES__HTTP_METHOD__REGISTERED__GET;
	}
	if (n == 0 || cfg->probe_networks.n == 0)
		return NULL;
	m = route("probe", v, n, a);
	m->authorizations = MAKE_LIST(Inbound__Authz *, 1, a);
	m->authorizations[0] = authz(
		"probe", ANYBODY, cfg->probe_networks.v, cfg->probe_networks.n, a);
	m->n_authorizations = 1;
	return m;
}

/* ---- the server ---- */

static Inbound__ProxyProtocol *protocol(const struct destination_config *cfg,
	const struct pod_view *p, uint16_t port, struct arena *a)
{
	Inbound__ProxyProtocol *m =
		MAKE(Inbound__ProxyProtocol, inbound__proxy_protocol, a);
	Inbound__HttpRoute *probe;

	if (pod_port_is_opaque(cfg, p, port)) {
		m->kind_case = INBOUND__PROXY_PROTOCOL__KIND_OPAQUE;
		m->opaque = MAKE(Inbound__ProxyProtocol__Opaque,
			inbound__proxy_protocol__opaque, a);
		return m;
	}
	m->kind_case = INBOUND__PROXY_PROTOCOL__KIND_DETECT;
	m->detect = MAKE(
		Inbound__ProxyProtocol__Detect, inbound__proxy_protocol__detect, a);
	m->detect->timeout = api_duration(DETECT, a);
	must(m->detect->timeout);
	m->detect->http_routes = MAKE_LIST(Inbound__HttpRoute *, 2, a);
	m->detect->http_routes[m->detect->n_http_routes++] = default_route(a);
	probe = probe_route(cfg, p, port, a);
	if (probe)
		m->detect->http_routes[m->detect->n_http_routes++] = probe;
	return m;
}

static enum verdict inbound_answer(struct topic *t, struct answer *out)
{
	const struct inbound_ask *ask = t->ask;
	const struct destination_config *cfg = topic_context(t);
	const struct pod_view *p =
		index_pod(&t->reader, ask->workload.ns, ask->workload.pod);
	struct arena *a = &out->arena;
	Inbound__Server *m;

	if (!p) /* a pod that goes keeps its policy until its proxy is gone, too */
		return t->answered ? SILENT
				   : refuse(out, GRPC_NOT_FOUND, "no such pod");
	m = MAKE(Inbound__Server, inbound__server, a);
	m->protocol = protocol(cfg, p, ask->port, a);
	m->labels = labels("default", policy_of(cfg, p)->name, a);
	m->n_labels = 3;
	authorize(m, cfg, policy_of(cfg, p), a);
	m->server_ips = MAKE_LIST(Net__IPAddress *, p->nips, a);
	for (size_t i = 0; i < p->nips; i++) {
		m->server_ips[m->n_server_ips++] = api_ip(&p->ips[i], a);
		must(m->server_ips[i]);
	}
	messages_add(&out->whole, m);
	return TELL;
}

static void inbound_labels(const struct topic *t, struct buf *out)
{
	const struct inbound_ask *ask = t->ask;

	buf_printf(out, "namespace=\"%s\",pod=\"%s\",port=\"%u\"", ask->workload.ns,
		ask->workload.pod, ask->port);
}

const struct topic_kind inbound_kind = {.name = "inbound_policy",
	.ask_size = sizeof(struct inbound_ask),
	.answer = inbound_answer,
	.labels = inbound_labels};
