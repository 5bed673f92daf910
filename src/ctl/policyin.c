/* SPDX-License-Identifier: Apache-2.0 */
/*
 * InboundServerPolicies: what a pod's port speaks and who may use it, by the Server
 * that selects it, else by the pod's default policy (spec control-plane.md §4.2).
 */
#include "api/http_route.pb-c.h"
#include "api/http_types.pb-c.h"
#include "api/inbound.pb-c.h"
#include "base/clock.h"
#include "base/obj.h"
#include "ctl/policyauth.h"
#include "ctl/policyroute.h"

#define DETECT (10 * NS_PER_S)
#define GROUP  "policy.linkerd.io"

/* What is answered: the port, and the Server that is in charge of it. */
struct port {
	struct authorizing z;
	const struct pod_view *pod;
	uint16_t number;
	const struct server_view *server; /* NULL: none */
	enum server_protocol speaks;
};

/* A policy nobody knows opens nothing. */
static const struct default_policy *policy_of(
	const struct destination_config *cfg, const struct pod_view *p)
{
	const struct default_policy *found = default_policy_find(
		p->is->default_policy ? p->is->default_policy : cfg->default_policy);

	return found ? found : &default_policy_deny;
}

/* ---- which Server ---- */

/* The oldest is in charge; of those of one age the first by name. */
static bool goes_before(const struct server_view *a, const struct server_view *b)
{
	int d = b ? strcmp(a->created, b->created) : -1;

	return d < 0 || (d == 0 && strcmp(a->view.name, b->view.name) < 0);
}

const struct server_view *server_of(
	struct reader *r, const struct pod_view *p, uint16_t port)
{
	const struct server_view *found = NULL;
	const char *name = pod_port_name(p, port);
	struct place *at;

	list_each(at, index_all(r, VIEW_SERVER, p->view.ns), node)
	{
		const struct server_view *s = place_as(at, server_view);

		if (server_has_port(s, port, name) &&
			selector_selects(&s->pods, &p->is->labels) &&
			goes_before(s, found))
			found = s;
	}
	return found;
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
static Inbound__HttpRoute *probe_route(struct port *port)
{
	const struct pod_view *p = port->pod;
	struct arena *a = port->z.arena;
	HttpRoute__HttpRouteMatch **v =
		MAKE_LIST(HttpRoute__HttpRouteMatch *, p->is->nprobes, a);
	struct authz_list authz = {0};
	Inbound__HttpRoute *m;
	size_t n = 0;

	for (size_t i = 0; i < p->is->nprobes; i++) {
		if (p->is->probes[i].port != port->number)
			continue;
		v[n] = match_path(
			HTTP_ROUTE__PATH_MATCH__KIND_EXACT, p->is->probes[i].path, a);
		v[n]->method = api_method("GET", a);
		must(v[n++]->method);
	}
	if (n == 0 || port->z.cfg->probe_networks.n == 0)
		return NULL;
	m = route("probe", v, n, a);
	authorize_probes(&port->z, &authz);
	m->authorizations = authz.v;
	m->n_authorizations = authz.n;
	return m;
}

static struct object_ref parent_of(const struct server_view *s)
{
	return (struct object_ref){GROUP, "Server", s->view.ns, s->view.name};
}

/* Those of the Server's own namespace: others have no say here. */
static struct route_list attached(struct port *port, bool grpc)
{
	struct object_ref parent;

	if (!port->server)
		return (struct route_list){0};
	parent = parent_of(port->server);
	return routes_of(
		port->z.reader, &parent, 0, grpc, port->server->view.ns, port->z.arena);
}

/* Response headers cannot be changed here: such filters are no part of the message. */
static Inbound__HttpRoute__Filter **filters(
	const struct route_rule *rule, bool grpc, size_t *n, struct arena *a)
{
	Outbound__HttpRoute__Filter **v = rule_filters(rule, grpc, n, a);
	size_t kept = 0;

	for (size_t i = 0; i < *n; i++)
		if (v[i]->kind_case !=
			OUTBOUND__HTTP_ROUTE__FILTER__KIND_RESPONSE_HEADER_MODIFIER)
			v[kept++] = v[i];
	*n = kept;
	return (Inbound__HttpRoute__Filter **)v;
}

static Inbound__HttpRoute *http_route(struct port *port, const struct route_view *r)
{
	struct arena *a = port->z.arena;
	Inbound__HttpRoute *m = MAKE(Inbound__HttpRoute, inbound__http_route, a);
	struct authz_list authz = {0};

	authorize_route(&port->z, r, &authz);
	m->metadata = route_metadata(r, a);
	m->hosts = r->hosts;
	m->n_hosts = r->nhosts;
	m->authorizations = authz.v;
	m->n_authorizations = authz.n;
	m->rules = MAKE_LIST(Inbound__HttpRoute__Rule *, r->nrules, a);
	for (size_t i = 0; i < r->nrules; i++) {
		Inbound__HttpRoute__Rule *rule =
			MAKE(Inbound__HttpRoute__Rule, inbound__http_route__rule, a);

		rule->matches = r->rules[i].http;
		rule->n_matches = r->rules[i].nmatches;
		rule->filters = filters(&r->rules[i], false, &rule->n_filters, a);
		m->rules[m->n_rules++] = rule;
	}
	return m;
}

static Inbound__GrpcRoute *grpc_route(struct port *port, const struct route_view *r)
{
	struct arena *a = port->z.arena;
	Inbound__GrpcRoute *m = MAKE(Inbound__GrpcRoute, inbound__grpc_route, a);
	struct authz_list authz = {0};

	authorize_route(&port->z, r, &authz);
	m->metadata = route_metadata(r, a);
	m->hosts = r->hosts;
	m->n_hosts = r->nhosts;
	m->authorizations = authz.v;
	m->n_authorizations = authz.n;
	m->rules = MAKE_LIST(Inbound__GrpcRoute__Rule *, r->nrules, a);
	for (size_t i = 0; i < r->nrules; i++) {
		Inbound__GrpcRoute__Rule *rule =
			MAKE(Inbound__GrpcRoute__Rule, inbound__grpc_route__rule, a);

		rule->matches = r->rules[i].grpc;
		rule->n_matches = r->rules[i].nmatches;
		rule->filters = (Inbound__GrpcRoute__Filter **)filters(
			&r->rules[i], true, &rule->n_filters, a);
		m->rules[m->n_rules++] = rule;
	}
	return m;
}

/* Probes are let in beside the routes that are attached: an exact path goes before
 * what a prefix matches. */
static Inbound__HttpRoute **http_routes(struct port *port, size_t *n)
{
	struct route_list all = attached(port, false);
	Inbound__HttpRoute **v =
		MAKE_LIST(Inbound__HttpRoute *, all.n + 2, port->z.arena);
	Inbound__HttpRoute *probe = probe_route(port);

	*n = 0;
	for (size_t i = 0; i < all.n; i++)
		v[(*n)++] = http_route(port, all.v[i]);
	if (all.n == 0)
		v[(*n)++] = default_route(port->z.arena);
	if (probe)
		v[(*n)++] = probe;
	return v;
}

static Inbound__GrpcRoute *default_grpc_route(struct arena *a)
{
	Inbound__GrpcRoute *m = MAKE(Inbound__GrpcRoute, inbound__grpc_route, a);

	m->metadata = api_meta_default("default", a);
	must(m->metadata);
	m->rules = MAKE_LIST(Inbound__GrpcRoute__Rule *, 1, a);
	m->rules[0] = MAKE(Inbound__GrpcRoute__Rule, inbound__grpc_route__rule, a);
	m->rules[0]->matches = MAKE_LIST(GrpcRoute__GrpcRouteMatch *, 1, a);
	m->rules[0]->matches[0] =
		MAKE(GrpcRoute__GrpcRouteMatch, grpc_route__grpc_route_match, a);
	m->rules[0]->n_matches = 1;
	m->n_rules = 1;
	return m;
}

static Inbound__GrpcRoute **grpc_routes(struct port *port, size_t *n)
{
	struct route_list all = attached(port, true);
	Inbound__GrpcRoute **v =
		MAKE_LIST(Inbound__GrpcRoute *, all.n + 1, port->z.arena);

	*n = 0;
	for (size_t i = 0; i < all.n; i++)
		v[(*n)++] = grpc_route(port, all.v[i]);
	if (all.n == 0)
		v[(*n)++] = default_grpc_route(port->z.arena);
	return v;
}

/* ---- the protocol ---- */

static void speak_detect(struct port *port, Inbound__ProxyProtocol *m)
{
	Inbound__ProxyProtocol__Detect *d = MAKE(Inbound__ProxyProtocol__Detect,
		inbound__proxy_protocol__detect, port->z.arena);

	m->kind_case = INBOUND__PROXY_PROTOCOL__KIND_DETECT;
	m->detect = d;
	d->timeout = api_duration(DETECT, port->z.arena);
	must(d->timeout);
	d->http_routes = http_routes(port, &d->n_http_routes);
}

static void speak_http1(struct port *port, Inbound__ProxyProtocol *m)
{
	m->kind_case = INBOUND__PROXY_PROTOCOL__KIND_HTTP1;
	m->http1 = MAKE(Inbound__ProxyProtocol__Http1, inbound__proxy_protocol__http1,
		port->z.arena);
	m->http1->routes = http_routes(port, &m->http1->n_routes);
}

static void speak_http2(struct port *port, Inbound__ProxyProtocol *m)
{
	m->kind_case = INBOUND__PROXY_PROTOCOL__KIND_HTTP2;
	m->http2 = MAKE(Inbound__ProxyProtocol__Http2, inbound__proxy_protocol__http2,
		port->z.arena);
	m->http2->routes = http_routes(port, &m->http2->n_routes);
}

static void speak_grpc(struct port *port, Inbound__ProxyProtocol *m)
{
	m->kind_case = INBOUND__PROXY_PROTOCOL__KIND_GRPC;
	m->grpc = MAKE(Inbound__ProxyProtocol__Grpc, inbound__proxy_protocol__grpc,
		port->z.arena);
	m->grpc->routes = grpc_routes(port, &m->grpc->n_routes);
}

static void speak_opaque(struct port *port, Inbound__ProxyProtocol *m)
{
	m->kind_case = INBOUND__PROXY_PROTOCOL__KIND_OPAQUE;
	m->opaque = MAKE(Inbound__ProxyProtocol__Opaque,
		inbound__proxy_protocol__opaque, port->z.arena);
}

static void speak_tls(struct port *port, Inbound__ProxyProtocol *m)
{
	m->kind_case = INBOUND__PROXY_PROTOCOL__KIND_TLS;
	m->tls = MAKE(Inbound__ProxyProtocol__Tls, inbound__proxy_protocol__tls,
		port->z.arena);
}

static void (*const speak[])(struct port *port, Inbound__ProxyProtocol *m) = {
	[SERVER_DETECT] = speak_detect,
	[SERVER_HTTP1] = speak_http1,
	[SERVER_HTTP2] = speak_http2,
	[SERVER_GRPC] = speak_grpc,
	[SERVER_OPAQUE] = speak_opaque,
	[SERVER_TLS] = speak_tls,
};

/* ---- the server ---- */

/* A Server's own default comes last: it is for those that no policy knows. */
static void authorize(struct port *port, Inbound__Server *m)
{
	const struct server_view *s = port->server;
	const struct default_policy *preset =
		s ? default_policy_find(s->access) : policy_of(port->z.cfg, port->pod);
	struct authz_list all = {0};

	if (s) {
		m->labels = authz_labels(GROUP, "server", s->view.name, port->z.arena);
		authorize_server(&port->z, s, &all);
	} else {
		m->labels = authz_labels(
			"", "default", default_policy_name(preset), port->z.arena);
	}
	m->n_labels = 3;
	if (preset)
		authorize_default(&port->z, preset, &all);
	m->authorizations = all.v;
	m->n_authorizations = all.n;
}

static void addresses(const struct pod_view *p, Inbound__Server *m, struct arena *a)
{
	m->server_ips = MAKE_LIST(Net__IPAddress *, p->nips, a);
	for (size_t i = 0; i < p->nips; i++) {
		m->server_ips[m->n_server_ips++] = api_ip(&p->ips[i], a);
		must(m->server_ips[i]);
	}
}

static enum verdict inbound_answer(struct topic *t, struct answer *out)
{
	const struct inbound_ask *ask = t->ask;
	struct arena *a = &out->arena;
	struct port port = {.z = {&t->reader, topic_context(t), a},
		.pod = index_pod(&t->reader, ask->workload.ns, ask->workload.pod),
		.number = ask->port};
	Inbound__Server *m;

	if (!port.pod) /* a pod that goes keeps its policy until its proxy is gone, too
			*/
		return t->answered ? SILENT
				   : refuse(out, GRPC_NOT_FOUND, "no such pod");
	port.server = server_of(&t->reader, port.pod, ask->port);
	port.speaks = port.server ? port.server->protocol
		      : pod_port_is_opaque(&t->reader, port.z.cfg, port.pod, ask->port)
			      ? SERVER_OPAQUE
			      : SERVER_DETECT;
	m = MAKE(Inbound__Server, inbound__server, a);
	m->protocol = MAKE(Inbound__ProxyProtocol, inbound__proxy_protocol, a);
	speak[port.speaks](&port, m->protocol);
	authorize(&port, m);
	addresses(port.pod, m, a);
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
