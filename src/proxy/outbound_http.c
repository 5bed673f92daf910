/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests that the application sends: route, backend, and what is between proxies only
 * (spec proxy.md §5, §6, §8).
 */
#include "base/log.h"
#include "http/grpc.h"
#include "http/spelling.h"
#include "proxy/endpoint.h"
#include "proxy/fault.h"
#include "proxy/outbound_int.h"

/* ---- route ---- */

/* An exchange that waits for its target's policy. */
struct out_hold {
	struct out_wait wait;
	struct px *px;
};

static const struct rule *match(struct px *p)
{
	const struct outbound_policy *pol = p->target->policy;
	bool h2 = p->version == HTTP_2;

	return routes_match(h2 ? pol->h2 : pol->http, h2 ? pol->nh2 : pol->nhttp,
		&p->x->req, &p->route);
}

/* ---- what is counted of a route and its backend ---- */

static struct route_meter *route_meter_for(const struct px *p, struct slice hostname)
{
	const struct out_target *t = p->target;
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
	const struct px *p, const struct backend *of)
{
	const struct out_target *t = p->target;
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

/* Where the target keeps what it has found for the route; NULL: no memory for it. */
static struct route_meter **kept_meter(const struct px *p)
{
	const struct outbound_policy *pol = p->target->policy;
	size_t i = p->version == HTTP_2 ? pol->nhttp + (size_t)(p->route - pol->h2)
					: (size_t)(p->route - pol->http);

	return i < p->target->nmeters ? &p->target->meters[i] : NULL;
}

static void use_route_meter(struct px *p)
{
	struct route_meter **kept = kept_meter(p);

	if (p->target->worker->cfg->hostname_labels) {
		p->route_meter = route_meter_for(p, host_of(p->x->req.authority));
	} else if (kept) {
		if (!*kept)
			*kept = route_meter_for(p, SLICE(""));
		p->route_meter = route_meter_ref(*kept);
	}
}

static void use_backend_meter(struct px *p, struct out_backend *b)
{
	if (!b->meter)
		b->meter = backend_meter_for(p, b->of);
	p->backend_meter = route_meter_ref(b->meter);
	route_meter_request(p->backend_meter);
}

/* ---- from the route to its backend ---- */

static enum flow route(struct px *p)
{
	struct ref *policy = &p->target->policy->ref;

	ref_get(policy);
	ref_put(p->policy); /* the gateway's own, whose routes led here */
	p->policy = policy;
	p->rule = match(p);
	if (!p->rule)
		return px_answer(p, 404, GRPC_NOT_FOUND, false, "no route found");
	use_route_meter(p);
	return FLOW_NEXT;
}

static void policy_there(struct out_wait *wait)
{
	struct px *p = container_of(wait, struct out_hold, wait)->px;

	exch_resume(p->x, route(p));
}

static enum flow hold(struct px *p)
{
	struct out_hold *h = arena_alloc(p->x->arena, sizeof *h);

	if (!h) {
		err_set(&p->x->err, ERR_LIMIT, "no memory for a request");
		return FLOW_ABORT;
	}
	*h = (struct out_hold){.wait.ready = policy_there, .px = p};
	list_push(&p->target->waiting, &h->wait.node);
	p->hold = h;
	return FLOW_HOLD;
}

static enum flow route_request(struct exch *x, void *shared, void *state)
{
	struct px *p = x->user;

	(void)shared, (void)state;
	if (!p->target)
		p->target = out_target_ref(((struct out_conn *)x->conn_ctx)->target);
	return p->target->policy ? route(p) : hold(p);
}

static void route_done(struct exch *x, void *shared, void *state)
{
	struct px *p = x->user;

	(void)shared, (void)state;
	if (p->hold)
		list_remove(&p->hold->wait.node);
	out_target_put(p->target);
	p->target = NULL;
}

const struct filter route_filter = {
	.name = "route", .on_request = route_request, .on_done = route_done};

/* ---- backend ---- */

static enum flow without_backend(struct px *p, const struct out_backend *b)
{
	const struct distribution *d = p->rule->backends;
	const char *why =
		d && d->n ? "no backend has a weight" : "the route has no backend";

	px_count_error(p, "unexpected");
	return px_answer(p, 502, GRPC_UNAVAILABLE, true,
		b && b->of->problem ? b->of->problem : why);
}

/* One of the rule's, and what its own filters say (one that is missing has a failure).
 */
static enum flow choose_backend(struct px *p)
{
	struct out_backend *b = out_target_pick(p->target, p->rule->backends);
	enum flow f;

	if (!b)
		return without_backend(p, NULL);
	use_backend_meter(p, b);
	p->backend_filters = b->of->filters;
	p->nbackend_filters = b->of->nfilters;
	f = px_edit_backend(p);
	if (f != FLOW_NEXT)
		return f;
	if (!b->balancer)
		return without_backend(p, b);
	p->balancer = balancer_ref(b->balancer);
	return FLOW_NEXT;
}

/* ---- fields between proxies ---- */

static const struct slice from_peers[] = {/* in responses */
	{"l5d-proxy-error", 15}, {"l5d-proxy-connection", 20}, {"l5d-orig-proto", 14},
	{PX_UNANSWERED, sizeof PX_UNANSWERED - 1}};

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
	struct px *p = x->user;
	struct slice part = SLICE("");

	slice_cut(&said, ';', &part);
	x->rsp.version = slice_is(part, "HTTP/1.0") ? HTTP_1_0 : HTTP_1_1;
	if (!slice_cut(&said, ';', &part))
		return;
	part = slice_trim(part);
	if (!slice_starts(part, SLICE("case=")))
		return;
	p->respells = true;
	x->rsp.titled =
		spelling_restore(&x->rsp.fields, slice_bytes(part.p + 5, part.n - 5));
}

static enum flow peer_request(struct exch *x, void *shared, void *state)
{
	struct px *p = x->user;

	(void)shared, (void)state;
	fields_remove(&x->req.fields, SLICE("l5d-orig-proto"));
	p->require_id = fields_get(&x->req.fields, SLICE("l5d-require-id"));
	if (p->require_id.n)
		fields_remove(&x->req.fields, SLICE("l5d-require-id"));
	return choose_backend(p);
}

/* Once a connection and target. */
static void tell_peer(struct px *p)
{
	if (p->duct->told_peer == p->target)
		return;
	seen_peer(p->target->seen, p->endpoint->use.hint, true);
	p->duct->told_peer = p->target;
}

static enum flow peer_response(struct exch *x, void *shared, void *state)
{
	struct px *p = x->user;

	(void)shared, (void)state;
	if (!p->endpoint)
		return FLOW_NEXT; /* our own answer */
	tell_peer(p);
	if (p->was_h1)
		restore(x, fields_get(&x->rsp.fields, SLICE("l5d-orig-proto")));
	strip(x);
	return FLOW_NEXT;
}

const struct filter peer_filter = {
	.name = "peer", .on_request = peer_request, .on_response = peer_response};

/* ---- the stack ---- */

static const struct stack ingress_stack = {
	.count = 7,
	.layer = {{&meter_filter, NULL}, {&rescue_filter, NULL},
		{&ingress_filter, NULL}, {&route_filter, NULL}, {&edit_filter, NULL},
		{&peer_filter, NULL}, {&again_filter, NULL}},
	.service = &balancer_service,
};

static const struct stack outbound_stack = {
	.count = 6,
	.layer = {{&meter_filter, NULL}, {&rescue_filter, NULL}, {&route_filter, NULL},
		{&edit_filter, NULL}, {&peer_filter, NULL}, {&again_filter, NULL}},
	.service = &balancer_service,
};

static void on_exch(void *arg, struct exch *x)
{
	struct out_conn *c = obj_cast(struct out_conn, arg, OUT_CONN_MAGIC);
	struct px *p = px_new(x, c->duct.client.worker, SIDE_OUT);
	struct err e;

	if (!p) {
		err_set(&e, ERR_LIMIT, "no memory for a request");
		exch_cancel(x, &e);
		return;
	}
	p->duct = &c->duct;
	p->informs = !c->duct.client.worker->cfg->no_informational;
	exch_begin(x,
		c->duct.client.worker->cfg->ingress ? &ingress_stack : &outbound_stack);
}

static void on_gone(void *arg, const struct err *e)
{
	struct out_conn *c = obj_cast(struct out_conn, arg, OUT_CONN_MAGIC);

	c->duct.http = NULL;
	out_conn_free(c, e);
}

static void on_refused(
	void *arg, struct rsp_head *rsp, struct arena *a, const struct err *why)
{
	struct out_conn *c = obj_cast(struct out_conn, arg, OUT_CONN_MAGIC);
	struct pworker *w = c->duct.client.worker;

	px_refused(w, SIDE_OUT, !w->cfg->no_informational, rsp, a, why);
}

static void on_fault(void *arg, const char *what)
{
	struct out_conn *c = obj_cast(struct out_conn, arg, OUT_CONN_MAGIC);

	peer_fault(c->duct.client.worker, SIDE_OUT, true, &c->duct.conn->peer.ip, what);
}

static const struct http_server_user server_user = {.on_exch = on_exch,
	.on_refused = on_refused,
	.on_gone = on_gone,
	.on_fault = on_fault};

void out_http_begin(struct out_conn *c, enum http_kind kind)
{
	duct_http(&c->duct, kind, &server_user, c);
}
