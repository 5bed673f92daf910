/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "http/clientint.h"
#include "http/h1head.h"

enum h1c_at {
	H1C_IDLE,
	H1C_HEAD, /* wait for a response head */
	H1C_BODY, /* read the response's body */
	H1C_OVER,
};

struct h1client {
	struct http_client base; /* first */
	unsigned magic;
	struct client_stream stream;
	enum h1c_at at;
	struct exch *x;
	struct http1 in;
	size_t scanned, owed;
	bool chunked;  /* the request's body */
	bool req_done; /* all of the request is written */
	bool close;    /* not to be used again */
	bool told_closing;
	struct later later; /* what an ended exchange leaves to do */
	struct err why;
};

#define H1CLIENT_MAGIC 0x41c10001u
#define REQ_CREDIT     ((size_t)64 * 1024)

static struct h1client *h1_of(const struct exch *x)
{
	return container_of(
		(struct client_stream *)x->service_arg, struct h1client, stream);
}

static void settle(struct h1client *c)
{
	if (c->base.conn)
		loop_later(c->base.conn->loop, &c->later);
}

/* ---- the end ---- */

static void free_all(struct h1client *c)
{
	later_clear(&c->later);
	http1_reset(&c->in);
	c->magic = 0;
	free(c);
}

static void gone(struct h1client *c, const struct err *e)
{
	const struct http_client_user *user = c->base.user;
	void *arg = c->base.arg;
	struct err why = *e, lost;
	struct exch *x = c->x;

	c->base.conn = NULL;
	c->at = H1C_OVER;
	c->x = NULL;
	if (x) {
		lost = why;
		if (why.code == ERR_NONE)
			err_set(&lost, ERR_CLOSED,
				"the server closed without a response");
		exch_fail(x, &lost);
	}
	user->on_gone(arg, &c->base, &why);
	free_all(c);
}

static void say_closing(struct h1client *c)
{
	if (!c->told_closing && c->base.user->on_closing)
		c->base.user->on_closing(c->base.arg, &c->base);
	c->told_closing = true;
}

/* At the end of the turn in which an exchange ended. */
static void on_later(struct later *d)
{
	struct h1client *c = container_of(d, struct h1client, later);
	struct err ok = {.code = ERR_NONE};

	if (c->x || !c->base.conn)
		return;
	if (c->why.code != ERR_NONE) {
		conn_abort(c->base.conn);
		gone(c, &c->why);
	} else if (c->close) {
		conn_finish(c->base.conn);
		gone(c, &ok);
	}
}

/* The response is complete: the connection is idle again, or ends. */
static void finished(struct h1client *c, const struct fields *trailers)
{
	struct exch *x = c->x;

	if (!c->req_done)
		c->close = true; /* the rest of the request cannot be recalled */
	c->x = NULL;
	c->at = c->close ? H1C_OVER : H1C_IDLE;
	if (c->close)
		say_closing(c);
	exch_rsp_end(x, trailers);
	if (!c->base.conn)
		return;
	if (c->close) {
		settle(c);
		return;
	}
	http1_reset(&c->in);
	if (c->base.user->on_room)
		c->base.user->on_room(c->base.arg, &c->base);
	if (!c->x && c->base.conn && c->base.user->on_idle)
		c->base.user->on_idle(c->base.arg, &c->base);
}

static void fail(struct h1client *c, const struct err *e)
{
	struct exch *x = c->x;

	c->x = NULL;
	c->at = H1C_OVER;
	c->close = true;
	c->why = *e;
	say_closing(c);
	settle(c);
	if (x)
		exch_fail(x, e);
}

/* ---- responses ---- */

static void on_body(void *arg, const uint8_t *p, size_t n)
{
	struct h1client *c = arg;

	if (c->x)
		exch_rsp_data(c->x, p, n);
}

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

static int read_head(struct h1client *c, const uint8_t *p, size_t n,
	struct rsp_head *out, struct h1_hop *hop, struct err *e)
{
	struct http1_head head;
	char *text = arena_alloc(c->x->arena, n);

	if (!text)
		return err_set(e, ERR_LIMIT, "no memory for a response");
	memcpy(text, p, n);
	if (http1_parse(&c->in, HTTP1_RESPONSE, text, n, &head, e) < 0)
		return -1;
	return h1_response(&head, c->x->arena, c->x->req.method, out, hop, e);
}

static void begin_response(struct h1client *c, const uint8_t *p, size_t n)
{
	struct rsp_head head;
	struct h1_hop hop;
	struct err e;

	c->scanned = 0;
	if (read_head(c, p, n, &head, &hop, &e) < 0) {
		err_wrap(&e, "the server's response");
		fail(c, &e);
		return;
	}
	if (head.status < 200 && head.status != 101) {
		exch_info(c->x, &head);
		return;
	}
	if (head.status == 101 && !c->x->req.upgrade.n) {
		err_set(&e, ERR_SYNTAX, "the server switches protocols unasked");
		fail(c, &e);
		return;
	}
	c->x->rsp = head;
	c->close = hop.close || hop.framing == HTTP1_TUNNEL || c->close;
	c->in.on_data = on_body;
	c->in.arg = c;
	c->in.head_max = client_head_max(&c->base);
	http1_expect(&c->in, hop.framing, head.length > 0 ? (uint64_t)head.length : 0);
	c->at = H1C_BODY;
	exch_response(c->x);
	if (c->x && hop.framing == HTTP1_NO_BODY && c->at == H1C_BODY)
		finished(c, NULL);
}

static size_t read_body(struct h1client *c, const uint8_t *p, size_t n)
{
	struct exch *x = c->x;
	size_t give = n < x->rsp_credit ? n : x->rsp_credit, used;
	struct err e;
	int r;

	if (!give) {
		if (n)
			conn_pause(c->base.conn);
		return 0;
	}
	r = http1_body(&c->in, p, give, &used, &e);
	if (!c->x)
		return n;
	if (r < 0)
		fail(c, &e);
	else if (r > 0)
		finished(c, trailers_of(&c->in, x->arena));
	return r < 0 ? n : used;
}

static size_t read_response(struct h1client *c, const uint8_t *p, size_t n)
{
	size_t end = http1_head_end(p, n, &c->scanned);
	struct err e;

	if (end && end <= client_head_max(&c->base)) {
		begin_response(c, p, end);
		return end;
	}
	if (end || n >= client_head_max(&c->base) || n >= CONN_HELD) {
		err_set(&e, ERR_LIMIT, "the response's head is larger than %zu bytes",
			client_head_max(&c->base));
		fail(c, &e);
		return n;
	}
	return 0;
}

static size_t h1_in(struct conn *conn, void *arg, const uint8_t *p, size_t n)
{
	struct h1client *c = obj_cast(struct h1client, arg, H1CLIENT_MAGIC);
	size_t used = 0, one;
	struct err e;

	(void)conn;
	while (used < n) {
		enum h1c_at at = c->at;

		if (at == H1C_OVER)
			return n;
		if (at == H1C_IDLE) { /* such as a 408 before it closes */
			err_set(&e, ERR_SYNTAX, "the server spoke unasked");
			fail(c, &e);
			return n;
		}
		one = at == H1C_HEAD ? read_response(c, p + used, n - used)
				     : read_body(c, p + used, n - used);
		used += one;
		if (!one && at == c->at)
			break;
	}
	return used;
}

static void h1_eof(struct conn *conn, void *arg)
{
	struct h1client *c = obj_cast(struct h1client, arg, H1CLIENT_MAGIC);
	struct err e;

	(void)conn;
	c->close = true;
	say_closing(c);
	if (!c->x) {
		settle(c);
		return;
	}
	if (c->at == H1C_BODY &&
		(c->in.framing == HTTP1_UNTIL_CLOSE || c->in.framing == HTTP1_TUNNEL)) {
		finished(c, NULL);
		return;
	}
	err_set(&e, ERR_CLOSED, "the server closed %s",
		c->at == H1C_BODY ? "in the middle of its response"
				  : "without a response");
	fail(c, &e);
}

static void h1_gone(struct conn *conn, void *arg, const struct err *e)
{
	(void)conn;
	gone(obj_cast(struct h1client, arg, H1CLIENT_MAGIC), e);
}

/* ---- requests ---- */

static void h1_grant(struct h1client *c)
{
	size_t n = c->owed;

	if (!c->x || !n || conn_backlog(c->base.conn) > CONN_HIGH)
		return;
	c->owed = 0;
	exch_req_credit(c->x, n);
}

static void h1_room(struct conn *conn, void *arg)
{
	(void)conn;
	h1_grant(obj_cast(struct h1client, arg, H1CLIENT_MAGIC));
}

static const struct conn_user h1_user = {
	.on_in = h1_in, .on_room = h1_room, .on_eof = h1_eof, .on_gone = h1_gone};

static void h1_begin(struct http_client *base, struct exch *x)
{
	struct h1client *c = (struct h1client *)base;
	char *to = (char *)loop_scratch(x->loop, 2);
	bool tunnel = x->req.upgrade.n || slice_is(x->req.method, "CONNECT");
	struct err e;
	size_t n;

	must(!c->x && c->at == H1C_IDLE);
	c->chunked =
		x->req.length == BODY_UNKNOWN && !tunnel && x->req.version != HTTP_1_0;
	n = h1_write_request(&x->req, c->chunked, to);
	if (!n) {
		err_set(&e, ERR_LIMIT, "the request's head is too large");
		exch_fail(x, &e);
		return;
	}
	x->service_arg = &c->stream;
	c->x = x;
	c->at = H1C_HEAD;
	c->req_done = false;
	c->scanned = c->owed = 0;
	if (x->req.version == HTTP_1_0)
		c->close = true;
	x->touched = true;
	conn_write(base->conn, to, n);
	if (base->conn->is_paused)
		conn_resume(base->conn);
	exch_req_credit(x, REQ_CREDIT);
}

static void h1_data(struct exch *x, const uint8_t *p, size_t n)
{
	struct h1client *c = h1_of(x);
	char size[24];

	if (c->x != x || !n)
		return;
	if (c->chunked)
		conn_write(c->base.conn, size,
			(size_t)snprintf(size, sizeof size, "%zx\r\n", n));
	conn_write(c->base.conn, p, n);
	if (c->chunked)
		conn_write(c->base.conn, "\r\n", 2);
	c->owed += n;
	h1_grant(c);
}

static void h1_end_body(struct exch *x, const struct fields *trailers)
{
	struct h1client *c = h1_of(x);
	char *to = (char *)loop_scratch(x->loop, 2);

	if (c->x != x)
		return;
	c->req_done = true;
	if (c->chunked)
		conn_write(c->base.conn, to, h1_write_last_chunk(trailers, to));
	if (c->at == H1C_BODY && c->in.framing == HTTP1_TUNNEL)
		conn_shutdown(c->base.conn);
}

static void h1_credit(struct exch *x, size_t n)
{
	struct h1client *c = h1_of(x);

	(void)n;
	if (c->x == x && c->base.conn && c->base.conn->is_paused)
		conn_resume(c->base.conn);
}

static void h1_cancel(struct exch *x)
{
	struct h1client *c = h1_of(x);
	struct err e;

	if (c->x != x)
		return;
	c->x = NULL;
	err_set(&e, ERR_CLOSED, "the request was cancelled");
	fail(c, &e);
}

static bool h1_has_room(const struct http_client *base)
{
	const struct h1client *c = (const struct h1client *)base;

	return c->at == H1C_IDLE && !c->close && base->conn;
}

static size_t h1_open(const struct http_client *base)
{
	return ((const struct h1client *)base)->x != NULL;
}

static void h1_drain(struct http_client *base)
{
	struct h1client *c = (struct h1client *)base;

	c->close = true;
	if (!c->x)
		settle(c);
}

static void h1_end(struct http_client *base)
{
	struct h1client *c = (struct h1client *)base;
	struct exch *x = c->x;
	struct err e;

	c->x = NULL;
	c->at = H1C_OVER;
	err_set(&e, ERR_CLOSED, "the connection is being ended");
	if (base->conn)
		conn_end(base->conn);
	base->conn = NULL;
	if (x)
		exch_fail(x, &e);
	free_all(c);
}

static const struct http_client_ops h1_ops = {.has_room = h1_has_room,
	.open = h1_open,
	.begin = h1_begin,
	.data = h1_data,
	.end_body = h1_end_body,
	.credit = h1_credit,
	.cancel = h1_cancel,
	.drain = h1_drain,
	.end = h1_end};

struct http_client *h1_client_new(struct conn *conn, struct err *e)
{
	struct h1client *c = calloc(1, sizeof *c);

	if (!c) {
		err_set(e, ERR_LIMIT, "no memory for a connection");
		return NULL;
	}
	c->magic = H1CLIENT_MAGIC;
	c->base.ops = &h1_ops;
	c->stream.client = &c->base;
	later_init(&c->later, on_later);
	conn_use(conn, &h1_user, c);
	return &c->base;
}
