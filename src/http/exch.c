/* SPDX-License-Identifier: Apache-2.0 */
#include "http/exch.h"

#include "base/obj.h"

void stack_push(struct stack *s, const struct filter *f, void *shared)
{
	must(s->count < STACK_MAX);
	s->layer[s->count].ops = f;
	s->layer[s->count].shared = shared;
	s->count++;
}

/* ---- the layers of an exchange, over all the stacks it went through ---- */

static const struct stack *part_of(const struct exch *x, size_t i, size_t *at)
{
	size_t k = x->nparts - 1;

	while (k > 0 && x->part[k].base > i)
		k--;
	*at = i - x->part[k].base;
	return x->part[k].stack;
}

static const struct filter *layer(const struct exch *x, size_t i, void **shared)
{
	size_t at;
	const struct stack *s = part_of(x, i, &at);

	*shared = s->layer[at].shared;
	return s->layer[at].ops;
}

static size_t layers(const struct exch *x)
{
	return x->part[x->nparts - 1].base + x->stack->count;
}

void exch_switch(struct exch *x, const struct stack *to)
{
	must(x->at == EXCH_DOWN && x->nparts < EXCH_PARTS);
	must(x->i + 1 == layers(x) && x->i + 1 + to->count <= STACK_MAX);
	x->part[x->nparts].stack = to;
	x->part[x->nparts++].base = x->i + 1;
	x->stack = to;
}

/* ---- calls out: during one of these the exchange may end, and its memory go ---- */

struct out {
	bool gone, *outer;
};

/* Not inlined: gcc does not see that the pointer goes before `o` does. */
__attribute__((noinline)) static void out_begin(struct exch *x, struct out *o)
{
	o->gone = false;
	o->outer = x->gone;
	x->gone = &o->gone;
}

/* False when the exchange ended meanwhile. */
static bool out_end(struct exch *x, struct out *o)
{
	if (o->gone) {
		if (o->outer)
			*o->outer = true;
		return false;
	}
	x->gone = o->outer;
	return true;
}

static void cancel_service(struct exch *x)
{
	if (!x->serving)
		return;
	x->serving = false;
	if (x->stack->service->cancel)
		x->stack->service->cancel(x, x->stack->service_shared);
}

static void over(struct exch *x)
{
	if (x->at == EXCH_OVER)
		return;
	x->at = EXCH_OVER;
	if (!x->req_ended || !x->rsp_ended || x->err.code != ERR_NONE)
		cancel_service(x);
	x->serving = false;
	while (x->entered > 0) {
		size_t i = --x->entered;
		void *shared;
		const struct filter *f = layer(x, i, &shared);

		if (f->on_done)
			f->on_done(x, shared, x->state[i]);
	}
	if (x->gone)
		*x->gone = true;
	x->source->over(x);
}

/* ---- the service ---- */

/* Tells the layers from `i` on. */
static void tell_end(
	struct exch *x, size_t i, enum dir d, const struct fields *trailers)
{
	for (; i < x->entered; i++) {
		void *shared;
		const struct filter *f = layer(x, i, &shared);

		if (f->on_end)
			f->on_end(x, shared, x->state[i], d, trailers);
	}
}

static void tell_req_end(struct exch *x)
{
	size_t from = x->end_told;

	x->end_told = x->entered;
	tell_end(x, from, DIR_REQUEST, x->req_trailers);
}

static void begin_service(struct exch *x)
{
	const struct service *s = x->stack->service;
	unsigned tries = ++x->tries;
	bool ended = x->req_ended;
	struct out o;

	x->at = EXCH_SERVICE;
	x->serving = true;
	x->end_passed = false;
	if (ended)
		tell_req_end(x);
	out_begin(x, &o);
	s->begin(x, x->stack->service_shared);
	if (!out_end(x, &o) || !ended || x->tries != tries)
		return;
	x->end_passed = true;
	if (x->serving && s->end)
		s->end(x, x->stack->service_shared, x->req_trailers);
}

/* ---- the response, once it may go to the source ---- */

static void send_end(struct exch *x)
{
	struct out o;

	tell_end(x, 0, DIR_RESPONSE, x->rsp_trailers);
	out_begin(x, &o);
	x->source->end(x, x->rsp_trailers);
	if (!out_end(x, &o))
		return;
	if (!x->tunnel || x->req_ended)
		over(x);
}

static void send_head(struct exch *x)
{
	struct out o;

	x->at = EXCH_BODY;
	x->head_sent = true;
	x->tunnel = exch_is_tunnel(x);
	out_begin(x, &o);
	x->source->head(x);
	if (out_end(x, &o) && x->rsp_ended)
		send_end(x);
}

/* ---- through the filters: one function for each direction, each runs one layer ----
 */

static enum flow enter(struct exch *x)
{
	void *shared;
	const struct filter *f = layer(x, x->i, &shared);

	if (f->state_size) {
		x->state[x->i] = arena_alloc(x->arena, f->state_size);
		if (!x->state[x->i]) {
			err_set(&x->err, ERR_LIMIT, "%s: no room for state", f->name);
			return FLOW_ABORT;
		}
	}
	x->entered = x->i + 1;
	return f->on_request ? f->on_request(x, shared, x->state[x->i]) : FLOW_NEXT;
}

static enum flow leave(struct exch *x)
{
	void *shared;
	const struct filter *f = layer(x, x->i, &shared);

	return f->on_response ? f->on_response(x, shared, x->state[x->i]) : FLOW_NEXT;
}

static enum flow rescue(struct exch *x)
{
	void *shared;
	const struct filter *f = layer(x, x->i, &shared);

	return f->on_error ? f->on_error(x, shared, x->state[x->i]) : FLOW_NEXT;
}

/* Up from layer `next`, counted from 1; 0: the source is next. */
static bool up(struct exch *x, size_t next)
{
	x->at = EXCH_UP;
	if (next == 0) {
		send_head(x);
		return false;
	}
	x->i = next - 1;
	return true;
}

/* The response ends with trailers of a filter's. */
static bool end_cut(struct exch *x)
{
	const struct fields *trailers = NULL;

	for (size_t i = x->entered; i-- > 0 && !trailers;) {
		void *shared;
		const struct filter *f = layer(x, i, &shared);

		if (f->on_cut)
			trailers = f->on_cut(x, shared, x->state[i]);
	}
	if (!trailers)
		return false;
	x->err.code = ERR_NONE;
	x->rsp_ended = true;
	x->rsp_trailers = trailers;
	send_end(x);
	return true;
}

/* The failure in x->err goes up from the lowest layer entered. */
static bool fail(struct exch *x)
{
	cancel_service(x);
	if (x->head_sent && !x->rsp_ended && !x->tunnel && end_cut(x))
		return false;
	if (x->head_sent || x->entered == 0) {
		over(x);
		return false;
	}
	x->failing = true;
	x->rsp_ended = false;
	return up(x, x->entered);
}

/* A filter answered in place of the service. */
static void answered(struct exch *x)
{
	cancel_service(x);
	x->rsp_ended = true;
	x->rsp_trailers = NULL;
}

static bool step_down(struct exch *x, enum flow f)
{
	if (f == FLOW_TURN) {
		answered(x);
		return up(x, x->entered);
	}
	if (++x->i < layers(x))
		return true;
	begin_service(x);
	return false;
}

static bool step_up(struct exch *x, enum flow f)
{
	if (f == FLOW_TURN)
		answered(x);
	return up(x, x->i);
}

static void again(struct exch *x)
{
	must(exch_may_begin_again(x));
	x->failing = x->raced = false;
	x->err.code = ERR_NONE;
	x->reset_code = -1;
	x->req_credit = 0;
	x->rsp = (struct rsp_head){0};
	x->service_arg = NULL;
	begin_service(x);
}

static bool step_failing(struct exch *x, enum flow f)
{
	if (f == FLOW_AGAIN) {
		again(x);
		return false;
	}
	if (f == FLOW_TURN) {
		x->failing = false;
		x->err.code = ERR_NONE;
		answered(x);
		return up(x, x->i);
	}
	if (x->i == 0) {
		over(x);
		return false;
	}
	x->i--;
	return true;
}

/* One step; false when there is nothing to run now (and `x` may be gone). */
static bool step(struct exch *x, enum flow f)
{
	if (f == FLOW_HOLD)
		return false;
	if (x->failing)
		return step_failing(x, f);
	if (f == FLOW_ABORT)
		return fail(x);
	must(x->at == EXCH_DOWN || x->at == EXCH_UP);
	return x->at == EXCH_DOWN ? step_down(x, f) : step_up(x, f);
}

static void run(struct exch *x)
{
	bool more = true;
	struct out o;

	while (more) {
		enum flow f;

		out_begin(x, &o);
		f = x->at == EXCH_DOWN ? enter(x) : x->failing ? rescue(x) : leave(x);
		more = out_end(x, &o) && step(x, f);
	}
}

/* ---- for the source ---- */

void exch_begin(struct exch *x, const struct stack *stack)
{
	must(x->at == EXCH_NEW);
	if (x->err.code != ERR_NONE) { /* cancelled before it began */
		over(x);
		return;
	}
	x->stack = stack;
	x->part[0].stack = stack;
	x->nparts = 1;
	x->reset_code = -1;
	x->at = EXCH_DOWN;
	if (stack->count)
		run(x);
	else
		begin_service(x);
}

static void tell_data(struct exch *x, enum dir d, size_t n)
{
	for (size_t i = 0; i < x->entered; i++) {
		void *shared;
		const struct filter *f = layer(x, i, &shared);

		if (f->on_data)
			f->on_data(x, shared, x->state[i], d, n);
	}
}

/* ---- the body's beginning, for a second service ---- */

struct exch_kept {
	struct exch_kept *next;
	size_t n;
	uint8_t bytes[];
};

static void keep(struct exch *x, const uint8_t *p, size_t n)
{
	struct exch_kept *k;

	if (!x->keeps || x->kept_bytes != x->req_bytes || n > EXCH_KEEP - x->kept_bytes)
		return;
	k = arena_alloc(x->arena, sizeof *k + n);
	if (!k)
		return;
	memcpy(k->bytes, p, n);
	k->n = n;
	*(x->kept ? x->kept_end : &x->kept) = k;
	x->kept_end = &k->next;
	x->kept_bytes += n;
}

void exch_replay(struct exch *x)
{
	if (x->tries > 1)
		for (struct exch_kept *k = x->kept; k && x->serving; k = k->next)
			x->stack->service->data(
				x, x->stack->service_shared, k->bytes, k->n);
}

bool exch_may_begin_again(const struct exch *x)
{
	return (!x->touched || x->raced) && x->req_bytes == x->kept_bytes;
}

void exch_req_data(struct exch *x, const uint8_t *p, size_t n)
{
	struct out o;

	if (x->at == EXCH_OVER || n == 0)
		return;
	must(n <= x->req_credit && !x->req_ended);
	x->req_credit -= n;
	keep(x, p, n);
	x->req_bytes += n;
	tell_data(x, DIR_REQUEST, n);
	if (!x->serving)
		return;
	out_begin(x, &o);
	x->in_req_data = true;
	x->stack->service->data(x, x->stack->service_shared, p, n);
	if (out_end(x, &o))
		x->in_req_data = false;
}

void exch_req_end(struct exch *x, const struct fields *trailers)
{
	struct out o;

	if (x->at == EXCH_OVER || x->req_ended)
		return;
	x->req_ended = true;
	x->req_trailers = trailers;
	if (x->at == EXCH_NEW)
		return; /* told when it begins */
	tell_req_end(x);
	out_begin(x, &o);
	x->end_passed = x->serving;
	if (x->serving && x->stack->service->end)
		x->stack->service->end(x, x->stack->service_shared, trailers);
	if (out_end(x, &o) && x->tunnel && x->rsp_ended)
		over(x);
}

static void add_credit(size_t *credit, size_t n)
{
	if (__builtin_add_overflow(*credit, n, credit))
		*credit = SIZE_MAX;
}

void exch_rsp_credit(struct exch *x, size_t n)
{
	if (x->at == EXCH_OVER || x->rsp_ended)
		return;
	add_credit(&x->rsp_credit, n);
	if (x->serving && !x->in_rsp_data && x->stack->service->credit)
		x->stack->service->credit(x, x->stack->service_shared, n);
}

void exch_cancel(struct exch *x, const struct err *why)
{
	if (x->at == EXCH_OVER)
		return;
	x->err = *why;
	x->cancelled = true;
	if (x->at != EXCH_NEW) /* else over when somebody begins it */
		over(x);
}

/* ---- for the service ---- */

void exch_info(struct exch *x, const struct rsp_head *head)
{
	if (x->at == EXCH_SERVICE && x->source->info)
		x->source->info(x, head);
}

bool exch_is_tunnel(const struct exch *x)
{
	return x->rsp.status == 101 ||
	       (x->rsp.status / 100 == 2 && slice_is(x->req.method, "CONNECT"));
}

void exch_response(struct exch *x)
{
	if (x->at == EXCH_OVER)
		return;
	must(x->at == EXCH_SERVICE);
	if (up(x, x->entered))
		run(x);
}

void exch_rsp_data(struct exch *x, const uint8_t *p, size_t n)
{
	struct out o;

	if (x->at == EXCH_OVER || n == 0)
		return;
	must(x->at == EXCH_BODY && n <= x->rsp_credit && !x->rsp_ended);
	x->rsp_credit -= n;
	x->rsp_bytes += n;
	tell_data(x, DIR_RESPONSE, n);
	out_begin(x, &o);
	x->in_rsp_data = true;
	x->source->data(x, p, n);
	if (out_end(x, &o))
		x->in_rsp_data = false;
}

void exch_rsp_end(struct exch *x, const struct fields *trailers)
{
	if (x->at == EXCH_OVER || x->rsp_ended)
		return;
	must(x->at == EXCH_UP || x->at == EXCH_BODY);
	x->rsp_ended = true;
	x->rsp_trailers = trailers;
	if (x->at == EXCH_BODY)
		send_end(x);
}

void exch_req_credit(struct exch *x, size_t n)
{
	if (x->at == EXCH_OVER || x->req_ended)
		return;
	add_credit(&x->req_credit, n);
	if (!x->in_req_data && x->source->credit)
		x->source->credit(x, n);
}

void exch_fail(struct exch *x, const struct err *e)
{
	if (x->at == EXCH_OVER)
		return;
	x->err = *e;
	x->serving = false;
	if (fail(x))
		run(x);
}

/* ---- for filters ---- */

void exch_abort(struct exch *x, const struct err *e)
{
	if (x->at == EXCH_OVER)
		return;
	x->err = *e;
	if (fail(x))
		run(x);
}

void exch_resume(struct exch *x, enum flow f)
{
	if (x->at == EXCH_OVER)
		return;
	if (step(x, f))
		run(x);
}

void exch_answer(struct exch *x, int status)
{
	x->rsp = (struct rsp_head){.version = x->req.version, .status = status};
}
