/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OutboundPolicies: how a client routes to a Service's port, or to an address outside
 * of the cluster (spec control-plane.md §4.3).
 */
#include <strings.h>

#include "api/http_route.pb-c.h"
#include "api/opaque_route.pb-c.h"
#include "base/clock.h"
#include "base/obj.h"
#include "ctl/policyoutint.h"

#define DETECT (10 * NS_PER_S)

/* ---- protocols ---- */

static Meta__Metadata *route_meta(const struct routing *r, const char *name)
{
	Meta__Metadata *m = api_meta_default(name, r->a);

	must(m);
	return m;
}

static Outbound__OpaqueRoute__Distribution *opaque_backends(const struct routing *r)
{
	Outbound__OpaqueRoute__Distribution *m =
		MAKE(Outbound__OpaqueRoute__Distribution,
			outbound__opaque_route__distribution, r->a);
	Outbound__OpaqueRoute__FirstAvailable *first =
		MAKE(Outbound__OpaqueRoute__FirstAvailable,
			outbound__opaque_route__first_available, r->a);

	m->kind_case = OUTBOUND__OPAQUE_ROUTE__DISTRIBUTION__KIND_FIRST_AVAILABLE;
	m->first_available = first;
	first->backends = MAKE_LIST(Outbound__OpaqueRoute__RouteBackend *, 1, r->a);
	first->backends[0] = MAKE(Outbound__OpaqueRoute__RouteBackend,
		outbound__opaque_route__route_backend, r->a);
	first->backends[0]->backend = r->backend;
	first->n_backends = 1;
	return m;
}

static Outbound__OpaqueRoute__Filter **forbidden(struct arena *a)
{
	Outbound__OpaqueRoute__Filter **v =
		MAKE_LIST(Outbound__OpaqueRoute__Filter *, 1, a);

	v[0] = MAKE(Outbound__OpaqueRoute__Filter, outbound__opaque_route__filter, a);
	v[0]->kind_case = OUTBOUND__OPAQUE_ROUTE__FILTER__KIND_FORBIDDEN;
	v[0]->forbidden = MAKE(OpaqueRoute__Forbidden, opaque_route__forbidden, a);
	return v;
}

static Outbound__OpaqueRoute__Distribution *no_backends(struct arena *a)
{
	Outbound__OpaqueRoute__Distribution *m =
		MAKE(Outbound__OpaqueRoute__Distribution,
			outbound__opaque_route__distribution, a);

	m->kind_case = OUTBOUND__OPAQUE_ROUTE__DISTRIBUTION__KIND_EMPTY;
	m->empty = MAKE(Common__Empty, common__empty, a);
	return m;
}

static Outbound__ProxyProtocol__Opaque *opaque(const struct routing *r)
{
	Outbound__ProxyProtocol__Opaque *m = MAKE(Outbound__ProxyProtocol__Opaque,
		outbound__proxy_protocol__opaque, r->a);
	Outbound__OpaqueRoute *route =
		MAKE(Outbound__OpaqueRoute, outbound__opaque_route, r->a);
	Outbound__OpaqueRoute__Rule *rule =
		MAKE(Outbound__OpaqueRoute__Rule, outbound__opaque_route__rule, r->a);

	m->routes = MAKE_LIST(Outbound__OpaqueRoute *, 1, r->a);
	m->routes[0] = route;
	m->n_routes = 1;
	route->metadata = route_meta(r, r->opaque_name);
	route->rules = MAKE_LIST(Outbound__OpaqueRoute__Rule *, 1, r->a);
	route->rules[0] = rule;
	route->n_rules = 1;
	if (r->backend) {
		rule->backends = opaque_backends(r);
	} else {
		rule->filters = forbidden(r->a);
		rule->n_filters = 1;
		rule->backends = no_backends(r->a);
	}
	return m;
}

static Outbound__ProxyProtocol__Http1 *http1(const struct routing *r)
{
	Outbound__ProxyProtocol__Http1 *m = MAKE(
		Outbound__ProxyProtocol__Http1, outbound__proxy_protocol__http1, r->a);

	m->routes = out_http_routes(r, &m->n_routes);
	m->failure_accrual = out_accrual(r);
	return m;
}

static Outbound__ProxyProtocol__Http2 *http2(const struct routing *r)
{
	Outbound__ProxyProtocol__Http2 *m = MAKE(
		Outbound__ProxyProtocol__Http2, outbound__proxy_protocol__http2, r->a);

	m->routes = out_http_routes(r, &m->n_routes);
	m->failure_accrual = out_accrual(r);
	return m;
}

static Outbound__ProxyProtocol__Grpc *grpc(const struct routing *r)
{
	Outbound__ProxyProtocol__Grpc *m = MAKE(
		Outbound__ProxyProtocol__Grpc, outbound__proxy_protocol__grpc, r->a);

	m->routes = out_grpc_routes(r, &m->n_routes);
	m->failure_accrual = out_accrual(r);
	return m;
}

static Outbound__ProxyProtocol__Detect *detect(const struct routing *r)
{
	Outbound__ProxyProtocol__Detect *m = MAKE(Outbound__ProxyProtocol__Detect,
		outbound__proxy_protocol__detect, r->a);

	m->timeout = api_duration(DETECT, r->a);
	must(m->timeout);
	m->opaque = opaque(r);
	m->http1 = http1(r);
	m->http2 = http2(r);
	return m;
}

/* ---- policies ---- */

enum speaks { SPEAKS_DETECT, SPEAKS_HTTP1, SPEAKS_HTTP2, SPEAKS_GRPC, SPEAKS_OPAQUE };

/* What a port declares.  What we do not know is not looked into. */
static enum speaks declared(const struct service_port *p)
{
	if (!*p->app_protocol)
		return SPEAKS_DETECT;
	if (strcasecmp(p->app_protocol, "http") == 0)
		return SPEAKS_HTTP1;
	if (strcasecmp(p->app_protocol, "kubernetes.io/h2c") == 0)
		return SPEAKS_HTTP2;
	return SPEAKS_OPAQUE;
}

static Outbound__ProxyProtocol *protocol(const struct routing *r, enum speaks speaks)
{
	Outbound__ProxyProtocol *m =
		MAKE(Outbound__ProxyProtocol, outbound__proxy_protocol, r->a);

	switch (speaks) {
	case SPEAKS_DETECT:
		m->kind_case = OUTBOUND__PROXY_PROTOCOL__KIND_DETECT;
		m->detect = detect(r);
		break;
	case SPEAKS_HTTP1:
		m->kind_case = OUTBOUND__PROXY_PROTOCOL__KIND_HTTP1;
		m->http1 = http1(r);
		break;
	case SPEAKS_HTTP2:
		m->kind_case = OUTBOUND__PROXY_PROTOCOL__KIND_HTTP2;
		m->http2 = http2(r);
		break;
	case SPEAKS_GRPC:
		m->kind_case = OUTBOUND__PROXY_PROTOCOL__KIND_GRPC;
		m->grpc = grpc(r);
		break;
	case SPEAKS_OPAQUE:
		m->kind_case = OUTBOUND__PROXY_PROTOCOL__KIND_OPAQUE;
		m->opaque = opaque(r);
		break;
	}
	return m;
}

static enum verdict tell(
	struct answer *out, Outbound__ProxyProtocol *p, Meta__Metadata *meta)
{
	Outbound__OutboundPolicy m = OUTBOUND__OUTBOUND_POLICY__INIT;

	m.protocol = p;
	m.metadata = meta;
	messages_add(&out->whole, &m);
	return TELL;
}

/* Those that the client's namespace has for the Service, else the Service's own. */
static struct route_list attached(
	struct topic *t, const struct view *s, bool is_grpc, struct arena *a)
{
	const struct target_ask *ask = t->ask;
	struct object_ref parent = {"", "Service", s->ns, s->name};
	struct route_list all = {0};

	if (*ask->client_ns && strcmp(ask->client_ns, s->ns) != 0)
		all = routes_of(
			&t->reader, &parent, ask->at.port, is_grpc, ask->client_ns, a);
	return all.n ? all
		     : routes_of(&t->reader, &parent, ask->at.port, is_grpc, s->ns, a);
}

static void attach(struct topic *t, const struct service_view *s, struct routing *r)
{
	r->http = attached(t, &s->view, false, r->a);
	r->grpc = attached(t, &s->view, true, r->a);
}

/* Routes of gRPC say that nothing else is spoken. */
static enum speaks spoken(
	struct topic *t, const struct service_view *s, const struct routing *r)
{
	const struct target_ask *ask = t->ask;
	enum speaks speaks = declared(service_port(s, ask->at.port));

	if (service_port_is_opaque(&t->reader, r->cfg, s, ask->at.port))
		return SPEAKS_OPAQUE;
	if ((speaks == SPEAKS_DETECT || speaks == SPEAKS_HTTP2) && r->grpc.n)
		return SPEAKS_GRPC;
	return speaks;
}

static struct routing routing_new(struct topic *t, const char *name, struct answer *out)
{
	return (struct routing){.a = &out->arena,
		.reader = &t->reader,
		.cfg = topic_context(t),
		.http_name = name,
		.opaque_name = name};
}

static enum verdict of_service(
	struct topic *t, const struct service_view *s, struct answer *out)
{
	const struct target_ask *ask = t->ask;
	struct routing r = routing_new(t, "http", out);
	Meta__Metadata *meta = api_meta(
		"core", "Service", s->view.ns, s->view.name, ask->at.port, r.a);

	must(meta);
	if (!service_port(s, ask->at.port)) {
		r.opaque_name = "undefined-port";
		return tell(out, protocol(&r, SPEAKS_OPAQUE), meta);
	}
	r.opaque_name = "opaque";
	r.traffic = s->traffic;
	r.backend = backend_balance(&r, s->view.ns, s->view.name, ask->at.port);
	attach(t, s, &r);
	return tell(out, protocol(&r, spoken(t, s, &r)), meta);
}

static bool is_in_cluster(const struct destination_config *cfg, const struct ip *ip)
{
	for (size_t i = 0; i < cfg->cluster_networks.n; i++)
		if (cidr_has(&cfg->cluster_networks.v[i], ip))
			return true;
	return false;
}

static enum verdict of_addr(struct topic *t, struct answer *out)
{
	const struct target_ask *ask = t->ask;
	struct addr at = {ask->at.ip, ask->at.port};
	const struct list *found = index_services_at(&t->reader, &at.ip);
	struct place *p = list_first(found, struct place, node);
	struct routing r = routing_new(t, "egress-fallback", out);

	if (p)
		return of_service(t, place_as(p, service_view), out);
	if (is_in_cluster(topic_context(t), &at.ip))
		return refuse(out, GRPC_NOT_FOUND, "No such service");
	r.backend = backend_forward(&r, &at, route_meta(&r, "egress-fallback"));
	return tell(
		out, protocol(&r, SPEAKS_DETECT), route_meta(&r, "egress-fallback"));
}

static enum verdict outbound_answer(struct topic *t, struct answer *out)
{
	const struct target_ask *ask = t->ask;
	const struct service_view *s;

	if (ask->at.ip.family)
		return of_addr(t, out);
	s = index_service(&t->reader, ask->at.ns, ask->at.service);
	return s ? of_service(t, s, out)
		 : refuse(out, GRPC_NOT_FOUND, "No such service");
}

const struct topic_kind outbound_kind = {.name = "outbound_policy",
	.ask_size = sizeof(struct target_ask),
	.answer = outbound_answer,
	.labels = target_labels};
