/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/balancer_int.h"

#include <stdlib.h>

#include "base/memory.h"
#include "proxy/endpoint.h"

void stream_fail(struct stream *s, const struct err *e)
{
	stream_done *done = s->done;
	void *arg = s->arg;

	balancer_unref(s->balancer);
	free(s);
	done(arg, NULL, NULL, e);
}

static void stream_release(struct stream *s)
{
	struct endpoint *ep = s->endpoint;

	s->endpoint = NULL;
	ep->load--;
	endpoint_unuse(ep);
}

static void stream_gone(struct conn *c, void *arg, const struct err *e)
{
	struct stream *s = arg;
	struct err why = *e;

	(void)c;
	if (why.code == ERR_NONE)
		err_set(&why, ERR_CLOSED, "closed by the peer");
	endpoint_name(s->endpoint, &why);
	s->conn = NULL;
	endpoint_dial_failed(s->endpoint, &why);
	stream_release(s);
	if (s->balancer->nready > 0 && s->tries < TRIES_MAX)
		stream_dispatch(s);
	else
		stream_fail(s, &why);
}

static void stream_open(struct conn *c, void *arg)
{
	struct stream *s = arg;
	struct err e;

	if (endpoint_opened(s->endpoint, c, SESSION_BYTES, &e) < 0) {
		conn_end(c);
		stream_gone(c, s, &e);
		return;
	}
	s->conn = NULL;
	endpoint_dial_worked(s->endpoint);
	s->done(s->arg, c, &s->endpoint->use, NULL);
}

static size_t stream_in(struct conn *c, void *arg, const uint8_t *p, size_t n)
{
	(void)c, (void)arg, (void)p, (void)n;
	return 0;
}

static const struct conn_user stream_user = {
	.on_open = stream_open, .on_in = stream_in, .on_gone = stream_gone};

void stream_dispatch(struct stream *s)
{
	struct endpoint *ep = balancer_pick(s->balancer, NULL);
	struct err e;

	if (!ep) {
		balancer_queue_stream(s);
		return;
	}
	s->conn = endpoint_dial(ep, &e);
	if (!s->conn) {
		endpoint_dial_failed(ep, &e);
		balancer_queue_stream(s);
		return;
	}
	s->tries++;
	s->endpoint = ep;
	ep->users++;
	ep->load++;
	conn_use(s->conn, &stream_user, s);
}

struct stream *balancer_stream(
	struct balancer *b, stream_done *done, void *arg, struct err *e)
{
	struct stream *s;

	if (b->side == SIDE_OUT && b->nstreams >= b->worker->cfg->out_tcp_queue) {
		err_set(e, ERR_BUSY, "%s: %zu connections are queued, the limit",
			balancer_text(b), b->nstreams);
		return NULL;
	}
	if (memory_is_short(loop_now(b->worker->loop))) {
		err_set(e, ERR_BUSY, "%s: the proxy's memory is short",
			balancer_text(b));
		return NULL;
	}
	s = calloc(1, sizeof *s);
	if (!s) {
		err_set(e, ERR_LIMIT, "no memory for a stream");
		return NULL;
	}
	*s = (struct stream){.balancer = balancer_ref(b),
		.done = done,
		.arg = arg,
		.since = loop_now(b->worker->loop)};
	list_init(&s->node);
	balancer_count_asked(b, BALANCED_TCP);
	stream_dispatch(s);
	return s;
}

void stream_cancel(struct stream *s)
{
	if (s->is_queued)
		balancer_unqueue_stream(s);
	if (s->conn)
		conn_end(s->conn);
	stream_over(s);
}

struct transport_meter *stream_meter(const struct stream *s)
{
	return s->endpoint->transport;
}

bool stream_spare(struct stream *s, struct conn *open)
{
	struct conn *c = open ? open : s->conn;

	if (!c || !endpoint_spare(s->endpoint, c, s->since))
		return false;
	stream_over(s);
	return true;
}

void stream_over(struct stream *s)
{
	if (s->endpoint)
		stream_release(s);
	balancer_unref(s->balancer);
	free(s);
}
