/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OutboundPolicies: how a client routes to a Service's port, or to an address outside
 * of the cluster (spec control-plane.md §4.3).
 */
#include <strings.h>

#include "api/http_route.pb-c.h"
#include "api/opaque_route.pb-c.h"
#include "api/outbound.pb-c.h"
#include "base/clock.h"
#include "base/obj.h"
#include "ctl/destint.h"

#define DETECT         (10 * NS_PER_S)
#define DEFAULT_RTT    (30 * NS_PER_MS)
#define RTT_DECAY      (10 * NS_PER_S)
#define QUEUE_CAPACITY 100
#define QUEUE_FAILFAST (3 * NS_PER_S)

/* ---- backends ---- */

static Outbound__Queue *queue(struct arena *a)
{
	Outbound__Queue *m = MAKE(Outbound__Queue, outbound__queue, a);

	m->capacity = QUEUE_CAPACITY;
	m->failfast_timeout = api_duration(QUEUE_FAILFAST, a);
	must(m->failfast_timeout);
	return m;
}

static Outbound__Backend *balance(
	const char *name, Meta__Metadata *meta, struct arena *a)
{
	Outbound__Backend *m = MAKE(Outbound__Backend, outbound__backend, a);
	Outbound__Backend__BalanceP2c *p =
		MAKE(Outbound__Backend__BalanceP2c, outbound__backend__balance_p2c, a);
	Outbound__Backend__EndpointDiscovery *d =
		MAKE(Outbound__Backend__EndpointDiscovery,
			outbound__backend__endpoint_discovery, a);

	m->metadata = meta;
	m->queue = queue(a);
	m->kind_case = OUTBOUND__BACKEND__KIND_BALANCER;
	m->balancer = p;
	p->discovery = d;
	d->kind_case = OUTBOUND__BACKEND__ENDPOINT_DISCOVERY__KIND_DST;
	d->dst = MAKE(Outbound__Backend__EndpointDiscovery__DestinationGet,
		outbound__backend__endpoint_discovery__destination_get, a);
	d->dst->path = (char *)name;
	p->load_case = OUTBOUND__BACKEND__BALANCE_P2C__LOAD_PEAK_EWMA;
	p->peak_ewma = MAKE(Outbound__Backend__BalanceP2c__PeakEwma,
		outbound__backend__balance_p2c__peak_ewma, a);
	p->peak_ewma->default_rtt = api_duration(DEFAULT_RTT, a);
	p->peak_ewma->decay = api_duration(RTT_DECAY, a);
	must(p->peak_ewma->default_rtt && p->peak_ewma->decay);
	return m;
}

static Outbound__Backend *forward(
	const struct addr *at, Meta__Metadata *meta, struct arena *a)
{
	Outbound__Backend *m = MAKE(Outbound__Backend, outbound__backend, a);

	m->metadata = meta;
	m->queue = queue(a);
	m->kind_case = OUTBOUND__BACKEND__KIND_FORWARD;
	m->forward = MAKE(Destination__WeightedAddr, destination__weighted_addr, a);
	m->forward->addr = api_addr(at, a);
	must(m->forward->addr);
	m->forward->weight = 1;
	return m;
}

/* ---- routes: everything to one backend ---- */

struct routing {
	struct arena *a;
	Outbound__Backend *backend; /* NULL: forbidden */
	const char *http_name, *opaque_name;
};

static Meta__Metadata *route_meta(const struct routing *r, const char *name)
{
	Meta__Metadata *m = api_meta_default(name, r->a);

	must(m);
	return m;
}

static Outbound__HttpRoute__Distribution *http_backends(const struct routing *r)
{
	Outbound__HttpRoute__Distribution *m = MAKE(Outbound__HttpRoute__Distribution,
		outbound__http_route__distribution, r->a);
	Outbound__HttpRoute__FirstAvailable *first =
		MAKE(Outbound__HttpRoute__FirstAvailable,
			outbound__http_route__first_available, r->a);

	m->kind_case = OUTBOUND__HTTP_ROUTE__DISTRIBUTION__KIND_FIRST_AVAILABLE;
	m->first_available = first;
	first->backends = MAKE_LIST(Outbound__HttpRoute__RouteBackend *, 1, r->a);
	first->backends[0] = MAKE(Outbound__HttpRoute__RouteBackend,
		outbound__http_route__route_backend, r->a);
	first->backends[0]->backend = r->backend;
	first->n_backends = 1;
	return m;
}

static HttpRoute__HttpRouteMatch *match_all(struct arena *a)
{
	HttpRoute__HttpRouteMatch *m =
		MAKE(HttpRoute__HttpRouteMatch, http_route__http_route_match, a);

	m->path = MAKE(HttpRoute__PathMatch, http_route__path_match, a);
	m->path->kind_case = HTTP_ROUTE__PATH_MATCH__KIND_PREFIX;
	m->path->prefix = make_text(a, "/");
	return m;
}

static Outbound__HttpRoute **http_routes(const struct routing *r)
{
	Outbound__HttpRoute **v = MAKE_LIST(Outbound__HttpRoute *, 1, r->a);
	Outbound__HttpRoute__Rule *rule =
		MAKE(Outbound__HttpRoute__Rule, outbound__http_route__rule, r->a);

	v[0] = MAKE(Outbound__HttpRoute, outbound__http_route, r->a);
	v[0]->metadata = route_meta(r, r->http_name);
	v[0]->rules = MAKE_LIST(Outbound__HttpRoute__Rule *, 1, r->a);
	v[0]->rules[0] = rule;
	v[0]->n_rules = 1;
	rule->matches = MAKE_LIST(HttpRoute__HttpRouteMatch *, 1, r->a);
	rule->matches[0] = match_all(r->a);
	rule->n_matches = 1;
	rule->backends = http_backends(r);
	return v;
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

	m->routes = http_routes(r);
	m->n_routes = 1;
	return m;
}

static Outbound__ProxyProtocol__Http2 *http2(const struct routing *r)
{
	Outbound__ProxyProtocol__Http2 *m = MAKE(
		Outbound__ProxyProtocol__Http2, outbound__proxy_protocol__http2, r->a);

	m->routes = http_routes(r);
	m->n_routes = 1;
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

enum speaks { SPEAKS_DETECT, SPEAKS_HTTP1, SPEAKS_HTTP2, SPEAKS_OPAQUE };

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

static enum verdict of_service(
	struct topic *t, const struct service_view *s, struct answer *out)
{
	const struct destination_config *cfg = topic_context(t);
	const struct target_ask *ask = t->ask;
	const struct service_port *p = service_port(s, ask->at.port);
	struct arena *a = &out->arena;
	struct routing r = {.a = a, .http_name = "http", .opaque_name = "opaque"};
	Meta__Metadata *meta =
		api_meta("core", "Service", s->view.ns, s->view.name, ask->at.port, a);
	enum speaks speaks = SPEAKS_OPAQUE;

	must(meta);
	if (!p) {
		r.opaque_name = "undefined-port";
		return tell(out, protocol(&r, SPEAKS_OPAQUE), meta);
	}
	r.backend = balance(make_text(a, "%s.%s.svc.%s:%u", s->view.name, s->view.ns,
				    cfg->cluster_domain, ask->at.port),
		meta, a);
	if (!service_port_is_opaque(&t->reader, cfg, s, ask->at.port))
		speaks = declared(p);
	return tell(out, protocol(&r, speaks), meta);
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
	struct routing r = {.a = &out->arena,
		.http_name = "egress-fallback",
		.opaque_name = "egress-fallback"};

	if (p)
		return of_service(t, place_as(p, service_view), out);
	if (is_in_cluster(topic_context(t), &at.ip))
		return refuse(out, GRPC_NOT_FOUND, "No such service");
	r.backend = forward(&at, route_meta(&r, "egress-fallback"), &out->arena);
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
