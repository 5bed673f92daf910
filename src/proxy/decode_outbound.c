/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Outbound policies have a route type for each protocol, alike in shape and different
 * in name: each is read into the same struct policy_route.
 */
#include <stdio.h>
#include <stdlib.h>

#include "api/api.h"
#include "api/destination.pb-c.h"
#include "api/grpc_route.pb-c.h"
#include "api/http_route.pb-c.h"
#include "api/outbound.pb-c.h"
#include "base/clock.h"
#include "proxy/decode.h"

#define DETECT (10 * NS_PER_S)

struct reading {
	struct outbound_policy *p;
	struct arena *a;
	struct err *e;
	const struct route_filter *fail; /* what all requests get, or NULL */
};

static int no_memory(struct reading *r)
{
	return err_set(r->e, ERR_LIMIT, "no memory for a policy");
}

/* ---- backends ---- */

static int backend(struct reading *r, const Outbound__Backend *m, struct backend *out)
{
	*out = (struct backend){.weight = 1};
	if (!m)
		return err_set(r->e, ERR_SYNTAX, "a route without a backend");
	decode_meta(m->metadata, &out->meta);
	switch (m->kind_case) {
	case OUTBOUND__BACKEND__KIND_FORWARD:
		out->kind = BACKEND_FORWARD;
		return decode_endpoint(m->forward, NULL, r->a, &out->forward, r->e);
	case OUTBOUND__BACKEND__KIND_BALANCER:
		break;
	default:
		out->problem = "the backend is of an unknown kind";
		return 0;
	}
	if (!m->balancer->discovery ||
		m->balancer->discovery->kind_case !=
			OUTBOUND__BACKEND__ENDPOINT_DISCOVERY__KIND_DST)
		return err_set(r->e, ERR_SYNTAX, "a balancer without a name");
	out->kind = BACKEND_BALANCE;
	out->name = m->balancer->discovery->dst->path;
	if (m->balancer->load_case == OUTBOUND__BACKEND__BALANCE_P2C__LOAD_PEAK_EWMA) {
		out->default_rtt = api_to_ns(m->balancer->peak_ewma->default_rtt, 0);
		out->rtt_decay = api_to_ns(m->balancer->peak_ewma->decay, 0);
	} else if (m->balancer->load_case ==
		   OUTBOUND__BACKEND__BALANCE_P2C__LOAD_PENALTY_PEAK_EWMA) {
		out->default_rtt =
			api_to_ns(m->balancer->penalty_peak_ewma->default_rtt, 0);
		out->rtt_decay = api_to_ns(m->balancer->penalty_peak_ewma->decay, 0);
	}
	return 0;
}

static int http_filter(struct reading *r, const Outbound__HttpRoute__Filter *f,
	struct route_filter *out)
{
	switch (f->kind_case) {
	case OUTBOUND__HTTP_ROUTE__FILTER__KIND_FAILURE_INJECTOR:
		return decode_failure(f->failure_injector, out, r->e);
	case OUTBOUND__HTTP_ROUTE__FILTER__KIND_REQUEST_HEADER_MODIFIER:
		return decode_request_edit(f->request_header_modifier, r->a, out, r->e);
	case OUTBOUND__HTTP_ROUTE__FILTER__KIND_REDIRECT:
		return decode_redirect(f->redirect, out, r->e);
	case OUTBOUND__HTTP_ROUTE__FILTER__KIND_RESPONSE_HEADER_MODIFIER:
		return decode_response_edit(
			f->response_header_modifier, r->a, out, r->e);
	default:
		return err_set(r->e, ERR_SYNTAX, "an unknown filter");
	}
}

static int grpc_filter(struct reading *r, const Outbound__GrpcRoute__Filter *f,
	struct route_filter *out)
{
	switch (f->kind_case) {
	case OUTBOUND__GRPC_ROUTE__FILTER__KIND_FAILURE_INJECTOR:
		return decode_rpc_failure(f->failure_injector, out, r->e);
	case OUTBOUND__GRPC_ROUTE__FILTER__KIND_REQUEST_HEADER_MODIFIER:
		return decode_request_edit(f->request_header_modifier, r->a, out, r->e);
	default:
		return err_set(r->e, ERR_SYNTAX, "an unknown filter");
	}
}

/*
 * The generated types of HTTP and gRPC routes differ in name only; TYPE and PREFIX say
 * which. Filters on their backends are read alike.
 */
#define DEFINE_DISTRIBUTION(fn, Type, PREFIX, filter_fn)                               \
	static int fn##_filters(struct reading *r, Type##__Filter *const *v, size_t n, \
		const struct route_filter **out, size_t *nout)                         \
	{                                                                              \
		struct route_filter *f = arena_array(r->a, n + 1, sizeof *f);          \
                                                                                       \
		if (!f)                                                                \
			return no_memory(r);                                           \
		for (size_t i = 0; i < n; i++)                                         \
			if (filter_fn(r, v[i], &f[i]) < 0)                             \
				return -1;                                             \
		*out = f;                                                              \
		*nout = n;                                                             \
		return 0;                                                              \
	}                                                                              \
                                                                                       \
	static int fn##_backend(                                                       \
		struct reading *r, const Type##__RouteBackend *m, struct backend *out) \
	{                                                                              \
		if (!m)                                                                \
			return err_set(r->e, ERR_SYNTAX, "an empty backend");          \
		if (backend(r, m->backend, out) < 0)                                   \
			return -1;                                                     \
		return fn##_filters(                                                   \
			r, m->filters, m->n_filters, &out->filters, &out->nfilters);   \
	}                                                                              \
                                                                                       \
	static int fn(struct reading *r, const Type##__Distribution *m,                \
		const struct distribution **out)                                       \
	{                                                                              \
		struct distribution *d = arena_alloc(r->a, sizeof *d);                 \
		struct backend *v;                                                     \
		size_t n = 0;                                                          \
                                                                                       \
		*out = d;                                                              \
		if (!d || !m)                                                          \
			return d ? 0 : no_memory(r);                                   \
		if (m->kind_case == PREFIX##__DISTRIBUTION__KIND_FIRST_AVAILABLE)      \
			n = m->first_available->n_backends;                            \
		else if (m->kind_case ==                                               \
			 PREFIX##__DISTRIBUTION__KIND_RANDOM_AVAILABLE)                \
			n = m->random_available->n_backends;                           \
		v = arena_array(r->a, n + 1, sizeof *v);                               \
		if (!v)                                                                \
			return no_memory(r);                                           \
		for (size_t i = 0; i < n; i++) {                                       \
			bool first = m->kind_case ==                                   \
				     PREFIX##__DISTRIBUTION__KIND_FIRST_AVAILABLE;     \
			const Type##__RouteBackend *b =                                \
				first ? m->first_available->backends[i]                \
				      : m->random_available->backends[i]->backend;     \
                                                                                       \
			if (fn##_backend(r, b, &v[i]) < 0)                             \
				return -1;                                             \
			if (!first)                                                    \
				v[i].weight =                                          \
					m->random_available->backends[i]->weight;      \
		}                                                                      \
		d->kind =                                                              \
			n == 0 ? DIST_EMPTY                                            \
			: m->kind_case == PREFIX##__DISTRIBUTION__KIND_FIRST_AVAILABLE \
				? DIST_FIRST                                           \
				: DIST_RANDOM;                                         \
		d->v = v;                                                              \
		d->n = n;                                                              \
		return 0;                                                              \
	}

DEFINE_DISTRIBUTION(
	http_distribution, Outbound__HttpRoute, OUTBOUND__HTTP_ROUTE, http_filter)
DEFINE_DISTRIBUTION(
	grpc_distribution, Outbound__GrpcRoute, OUTBOUND__GRPC_ROUTE, grpc_filter)

/* ---- HTTP routes ---- */

static int http_rule(
	struct reading *r, const Outbound__HttpRoute__Rule *m, struct rule *out)
{
	struct request_match *v = arena_array(r->a, m->n_matches + 1, sizeof *v);

	if (!v)
		return no_memory(r);
	for (size_t i = 0; i < m->n_matches; i++)
		if (decode_match(m->matches[i], r->a, &v[i], r->e) < 0)
			return -1;
	*out = (struct rule){.matches = v, .nmatches = m->n_matches};
	/* one match of everything is no condition at all */
	if (m->n_matches == 1 && v[0].path.kind == MATCH_ANY && !v[0].method &&
		!v[0].nfields && !v[0].nquery)
		out->nmatches = 0;
	if (m->timeouts)
		out->timeout = api_to_ns(m->timeouts->request, 0);
	if (!out->timeout)
		out->timeout = api_to_ns(m->request_timeout, 0);
	if (http_distribution_filters(
		    r, m->filters, m->n_filters, &out->filters, &out->nfilters) < 0)
		return -1;
	return http_distribution(r, m->backends, &out->backends);
}

static int http_routes(struct reading *r, Outbound__HttpRoute *const *v, size_t n,
	const struct policy_route **out, size_t *nout)
{
	struct policy_route *routes = arena_array(r->a, n + 1, sizeof *routes);

	if (!routes)
		return no_memory(r);
	for (size_t i = 0; i < n; i++) {
		struct rule *rules =
			arena_array(r->a, v[i]->n_rules + 1, sizeof *rules);

		if (!rules)
			return no_memory(r);
		routes[i] =
			(struct policy_route){.rules = rules, .nrules = v[i]->n_rules};
		decode_meta(v[i]->metadata, &routes[i].meta);
		for (size_t k = 0; k < v[i]->n_rules; k++)
			if (http_rule(r, v[i]->rules[k], &rules[k]) < 0)
				return -1;
		if (decode_hosts(v[i]->hosts, v[i]->n_hosts, r->a, &routes[i], r->e) <
			0)
			return -1;
	}
	*out = routes;
	*nout = n;
	return 0;
}

static int grpc_rule(
	struct reading *r, const Outbound__GrpcRoute__Rule *m, struct rule *out)
{
	struct request_match *v = arena_array(r->a, m->n_matches + 1, sizeof *v);

	if (!v)
		return no_memory(r);
	for (size_t i = 0; i < m->n_matches; i++)
		if (decode_rpc(m->matches[i], r->a, &v[i], r->e) < 0)
			return -1;
	*out = (struct rule){.matches = v, .nmatches = m->n_matches};
	if (m->timeouts)
		out->timeout = api_to_ns(m->timeouts->request, 0);
	if (grpc_distribution_filters(
		    r, m->filters, m->n_filters, &out->filters, &out->nfilters) < 0)
		return -1;
	return grpc_distribution(r, m->backends, &out->backends);
}

static int grpc_routes(struct reading *r, const Outbound__ProxyProtocol__Grpc *m)
{
	struct policy_route *routes =
		arena_array(r->a, m->n_routes + 1, sizeof *routes);

	if (!routes)
		return no_memory(r);
	for (size_t i = 0; i < m->n_routes; i++) {
		const Outbound__GrpcRoute *g = m->routes[i];
		struct rule *rules = arena_array(r->a, g->n_rules + 1, sizeof *rules);

		if (!rules)
			return no_memory(r);
		routes[i] = (struct policy_route){
			.rules = rules, .nrules = g->n_rules, .is_grpc = true};
		decode_meta(g->metadata, &routes[i].meta);
		for (size_t k = 0; k < g->n_rules; k++)
			if (grpc_rule(r, g->rules[k], &rules[k]) < 0)
				return -1;
		if (decode_hosts(g->hosts, g->n_hosts, r->a, &routes[i], r->e) < 0)
			return -1;
	}
	r->p->h2 = r->p->http = routes;
	r->p->nh2 = r->p->nhttp = m->n_routes;
	return 0;
}

/* ---- byte streams ---- */

static void opaque_filters(
	Outbound__OpaqueRoute__Filter *const *v, size_t n, struct distribution *d)
{
	for (size_t i = 0; i < n; i++) {
		d->forbidden |= v[i]->kind_case ==
				OUTBOUND__OPAQUE_ROUTE__FILTER__KIND_FORBIDDEN;
		d->invalid |=
			v[i]->kind_case == OUTBOUND__OPAQUE_ROUTE__FILTER__KIND_INVALID;
	}
}

static int opaque_backends(struct reading *r,
	const Outbound__OpaqueRoute__Distribution *m, struct distribution *d)
{
	bool first;
	struct backend *v;
	size_t n;

	if (!m || m->kind_case == OUTBOUND__OPAQUE_ROUTE__DISTRIBUTION__KIND_EMPTY ||
		m->kind_case == OUTBOUND__OPAQUE_ROUTE__DISTRIBUTION__KIND__NOT_SET)
		return 0;
	first = m->kind_case ==
		OUTBOUND__OPAQUE_ROUTE__DISTRIBUTION__KIND_FIRST_AVAILABLE;
	n = first ? m->first_available->n_backends : m->random_available->n_backends;
	v = arena_array(r->a, n + 1, sizeof *v);
	if (!v)
		return no_memory(r);
	for (size_t i = 0; i < n; i++) {
		const Outbound__OpaqueRoute__RouteBackend *b =
			first ? m->first_available->backends[i]
			      : m->random_available->backends[i]->backend;

		if (!b || backend(r, b->backend, &v[i]) < 0)
			return -1;
		opaque_filters(b->filters, b->n_filters, d);
		if (!first)
			v[i].weight = m->random_available->backends[i]->weight;
	}
	d->kind = first ? DIST_FIRST : DIST_RANDOM;
	d->v = v;
	d->n = n;
	return 0;
}

/* The first rule's backends: it is the only one that there can be. */
static int opaque_rules(struct reading *r, Outbound__OpaqueRoute__Rule *const *v,
	size_t n, const struct distribution **out)
{
	struct distribution *d = arena_alloc(r->a, sizeof *d);

	if (!d)
		return no_memory(r);
	*out = d;
	if (n == 0)
		return 0;
	opaque_filters(v[0]->filters, v[0]->n_filters, d);
	return opaque_backends(r, v[0]->backends, d);
}

static int opaque(struct reading *r, const Outbound__ProxyProtocol__Opaque *m)
{
	if (!m || m->n_routes == 0)
		return opaque_rules(r, NULL, 0, &r->p->opaque);
	decode_meta(m->routes[0]->metadata, &r->p->stream_route);
	return opaque_rules(
		r, m->routes[0]->rules, m->routes[0]->n_rules, &r->p->opaque);
}

static int tls_route(
	struct reading *r, const Outbound__TlsRoute *m, struct policy_route *out)
{
	struct rule *rule = arena_alloc(r->a, sizeof *rule);

	if (!rule)
		return no_memory(r);
	*out = (struct policy_route){.rules = rule, .nrules = 1};
	decode_meta(m->metadata, &out->meta);
	if (decode_hosts(m->snis, m->n_snis, r->a, out, r->e) < 0)
		return -1;
	return opaque_rules(r, m->rules, m->n_rules, &rule->backends);
}

static int tls_routes(struct reading *r, const Outbound__ProxyProtocol__Tls *m)
{
	struct policy_route *v = arena_array(r->a, m->n_routes + 1, sizeof *v);

	if (!v)
		return no_memory(r);
	for (size_t i = 0; i < m->n_routes; i++)
		if (tls_route(r, m->routes[i], &v[i]) < 0)
			return -1;
	r->p->tls = v;
	r->p->ntls = m->n_routes;
	/* for a profile that says that it is bytes */
	if (m->n_routes == 0)
		return opaque_rules(r, NULL, 0, &r->p->opaque);
	r->p->opaque = v[0].rules->backends;
	r->p->stream_route = v[0].meta;
	return 0;
}

/* ---- the policy ---- */

static int detect(struct reading *r, const Outbound__ProxyProtocol__Detect *m)
{
	r->p->proto = PROTO_DETECT;
	r->p->detect_timeout = api_to_ns(m->timeout, DETECT);
	if (!m->http1 || !m->http2 || !m->opaque)
		return err_set(r->e, ERR_SYNTAX, "a policy that lacks a protocol");
	if (http_routes(r, m->http1->routes, m->http1->n_routes, &r->p->http,
		    &r->p->nhttp) < 0)
		return -1;
	if (http_routes(
		    r, m->http2->routes, m->http2->n_routes, &r->p->h2, &r->p->nh2) < 0)
		return -1;
	return opaque(r, m->opaque);
}

static int protocol(struct reading *r, const Outbound__ProxyProtocol *m)
{
	struct outbound_policy *p = r->p;

	if (!m)
		return err_set(r->e, ERR_SYNTAX, "a policy without a protocol");
	switch (m->kind_case) {
	case OUTBOUND__PROXY_PROTOCOL__KIND_DETECT:
		return detect(r, m->detect);
	case OUTBOUND__PROXY_PROTOCOL__KIND_OPAQUE:
		p->proto = PROTO_OPAQUE;
		return opaque(r, m->opaque);
	case OUTBOUND__PROXY_PROTOCOL__KIND_HTTP1:
		p->proto = PROTO_HTTP1;
		return http_routes(
			r, m->http1->routes, m->http1->n_routes, &p->http, &p->nhttp);
	case OUTBOUND__PROXY_PROTOCOL__KIND_HTTP2:
		p->proto = PROTO_HTTP2;
		return http_routes(
			r, m->http2->routes, m->http2->n_routes, &p->h2, &p->nh2);
	case OUTBOUND__PROXY_PROTOCOL__KIND_GRPC:
		p->proto = PROTO_GRPC;
		return grpc_routes(r, m->grpc);
	case OUTBOUND__PROXY_PROTOCOL__KIND_TLS:
		p->proto = PROTO_TLS;
		return tls_routes(r, m->tls);
	default:
		return err_set(r->e, ERR_SYNTAX, "a policy of an unknown protocol");
	}
}

/* Everything to the backends given. */
static int one_route(struct reading *r, const struct backend *v, size_t n)
{
	struct distribution *d = arena_alloc(r->a, sizeof *d);
	struct policy_route *route = arena_alloc(r->a, sizeof *route);
	struct rule *rule = arena_alloc(r->a, sizeof *rule);

	if (!d || !route || !rule)
		return no_memory(r);
	*d = (struct distribution){.kind = n > 1 ? DIST_RANDOM : DIST_FIRST,
		.v = v,
		.n = n,
		.invalid = r->fail != NULL};
	*rule = (struct rule){
		.backends = d, .filters = r->fail, .nfilters = r->fail != NULL};
	*route = (struct policy_route){.meta = {"", "default", "", "default", "", 0},
		.rules = rule,
		.nrules = 1};
	r->p->http = r->p->h2 = route;
	r->p->nhttp = r->p->nh2 = 1;
	r->p->opaque = d;
	r->p->stream_route = route->meta;
	return 0;
}

static int one_backend(struct reading *r, const struct backend *only)
{
	struct backend *b = arena_alloc(r->a, sizeof *b);

	if (!b)
		return no_memory(r);
	*b = *only;
	r->p->proto = PROTO_DETECT;
	return one_route(r, b, 1);
}

static int forward(struct reading *r, const struct endpoint_info *to)
{
	return one_backend(
		r, &(struct backend){.meta = {"", "default", "", "forward", "", 0},
			   .kind = BACKEND_FORWARD,
			   .forward = *to,
			   .weight = 1});
}

static int balance(struct reading *r, const char *name)
{
	struct backend b = {.kind = BACKEND_BALANCE, .weight = 1};

	b.name = api_text(slice_of(name), r->a);
	b.meta = (struct meta){"", "default", "", b.name, "", 0};
	return b.name ? one_backend(r, &b) : no_memory(r);
}

/* Nothing is known of it but what it is called. */
static int itself(struct reading *r, const struct outbound_key *to)
{
	struct endpoint_info self = {.addr = to->addr, .weight = 10000};

	return to->name ? balance(r, to->name) : forward(r, &self);
}

/* A ServiceProfile that splits traffic overrides the policy's routes. */
static int overrides(struct reading *r, const Destination__DestinationProfile *m)
{
	struct backend *v = arena_array(r->a, m->n_dst_overrides + 1, sizeof *v);
	size_t n = 0;

	if (!v)
		return no_memory(r);
	for (size_t i = 0; i < m->n_dst_overrides; i++) {
		if (m->dst_overrides[i]->weight == 0)
			continue;
		v[n++] =
			(struct backend){.meta = {"", "default", "",
						 m->dst_overrides[i]->authority, "", 0},
				.kind = BACKEND_BALANCE,
				.name = m->dst_overrides[i]->authority,
				.weight = m->dst_overrides[i]->weight};
	}
	return n ? one_route(r, v, n) : 0;
}

static int logical(struct reading *r, const Destination__DestinationProfile *m,
	const struct addr *dst)
{
	size_t size = strlen(m->fully_qualified_name) + 8;
	char *text;

	if (!*m->fully_qualified_name)
		return 0;
	text = arena_alloc(r->a, size);
	if (!text)
		return no_memory(r);
	snprintf(text, size, "%s:%u", m->fully_qualified_name, dst->port);
	r->p->logical = text;
	return 0;
}

static int without_policy(struct reading *r, const Destination__DestinationProfile *m,
	const struct outbound_key *to)
{
	struct endpoint_info info;

	if (!m->endpoint || !m->endpoint->addr)
		return itself(r, to);
	if (decode_endpoint(m->endpoint, NULL, r->a, &info, r->e) < 0)
		return -1;
	return forward(r, &info);
}

static int apply_profile(struct reading *r, const Destination__DestinationProfile *m,
	bool has_policy, const struct outbound_key *to)
{
	if (logical(r, m, &to->addr) < 0)
		return -1;
	if (!has_policy && without_policy(r, m, to) < 0)
		return -1;
	if (overrides(r, m) < 0)
		return -1;
	if (m->opaque_protocol) {
		r->p->proto = PROTO_OPAQUE;
		r->p->source = SOURCE_PROFILE;
	}
	return 0;
}

static void policy_free(struct ref *ref)
{
	struct outbound_policy *p = container_of(ref, struct outbound_policy, ref);

	arena_fini(&p->arena);
	free(p);
}

static int build(struct reading *r, struct slice policy, struct slice profile,
	const struct outbound_key *to)
{
	Destination__DestinationProfile *prof;
	Outbound__OutboundPolicy *pol;

	if (policy.p) {
		pol = API_READ(Outbound__OutboundPolicy, outbound__outbound_policy,
			policy, r->a, r->e);
		if (!pol || protocol(r, pol->protocol) < 0)
			return -1;
		decode_meta(pol->metadata, &r->p->parent);
		r->p->source = SOURCE_POLICY;
	}
	if (profile.p) {
		prof = API_READ(Destination__DestinationProfile,
			destination__destination_profile, profile, r->a, r->e);
		return prof ? apply_profile(r, prof, policy.p != NULL, to) : -1;
	}
	return policy.p ? 0 : itself(r, to);
}

static struct outbound_policy *policy_new(void)
{
	struct outbound_policy *p = calloc(1, sizeof *p);

	if (!p)
		return NULL;
	ref_init(&p->ref, policy_free);
	arena_init(&p->arena, SNAPSHOT_MAX);
	p->detect_timeout = DETECT;
	decode_meta(NULL, &p->parent);
	decode_meta(NULL, &p->stream_route);
	return p;
}

struct outbound_policy *decode_outbound(struct slice policy, struct slice profile,
	const struct outbound_key *to, struct err *e)
{
	struct outbound_policy *p = policy_new();
	struct reading r = {p, p ? &p->arena : NULL, e, NULL};

	if (!p) {
		err_set(e, ERR_LIMIT, "no memory for a policy");
		return NULL;
	}
	if (build(&r, policy, profile, to) == 0)
		return p;
	ref_put(&p->ref);
	return NULL;
}

struct outbound_policy *outbound_invalid(
	const struct outbound_key *to, const char *reason)
{
	struct outbound_policy *p = policy_new();
	struct err e;
	struct reading r = {p, p ? &p->arena : NULL, &e, NULL};
	struct route_filter *f;

	if (!p)
		return NULL;
	f = arena_alloc(&p->arena, sizeof *f);
	if (f)
		*f = (struct route_filter){.kind = RF_FAIL,
			.status = 500,
			.message = api_text(slice_of(reason), &p->arena)};
	r.fail = f;
	if (f && f->message && itself(&r, to) == 0)
		return p;
	ref_put(&p->ref);
	return NULL;
}
