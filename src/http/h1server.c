/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "http/h1head.h"
#include "http/serverint.h"

enum h1s_at {
	H1S_HEAD, /* wait for a request head */
	H1S_BODY, /* read the request's body */
	H1S_WAIT, /* the request is complete, its response is not */
	H1S_OVER, /* no more on this connection */
};

struct h1exch {        /* an exchange and its memory, in one piece */
	struct exch x; /* first */
	struct arena arena;
	struct h1server *server; /* NULL once the connection is gone */
};

struct h1server {
	struct http_server base; /* first */
	unsigned magic;
	enum h1s_at at;
	struct h1exch *now;  /* being served */
	struct h1exch *done; /* to be freed at the end of the turn */
	struct http1 in;
	size_t scanned;
	size_t owed; /* response bytes written, credit for which is held back */
	bool minor0, head_method, close, keep_alive, chunked, draining;
	bool taken; /* the conn was given away */
	struct later later;
	struct timer idle;
	struct err why;
};

#define H1SERVER_MAGIC 0x415e0001u
#define RSP_CREDIT     ((size_t)128 * 1024)
#define EXCH_ARENA     ((size_t)1024 * 1024)

static struct h1server *server_of(const struct exch *x)
{
	return ((const struct h1exch *)x)->server;
}

static void settle(struct h1server *s)
{
	loop_later(s->base.conn->loop, &s->later);
}

/* ---- the end of the connection ---- */

static void h1exch_free(struct h1exch *hx)
{
	if (!hx)
		return;
	arena_fini(&hx->arena);
	free(hx);
}

static void free_all(struct h1server *s)
{
	later_clear(&s->later);
	timer_clear(&s->idle);
	http1_reset(&s->in);
	h1exch_free(s->done);
	s->magic = 0;
	free(s);
}

/* The connection is over: its exchange fails, then the user is told. */
static void gone(struct h1server *s, const struct err *e)
{
	const struct http_server_user *user = s->base.user;
	void *arg = s->base.arg;
	struct err why = *e, lost;

	s->at = H1S_OVER;
	s->base.conn = NULL;
	if (s->now) {
		if (why.code == ERR_NONE)
			err_set(&lost, ERR_CLOSED, "the client has closed");
		else
			lost = why;
		exch_cancel(&s->now->x, &lost);
	}
	free_all(s);
	user->on_gone(arg, &why);
}

static void close_in_order(struct h1server *s)
{
	struct err ok = {.code = ERR_NONE};

	conn_finish(s->base.conn);
	gone(s, &ok);
}

/* ---- requests ---- */

static const struct source h1_source;

static void answer_bare(struct h1server *s, int status)
{
	char text[160];
	int n = snprintf(text, sizeof text,
		"HTTP/1.1 %d %s\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
		status, status_reason(status));

	conn_write(s->base.conn, text, (size_t)n);
	s->close = true;
	s->at = H1S_OVER;
	settle(s);
}

static void on_body(void *arg, const uint8_t *p, size_t n)
{
	struct h1server *s = arg;

	if (s->now && s->now->x.at != EXCH_OVER)
		exch_req_data(&s->now->x, p, n);
}

static struct h1exch *h1exch_new(struct h1server *s)
{
	struct h1exch *hx = calloc(1, sizeof *hx);

	if (!hx)
		return NULL;
	arena_init(&hx->arena, EXCH_ARENA);
	hx->server = s;
	hx->x.arena = &hx->arena;
	hx->x.loop = s->base.conn->loop;
	hx->x.source = &h1_source;
	hx->x.source_arg = s;
	hx->x.conn_ctx = s->base.arg;
	return hx;
}

/* A copy in the exchange's arena is what the head's slices point into. */
static int read_head(struct h1server *s, struct h1exch *hx, const uint8_t *p, size_t n,
	struct h1_hop *hop, struct err *e)
{
	struct http1_head head;
	char *text = arena_alloc(&hx->arena, n);

	if (!text)
		return err_set(e, ERR_LIMIT, "no memory for a request");
	memcpy(text, p, n);
	if (http1_parse(&s->in, HTTP1_REQUEST, text, n, &head, e) < 0)
		return -1;
	return h1_request(&head, &hx->arena, &hx->x.req, hop, e);
}

static void end_request(struct h1server *s);

static void begin_exchange(struct h1server *s, const uint8_t *p, size_t n)
{
	struct h1exch *hx = h1exch_new(s);
	struct h1_hop hop;
	struct err e;

	timer_clear(&s->idle);
	s->scanned = 0;
	s->minor0 = false;
	if (!hx || read_head(s, hx, p, n, &hop, &e) < 0) {
		h1exch_free(hx);
		answer_bare(s, hx ? status_of_error(&e) : 503);
		return;
	}
	s->minor0 = hx->x.req.version == HTTP_1_0;
	s->head_method = slice_is(hx->x.req.method, "HEAD");
	s->keep_alive = s->minor0 && hop.keep_alive;
	s->close = hop.close || s->draining;
	s->now = hx;
	s->owed = 0;
	http1_expect(&s->in, hop.framing, (uint64_t)hx->x.req.length);
	s->in.on_data = on_body;
	s->in.arg = s;
	s->in.head_max = server_head_max(&s->base);
	s->at = H1S_BODY;
	s->base.user->on_exch(s->base.arg, &hx->x);
	if (hop.framing == HTTP1_NO_BODY && s->now == hx)
		end_request(s);
}

/* A field value or name from the parser's memory, in the exchange's. */
static struct slice keep(struct arena *a, struct slice s)
{
	char *p = arena_alloc(a, s.n + 1);

	if (!p)
		return SLICE("");
	if (s.n)
		memcpy(p, s.p, s.n);
	return (struct slice){p, s.n};
}

static const struct fields *trailers_of(struct http1 *in, struct arena *a)
{
	struct fields *f = NULL;
	struct http1_field one;
	size_t at = 0;

	while (http1_trailer(in, &at, &one)) {
		if (!f)
			f = arena_alloc(a, sizeof *f);
		if (!f || fields_add(f, a, keep(a, one.name), keep(a, one.value)) < 0)
			break;
	}
	return f;
}

static void end_request(struct h1server *s)
{
	struct h1exch *hx = s->now;

	s->at = H1S_WAIT;
	exch_req_end(&hx->x, trailers_of(&s->in, &hx->arena));
}

/* Hands over as much of the body as there is credit for. */
static size_t read_body(struct h1server *s, const uint8_t *p, size_t n)
{
	struct exch *x = &s->now->x;
	size_t give = n < x->req_credit ? n : x->req_credit, used;
	struct err e;
	int r;

	if (!give) {
		if (n)
			conn_pause(s->base.conn);
		return 0;
	}
	r = http1_body(&s->in, p, give, &used, &e);
	if (r < 0) {
		s->close = true;
		if (s->now)
			exch_cancel(x, &e);
		return n;
	}
	if (r > 0 && s->now && s->at == H1S_BODY)
		end_request(s);
	return used;
}

static size_t skip_blank_lines(const uint8_t *p, size_t n)
{
	size_t i = 0;

	while (i < n && i < 8 && (p[i] == '\r' || p[i] == '\n'))
		i++;
	return i;
}

static size_t read_request(struct h1server *s, const uint8_t *p, size_t n)
{
	size_t skip = s->scanned ? 0 : skip_blank_lines(p, n);
	size_t end = http1_head_end(p + skip, n - skip, &s->scanned);

	if (end && end <= server_head_max(&s->base)) {
		begin_exchange(s, p + skip, end);
		return skip + end;
	}
	if (end || n - skip >= server_head_max(&s->base) || n - skip >= CONN_HELD) {
		answer_bare(s, 431);
		return n;
	}
	return skip;
}

static size_t h1_in(struct conn *c, void *arg, const uint8_t *p, size_t n)
{
	struct h1server *s = obj_cast(struct h1server, arg, H1SERVER_MAGIC);
	size_t used = 0, one;

	while (used < n) {
		enum h1s_at at = s->at;

		if (at == H1S_OVER)
			return s->taken ? used : n;
		if (at == H1S_WAIT) { /* pipelined: its turn comes */
			conn_pause(c);
			break;
		}
		one = at == H1S_HEAD ? read_request(s, p + used, n - used)
				     : read_body(s, p + used, n - used);
		used += one;
		if (!one && at == s->at)
			break;
	}
	return used;
}

/* ---- responses ---- */

static void on_info(struct exch *x, const struct rsp_head *head)
{
	struct h1server *s = server_of(x);
	struct h1_response_opts o = {0};
	char *to;

	if (!s || s->minor0)
		return;
	to = (char *)loop_scratch(x->loop, 2);
	conn_write(s->base.conn, to, h1_write_response(head, &o, to));
}

static bool has_body(const struct h1server *s, const struct rsp_head *h)
{
	return !s->head_method && h->status >= 200 && h->status != 204 &&
	       h->status != 304;
}

static void on_head(struct exch *x)
{
	struct h1server *s = server_of(x);
	bool body = has_body(s, &x->rsp);
	char *to = (char *)loop_scratch(x->loop, 2);
	size_t n;

	s->chunked = body && x->rsp.length == BODY_UNKNOWN && !s->minor0;
	if ((body && x->rsp.length == BODY_UNKNOWN && s->minor0) || x->rsp.close ||
		s->draining)
		s->close = true;
	if (x->rsp.status == 101 ||
		(slice_is(x->req.method, "CONNECT") && x->rsp.status / 100 == 2)) {
		s->chunked = false;
		s->close = true;
		http1_expect(&s->in, HTTP1_TUNNEL, 0);
	}
	struct h1_response_opts o = {.minor0 = s->minor0,
		.head_only = s->head_method,
		.close = s->close,
		.keep_alive = s->keep_alive,
		.chunked = s->chunked};
	n = h1_write_response(&x->rsp, &o, to);
	if (!n) {
		struct err e;

		err_set(&e, ERR_LIMIT, "the response's head is too large");
		x->head_sent = false;
		exch_cancel(x, &e);
		return;
	}
	conn_write(s->base.conn, to, n);
	exch_rsp_credit(x, RSP_CREDIT);
}

static void grant(struct h1server *s)
{
	size_t n = s->owed;

	if (!n || conn_backlog(s->base.conn) > CONN_HIGH)
		return;
	s->owed = 0;
	exch_rsp_credit(&s->now->x, n);
}

static void on_data(struct exch *x, const uint8_t *p, size_t n)
{
	struct h1server *s = server_of(x);
	char size[24];

	if (s->head_method || n == 0)
		return;
	if (s->chunked)
		conn_write(s->base.conn, size,
			(size_t)snprintf(size, sizeof size, "%zx\r\n", n));
	conn_write(s->base.conn, p, n);
	if (s->chunked)
		conn_write(s->base.conn, "\r\n", 2);
	s->owed += n;
	grant(s);
}

static void on_end(struct exch *x, const struct fields *trailers)
{
	struct h1server *s = server_of(x);
	char *to = (char *)loop_scratch(x->loop, 2);
	struct err ok = {.code = ERR_NONE};

	if (s->chunked)
		conn_write(s->base.conn, to, h1_write_last_chunk(trailers, to));
	if (!x->req_ended) { /* an early answer: what the client still sends is of no
				use */
		s->close = true;
		exch_cancel(x, &ok);
	}
}

static void on_credit(struct exch *x, size_t n)
{
	struct h1server *s = server_of(x);

	(void)n;
	if (s && s->base.conn && s->base.conn->is_paused)
		conn_resume(s->base.conn);
}

static void on_over(struct exch *x)
{
	struct h1exch *hx = (struct h1exch *)x;
	struct h1server *s = hx->server;

	s->now = NULL;
	h1exch_free(s->done);
	s->done = hx;
	if (!s->base.conn)
		return; /* gone() is on its way */
	if (x->err.code != ERR_NONE && !x->head_sent) {
		answer_bare(s, status_of_error(&x->err));
		return;
	}
	if (x->err.code !=
		ERR_NONE) { /* cut short: a reset says so, whatever the framing */
		s->why = x->err;
		s->at = H1S_OVER;
	}
	settle(s);
}

static const struct source h1_source = {.info = on_info,
	.head = on_head,
	.data = on_data,
	.end = on_end,
	.credit = on_credit,
	.over = on_over};

/* ---- the connection ---- */

static void idle_begin(struct h1server *s)
{
	s->at = H1S_HEAD;
	http1_reset(&s->in);
	if (s->base.cfg->idle_timeout)
		timer_set(&s->idle, s->base.cfg->idle_timeout);
	conn_resume(s->base.conn);
}

/* At the end of the turn in which an exchange ended. */
static void on_later(struct later *d)
{
	struct h1server *s = container_of(d, struct h1server, later);

	struct err ok = {.code = ERR_NONE};

	h1exch_free(s->done);
	s->done = NULL;
	if (s->taken) {
		gone(s, &ok);
		return;
	}
	if (s->now)
		return;
	if (s->why.code != ERR_NONE) {
		conn_abort(s->base.conn);
		gone(s, &s->why);
	} else if (s->close || s->draining || s->at == H1S_OVER ||
		   s->base.conn->is_eof) {
		close_in_order(s);
	} else {
		idle_begin(s);
	}
}

static void on_idle(struct timer *t)
{
	close_in_order(container_of(t, struct h1server, idle));
}

static void h1_room(struct conn *c, void *arg)
{
	struct h1server *s = obj_cast(struct h1server, arg, H1SERVER_MAGIC);

	(void)c;
	if (s->now)
		grant(s);
}

/* A client may half-close after its request, and still wants the response. */
static void h1_eof(struct conn *c, void *arg)
{
	struct h1server *s = obj_cast(struct h1server, arg, H1SERVER_MAGIC);
	struct err e;

	(void)c;
	if (!s->now) {
		close_in_order(s);
		return;
	}
	if (s->at != H1S_BODY)
		return;
	if (s->in.framing == HTTP1_TUNNEL) {
		end_request(s);
		return;
	}
	s->close = true;
	err_set(&e, ERR_CLOSED, "the client closed in the middle of its request");
	exch_cancel(&s->now->x, &e);
}

static void h1_gone(struct conn *c, void *arg, const struct err *e)
{
	(void)c;
	gone(obj_cast(struct h1server, arg, H1SERVER_MAGIC), e);
}

static const struct conn_user h1_user = {
	.on_in = h1_in, .on_room = h1_room, .on_eof = h1_eof, .on_gone = h1_gone};

static void h1_drain(struct http_server *base)
{
	struct h1server *s = (struct h1server *)base;

	s->draining = true;
	if (!s->now)
		settle(s);
}

static void h1_end(struct http_server *base)
{
	struct h1server *s = (struct h1server *)base;
	struct conn *c = base->conn;
	struct err e;

	err_set(&e, ERR_CLOSED, "the server is ending");
	base->conn = NULL;
	s->at = H1S_OVER;
	if (s->now)
		exch_cancel(&s->now->x, &e);
	conn_end(c);
	free_all(s);
}

static size_t h1_open(const struct http_server *base)
{
	return ((const struct h1server *)base)->now != NULL;
}

static struct conn *h1_take(struct http_server *base, struct exch *x)
{
	struct h1server *s = (struct h1server *)base;
	struct h1_response_opts o = {0};
	char *to = (char *)loop_scratch(x->loop, 2);
	size_t n;

	if (s->minor0 || s->at != H1S_WAIT || !s->now || x != &s->now->x ||
		x->head_sent)
		return NULL;
	n = h1_write_response(&x->rsp, &o, to);
	if (!n)
		return NULL;
	conn_write(base->conn, to, n);
	s->at = H1S_OVER;
	s->taken = true;
	settle(s);
	return base->conn;
}

static const struct http_server_ops h1_ops = {
	.drain = h1_drain, .end = h1_end, .open = h1_open, .take = h1_take};

struct http_server *h1_server_new(struct conn *c, struct err *e)
{
	struct h1server *s = calloc(1, sizeof *s);

	if (!s) {
		err_set(e, ERR_LIMIT, "no memory for a connection");
		return NULL;
	}
	s->magic = H1SERVER_MAGIC;
	s->base.ops = &h1_ops;
	later_init(&s->later, on_later);
	timer_init(&s->idle, c->loop, on_idle);
	conn_use(c, &h1_user, s);
	return &s->base;
}
