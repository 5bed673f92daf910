/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/obj.h"
#include "http/h1head.h"
#include "http/serverint.h"

/*
 * HTTP/1 over a conn.  One exchange at a time; what a client sends meanwhile stays in
 * the conn.  Whatever ends the connection only says so (`conn` becomes NULL) and asks
 * for on_end() at the end of the turn, so that no function finds itself in freed
 * memory.
 */
#define RSP_WINDOW ((size_t)64 * 1024)
#define ARENA_MAX  ((size_t)1024 * 1024) /* heads both ways, and what filters need */
#define NOTICE     (50 * NS_PER_MS)      /* for the first request of a connection */
#define DRAIN_MAX  ((size_t)64 * 1024)   /* of a request's body nobody wants */

/*
 * Pieces of a body up to SMALL, as a client's that sends chunks of a byte, go on as one
 * with those that were read with them: what is above costs the same for each.
 */
#define SMALL ((size_t)256)

struct gathered {
	size_t n;
	uint8_t bytes[4096];
};

enum h1s_at {
	H1S_HEAD,  /* between requests, or within a head */
	H1S_BODY,  /* reading a body, or a tunnel */
	H1S_WAIT,  /* the request is read; its response is not over */
	H1S_DRAIN, /* the response is over; the rest of the request is thrown away */
};

struct h1server;

struct h1x { /* in its own arena */
	struct exch x;
	struct arena arena;
	struct h1server *s; /* NULL: the server ended before it began */
	struct h1x *next;   /* of those to be freed at the end of the turn */
	struct fields trailers;
};

#define H1SERVER_MAGIC 0x415e0001u

struct h1server {
	struct http_server base; /* first */
	unsigned magic;
	struct loop *loop;
	struct http1 in;
	struct h1x *hx, *dead;
	struct later end; /* frees the dead; and the server, once the conn is gone */
	struct timer idle;
	struct timer slow; /* a head has begun and is not whole */
	uint64_t idle_since;
	struct gathered *small; /* inside on_in */
	struct err *why;        /* why the conn is gone; NULL: in order */
	size_t owed;            /* response credit to give when there is room */
	size_t drained;
	uint16_t refusal; /* status to answer a malformed request with */
	uint8_t at, framing, minor;
	bool close, draining, keep_alive; /* keep_alive: said by a 1.0 client */
	bool is_head, may_tunnel;
	bool seen;              /* on_in was called */
	bool unread, eof, held; /* bytes are left in the conn; it ended; it is paused */
	bool reading;           /* inside on_in */
	bool told; /* http_server_end() was called: on_gone is not wanted */
};

static struct h1server *h1s_of(struct exch *x)
{
	return ((struct h1x *)x->source_arg)->s;
}

static struct h1server *h1s_cast(void *arg)
{
	return obj_cast(struct h1server, arg, H1SERVER_MAGIC);
}

/* ---- the end ---- */

static void give_up(struct h1server *s, void (*how)(struct conn *))
{
	struct conn *c = s->base.conn;

	if (!c)
		return;
	s->base.conn = NULL;
	how(c);
	loop_later(s->loop, &s->end);
}

static void on_gone(struct conn *c, void *arg, const struct err *e)
{
	struct h1server *s = h1s_cast(arg);

	(void)c;
	s->base.conn = NULL;
	if (e->code != ERR_NONE) {
		s->why = malloc(sizeof *s->why);
		if (s->why)
			*s->why = *e;
	}
	loop_later(s->loop, &s->end);
}

static void drop(struct h1x *hx)
{
	struct arena a = hx->arena; /* which holds `hx` */

	arena_fini(&a);
}

static void drop_dead(struct h1server *s)
{
	struct h1x *hx;

	while ((hx = s->dead)) {
		s->dead = hx->next;
		drop(hx);
	}
}

static void h1s_free(struct h1server *s)
{
	drop_dead(s);
	later_clear(&s->end);
	timer_clear(&s->idle);
	timer_clear(&s->slow);
	free(s->why);
	s->magic = 0;
	free(s);
}

/* At the end of the turn.  The conn gone, so is the exchange, and then the server. */
static void on_end(struct later *d)
{
	struct h1server *s = container_of(d, struct h1server, end);
	struct err why = {.code = ERR_NONE};

	drop_dead(s);
	if (s->base.conn)
		return;
	if (s->hx) {
		err_set(&why, ERR_CLOSED, "the client left%s%s", s->why ? ": " : "",
			s->why ? s->why->msg : "");
		exch_cancel(&s->hx->x, &why);
	}
	if (s->hx)
		return; /* nobody has begun it yet; over() comes back here */
	why = (struct err){.code = ERR_NONE};
	if (!s->told && s->base.user->on_gone)
		s->base.user->on_gone(s->base.arg, s->why ? s->why : &why);
	h1s_free(s);
}

/* ---- responses ---- */

static struct h1_text text_begin(struct h1server *s)
{
	return (struct h1_text){
		.p = (char *)loop_scratch(s->loop, 2), .cap = LOOP_SCRATCH};
}

static void text_send(struct h1server *s, const struct h1_text *t)
{
	if (t->full)
		give_up(s, conn_abort);
	else if (s->base.conn)
		conn_write(s->base.conn, t->p, t->n);
}

#define REFUSAL_MAX ((size_t)16 * 1024)

/* An answer of our own, and the end of the connection. */
static void refuse(struct h1server *s, int status, const struct err *why)
{
	struct rsp_head rsp = {.status = status};
	struct h1_text t = text_begin(s);
	struct arena a;

	arena_init(&a, REFUSAL_MAX);
	if (s->base.user->on_refused)
		s->base.user->on_refused(s->base.arg, &rsp, &a, why);
	h1_write_response(&t, &rsp, s->is_head ? H1_NONE : H1_LENGTH,
		(struct h1_hop){.close = true});
	arena_fini(&a);
	text_send(s, &t);
	give_up(s, conn_finish);
}

static void src_info(struct exch *x, const struct rsp_head *head)
{
	struct h1server *s = h1s_of(x);
	struct h1_text t;

	if (s->minor == 0 || !s->base.conn)
		return;
	t = text_begin(s);
	h1_write_response(&t, head, H1_NONE, (struct h1_hop){0});
	text_send(s, &t);
}

static void src_head(struct exch *x)
{
	struct h1server *s = h1s_of(x);
	struct h1x *hx = s->hx;
	bool tunnel = s->may_tunnel && exch_is_tunnel(x);
	struct h1_text t = text_begin(s);
	struct h1_hop say;

	s->framing =
		(uint8_t)(tunnel ? H1_NONE
				 : h1_response_framing(&x->rsp, s->minor, s->is_head));
	s->close |= s->draining || x->rsp.close || s->framing == H1_CLOSE;
	/* it will not send the body it has announced, or it will: nobody knows */
	s->close |= x->req.expects_100 && !x->req_ended && x->req_bytes == 0;
	say = (struct h1_hop){.close = s->close && !tunnel,
		.keep_alive = s->minor == 0 && s->keep_alive};
	h1_write_response(&t, &x->rsp, (enum h1_framing)s->framing, say);
	if (h1_text_grow(&t, x->arena, server_head_max(&s->base)))
		h1_write_response(&t, &x->rsp, (enum h1_framing)s->framing, say);
	text_send(s, &t);
	if (tunnel) {
		s->at = H1S_BODY;
		s->close = true;
		http1_tunnel(&s->in);
		if (s->base.conn && !s->reading)
			conn_resume(s->base.conn);
	} else if (s->may_tunnel && s->at == H1S_WAIT) {
		s->may_tunnel = false;
		exch_req_end(x, NULL);
	}
	if (s->hx == hx)
		exch_rsp_credit(x, RSP_WINDOW);
}

static void src_data(struct exch *x, const uint8_t *p, size_t n)
{
	struct h1server *s = h1s_of(x);
	struct conn *c = s->base.conn;
	char size[24];
	struct h1_text t = {.p = size, .cap = sizeof size};

	if (!c || (s->is_head && !x->tunnel))
		return;
	if (s->framing == H1_CHUNKED) {
		h1_write_chunk_size(&t, n);
		conn_write(c, t.p, t.n);
	}
	if (s->base.conn)
		conn_write(c, p, n);
	if (s->framing == H1_CHUNKED && s->base.conn)
		conn_write(c, "\r\n", 2);
	if (!s->base.conn)
		return;
	if (conn_backlog(c) <= CONN_HIGH)
		exch_rsp_credit(x, n);
	else
		s->owed += n;
}

static void src_end(struct exch *x, const struct fields *trailers)
{
	struct h1server *s = h1s_of(x);
	struct h1_text t;

	if (x->tunnel && s->base.conn) {
		conn_shutdown(s->base.conn);
		return;
	}
	if (s->framing != H1_CHUNKED || !s->base.conn)
		return;
	t = text_begin(s);
	h1_write_trailers(&t, trailers);
	if (h1_text_grow(&t, x->arena, server_head_max(&s->base)))
		h1_write_trailers(&t, trailers);
	text_send(s, &t);
}

static void src_credit(struct exch *x, size_t n)
{
	struct h1server *s = h1s_of(x);

	(void)n;
	if (!s->held || !s->base.conn)
		return;
	s->held = false;
	conn_resume(s->base.conn);
}

/* ---- between exchanges ---- */

static void unhold(struct h1server *s)
{
	if (s->reading && !s->held)
		return; /* on_in goes on by itself */
	if (s->held || s->unread)
		conn_resume(s->base.conn);
	s->held = false;
}

static void go_on(struct h1server *s)
{
	s->at = H1S_HEAD;
	if (s->close || s->draining || (s->eof && !s->unread && !s->reading)) {
		give_up(s, conn_finish);
		return;
	}
	s->idle_since = loop_now(s->loop);
	unhold(s);
}

static void failed(struct h1server *s, const struct exch *x)
{
	if (!x->head_sent)
		refuse(s, s->refusal ? s->refusal : status_of_error(&x->err), &x->err);
	else /* where the end is the end of the connection, only a reset says it is not
	      */
		give_up(s,
			s->framing == H1_CLOSE || x->tunnel ? conn_abort : conn_finish);
}

static void answered(struct h1server *s, const struct exch *x)
{
	if (s->at != H1S_BODY || x->tunnel || s->close) {
		go_on(s);
		return;
	}
	s->at = H1S_DRAIN;
	s->drained = 0;
	unhold(s);
}

static void src_over(struct exch *x)
{
	struct h1x *hx = x->source_arg;
	struct h1server *s = hx->s;

	if (!s) {
		drop(hx);
		return;
	}
	s->hx = NULL;
	s->owed = 0;
	hx->next = s->dead;
	s->dead = hx;
	loop_later(s->loop, &s->end);
	if (!s->base.conn)
		return;
	if (x->err.code != ERR_NONE)
		failed(s, x);
	else
		answered(s, x);
}

static const struct source h1_source = {.info = src_info,
	.head = src_head,
	.data = src_data,
	.end = src_end,
	.credit = src_credit,
	.over = src_over};

/* ---- requests ---- */

static struct h1x *h1x_new(struct h1server *s)
{
	struct arena a;
	struct h1x *hx;

	arena_init(&a, ARENA_MAX + 4 * server_head_max(&s->base));
	hx = arena_alloc(&a, sizeof *hx);
	if (!hx)
		return NULL;
	hx->arena = a;
	hx->s = s;
	hx->x.arena = &hx->arena;
	hx->x.loop = s->loop;
	hx->x.source = &h1_source;
	hx->x.source_arg = hx;
	hx->x.conn_ctx = s->base.arg;
	return hx;
}

static void begin(struct h1server *s, const struct http1_head *head)
{
	struct h1x *hx = h1x_new(s);
	struct h1_hop hop = {.why = "no memory for a request"};
	int status = hx ? h1_read_request(head, &hx->arena, &hx->x.req, &hop) : 503;
	struct err e;

	if (timer_is_set(&s->slow))
		timer_clear(&s->slow);
	if (status) {
		if (hx)
			drop(hx);
		err_set(&e, ERR_SYNTAX, "malformed request: %s", hop.why);
		refuse(s, status, &e);
		return;
	}
	s->hx = hx;
	s->at = H1S_BODY;
	s->minor = (uint8_t)head->minor;
	s->close = hop.close;
	s->keep_alive = hop.keep_alive;
	s->is_head = slice_is(hx->x.req.method, "HEAD");
	if (head->chunked) /* its end cannot wait for the answer: no upgrade */
		hx->x.req.upgrade = SLICE("");
	s->may_tunnel = hx->x.req.upgrade.n || slice_is(hx->x.req.method, "CONNECT");
	s->refusal = 0;
	/* known before it begins, so that its service need not expect a body */
	if (head->length == 0 && !s->may_tunnel)
		exch_req_end(&hx->x, NULL);
	s->base.user->on_exch(s->base.arg, &hx->x);
}

static void request_end(struct h1server *s, const struct http1_head *trailers)
{
	struct h1x *hx = s->hx;
	bool some = trailers->nfields > 0;

	if (hx && hx->x.tunnel) {
		exch_req_end(&hx->x, NULL);
		return;
	}
	s->at = H1S_WAIT;
	if (s->may_tunnel && !hx->x.head_sent)
		return; /* whether it ends here the response says */
	if (some && h1_read_trailers(trailers, &hx->arena, &hx->trailers))
		some = false;
	exch_req_end(&hx->x, some ? &hx->trailers : NULL);
}

static void malformed(struct h1server *s, const struct http1_out *out)
{
	struct err why;

	if (s->at == H1S_DRAIN) { /* it was answered */
		give_up(s, conn_finish);
		return;
	}
	http1_explain(&s->in, out, &why);
	err_wrap(&why, "malformed request");
	s->refusal = s->in.status;
	if (!s->hx) {
		s->is_head = false;
		refuse(s, s->in.status, &why);
		return;
	}
	s->close = true;
	exch_cancel(&s->hx->x, &why);
	if (s->hx) /* not begun yet */
		give_up(s, conn_finish);
}

/* ---- the conn ---- */

static bool in_data(struct h1server *s, struct slice data)
{
	if (s->at == H1S_BODY) {
		exch_req_data(&s->hx->x, (const uint8_t *)data.p, data.n);
		return true;
	}
	s->drained += data.n;
	if (s->drained <= DRAIN_MAX)
		return true;
	give_up(s, conn_finish);
	return false;
}

static bool in_end(struct h1server *s, const struct http1_head *trailers)
{
	if (s->at == H1S_BODY)
		request_end(s, trailers);
	else
		go_on(s);
	return true;
}

/* Passes on what was gathered; false when nothing more is to be read. */
static bool in_gathered(struct h1server *s)
{
	size_t n = s->small->n;

	s->small->n = 0;
	return !n ||
	       (in_data(s, slice_bytes((char *)s->small->bytes, n)) && s->base.conn);
}

static bool gather(struct h1server *s, struct slice data)
{
	struct gathered *g = s->small;

	if (data.n > SMALL || data.n > sizeof g->bytes - g->n)
		return false;
	memcpy(g->bytes + g->n, data.p, data.n);
	g->n += data.n;
	return true;
}

static bool in_got(struct h1server *s, enum http1_got got, const struct http1_out *out)
{
	switch (got) {
	case HTTP1_MORE:
		return false;
	case HTTP1_HEAD:
		begin(s, &out->head);
		return true;
	case HTTP1_DATA:
		return in_data(s, out->data);
	case HTTP1_HELD:
		s->held = true;
		conn_pause(s->base.conn);
		return false;
	case HTTP1_END:
		return in_end(s, &out->head);
	case HTTP1_BAD:
		malformed(s, out);
		return false;
	}
	return false;
}

/* One event; false when there is nothing more to do with what is there. */
static bool in_step(struct h1server *s, const uint8_t *p, size_t n, size_t *used)
{
	size_t small = s->small->n;
	size_t max = s->at == H1S_BODY ? s->hx->x.req_credit - small : SIZE_MAX;
	struct http1_out out;
	enum http1_got got;

	if (s->at == H1S_WAIT)
		return false;
	got = http1_next(&s->in, p, n, max, &out);
	*used += out.used;
	if (got == HTTP1_DATA && gather(s, out.data))
		return true;
	if (!in_gathered(s))
		return false;
	if (got == HTTP1_HELD && small)
		return true; /* there may be credit for it by now */
	return in_got(s, got, &out);
}

/* All that was there is read, and it ended between requests or within a head. */
static void between(struct h1server *s)
{
	if (s->eof)
		give_up(s, conn_finish);
	else if (s->unread && s->base.cfg->head_timeout && !timer_is_set(&s->slow))
		timer_set(&s->slow, s->base.cfg->head_timeout);
}

static void on_slow(struct timer *t)
{
	struct h1server *s = container_of(t, struct h1server, slow);
	struct err e;

	if (!s->base.conn || s->at != H1S_HEAD)
		return;
	err_set(&e, ERR_TIMEOUT, "the request's head was not whole within %llu ms",
		(unsigned long long)(s->base.cfg->head_timeout / NS_PER_MS));
	s->is_head = false;
	refuse(s, 408, &e);
}

static size_t on_in(struct conn *c, void *arg, const uint8_t *p, size_t n)
{
	struct h1server *s = h1s_cast(arg);
	struct gathered small;
	size_t used = 0;
	bool more = true;

	(void)c;
	small.n = 0;
	s->small = &small;
	s->seen = true;
	s->reading = true;
	s->held = false;
	while (more && s->base.conn)
		more = in_step(s, p + used, n - used, &used);
	s->reading = false;
	s->small = NULL;
	s->unread = used < n;
	if (s->base.conn && s->at == H1S_HEAD)
		between(s);
	return used;
}

static void on_eof(struct conn *c, void *arg)
{
	struct h1server *s = h1s_cast(arg);

	(void)c;
	s->eof = true;
	if (s->at == H1S_WAIT)
		return; /* a client may half-close and wait for what it asked for */
	if (s->at == H1S_BODY && s->hx && s->hx->x.tunnel)
		exch_req_end(&s->hx->x, NULL);
	else
		give_up(s, conn_finish);
}

static void on_room(struct conn *c, void *arg)
{
	struct h1server *s = h1s_cast(arg);
	size_t n = s->owed;

	(void)c;
	s->owed = 0;
	if (n && s->hx)
		exch_rsp_credit(&s->hx->x, n);
}

static const struct conn_user h1_user = {
	.on_in = on_in, .on_eof = on_eof, .on_room = on_room, .on_gone = on_gone};

/* Between requests, and nothing of the next is there. */
static bool is_idle(const struct h1server *s)
{
	return !s->hx && s->at == H1S_HEAD && !s->unread;
}

static void on_idle(struct timer *t)
{
	struct h1server *s = container_of(t, struct h1server, idle);
	uint64_t limit = s->base.cfg->idle_timeout;
	uint64_t idle = loop_now(s->loop) - s->idle_since;

	if (s->draining) {
		if (is_idle(s))
			give_up(s, conn_finish);
		return;
	}
	if (s->hx || s->at != H1S_HEAD)
		timer_set(t, limit);
	else if (idle < limit)
		timer_set(t, limit - idle);
	else
		give_up(s, conn_finish);
}

/* ---- what users call ---- */

static void h1s_drain(struct http_server *base)
{
	struct h1server *s = (struct h1server *)base;

	s->draining = true;
	if (!is_idle(s))
		return;
	if (s->seen)
		give_up(s, conn_finish);
	else /* what the conn has kept was not shown yet */
		timer_set(&s->idle, NOTICE);
}

static void h1s_end(struct http_server *base)
{
	struct h1server *s = (struct h1server *)base;
	struct err why;

	s->told = true;
	give_up(s, conn_end);
	if (s->hx) {
		err_set(&why, ERR_CLOSED, "the server ends");
		exch_cancel(&s->hx->x, &why);
	}
	if (s->hx) { /* not begun yet: it ends when somebody does */
		s->hx->s = NULL;
		s->hx = NULL;
	}
}

static size_t h1s_open(const struct http_server *base)
{
	return ((const struct h1server *)base)->hx != NULL;
}

static struct conn *h1s_take(struct http_server *base, struct exch *x)
{
	struct h1server *s = (struct h1server *)base;
	struct conn *c = base->conn;
	struct h1_text t = text_begin(s);

	if (!c || s->minor == 0 || !s->may_tunnel || s->at == H1S_DRAIN || !s->hx ||
		x != &s->hx->x || x->head_sent || x->req.length != 0)
		return NULL;
	h1_write_response(&t, &x->rsp, H1_NONE, (struct h1_hop){0});
	if (t.full)
		return NULL;
	conn_write(c, t.p, t.n);
	if (!base->conn)
		return NULL;
	base->conn = NULL;
	loop_later(s->loop, &s->end);
	return c;
}

static const struct http_server_ops h1_ops = {
	.drain = h1s_drain, .end = h1s_end, .open = h1s_open, .take = h1s_take};

struct http_server *h1_server_new(
	struct conn *c, const struct http_server_config *cfg, struct err *e)
{
	struct h1server *s = calloc(1, sizeof *s);

	if (!s) {
		err_set(e, ERR_LIMIT, "no memory for a connection");
		return NULL;
	}
	s->base.ops = &h1_ops;
	s->magic = H1SERVER_MAGIC;
	s->loop = c->loop;
	http1_init(
		&s->in, HTTP1_REQUEST, cfg->head_max ? cfg->head_max : HTTP_HEAD_MAX);
	later_init(&s->end, on_end);
	timer_init(&s->idle, c->loop, on_idle);
	timer_init(&s->slow, c->loop, on_slow);
	s->idle_since = loop_now(c->loop);
	if (cfg->idle_timeout)
		timer_set(&s->idle, cfg->idle_timeout);
	conn_use(c, &h1_user, s);
	if (cfg->head_max > c->hold)
		c->hold = cfg->head_max;
	return &s->base;
}
