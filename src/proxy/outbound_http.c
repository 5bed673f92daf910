/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests that the application sends: route, backend, and what is between proxies only
 * (spec proxy.md §5, §6, §8).
 */
#include "base/log.h"
#include "http/grpc.h"
#include "http/spelling.h"
#include "proxy/endpoint.h"
#include "proxy/outbound_int.h"

/* ---- route ---- */

static const struct rule *match(struct out_target *t, struct px *p)
{
	const struct outbound_policy *pol = t->policy;
	bool h2 = p->version == HTTP_2;

	return routes_match(h2 ? pol->h2 : pol->http, h2 ? pol->nh2 : pol->nhttp,
		&p->x->req, &p->route);
}

/* ---- what is counted of a route and its backend ---- */

static struct route_meter *route_meter_for(
	struct out_target *t, const struct px *p, struct slice hostname)
{
	struct buf b = BUF_INIT;
	struct route_meter *m;

	labels_parent(&b, &t->policy->parent);
	labels_route(&b, &p->route->meta);
	labels_add(&b, "hostname", hostname);
	m = route_meter_get(t->worker, ROUTE_OUT, p->route->is_grpc, buf_slice(&b));
	buf_fini(&b);
	return m;
}

static struct route_meter *backend_meter_for(
	struct out_target *t, const struct px *p, const struct backend *of)
{
	struct buf b = BUF_INIT;
	struct route_meter *m;

	labels_parent(&b, &t->policy->parent);
	labels_route(&b, &p->route->meta);
	labels_backend(&b, &of->meta);
	m = route_meter_get(t->worker, ROUTE_BACKEND, p->route->is_grpc, buf_slice(&b));
	buf_fini(&b);
	return m;
}

/* The host of an authority: what the option shows, without the port. */
static struct slice host_of(struct slice authority)
{
	const char *colon = memrchr(authority.p, ':', authority.n);
	const char *bracket = memrchr(authority.p, ']', authority.n);

	if (colon && (!bracket || colon > bracket))
		authority.n = (size_t)(colon - authority.p);
	return authority;
}

static void use_meters(struct out_target *t, struct out_backend *b, struct px *p)
{
	if (!b->meter)
		b->meter = backend_meter_for(t, p, b->of);
	p->backend_meter = route_meter_ref(b->meter);
	if (t->worker->cfg->hostname_labels) {
		p->route_meter = route_meter_for(t, p, host_of(p->x->req.authority));
	} else {
		if (!b->route_meter)
			b->route_meter = route_meter_for(t, p, SLICE(""));
		p->route_meter = route_meter_ref(b->route_meter);
	}
	route_meter_request(p->backend_meter);
}

static enum flow route_request(struct exch *x, void *shared, void *state)
{
	struct out_conn *c = x->conn_ctx;
	struct px *p = x->user;
	struct out_backend *b;

	(void)shared, (void)state;
	ref_get(&c->target->policy->ref);
	p->policy = &c->target->policy->ref;
	p->rule = match(c->target, p);
	if (!p->rule)
		return px_answer(p, 404, GRPC_NOT_FOUND, false, "no route found");
	b = out_target_pick(c->target, p->rule->backends);
	if (!b || !b->balancer) {
		px_count_error(p, "unexpected");
		return px_answer(p, 502, GRPC_UNAVAILABLE, true,
			b && b->of->problem ? b->of->problem
					    : "no backend to send it to");
	}
	use_meters(c->target, b, p);
	p->balancer = balancer_ref(b->balancer);
	p->backend_filters = b->of->filters;
	p->nbackend_filters = b->of->nfilters;
	return FLOW_NEXT;
}

static const struct filter route_filter = {
	.name = "route", .on_request = route_request};

/* ---- fields between proxies ---- */

static const struct slice from_peers[] = {/* in responses */
	{"l5d-proxy-error", 15}, {"l5d-proxy-connection", 20}, {"l5d-orig-proto", 14}};

static void strip(struct exch *x)
{
	struct slice said = fields_get(&x->rsp.fields, from_peers[0]);

	if (said.n)
		log_info("proxy", "the peer's proxy answered with an error",
			LZ("authority", x->req.authority), LI("status", x->rsp.status),
			LZ("error", said));
	for (size_t i = 0; i < countof(from_peers); i++)
		fields_remove(&x->rsp.fields, from_peers[i]);
}

/* "HTTP/1.1; case=title": an answer that crossed HTTP/2, as it was. */
static void restore(struct exch *x, struct slice said)
{
	struct slice part = SLICE("");

	slice_cut(&said, ';', &part);
	x->rsp.version = slice_is(part, "HTTP/1.0") ? HTTP_1_0 : HTTP_1_1;
	if (!slice_cut(&said, ';', &part))
		return;
	part = slice_trim(part);
	if (slice_starts(part, SLICE("case=")))
		x->rsp.titled = spelling_restore(
			&x->rsp.fields, x->arena, slice_bytes(part.p + 5, part.n - 5));
}

static enum flow peer_request(struct exch *x, void *shared, void *state)
{
	(void)shared, (void)state;
	fields_remove(&x->req.fields, SLICE("l5d-orig-proto"));
	return FLOW_NEXT;
}

/* Once a connection. */
static void tell_peer(struct out_conn *c, enum hint hint)
{
	if (!c->told_peer)
		seen_peer(c->target->seen, hint, true);
	c->told_peer = true;
}

static enum flow peer_response(struct exch *x, void *shared, void *state)
{
	struct px *p = x->user;

	(void)shared, (void)state;
	if (!p->endpoint)
		return FLOW_NEXT; /* our own answer */
	tell_peer(x->conn_ctx, p->endpoint->info->hint);
	if (p->was_h1)
		restore(x, fields_get(&x->rsp.fields, SLICE("l5d-orig-proto")));
	strip(x);
	return FLOW_NEXT;
}

static const struct filter peer_filter = {
	.name = "peer", .on_request = peer_request, .on_response = peer_response};

/* ---- the stack ---- */

static const struct stack outbound_stack = {
	.count = 6,
	.layer = {{&meter_filter, NULL}, {&rescue_filter, NULL}, {&route_filter, NULL},
		{&edit_filter, NULL}, {&peer_filter, NULL}, {&again_filter, NULL}},
	.service = &balancer_service,
};

static void on_exch(void *arg, struct exch *x)
{
	struct out_conn *c = obj_cast(struct out_conn, arg, OUT_CONN_MAGIC);
	struct px *p = px_new(x, c->client.worker, SIDE_OUT);
	struct err e;

	if (!p) {
		err_set(&e, ERR_LIMIT, "no memory for a request");
		exch_cancel(x, &e);
		return;
	}
	p->informs = !c->client.worker->cfg->no_informational;
	exch_begin(x, &outbound_stack);
}

static void on_gone(void *arg, const struct err *e)
{
	struct out_conn *c = obj_cast(struct out_conn, arg, OUT_CONN_MAGIC);

	c->http = NULL;
	out_conn_free(c, e);
}

static void on_refused(
	void *arg, struct rsp_head *rsp, struct arena *a, const struct err *why)
{
	struct out_conn *c = obj_cast(struct out_conn, arg, OUT_CONN_MAGIC);
	struct pworker *w = c->client.worker;

	px_refused(w, SIDE_OUT, !w->cfg->no_informational, rsp, a, why);
}

static const struct http_server_user server_user = {
	.on_exch = on_exch, .on_refused = on_refused, .on_gone = on_gone};

void out_http_begin(struct out_conn *c, enum http_kind kind)
{
	struct err e;

	c->at = OUT_HTTP;
	c->http = http_server_new(
		c->conn, kind, &c->client.worker->out_http, &server_user, c, &e);
	if (!c->http) {
		log_warn("proxy", "outbound connection dropped", LE(&e));
		conn_end(c->conn);
		out_conn_free(c, &e);
		return;
	}
	if (c->client.worker->draining)
		http_server_drain(c->http);
}
