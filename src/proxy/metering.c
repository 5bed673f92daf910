/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The outermost filter but one: counts what happened, and has a look at trailers.
 * px->meter is set by whoever learned the labels (the inbound policy, the balancer's
 * endpoint); without one nothing is counted but the error metrics.
 */
#include "base/clock.h"
#include "base/memory.h"
#include "http/spelling.h"
#include "proxy/balancer.h"
#include "proxy/px.h"

struct px *px_new(struct exch *x, struct pworker *w, enum side side)
{
	struct px *p = arena_alloc(x->arena, sizeof *p);

	if (!p)
		return NULL;
	*p = (struct px){.x = x,
		.worker = w,
		.side = side,
		.grpc_status = -1,
		.error = "",
		.begun = loop_now(x->loop),
		.version = x->req.version,
		.is_grpc = x->req.version == HTTP_2 && fields_is_grpc(&x->req.fields)};
	list_init(&p->node);
	x->user = p;
	return p;
}

static void not_in_flight(struct px *p)
{
	if (p->in_flight)
		p->worker->in_flight[p->side]--;
	p->in_flight = false;
}

static enum flow meter_request_head(struct exch *x, void *shared, void *state)
{
	struct px *p = x->user;
	uint32_t *now = &p->worker->in_flight[p->side];
	struct err e;

	(void)shared, (void)state;
	if (*now >= worker_side(p->worker, p->side)->max_in_flight) {
		err_set(&e, ERR_BUSY, "%u requests are in flight, the limit", *now);
		return px_fail(p, &e);
	}
	if (memory_is_short(p->begun)) {
		err_set(&e, ERR_BUSY, "the proxy's memory is short: its limit is %u MB",
			(unsigned)(memory_limit() >> 20));
		return px_fail(p, &e);
	}
	(*now)++;
	p->in_flight = true;
	return FLOW_NEXT;
}

static int grpc_status_in(const struct fields *f)
{
	uint64_t n;
	const struct field *status = f ? fields_find(f, SLICE("grpc-status")) : NULL;

	return status && slice_u64(status->value, 1000, &n) ? (int)n : -1;
}

static enum flow meter_response_head(struct exch *x, void *shared, void *state)
{
	struct px *p = x->user;

	(void)shared, (void)state;
	not_in_flight(p);
	if (fields_is_grpc(&x->rsp.fields))
		p->grpc_status = grpc_status_in(&x->rsp.fields);
	return FLOW_NEXT;
}

static void meter_data(struct exch *x, void *shared, void *state, enum dir d, size_t n)
{
	struct px *p = x->user;

	(void)shared, (void)state;
	route_meter_frame(p->outer_route, d, n);
	route_meter_frame(p->route_meter, d, n);
	route_meter_frame(p->backend_meter, d, n);
	if (d == DIR_RESPONSE)
		balancer_sample(p);
}

/* Only what crossed HTTP/2: an inbound request, an outbound response. */
static void spell_trailers(struct px *p, enum dir d, const struct fields *trailers)
{
	struct exch *x = p->x;

	if (d == DIR_REQUEST && p->side == SIDE_IN)
		spelling_restore_trailers(trailers, &x->req.fields, x->req.titled);
	if (d == DIR_RESPONSE && p->side == SIDE_OUT)
		spelling_restore_trailers(trailers, &x->rsp.fields, x->rsp.titled);
}

static void meter_end(struct exch *x, void *shared, void *state, enum dir d,
	const struct fields *trailers)
{
	struct px *p = x->user;

	(void)shared, (void)state;
	if (trailers && p->respells)
		spell_trailers(p, d, trailers);
	if (d != DIR_RESPONSE) {
		p->request_over = loop_now(x->loop);
		return;
	}
	balancer_sample(p);
	if (trailers && p->grpc_status < 0)
		p->grpc_status = grpc_status_in(trailers);
}

/* The `error` label of a response that failed below HTTP. */
static const char *error_label(const struct exch *x)
{
	if (x->err.code == ERR_NONE)
		return "";
	if (x->err.code == ERR_TIMEOUT)
		return "timeout";
	return x->reset_code >= 0 ? "reset" : "i/o";
}

/* HTTP/2 reset codes (RFC 9113 §7) that have names of their own. */
static const char *reset_name(int code)
{
	if (code == HTTP_REFUSED_STREAM)
		return "REFUSED";
	if (code == 8)
		return "CANCEL";
	return code == 11 ? "ENHANCE_YOUR_CALM" : "RESET";
}

const char *px_error_name(const struct exch *x)
{
	switch (x->err.code) {
	case ERR_NONE:
		return "";
	case ERR_TIMEOUT:
	case ERR_MISSING:
		return "FAIL_FAST";
	case ERR_BUSY:
		return "LOAD_SHED";
	case ERR_SYS:
	case ERR_SYNTAX:
	case ERR_CLOSED:
		if (x->cancelled)
			return "CANCEL";
		return x->reset_code >= 0 ? reset_name(x->reset_code) : "IO";
	case ERR_LIMIT:
	case ERR_DENIED:
	case ERR_UNKNOWN:
	case ERR_BUG:
		break;
	}
	return "UNKNOWN";
}

static void routes_done(struct px *p, uint64_t now)
{
	struct route_outcome o = {.status = p->x->rsp.status,
		.grpc_status = p->grpc_status,
		.error = *p->error ? p->error : px_error_name(p->x),
		.since_head = now - p->begun,
		.since_end = p->request_over ? now - p->request_over : 0};

	route_meter_response(p->outer_route, &o);
	route_meter_response(p->route_meter, &o);
	route_meter_response(p->backend_meter, &o);
	route_meter_put(p->outer_route);
	route_meter_put(p->route_meter);
	route_meter_put(p->backend_meter);
	p->outer_route = p->route_meter = p->backend_meter = NULL;
}

static void meter_done(struct exch *x, void *shared, void *state)
{
	struct px *p = x->user;
	struct outcome o = {.status = x->rsp.status, .grpc_status = p->grpc_status};

	(void)shared, (void)state;
	not_in_flight(p);
	o.error = error_label(x);
	o.failure = *o.error || outcome_is_failure(o.status, o.grpc_status);
	o.ms = (loop_now(x->loop) - p->begun) / NS_PER_MS;
	meter_response(p->meter, &o);
	meter_response(p->outer, &o);
	routes_done(p, loop_now(x->loop));
	balancer_done(p);
	meter_put(p->meter);
	meter_put(p->outer);
	p->meter = p->outer = NULL;
	ref_put(p->policy);
	p->policy = NULL;
}

const struct filter meter_filter = {
	.name = "meter",
	.on_request = meter_request_head,
	.on_response = meter_response_head,
	.on_data = meter_data,
	.on_end = meter_end,
	.on_done = meter_done,
};
