/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/obj.h"
#include "http/clientint.h"
#include "http/h1head.h"

/*
 * HTTP/1 requests over a conn, one at a time.  Whatever ends the connection only says
 * so (`conn` becomes NULL) and asks for on_end() at the end of the turn.
 */
#define REQ_WINDOW ((size_t)64 * 1024)

#define H1CLIENT_MAGIC 0x41c10001u

struct h1client {
	struct http_client base;    /* first */
	struct client_stream entry; /* what x->service_arg points at */
	unsigned magic;
	struct loop *loop;
	struct http1 in;
	struct exch *x;
	struct later end;
	struct err *why;           /* why the conn is gone; NULL: in order */
	uint64_t mark, heard_mark; /* bytes out and in before this request */
	uint64_t sent, heard;      /* bytes out and in when the conn ended */
	bool kept;                 /* it has carried an exchange before this one */
	bool lost;                 /* the peer ended the conn */
	size_t owed;               /* request credit to give when there is room */
	bool chunked;              /* this request's body */
	bool is_head, tunnel;
	bool close;    /* after this exchange */
	bool closing;  /* on_closing was called */
	bool held;     /* the conn is paused for want of credit */
	bool answered; /* the final response's head has come */
	bool told;     /* http_client_end() was called: no callbacks are wanted */
};

static const struct http_client_ops h1_ops;

static struct h1client *h1c_cast(void *arg)
{
	return obj_cast(struct h1client, arg, H1CLIENT_MAGIC);
}

static struct h1client *h1c_of(struct exch *x)
{
	return container_of(x->service_arg, struct h1client, entry);
}

/* ---- the end ---- */

static void left(struct h1client *c)
{
	c->sent = c->base.conn->bytes_out;
	c->heard = c->base.conn->bytes_in;
	c->base.conn = NULL;
	loop_later(c->loop, &c->end);
}

static void give_up(struct h1client *c, void (*how)(struct conn *))
{
	struct conn *conn = c->base.conn;

	if (!conn)
		return;
	left(c);
	how(conn);
}

static void keep_why(struct h1client *c, const struct err *e)
{
	if (c->why || e->code == ERR_NONE)
		return;
	c->why = malloc(sizeof *c->why);
	if (c->why)
		*c->why = *e;
}

static void on_gone(struct conn *conn, void *arg, const struct err *e)
{
	struct h1client *c = h1c_cast(arg);

	(void)conn;
	c->lost = true;
	left(c);
	keep_why(c, e);
}

static void closing(struct h1client *c)
{
	if (c->closing)
		return;
	c->closing = true;
	if (!c->told && c->base.user->on_closing)
		c->base.user->on_closing(c->base.arg, &c->base);
}

/* Takes the exchange off the client; calls about it mean nothing from here on. */
static struct exch *detach(struct h1client *c)
{
	struct exch *x = c->x;

	c->x = NULL;
	c->owed = 0;
	if (x)
		x->service_arg = NULL;
	return x;
}

/* The server closed an idle connection as the request was on its way to it. */
static bool is_race(const struct h1client *c, const struct exch *x)
{
	return x->unheard && c->kept && method_is_idempotent(x->req.method);
}

static void fail_exch(struct h1client *c)
{
	struct exch *x = detach(c);
	struct err why;

	if (!x)
		return;
	if (c->why)
		why = *c->why;
	else
		err_set(&why, ERR_CLOSED, "the server closed the connection");
	x->touched |= c->sent > c->mark;
	x->unheard = c->lost && c->heard == c->heard_mark;
	x->raced = is_race(c, x);
	exch_fail(x, &why);
}

static void on_end(struct later *d)
{
	struct h1client *c = container_of(d, struct h1client, end);
	struct err ok = {.code = ERR_NONE};

	closing(c);
	fail_exch(c);
	if (!c->told && c->base.user->on_gone)
		c->base.user->on_gone(c->base.arg, &c->base, c->why ? c->why : &ok);
	later_clear(&c->end);
	free(c->why);
	c->magic = 0;
	free(c);
}

/* ---- requests ---- */

static struct h1_text text_begin(struct h1client *c)
{
	return (struct h1_text){
		.p = (char *)loop_scratch(c->loop, 2), .cap = LOOP_SCRATCH};
}

static void too_large(struct h1client *c)
{
	struct exch *x = detach(c);
	struct err e;

	err_set(&e, ERR_LIMIT, "the request's head is too large");
	exch_fail(x, &e);
}

static void h1c_begin(struct http_client *base, struct exch *x)
{
	struct h1client *c = (struct h1client *)base;
	enum h1_framing framing = h1_request_framing(&x->req);
	struct h1_text t = text_begin(c);

	must(!c->x);
	c->x = x;
	x->service_arg = &c->entry;
	c->chunked = framing == H1_CHUNKED;
	c->is_head = slice_is(x->req.method, "HEAD");
	c->answered = c->tunnel = false;
	c->owed = 0;
	if (!base->conn)
		return; /* on_end() fails it */
	c->mark = base->conn->bytes_out;
	c->heard_mark = base->conn->bytes_in;
	h1_write_request(&t, &x->req, framing);
	if (h1_text_grow(&t, x->arena, client_head_max(base)))
		h1_write_request(&t, &x->req, framing);
	if (t.full) {
		too_large(c);
		return;
	}
	conn_write(base->conn, t.p, t.n);
	http1_answers(&c->in, c->is_head, slice_is(x->req.method, "CONNECT"));
	exch_replay(x);
	if (!x->req_ended)
		exch_req_credit(x, REQ_WINDOW);
}

static void give_credit(struct h1client *c, size_t n)
{
	if (!c->base.conn)
		return;
	if (conn_backlog(c->base.conn) <= CONN_HIGH)
		exch_req_credit(c->x, n);
	else
		c->owed += n;
}

static void h1c_data(struct exch *x, const uint8_t *p, size_t n)
{
	struct h1client *c = h1c_of(x);
	struct conn *conn = c->base.conn;
	bool chunked = c->chunked && !c->tunnel;
	char size[24];
	struct h1_text t = {.p = size, .cap = sizeof size};

	if (!conn)
		return;
	if (chunked) {
		h1_write_chunk_size(&t, n);
		conn_write(conn, t.p, t.n);
	}
	if (c->base.conn)
		conn_write(conn, p, n);
	if (chunked && c->base.conn)
		conn_write(conn, "\r\n", 2);
	give_credit(c, n);
}

static void end_tunnel(struct h1client *c, bool both)
{
	if (!both) {
		conn_shutdown(c->base.conn);
		return;
	}
	detach(c);
	give_up(c, conn_finish);
	closing(c);
}

static void h1c_end_body(struct exch *x, const struct fields *trailers)
{
	struct h1client *c = h1c_of(x);
	struct h1_text t;

	if (!c->base.conn)
		return;
	if (c->tunnel) {
		end_tunnel(c, x->rsp_ended);
		return;
	}
	if (!c->chunked)
		return;
	t = text_begin(c);
	h1_write_trailers(&t, trailers);
	if (h1_text_grow(&t, x->arena, client_head_max(&c->base)))
		h1_write_trailers(&t, trailers);
	if (t.full)
		give_up(c, conn_abort);
	else
		conn_write(c->base.conn, t.p, t.n);
}

static void h1c_credit(struct exch *x, size_t n)
{
	struct h1client *c = h1c_of(x);

	(void)n;
	if (!c->held || !c->base.conn)
		return;
	c->held = false;
	conn_resume(c->base.conn);
}

/* The response that would follow is nobody's: the connection cannot be used again. */
static void h1c_cancel(struct exch *x)
{
	struct h1client *c = h1c_of(x);

	detach(c);
	give_up(c, conn_end);
	closing(c);
}

/* ---- responses ---- */

static void broken(struct h1client *c, enum errc code, const char *why)
{
	struct err e;

	err_set(&e, code, "%s", why);
	keep_why(c, &e);
	give_up(c, conn_end);
}

static void malformed(struct h1client *c, const struct http1_out *out)
{
	struct err e;

	http1_explain(&c->in, out, &e);
	err_wrap(&e, "malformed response");
	keep_why(c, &e);
	give_up(c, conn_end);
}

static void in_info(struct h1client *c, const struct http1_head *head)
{
	struct rsp_head info;
	struct h1_hop hop;

	if (h1_read_response(head, c->x->arena, &info, &hop)) {
		broken(c, ERR_LIMIT, "too many informational responses");
		return;
	}
	exch_info(c->x, &info);
}

static void in_head(struct h1client *c, const struct http1_head *head)
{
	struct h1_hop hop;
	struct exch *x = c->x;

	if (!x || c->answered) {
		broken(c, ERR_SYNTAX, "a response to nothing");
		return;
	}
	if (head->status / 100 == 1 && !head->upgrade) {
		in_info(c, head);
		return;
	}
	if (head->status == 101 && !x->req.upgrade.n) {
		broken(c, ERR_SYNTAX, "101 without a request to upgrade");
		return;
	}
	if (h1_read_response(head, x->arena, &x->rsp, &hop)) {
		broken(c, ERR_LIMIT, "no room for the response's head");
		return;
	}
	c->answered = true;
	c->tunnel = head->upgrade;
	c->close |= hop.close || head->upgrade || head->until_end;
	if (hop.idle)
		c->base.idle_limit = hop.idle * NS_PER_S;
	exch_response(x);
}

static void idle(struct h1client *c)
{
	c->answered = c->tunnel = false;
	c->kept = true;
	if (c->close) {
		give_up(c, conn_finish);
		closing(c);
		return;
	}
	if (c->base.user->on_idle)
		c->base.user->on_idle(c->base.arg, &c->base);
	if (c->base.conn && !c->x && !c->close && c->base.user->on_room)
		c->base.user->on_room(c->base.arg, &c->base);
}

static void in_end(struct h1client *c, const struct http1_head *head)
{
	struct exch *x = c->x;
	struct fields *trailers = NULL;

	if (head && head->nfields) {
		trailers = arena_alloc(x->arena, sizeof *trailers);
		if (!trailers || h1_read_trailers(head, x->arena, trailers))
			trailers = NULL;
	}
	if (c->tunnel && !x->req_ended) { /* the other direction goes on */
		exch_rsp_end(x, NULL);
		return;
	}
	c->close |= !x->req_ended;
	detach(c);
	exch_rsp_end(x, trailers);
	if (c->base.conn)
		idle(c);
}

static bool in_step(struct h1client *c, const uint8_t *p, size_t n, size_t *used)
{
	struct http1_out out;
	size_t max = c->x ? c->x->rsp_credit : 0;
	enum http1_got got = http1_next(&c->in, p, n, max, &out);

	*used += out.used;
	switch (got) {
	case HTTP1_MORE:
		return false;
	case HTTP1_HEAD:
		in_head(c, &out.head);
		return true;
	case HTTP1_DATA:
		exch_rsp_data(c->x, (const uint8_t *)out.data.p, out.data.n);
		return true;
	case HTTP1_HELD:
		c->held = true;
		conn_pause(c->base.conn);
		return false;
	case HTTP1_END:
		in_end(c, &out.head);
		return true;
	case HTTP1_BAD:
		malformed(c, &out);
		return false;
	}
	return false;
}

static size_t on_in(struct conn *conn, void *arg, const uint8_t *p, size_t n)
{
	struct h1client *c = h1c_cast(arg);
	size_t used = 0;
	bool more = true;

	(void)conn;
	c->held = false;
	if (!c->x && n) {
		broken(c, ERR_SYNTAX, "bytes without a request");
		return n;
	}
	while (more && c->base.conn)
		more = in_step(c, p + used, n - used, &used);
	if (c->base.conn && !c->x && used < n)
		broken(c, ERR_SYNTAX, "bytes behind the response");
	return used;
}

static void on_eof(struct conn *conn, void *arg)
{
	struct h1client *c = h1c_cast(arg);
	enum http1_got got = http1_eof(&c->in);

	(void)conn;
	c->close = c->lost = true;
	closing(c);
	if (got == HTTP1_END && c->x)
		in_end(c, NULL);
	else if (got == HTTP1_BAD)
		broken(c, ERR_CLOSED, "the response is cut short");
	else /* a request that has not left must not: it will be sent elsewhere */
		give_up(c, c->x ? conn_end : conn_finish);
}

static void on_room(struct conn *conn, void *arg)
{
	struct h1client *c = h1c_cast(arg);
	size_t n = c->owed;

	(void)conn;
	c->owed = 0;
	if (n && c->x)
		exch_req_credit(c->x, n);
}

static const struct conn_user h1_user = {
	.on_in = on_in, .on_eof = on_eof, .on_room = on_room, .on_gone = on_gone};

/* ---- what users call ---- */

static bool h1c_has_room(const struct http_client *base)
{
	const struct h1client *c = (const struct h1client *)base;

	return base->conn && !c->x && !c->close;
}

static size_t h1c_open(const struct http_client *base)
{
	return ((const struct h1client *)base)->x != NULL;
}

static void h1c_drain(struct http_client *base)
{
	struct h1client *c = (struct h1client *)base;

	c->close = true;
	if (!c->x)
		give_up(c, conn_finish);
	closing(c);
}

static void h1c_end(struct http_client *base)
{
	struct h1client *c = (struct h1client *)base;

	c->told = true;
	if (c->base.conn)
		give_up(c, conn_end);
	fail_exch(c);
}

static const struct http_client_ops h1_ops = {.has_room = h1c_has_room,
	.open = h1c_open,
	.begin = h1c_begin,
	.data = h1c_data,
	.end_body = h1c_end_body,
	.credit = h1c_credit,
	.cancel = h1c_cancel,
	.drain = h1c_drain,
	.end = h1c_end};

struct http_client *h1_client_new(
	struct conn *conn, const struct http_client_config *cfg, struct err *e)
{
	struct h1client *c = calloc(1, sizeof *c);

	if (!c) {
		err_set(e, ERR_LIMIT, "no memory for a connection");
		return NULL;
	}
	c->base.ops = &h1_ops;
	c->entry.client = &c->base;
	c->magic = H1CLIENT_MAGIC;
	c->loop = conn->loop;
	http1_init(
		&c->in, HTTP1_RESPONSE, cfg->head_max ? cfg->head_max : HTTP_HEAD_MAX);
	later_init(&c->end, on_end);
	conn_use(conn, &h1_user, c);
	if (cfg->head_max > conn->hold)
		conn->hold = cfg->head_max;
	return &c->base;
}
