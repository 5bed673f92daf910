/* SPDX-License-Identifier: Apache-2.0 */
/* Servers, and who may use them. */
#include "base/obj.h"
#include "ctl/policyview.h"
#include "ctl/viewint.h"

/* ---- labels and selectors ---- */

struct labels view_labels(struct reading *r, const struct json *map)
{
	struct label *v = view_take(r, json_count(map), sizeof *v);
	struct labels all = {v, 0};

	if (v)
		json_each(l, map)
		{
			v[all.n++] = (struct label){
				view_text(r, json_key(l)), view_text(r, json_text(l))};
		}
	return all;
}

static const char *label_get(const struct labels *l, const char *key)
{
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->v[i].key, key) == 0)
			return l->v[i].value;
	return NULL;
}

static bool is_among(const struct requirement *q, const char *value)
{
	for (size_t i = 0; i < q->n && value; i++)
		if (strcmp(q->values[i], value) == 0)
			return true;
	return false;
}

static bool holds(const struct requirement *q, const struct labels *l)
{
	const char *value = label_get(l, q->key);

	switch (q->op) {
	case LABEL_IN:
		return is_among(q, value);
	case LABEL_NOT_IN:
		return !is_among(q, value);
	case LABEL_EXISTS:
		return value != NULL;
	case LABEL_ABSENT:
		return value == NULL;
	}
	return false;
}

bool selector_selects(const struct selector *s, const struct labels *l)
{
	for (size_t i = 0; i < s->n; i++)
		if (!holds(&s->v[i], l))
			return false;
	return !s->broken;
}

static const char *const operators[] = {[LABEL_IN] = "In",
	[LABEL_NOT_IN] = "NotIn",
	[LABEL_EXISTS] = "Exists",
	[LABEL_ABSENT] = "DoesNotExist"};

static bool operator_find(const char *name, enum requires *op)
{
	for (size_t i = 0; i < countof(operators); i++)
		if (strcmp(operators[i], name) == 0) {
			*op = (enum requires)i;
			return true;
		}
	return false;
}

/* `list`: one text, or a list of them. */
static void requirement(struct reading *r, struct requirement *q, const char *key,
	const struct json *list)
{
	size_t n = json_text(list) ? 1 : json_count(list);
	const char **v = view_take(r, n, sizeof *v);

	q->key = view_text(r, key);
	q->values = v;
	if (v && json_text(list))
		v[q->n++] = view_text(r, json_text(list));
	else if (v)
		json_each(value, list)
		{
			v[q->n++] = view_text(r, json_text(value));
		}
}

struct selector view_selector(struct reading *r, const struct json *selector)
{
	const struct json *labels = json_get(selector, "matchLabels"),
			  *expressions = json_get(selector, "matchExpressions");
	size_t n = json_count(labels) + json_count(expressions);
	struct requirement *v = view_take(r, n, sizeof *v);
	struct selector s = {.v = v};

	if (!v)
		return s;
	json_each(l, labels)
	{
		requirement(r, &v[s.n++], json_key(l), l);
	}
	json_each(x, expressions)
	{
		s.broken |= !operator_find(json_text_or(x, "operator", ""), &v[s.n].op);
		requirement(r, &v[s.n++], json_text_or(x, "key", ""),
			json_get(x, "values"));
	}
	return s;
}

/* ---- networks ---- */

static const struct cidr *excepted(
	struct reading *r, const struct json *list, size_t *n, bool *broken)
{
	struct cidr *v = view_take(r, json_count(list), sizeof *v);

	*n = 0;
	if (v)
		json_each(x, list)
		{
			if (!cidr_parse(slice_of(json_text(x)), &v[(*n)++]))
				*broken = true;
		}
	return v;
}

/* A network is left out when it, or what it excepts, is none: that opens less. */
static struct networks networks(struct reading *r, const struct json *list)
{
	struct network *v = view_take(r, json_count(list), sizeof *v);
	struct networks all = {v, 0};

	if (!v)
		return all;
	json_each(x, list)
	{
		struct network *net = &v[all.n];
		bool broken =
			!cidr_parse(slice_of(json_text_or(x, "cidr", "")), &net->net);

		net->except =
			excepted(r, json_get(x, "except"), &net->nexcept, &broken);
		all.n += !broken;
	}
	return all;
}

/* ---- identities ---- */

struct identities_at {
	struct identity_ref *v;
	size_t n;
};

static void add_names(
	struct reading *r, struct identities_at *at, const struct json *list)
{
	json_each(x, list)
	{
		const char *s = json_text(x);
		bool all = s && strcmp(s, "*") == 0,
		     suffix = s && strncmp(s, "*.", 2) == 0;

		if (!s || !*s)
			continue;
		at->v[at->n++] = (struct identity_ref){
			all || suffix ? IDENTITY_SUFFIX : IDENTITY_EXACT,
			view_text(r, all      ? ""
				     : suffix ? s + 2
					      : s),
			""};
	}
}

/* ServiceAccounts and Namespaces.  What has no kind is a ServiceAccount. */
static void add_refs(struct reading *r, struct identities_at *at,
	const struct json *list, const char *own_ns)
{
	json_each(x, list)
	{
		const char *kind = json_text_or(x, "kind", "ServiceAccount");
		const char *name = json_text_or(x, "name", "");

		if (strcmp(kind, "Namespace") == 0 && *name)
			at->v[at->n++] = (struct identity_ref){
				IDENTITY_NAMESPACE, view_text(r, name), ""};
		else if (strcmp(kind, "ServiceAccount") == 0 && *name)
			at->v[at->n++] = (struct identity_ref){IDENTITY_ACCOUNT,
				view_text(r, name),
				view_text(r, json_text_or(x, "namespace", own_ns))};
	}
}

static struct identity_refs identities(struct reading *r, const struct json *names,
	const struct json *refs, const char *own_ns)
{
	struct identities_at at = {0};

	at.v = view_take(r, json_count(names) + json_count(refs), sizeof *at.v);
	if (at.v) {
		add_names(r, &at, names);
		add_refs(r, &at, refs, own_ns);
	}
	return (struct identity_refs){at.v, at.n};
}

/* ---- the kinds ---- */

static const struct {
	const char *name;
	enum server_protocol protocol;
} protocols[] = {
	{"unknown", SERVER_DETECT},
	{"HTTP/1", SERVER_HTTP1},
	{"HTTP/2", SERVER_HTTP2},
	{"gRPC", SERVER_GRPC},
	{"opaque", SERVER_OPAQUE},
	{"TLS", SERVER_TLS},
};

bool server_has_port(const struct server_view *s, uint16_t port, const char *name)
{
	if (s->port)
		return s->port == port;
	return *s->port_name && strcmp(s->port_name, name) == 0;
}

void view_read_server(struct reading *r, struct view *view)
{
	struct server_view *s = container_of(view, struct server_view, view);
	const struct json *spec = json_get(r->o, "spec"),
			  *port = json_get(spec, "port"),
			  *pods = json_get(spec, "podSelector");
	const char *protocol = json_text_or(spec, "proxyProtocol", "unknown");

	s->created = view_text(r, json_text_at(r->o, "metadata.creationTimestamp"));
	s->labels = view_labels(r, json_path(r->o, "metadata.labels"));
	s->pods = view_selector(r, pods);
	s->pods.broken |= !pods;
	s->port = view_port_of(json_int(port, 0));
	s->port_name = view_text(r, json_text(port));
	s->access = view_text(r, json_text_or(spec, "accessPolicy", "deny"));
	for (size_t i = 0; i < countof(protocols); i++)
		if (strcmp(protocols[i].name, protocol) == 0)
			s->protocol = protocols[i].protocol;
}

void view_read_server_authorization(struct reading *r, struct view *view)
{
	struct server_authorization_view *a =
		container_of(view, struct server_authorization_view, view);
	const struct json *server = json_path(r->o, "spec.server"),
			  *client = json_path(r->o, "spec.client"),
			  *tls = json_get(client, "meshTLS"),
			  *selector = json_get(server, "selector");

	a->server = view_text(r, json_text_at(server, "name"));
	a->servers = view_selector(r, selector);
	a->servers.broken |= !selector;
	a->networks = networks(r, json_get(client, "networks"));
	a->anywhere = !json_get(client, "networks");
	a->unauthenticated = json_bool_at(client, "unauthenticated", false);
	a->unauthenticated_tls = json_bool_at(tls, "unauthenticatedTLS", false);
	a->identities = identities(r, json_get(tls, "identities"),
		json_get(tls, "serviceAccounts"), view->ns);
}

static struct object_ref object_ref(
	struct reading *r, const struct json *j, const char *own_ns)
{
	const char *group = json_text_or(j, "group", "");

	return (struct object_ref){
		view_text(r, strcmp(group, "core") == 0 ? "" : group),
		view_text(r, json_text_at(j, "kind")),
		view_text(r, json_text_or(j, "namespace", own_ns)),
		view_text(r, json_text_at(j, "name"))};
}

void view_read_authorization(struct reading *r, struct view *view)
{
	struct authorization_view *a =
		container_of(view, struct authorization_view, view);
	const struct json *refs = json_path(r->o, "spec.requiredAuthenticationRefs");
	struct object_ref *v = view_take(r, json_count(refs), sizeof *v);

	a->target = object_ref(r, json_path(r->o, "spec.targetRef"), view->ns);
	a->required = v;
	if (v)
		json_each(x, refs)
		{
			v[a->nrequired++] = object_ref(r, x, view->ns);
		}
}

void view_read_mesh_tls(struct reading *r, struct view *view)
{
	container_of(view, struct mesh_tls_view, view)->identities =
		identities(r, json_path(r->o, "spec.identities"),
			json_path(r->o, "spec.identityRefs"), view->ns);
}

void view_read_network(struct reading *r, struct view *view)
{
	container_of(view, struct network_view, view)->networks =
		networks(r, json_path(r->o, "spec.networks"));
}
