/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections that were dialled for clients who had said nothing, and then spoke HTTP:
 * kept for the moment until the first request, whatever it will be carried as.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "proxy/endpoint.h"

/* A server may close one that is silent for longer, just when the request comes. */
#define SPARE_LIMIT NS_PER_S

struct spare {
	struct list node; /* in the endpoint */
	struct endpoint *ep;
	struct conn *conn; /* open, or being dialled */
	struct timer limit;
};

/* Its conn is another's, or over. */
static void spare_free(struct spare *s)
{
	struct endpoint *ep = s->ep;

	list_remove(&s->node);
	timer_clear(&s->limit);
	free(s);
	endpoint_unuse(ep);
}

static void spare_drop(struct spare *s)
{
	if (s->conn->is_open)
		conn_finish(s->conn);
	else
		conn_end(s->conn);
	spare_free(s);
}

static void limit_due(struct timer *t)
{
	spare_drop(container_of(t, struct spare, limit));
}

/* A server that speaks first, or ends, has another idea of what is spoken. */
static size_t spare_in(struct conn *c, void *arg, const uint8_t *p, size_t n)
{
	(void)c, (void)p;
	if (n > 0)
		spare_drop(arg);
	return 0;
}

static void spare_eof(struct conn *c, void *arg)
{
	(void)c;
	spare_drop(arg);
}

static void spare_gone(struct conn *c, void *arg, const struct err *e)
{
	(void)c, (void)e;
	spare_free(arg);
}

static const struct conn_user spare_user = {
	.on_in = spare_in, .on_eof = spare_eof, .on_gone = spare_gone};

bool endpoint_spare(struct endpoint *ep, struct conn *c, uint64_t since)
{
	uint64_t age = loop_now(ep->worker->loop) - since;
	struct spare *s;

	if (ep->at == ENDPOINT_REMOVED || endpoint_has_header(ep) || c->bytes_in > 0 ||
		age >= SPARE_LIMIT)
		return false;
	s = calloc(1, sizeof *s);
	if (!s)
		return false;
	s->ep = ep;
	s->conn = c;
	ep->users++;
	list_push(&ep->spares, &s->node);
	timer_init(&s->limit, ep->worker->loop, limit_due);
	timer_set(&s->limit, SPARE_LIMIT - age);
	conn_use(c, &spare_user, s);
	return true;
}

struct conn *endpoint_take_spare(struct endpoint *ep)
{
	struct spare *s = list_first(&ep->spares, struct spare, node);
	struct conn *c = s ? s->conn : NULL;

	if (s)
		spare_free(s);
	return c;
}

void endpoint_drop_spares(struct endpoint *ep)
{
	struct spare *s;

	list_each(s, &ep->spares, node) spare_drop(s);
}
