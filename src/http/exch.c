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

static const struct filter *filter_at(const struct exch *x, size_t i)
{
	return x->layers[i].ops;
}

static void *shared_at(const struct exch *x, size_t i)
{
	return x->layers[i].shared;
}

/* ---- the end ---- */

static void over(struct exch *x)
{
	if (x->at == EXCH_OVER)
		return;
	x->at = EXCH_OVER;
	if (x->serving) {
		x->serving = false;
		if (x->stack->service->cancel)
			x->stack->service->cancel(x, x->stack->service_shared);
	}
	while (x->entered > 0) {
		size_t i = --x->entered;

		if (filter_at(x, i)->on_done)
			filter_at(x, i)->on_done(x, shared_at(x, i), x->state[i]);
	}
	x->source->over(x);
}

static void over_if_ended(struct exch *x)
{
	if (!x->req_ended || !x->rsp_ended || !x->head_sent)
		return;
	x->serving = false;
	over(x);
}

/* ---- steps through the filters ---- */

static enum flow enter(struct exch *x, size_t i)
{
	const struct filter *f = x->stack->layer[i - x->base].ops;

	x->layers[i].ops = f;
	x->layers[i].shared = x->stack->layer[i - x->base].shared;
	if (f->state_size) {
		x->state[i] = arena_alloc(x->arena, f->state_size);
		if (!x->state[i]) {
			err_set(&x->err, ERR_LIMIT, "%s: no room for state", f->name);
			return FLOW_ABORT;
		}
	}
	x->entered = i + 1;
	if (!f->on_request)
		return FLOW_NEXT;
	return f->on_request(x, shared_at(x, i), x->state[i]);
}

static enum flow leave(struct exch *x, size_t i)
{
	const struct filter *f = filter_at(x, i);

	if (!f->on_response)
		return FLOW_NEXT;
	return f->on_response(x, shared_at(x, i), x->state[i]);
}

/* The request's end may have come while a filter held its head. */
static void pass_end(struct exch *x)
{
	if (x->req_ended && x->serving && !x->end_passed) {
		x->end_passed = true;
		if (x->stack->service->end)
			x->stack->service->end(
				x, x->stack->service_shared, x->req_trailers);
	}
}

static void begin_service(struct exch *x)
{
	x->at = EXCH_SERVICE;
	x->serving = true;
	x->stack->service->begin(x, x->stack->service_shared);
	pass_end(x);
}

static void send_head(struct exch *x)
{
	bool own = !x->serving; /* a filter's answer: nothing follows it */

	x->at = EXCH_BODY;
	x->head_sent = true;
	x->source->head(x);
	if (own && x->at == EXCH_BODY)
		exch_rsp_end(x, NULL);
}

static void fail_up(struct exch *x, size_t from);

/* One step in the direction we are going.  False when there is nothing to run now. */
static bool step(struct exch *x, enum flow f)
{
	if (f == FLOW_HOLD)
		return false;
	if (f == FLOW_ABORT) {
		fail_up(x, x->entered);
		return false;
	}
	if (x->at == EXCH_DOWN) {
		if (f == FLOW_TURN) {
			x->at = EXCH_UP;
			x->i = x->entered - 1;
			return true;
		}
		if (++x->i - x->base < x->stack->count)
			return true;
		begin_service(x);
		return false;
	}
	must(x->at == EXCH_UP);
	if (x->i == 0) {
		send_head(x);
		return false;
	}
	x->i--;
	return true;
}

/* Nobody may touch `x` after it ended: each call below ends with the exchange's fate.
 */
static void run(struct exch *x)
{
	while (step(x, x->at == EXCH_DOWN ? enter(x, x->i) : leave(x, x->i)))
		;
}

/*
 * It failed before a response head went up.  Filters entered are asked, lowest first,
 * whether they have an answer; without one the source is told.
 */
static void fail_up(struct exch *x, size_t from)
{
	while (from-- > 0) {
		const struct filter *f = filter_at(x, from);
		enum flow flow;

		if (!f->on_error)
			continue;
		flow = f->on_error(x, shared_at(x, from), x->state[from]);
		if (flow == FLOW_NEXT)
			continue;
		if (flow == FLOW_AGAIN) {
			must(x->req_bytes == 0);
			x->err = (struct err){.code = ERR_NONE};
			x->reset_code = -1;
			x->end_passed = false;
			x->req_credit = 0;
			begin_service(x);
			return;
		}
		must(flow == FLOW_TURN);
		x->err = (struct err){.code = ERR_NONE};
		if (from == 0) {
			send_head(x);
			return;
		}
		x->at = EXCH_UP;
		x->i = from - 1;
		run(x);
		return;
	}
	over(x);
}

/* ---- for the source ---- */

void exch_begin(struct exch *x, const struct stack *stack)
{
	must(x->at == EXCH_NEW && stack->count > 0);
	x->stack = stack;
	x->reset_code = -1;
	x->at = EXCH_DOWN;
	run(x);
}

static void tell_data(struct exch *x, enum dir d, size_t n)
{
	for (size_t i = 0; i < x->entered; i++)
		if (filter_at(x, i)->on_data)
			filter_at(x, i)->on_data(x, shared_at(x, i), x->state[i], d, n);
}

static void tell_end(struct exch *x, enum dir d, const struct fields *trailers)
{
	for (size_t i = 0; i < x->entered; i++)
		if (filter_at(x, i)->on_end)
			filter_at(x, i)->on_end(
				x, shared_at(x, i), x->state[i], d, trailers);
}

void exch_req_data(struct exch *x, const uint8_t *p, size_t n)
{
	must(n <= x->req_credit);
	x->req_credit -= n;
	if (!x->serving) /* the response is complete: nobody wants the rest */
		return;
	x->req_bytes += n;
	tell_data(x, DIR_REQUEST, n);
	x->stack->service->data(x, x->stack->service_shared, p, n);
}

void exch_req_end(struct exch *x, const struct fields *trailers)
{
	if (x->req_ended || x->at == EXCH_OVER)
		return;
	x->req_ended = true;
	x->req_trailers = trailers;
	tell_end(x, DIR_REQUEST, trailers);
	if (x->rsp_ended) {
		over_if_ended(x);
		return;
	}
	pass_end(x);
}

void exch_rsp_credit(struct exch *x, size_t n)
{
	x->rsp_credit += n;
	if (x->serving && !x->rsp_ended && x->stack->service->credit)
		x->stack->service->credit(x, x->stack->service_shared, n);
}

void exch_cancel(struct exch *x, const struct err *why)
{
	if (x->at == EXCH_OVER)
		return;
	x->err = *why;
	over(x);
}

/* ---- for the service ---- */

void exch_info(struct exch *x, const struct rsp_head *head)
{
	if (x->source->info)
		x->source->info(x, head);
}

void exch_response(struct exch *x)
{
	must(x->at == EXCH_SERVICE);
	x->at = EXCH_UP;
	x->i = x->entered - 1;
	run(x);
}

void exch_rsp_data(struct exch *x, const uint8_t *p, size_t n)
{
	must(n <= x->rsp_credit);
	x->rsp_credit -= n;
	x->rsp_bytes += n;
	tell_data(x, DIR_RESPONSE, n);
	x->source->data(x, p, n);
}

void exch_rsp_end(struct exch *x, const struct fields *trailers)
{
	if (x->rsp_ended || x->at == EXCH_OVER)
		return;
	x->rsp_ended = true;
	tell_end(x, DIR_RESPONSE, trailers);
	x->source->end(x, trailers);
	if (x->at != EXCH_OVER)
		over_if_ended(x);
}

void exch_req_credit(struct exch *x, size_t n)
{
	if (x->req_ended || x->at == EXCH_OVER)
		return;
	x->req_credit += n;
	x->source->credit(x, n);
}

void exch_fail(struct exch *x, const struct err *e)
{
	if (x->at == EXCH_OVER)
		return;
	x->err = *e;
	x->serving = false;
	if (x->head_sent || x->at == EXCH_UP)
		over(x);
	else
		fail_up(x, x->entered);
}

/* ---- for filters ---- */

void exch_resume(struct exch *x, enum flow f)
{
	must(x->at == EXCH_DOWN || x->at == EXCH_UP);
	if (step(x, f))
		run(x);
}

void exch_switch(struct exch *x, const struct stack *to)
{
	must(x->at == EXCH_DOWN && x->entered - x->base == x->stack->count);
	must(x->entered + to->count <= STACK_MAX);
	x->base = x->entered;
	x->stack = to;
}

void exch_answer(struct exch *x, int status)
{
	x->rsp = (struct rsp_head){.version = HTTP_1_1, .status = status};
}
