/* SPDX-License-Identifier: Apache-2.0 */
/* Routes of HTTP and gRPC as clients are told of them. */
#include "base/clock.h"
#include "base/obj.h"
#include "ctl/policyoutint.h"

#define RETRY_BYTES  (64 * 1024)
#define BACKOFF_MIN  (25 * NS_PER_MS)
#define BACKOFF_MAX  (250 * NS_PER_MS)
#define RETRY_JITTER 1

static Outbound__ExponentialBackoff *backoff(
	uint64_t min, uint64_t max, float jitter, struct arena *a)
{
	Outbound__ExponentialBackoff *m =
		MAKE(Outbound__ExponentialBackoff, outbound__exponential_backoff, a);

	m->min_backoff = make_duration(min, a);
	m->max_backoff = make_duration(max, a);
	m->jitter_ratio = jitter;
	return m;
}

/* ---- what annotations say ---- */

static const struct traffic nothing_said;

/* The route's own say, and the Service's. */
struct said {
	const struct traffic *route, *service;
};

static struct said said(const struct routing *r, const struct route_view *route)
{
	return (struct said){route && route->traffic ? route->traffic : &nothing_said,
		r->traffic ? r->traffic : &nothing_said};
}

static uint64_t either(uint64_t a, uint64_t b)
{
	return a ? a : b;
}

/* What the rule itself says goes first. */
static HttpRoute__Timeouts *timeouts(
	const struct said *s, const struct route_rule *rule, struct arena *a)
{
	HttpRoute__Timeouts *m = MAKE(HttpRoute__Timeouts, http_route__timeouts, a);

	m->request =
		make_duration(either(rule ? rule->request : 0,
				      either(s->route->request, s->service->request)),
			a);
	m->response =
		make_duration(either(s->route->response, s->service->response), a);
	m->idle = make_duration(either(s->route->idle, s->service->idle), a);
	return m->request || m->response || m->idle ? m : NULL;
}

/* Who says when to retry says the rest of it, too. */
static const struct traffic *who_retries(const struct said *s, bool grpc)
{
	if (grpc ? s->route->retry_grpc != 0 : s->route->nretry_http > 0)
		return s->route;
	if (grpc ? s->service->retry_grpc != 0 : s->service->nretry_http > 0)
		return s->service;
	return NULL;
}

static Outbound__HttpRoute__Retry *http_retry(const struct said *s, struct arena *a)
{
	const struct traffic *t = who_retries(s, false);
	Outbound__HttpRoute__Retry *m =
		t ? MAKE(Outbound__HttpRoute__Retry, outbound__http_route__retry, a)
		  : NULL;

	if (!m)
		return NULL;
	m->max_retries = t->retry_limit ? t->retry_limit : 1;
	m->max_request_bytes = RETRY_BYTES;
	m->timeout = make_duration(t->retry_timeout, a);
	m->backoff = backoff(BACKOFF_MIN, BACKOFF_MAX, RETRY_JITTER, a);
	m->conditions = MAKE(Outbound__HttpRoute__Retry__Conditions,
		outbound__http_route__retry__conditions, a);
	m->conditions->status_ranges =
		MAKE_LIST(Outbound__StatusRange *, t->nretry_http, a);
	for (size_t i = 0; i < t->nretry_http; i++) {
		Outbound__StatusRange *range =
			MAKE(Outbound__StatusRange, outbound__status_range, a);

		range->start = t->retry_http[i].from;
		range->end = t->retry_http[i].to;
		m->conditions->status_ranges[m->conditions->n_status_ranges++] = range;
	}
	return m;
}

static Outbound__GrpcRoute__Retry *grpc_retry(const struct said *s, struct arena *a)
{
	const struct traffic *t = who_retries(s, true);
	Outbound__GrpcRoute__Retry *m =
		t ? MAKE(Outbound__GrpcRoute__Retry, outbound__grpc_route__retry, a)
		  : NULL;

	if (!m)
		return NULL;
	m->max_retries = t->retry_limit ? t->retry_limit : 1;
	m->max_request_bytes = RETRY_BYTES;
	m->timeout = make_duration(t->retry_timeout, a);
	m->backoff = backoff(BACKOFF_MIN, BACKOFF_MAX, RETRY_JITTER, a);
	m->conditions = MAKE(Outbound__GrpcRoute__Retry__Conditions,
		outbound__grpc_route__retry__conditions, a);
	m->conditions->cancelled = t->retry_grpc & RETRY_CANCELLED ? 1 : 0;
	m->conditions->deadline_exceeded = t->retry_grpc & RETRY_DEADLINE ? 1 : 0;
	m->conditions->resource_exhausted = t->retry_grpc & RETRY_EXHAUSTED ? 1 : 0;
	m->conditions->internal = t->retry_grpc & RETRY_INTERNAL ? 1 : 0;
	m->conditions->unavailable = t->retry_grpc & RETRY_UNAVAILABLE ? 1 : 0;
	return m;
}

Outbound__FailureAccrual *out_accrual(const struct routing *r)
{
	const struct traffic *t = r->traffic;
	Outbound__FailureAccrual *m = t && t->breaks
					      ? MAKE(Outbound__FailureAccrual,
							outbound__failure_accrual, r->a)
					      : NULL;

	if (!m)
		return NULL;
	m->kind_case = OUTBOUND__FAILURE_ACCRUAL__KIND_CONSECUTIVE_FAILURES;
	m->consecutive_failures = MAKE(Outbound__FailureAccrual__ConsecutiveFailures,
		outbound__failure_accrual__consecutive_failures, r->a);
	m->consecutive_failures->max_failures = t->break_after;
	m->consecutive_failures->backoff =
		backoff(t->penalty_min, t->penalty_max, t->jitter, r->a);
	return m;
}

/* ---- HTTP ---- */

static HttpRoute__HttpRouteMatch **match_all(struct arena *a)
{
	HttpRoute__HttpRouteMatch **v = MAKE_LIST(HttpRoute__HttpRouteMatch *, 1, a);

	v[0] = MAKE(HttpRoute__HttpRouteMatch, http_route__http_route_match, a);
	v[0]->path = MAKE(HttpRoute__PathMatch, http_route__path_match, a);
	v[0]->path->kind_case = HTTP_ROUTE__PATH_MATCH__KIND_PREFIX;
	v[0]->path->prefix = make_text(a, "/");
	return v;
}

/* `rule` NULL: everything to the default backend. */
static Outbound__HttpRoute__Rule *http_rule(const struct routing *r,
	const struct route_view *route, const struct route_rule *rule)
{
	Outbound__HttpRoute__Rule *m =
		MAKE(Outbound__HttpRoute__Rule, outbound__http_route__rule, r->a);
	struct said s = said(r, route);

	m->matches = rule ? rule->http : match_all(r->a);
	m->n_matches = rule ? rule->nmatches : 1;
	if (rule)
		m->filters = rule_filters(rule, false, &m->n_filters, r->a);
	m->backends = backend_distribution(r, rule, false);
	m->timeouts = timeouts(&s, rule, r->a);
	m->retry = http_retry(&s, r->a);
	m->allow_l5d_request_headers = r->cfg->allow_request_headers;
	return m;
}

static Outbound__HttpRoute *http_route(
	const struct routing *r, const struct route_view *route)
{
	Outbound__HttpRoute *m = MAKE(Outbound__HttpRoute, outbound__http_route, r->a);
	size_t n = route ? route->nrules : 1;

	m->metadata = route ? route_metadata(route, r->a)
			    : api_meta_default(r->http_name, r->a);
	must(m->metadata);
	m->hosts = route ? route->hosts : NULL;
	m->n_hosts = route ? route->nhosts : 0;
	m->rules = MAKE_LIST(Outbound__HttpRoute__Rule *, n, r->a);
	for (size_t i = 0; i < n; i++)
		m->rules[m->n_rules++] =
			http_rule(r, route, route ? &route->rules[i] : NULL);
	return m;
}

Outbound__HttpRoute **out_http_routes(const struct routing *r, size_t *n)
{
	Outbound__HttpRoute **v = MAKE_LIST(Outbound__HttpRoute *, r->http.n + 1, r->a);

	for (size_t i = 0; i < r->http.n; i++)
		v[i] = http_route(r, r->http.v[i]);
	if (r->http.n == 0)
		v[0] = http_route(r, NULL);
	*n = r->http.n ? r->http.n : 1;
	return v;
}

/* ---- gRPC; filters and backends stand in (policyroute.h) ---- */

static Outbound__GrpcRoute__Rule *grpc_rule(const struct routing *r,
	const struct route_view *route, const struct route_rule *rule)
{
	Outbound__GrpcRoute__Rule *m =
		MAKE(Outbound__GrpcRoute__Rule, outbound__grpc_route__rule, r->a);
	struct said s = said(r, route);

	m->matches = rule->grpc;
	m->n_matches = rule->nmatches;
	m->filters = (Outbound__GrpcRoute__Filter **)rule_filters(
		rule, true, &m->n_filters, r->a);
	m->backends = (Outbound__GrpcRoute__Distribution *)backend_distribution(
		r, rule, true);
	m->timeouts = timeouts(&s, rule, r->a);
	m->retry = grpc_retry(&s, r->a);
	m->allow_l5d_request_headers = r->cfg->allow_request_headers;
	return m;
}

Outbound__GrpcRoute **out_grpc_routes(const struct routing *r, size_t *n)
{
	Outbound__GrpcRoute **v = MAKE_LIST(Outbound__GrpcRoute *, r->grpc.n, r->a);

	*n = r->grpc.n;
	for (size_t i = 0; i < r->grpc.n; i++) {
		const struct route_view *route = r->grpc.v[i];

		v[i] = MAKE(Outbound__GrpcRoute, outbound__grpc_route, r->a);
		v[i]->metadata = route_metadata(route, r->a);
		v[i]->hosts = route->hosts;
		v[i]->n_hosts = route->nhosts;
		v[i]->rules =
			MAKE_LIST(Outbound__GrpcRoute__Rule *, route->nrules, r->a);
		for (size_t k = 0; k < route->nrules; k++)
			v[i]->rules[v[i]->n_rules++] =
				grpc_rule(r, route, &route->rules[k]);
	}
	return v;
}
