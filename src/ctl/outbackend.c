/* SPDX-License-Identifier: Apache-2.0 */
/* Where outbound routes lead (spec control-plane.md §4.3). */
#include "base/clock.h"
#include "base/obj.h"
#include "ctl/policyoutint.h"

#define DEFAULT_RTT    (30 * NS_PER_MS)
#define RTT_DECAY      (10 * NS_PER_S)
#define QUEUE_CAPACITY 100
#define QUEUE_FAILFAST (3 * NS_PER_S)

static Outbound__Backend *backend(Meta__Metadata *meta, struct arena *a)
{
	Outbound__Backend *m = MAKE(Outbound__Backend, outbound__backend, a);

	must(meta);
	m->metadata = meta;
	m->queue = MAKE(Outbound__Queue, outbound__queue, a);
	m->queue->capacity = QUEUE_CAPACITY;
	m->queue->failfast_timeout = make_duration(QUEUE_FAILFAST, a);
	return m;
}

Outbound__Backend *backend_balance(
	const struct routing *r, const char *ns, const char *name, uint16_t port)
{
	struct arena *a = r->a;
	Outbound__Backend *m =
		backend(api_meta("core", "Service", ns, name, port, a), a);
	Outbound__Backend__BalanceP2c *p =
		MAKE(Outbound__Backend__BalanceP2c, outbound__backend__balance_p2c, a);
	Outbound__Backend__EndpointDiscovery *d =
		MAKE(Outbound__Backend__EndpointDiscovery,
			outbound__backend__endpoint_discovery, a);

	m->kind_case = OUTBOUND__BACKEND__KIND_BALANCER;
	m->balancer = p;
	p->discovery = d;
	d->kind_case = OUTBOUND__BACKEND__ENDPOINT_DISCOVERY__KIND_DST;
	d->dst = MAKE(Outbound__Backend__EndpointDiscovery__DestinationGet,
		outbound__backend__endpoint_discovery__destination_get, a);
	d->dst->path =
		make_text(a, "%s.%s.svc.%s:%u", name, ns, r->cfg->cluster_domain, port);
	p->load_case = OUTBOUND__BACKEND__BALANCE_P2C__LOAD_PEAK_EWMA;
	p->peak_ewma = MAKE(Outbound__Backend__BalanceP2c__PeakEwma,
		outbound__backend__balance_p2c__peak_ewma, a);
	p->peak_ewma->default_rtt = make_duration(DEFAULT_RTT, a);
	p->peak_ewma->decay = make_duration(RTT_DECAY, a);
	return m;
}

Outbound__Backend *backend_forward(
	const struct routing *r, const struct addr *at, Meta__Metadata *meta)
{
	Outbound__Backend *m = backend(meta, r->a);

	m->kind_case = OUTBOUND__BACKEND__KIND_FORWARD;
	m->forward = MAKE(Destination__WeightedAddr, destination__weighted_addr, r->a);
	m->forward->addr = api_addr(at, r->a);
	must(m->forward->addr);
	m->forward->weight = 1;
	return m;
}

/* ---- references ---- */

/* NULL when the reference is good. */
static const char *what_is_wrong(const struct routing *r, const struct backend_ref *b)
{
	if (*b->to.group || strcmp(b->to.kind, "Service") != 0)
		return make_text(r->a, "backends of kind %s are not known", b->to.kind);
	if (!b->port)
		return make_text(
			r->a, "backend %s.%s has no port", b->to.name, b->to.ns);
	if (!index_service(r->reader, b->to.ns, b->to.name))
		return make_text(r->a, "Service not found %s.%s", b->to.name, b->to.ns);
	return NULL;
}

/* A backend that is not there answers with what is wrong, and keeps its share. */
static Outbound__HttpRoute__RouteBackend *referred(const struct routing *r,
	const struct backend_ref *b, bool grpc, uint64_t timeout)
{
	Outbound__HttpRoute__RouteBackend *m = MAKE(Outbound__HttpRoute__RouteBackend,
		outbound__http_route__route_backend, r->a);
	const char *wrong = what_is_wrong(r, b);

	if (wrong) {
		m->backend = backend(api_meta_default("invalid", r->a), r->a);
		m->filters = MAKE_LIST(Outbound__HttpRoute__Filter *, 1, r->a);
		m->filters[m->n_filters++] = failure_filter(grpc, wrong, r->a);
		return m;
	}
	m->backend = backend_balance(r, b->to.ns, b->to.name, b->port);
	m->filters = b->filters;
	m->n_filters = b->nfilters;
	m->request_timeout = make_duration(timeout, r->a);
	return m;
}

static Outbound__HttpRoute__RandomAvailable *weighted(
	const struct routing *r, const struct route_rule *rule, bool grpc)
{
	Outbound__HttpRoute__RandomAvailable *m =
		MAKE(Outbound__HttpRoute__RandomAvailable,
			outbound__http_route__random_available, r->a);

	m->backends = MAKE_LIST(
		Outbound__HttpRoute__WeightedRouteBackend *, rule->nbackends, r->a);
	for (size_t i = 0; i < rule->nbackends; i++) {
		Outbound__HttpRoute__WeightedRouteBackend *b;

		if (!rule->backends[i].weight)
			continue;
		b = MAKE(Outbound__HttpRoute__WeightedRouteBackend,
			outbound__http_route__weighted_route_backend, r->a);
		b->weight = rule->backends[i].weight;
		b->backend =
			referred(r, &rule->backends[i], grpc, rule->backend_request);
		m->backends[m->n_backends++] = b;
	}
	return m;
}

static Outbound__HttpRoute__FirstAvailable *only_default(
	const struct routing *r, uint64_t timeout)
{
	Outbound__HttpRoute__FirstAvailable *m =
		MAKE(Outbound__HttpRoute__FirstAvailable,
			outbound__http_route__first_available, r->a);

	m->backends = MAKE_LIST(Outbound__HttpRoute__RouteBackend *, 1, r->a);
	m->backends[0] = MAKE(Outbound__HttpRoute__RouteBackend,
		outbound__http_route__route_backend, r->a);
	m->backends[0]->backend = r->backend;
	m->backends[0]->request_timeout = make_duration(timeout, r->a);
	m->n_backends = 1;
	return m;
}

Outbound__HttpRoute__Distribution *backend_distribution(
	const struct routing *r, const struct route_rule *rule, bool grpc)
{
	Outbound__HttpRoute__Distribution *m = MAKE(Outbound__HttpRoute__Distribution,
		outbound__http_route__distribution, r->a);

	if (!rule || rule->nbackends == 0) {
		m->kind_case = OUTBOUND__HTTP_ROUTE__DISTRIBUTION__KIND_FIRST_AVAILABLE;
		m->first_available = only_default(r, rule ? rule->backend_request : 0);
		return m;
	}
	m->kind_case = OUTBOUND__HTTP_ROUTE__DISTRIBUTION__KIND_RANDOM_AVAILABLE;
	m->random_available = weighted(r, rule, grpc);
	if (m->random_available->n_backends)
		return m;
	m->kind_case = OUTBOUND__HTTP_ROUTE__DISTRIBUTION__KIND_EMPTY;
	m->empty = MAKE(Common__Empty, common__empty, r->a);
	return m;
}
