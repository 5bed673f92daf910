/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/balancer_int.h"

#include "proxy/endpoint.h"

/* How long a request, and a stream, may wait for an endpoint. */
uint64_t balancer_request_limit(const struct balancer *b)
{
	return balancer_is_shut(b) ? 0 : worker_side(b->worker, b->side)->failfast;
}

uint64_t balancer_stream_limit(const struct balancer *b)
{
	if (balancer_is_shut(b))
		return 0;
	return b->side == SIDE_OUT ? b->worker->cfg->out_tcp_failfast
				   : b->worker->cfg->in.failfast;
}

/* `last` has the address in it. */
void balancer_all_failed(
	const struct balancer *b, enum errc code, const struct err *last, struct err *e)
{
	struct err why = *last;

	if (b->count > 1 && b->nready == 0)
		err_set(e, code, "%s: all %zu endpoints failed; last: %s",
			balancer_text(b), b->count, why.msg);
	else if (b->name)
		err_set(e, code, "%s: %s", b->name, why.msg);
	else
		err_set(e, code, "%s", why.msg);
	e->sys = why.sys;
}

/* Why nobody could take it. */
void balancer_explain(const struct balancer *b, struct err *e)
{
	const char *what = balancer_text(b);

	if (b->state == ENDPOINTS_UNKNOWN)
		err_set(e, ERR_TIMEOUT, "%s: discovery has not answered", what);
	else if (b->state == ENDPOINTS_NO_SUCH)
		err_set(e, ERR_MISSING, "%s: no such service", what);
	else if (b->count == 0)
		err_set(e, ERR_TIMEOUT, "%s: no endpoints", what);
	else
		balancer_all_failed(b, ERR_TIMEOUT, &b->last, e);
}

/* Somebody waits who may do so until then. */
static void wait_in_queue(struct balancer *b, uint64_t until)
{
	uint64_t now = loop_now(b->worker->loop);

	if (timer_is_set(&b->failfast) && b->failfast_at <= until)
		return;
	b->failfast_at = until;
	timer_set(&b->failfast, until > now ? until - now : 0);
}

void balancer_queue_exchange(struct balancer *b, struct px *p)
{
	const struct side_config *cfg = worker_side(b->worker, b->side);
	struct err e;

	if (b->queued >= cfg->queue_capacity) {
		err_set(&e, ERR_BUSY, "%s: %zu requests are queued, the limit",
			balancer_text(b), b->queued);
		exch_fail(p->x, &e);
		return;
	}
	p->sent = loop_now(b->worker->loop);
	if (!p->waits_since)
		p->waits_since = p->sent;
	p->queued = true;
	b->queued++;
	balancer_meter_queue(b->meters[BALANCED_HTTP], 1);
	list_push(&b->queue, &p->node);
	wait_in_queue(b, p->waits_since + balancer_request_limit(b));
}

void balancer_queue_stream(struct stream *s)
{
	list_push(&s->balancer->streams, &s->node);
	s->balancer->nstreams++;
	s->is_queued = true;
	balancer_meter_queue(s->balancer->meters[BALANCED_TCP], 1);
	wait_in_queue(s->balancer, s->since + balancer_stream_limit(s->balancer));
}

/* A request, or a stream, left the queue in any way. */
static void left_queue(struct balancer *b, enum balanced kind, uint64_t since)
{
	struct balancer_meter *m = b->meters[kind];

	balancer_meter_queue(m, -1);
	balancer_meter_waited(m, loop_now(b->worker->loop) - since);
}

void balancer_unqueue_exchange(struct balancer *b, struct px *p)
{
	list_remove(&p->node);
	p->queued = false;
	b->queued--;
	left_queue(b, BALANCED_HTTP, p->sent);
}

void balancer_unqueue_stream(struct stream *s)
{
	struct balancer *b = s->balancer;

	list_remove(&s->node);
	s->is_queued = false;
	b->nstreams--;
	left_queue(b, BALANCED_TCP, s->since);
}

void balancer_queue_serve(struct balancer *b)
{
	struct stream *s;
	struct px *p;

	while (b->nready > 0 && (p = list_first(&b->queue, struct px, node))) {
		balancer_unqueue_exchange(b, p);
		balancer_dispatch(b, p);
	}
	while (b->nready > 0 && (s = list_first(&b->streams, struct stream, node))) {
		balancer_unqueue_stream(s);
		stream_dispatch(s);
	}
	if (list_is_empty(&b->queue) && list_is_empty(&b->streams))
		timer_clear(&b->failfast);
}

static void fail_late_requests(struct balancer *b, uint64_t now, const struct err *e)
{
	uint64_t limit = balancer_request_limit(b);
	struct list late = {&late, &late};
	struct px *p;

	list_each(p, &b->queue, node) if (now - p->waits_since >= limit)
	{
		balancer_unqueue_exchange(b, p);
		list_push(&late, &p->node);
	}
	while ((p = list_first(&late, struct px, node))) {
		list_remove(&p->node);
		exch_fail(p->x, e);
	}
}

static void fail_late_streams(struct balancer *b, uint64_t now, const struct err *e)
{
	uint64_t limit = balancer_stream_limit(b);
	struct list late = {&late, &late};
	struct stream *s;

	list_each(s, &b->streams, node) if (now - s->since >= limit)
	{
		balancer_unqueue_stream(s);
		list_push(&late, &s->node);
	}
	while ((s = list_first(&late, struct stream, node))) {
		list_remove(&s->node);
		stream_fail(s, e);
	}
}

void balancer_queue_due(struct timer *t)
{
	struct balancer *b = container_of(t, struct balancer, failfast);
	uint64_t now = loop_now(b->worker->loop);
	struct err e;

	balancer_explain(b, &e);
	balancer_ref(b);
	if (b->nready == 0)
		b->is_shut = true;
	fail_late_requests(b, now, &e);
	fail_late_streams(b, now, &e);
	if (!list_is_empty(&b->queue))
		wait_in_queue(b, now + balancer_request_limit(b) / 4);
	if (!list_is_empty(&b->streams))
		wait_in_queue(b, now + balancer_stream_limit(b) / 4);
	balancer_unref(b);
}
