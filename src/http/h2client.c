/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "http/clientint.h"
#include "http/h2.h"

struct h2client {
	struct http_client base; /* first */
	unsigned magic;
	struct h2 h2;
	size_t taken; /* exchanges begun here and not ended */
	bool closing; /* no more exchanges */
	bool told_closing, was_full;
	bool news;    /* the server's SETTINGS came; told at the turn's end */
	bool told;    /* http_client_end() was called: no callbacks are wanted */
	bool unsent;  /* the conn ended before a byte had left */
	bool dropped; /* … for no fault of ours or the server's in HTTP/2 */
};

#define H2CLIENT_MAGIC 0x42c10001u
#define REQ_CREDIT     ((size_t)64 * 1024)
#define INFOS_MAX      100
#define STREAMS_MAX    1000

struct h2cx {                /* a stream; x->service_arg points at `head` */
	struct h2_stream st; /* first */
	struct client_stream head;
	struct h2client *client;
	struct rsp_head rsp; /* being received */
	unsigned infos;      /* 1xx so far */
	bool got_head, rsp_ended;
};

static struct h2client *cli(void *p)
{
	return obj_cast(struct h2client, p, H2CLIENT_MAGIC);
}

static struct h2cx *cx_of(const struct exch *x)
{
	return container_of((struct client_stream *)x->service_arg, struct h2cx, head);
}

/* ---- ends ---- */

static void cx_ended(struct h2cx *cx)
{
	if (!cx->st.closed || cx->st.x)
		return;
	list_remove(&cx->st.node);
	list_push(&cx->client->h2.ended, &cx->st.node);
	h2_want_send(&cx->client->h2);
}

static void free_ended(struct h2client *c)
{
	struct h2_stream *st;

	while ((st = list_first(&c->h2.ended, struct h2_stream, node))) {
		h2_stream_fini(st);
		free(st);
	}
}

/* The exchange needs this stream no longer. */
static struct exch *let_go(struct h2cx *cx)
{
	struct exch *x = cx->st.x;

	cx->st.x = NULL;
	cx->st.over = true;
	if (x) {
		x->service_arg = NULL;
		cx->client->taken--;
	}
	cx_ended(cx);
	return x;
}

static void fail_all(struct h2client *c, const struct err *e)
{
	struct h2_stream *st;

	while ((st = list_first(&c->h2.streams, struct h2_stream, node))) {
		struct h2cx *cx = (struct h2cx *)st;
		bool unheard = c->dropped && !cx->got_head && !cx->infos;
		struct exch *x;

		st->closed = true;
		x = let_go(cx); /* takes it off the list */
		if (!x)
			continue;
		if (c->unsent)
			x->touched = false;
		x->unheard = unheard;
		exch_fail(x, e);
	}
}

static void free_all(struct h2client *c)
{
	free_ended(c);
	h2_fini(&c->h2);
	c->magic = 0;
	free(c);
}

/* The conn is over, and nobody is inside the session. */
static void gone(struct h2client *c)
{
	struct err why = c->h2.broken, lost = why;

	c->closing = true;
	if (why.code == ERR_NONE)
		err_set(&lost, ERR_CLOSED, "the server closed the connection");
	c->h2.busy = true; /* should somebody end it from within */
	fail_all(c, &lost);
	if (!c->told)
		c->base.user->on_gone(c->base.arg, &c->base, &why);
	free_all(c);
}

static void lost(struct h2client *c, const struct err *e)
{
	c->unsent = c->h2.conn->bytes_out == 0;
	c->dropped = c->h2.broken.code == ERR_NONE;
	c->closing = true;
	c->base.conn = NULL;
	h2_lost(&c->h2, e);
}

static void say_closing(struct h2client *c)
{
	c->closing = true;
	if (c->told_closing)
		return;
	c->told_closing = true;
	if (!c->told && c->base.user->on_closing)
		c->base.user->on_closing(c->base.arg, &c->base);
}

/* ---- responses ---- */

static int response_begin(void *owner, struct h2_stream *st, const nghttp2_frame *frame)
{
	struct h2cx *cx = (struct h2cx *)st;

	(void)owner, (void)frame;
	if (!st || !st->x)
		return 0;
	if (!cx->got_head) {
		cx->rsp = (struct rsp_head){.version = HTTP_2, .length = BODY_UNKNOWN};
		st->fields = &cx->rsp.fields;
		return 0;
	}
	st->fields = arena_alloc(st->x->arena, sizeof *st->fields);
	return st->fields ? 0 : -1;
}

static int response_field(struct h2_stream *st, const nghttp2_frame *frame,
	struct slice name, struct slice value)
{
	struct h2cx *cx = (struct h2cx *)st;
	uint64_t n;

	(void)frame;
	if (name.p[0] == ':') {
		if (slice_is(name, ":status") && slice_u64(value, 999, &n))
			cx->rsp.status = (int)n;
		return 0;
	}
	if (!cx->got_head && slice_is(name, "content-length")) {
		if (slice_u64(value, INT64_MAX, &n))
			cx->rsp.length = (int64_t)n;
		return 0;
	}
	return fields_add(st->fields, st->x->arena, name, value);
}

static void cx_fail(struct h2cx *cx, const struct err *e, uint32_t code)
{
	struct exch *x = let_go(cx);

	if (!cx->st.closed)
		nghttp2_submit_rst_stream(
			cx->st.h2->ng, NGHTTP2_FLAG_NONE, cx->st.id, code);
	h2_want_send(cx->st.h2);
	if (x)
		exch_fail(x, e);
}

static void got_head(struct h2cx *cx, bool ended)
{
	struct exch *x = cx->st.x;
	struct err e;

	if (cx->st.bad || cx->rsp.status < 100) {
		err_set(&e, ERR_LIMIT, "the response's head is larger than %zu bytes",
			client_head_max(&cx->client->base));
		cx_fail(cx, &e, NGHTTP2_CANCEL);
		return;
	}
	if (cx->rsp.status < 200) {
		if (++cx->infos > INFOS_MAX)
			h2_end_for(cx->st.h2, H2_INFOS);
		else
			exch_info(x, &cx->rsp);
		return;
	}
	cx->got_head = true;
	if (ended && cx->rsp.length < 0 && !slice_is(x->req.method, "HEAD"))
		cx->rsp.length = 0;
	x->rsp = cx->rsp;
	exch_response(x);
}

/* Gives what there is credit for; then the end, when it has come. */
static void deliver(struct h2_stream *st)
{
	struct h2cx *cx = (struct h2cx *)st;
	struct exch *x = st->x;

	if (!cx->got_head || !h2_deliver(st) || cx->rsp_ended)
		return;
	cx->rsp_ended = true;
	if (x->req_ended)
		let_go(cx);
	exch_rsp_end(x, st->in_trailers);
}

/* gRPC's trailers without a few of their fields still say how it went. */
static void got_trailers(struct h2cx *cx)
{
	struct h2_stream *st = &cx->st;
	struct err e;

	if (!st->bad || fields_find(st->fields, SLICE("grpc-status"))) {
		st->in_trailers = st->fields;
		return;
	}
	err_set(&e, ERR_LIMIT, "the response's trailers are larger than %zu bytes",
		client_head_max(&cx->client->base));
	cx_fail(cx, &e, NGHTTP2_CANCEL);
}

static void on_fields(struct h2_stream *st, const nghttp2_frame *frame)
{
	struct h2cx *cx = (struct h2cx *)st;

	if (cx->got_head)
		got_trailers(cx);
	else
		got_head(cx, frame->hd.flags & NGHTTP2_FLAG_END_STREAM);
}

static void on_frame_sent(struct h2_stream *st, const nghttp2_frame *frame)
{
	if (frame->hd.type == NGHTTP2_HEADERS && st->x)
		st->x->touched = true;
}

static void room_again(struct h2client *c)
{
	const struct http_client_user *user = c->base.user;

	if (c->closing || !c->base.conn)
		return;
	if (c->news && user->on_settings)
		user->on_settings(c->base.arg, &c->base);
	c->news = false;
	if (!http_client_has_room(&c->base)) {
		c->was_full = true;
	} else if (c->was_full && user->on_room) {
		c->was_full = false;
		user->on_room(c->base.arg, &c->base);
	}
	if (c->taken == 0 && c->h2.open == 0 && user->on_idle)
		user->on_idle(c->base.arg, &c->base);
}

static void on_closed(struct h2_stream *st, uint32_t code)
{
	struct h2cx *cx = (struct h2cx *)st;
	struct exch *x = st->x;
	struct err e;

	if (!x || st->in_ended) {
		cx_ended(cx);
		return;
	}
	if (code == NGHTTP2_REFUSED_STREAM)
		x->touched = false;
	err_set(&e, ERR_CLOSED, "the server has reset the stream: %s",
		h2_error_name(code));
	x->reset_code = (int)code;
	let_go(cx);
	exch_fail(x, &e);
}

static void on_fault(void *owner, const char *what)
{
	struct h2client *c = cli(owner);

	if (!c->told && c->base.user->on_fault)
		c->base.user->on_fault(c->base.arg, what);
}

static void on_settings(void *owner)
{
	cli(owner)->news = true;
}

static void on_goaway(void *owner)
{
	say_closing(cli(owner));
}

static const struct h2_kind kind = {.begin = response_begin,
	.field = response_field,
	.fields = on_fields,
	.ended = deliver,
	.sent = on_frame_sent,
	.closed = on_closed,
	.settings = on_settings,
	.goaway = on_goaway,
	.data = exch_rsp_data,
	.fault = on_fault};

/* ---- requests: the service ---- */

static void submit(struct h2client *c, struct h2cx *cx, struct exch *x)
{
	const struct req_head *h = &x->req;
	struct h2_nv nv;
	nghttp2_data_provider body = h2_provider(&cx->st);
	bool none = h->length == 0 && !h->upgrade.n;
	char length[24];

	h2_nv_init(&nv);
	h2_nv_add(&nv, SLICE(":method"), h->method);
	if (h->upgrade.n && h->version == HTTP_2)
		h2_nv_add(&nv, SLICE(":protocol"), h->upgrade);
	if (!slice_is(h->method, "CONNECT") || h->upgrade.n) {
		h2_nv_add(&nv, SLICE(":scheme"), h->scheme);
		h2_nv_add(&nv, SLICE(":path"), h->path);
	}
	if (h->authority.n)
		h2_nv_add(&nv, SLICE(":authority"), h->authority);
	h2_nv_fields(&nv, &h->fields);
	if (h->te_trailers)
		h2_nv_add(&nv, SLICE("te"), SLICE("trailers"));
	if (h->length > 0 || (none && h->says_length))
		h2_nv_length(&nv, h->length, length);
	cx->st.id = nghttp2_submit_request(
		c->h2.ng, NULL, nv.v, nv.n, none ? NULL : &body, cx);
}

static void on_sent(struct h2_stream *st, size_t n)
{
	if (st->x)
		exch_req_credit(st->x, n);
}

static void h2_begin(struct http_client *base, struct exch *x)
{
	struct h2client *c = (struct h2client *)base;
	struct h2cx *cx = calloc(1, sizeof *cx);
	struct err e;

	if (cx) {
		h2_stream_init(&cx->st, &c->h2);
		cx->st.sent = on_sent;
		cx->client = c;
		cx->head.client = base;
		submit(c, cx, x);
	}
	if (!cx || cx->st.id < 0) {
		if (cx) {
			c->h2.open--;
			h2_stream_fini(&cx->st);
			free(cx);
		}
		err_set(&e, ERR_BUSY, "the HTTP/2 session takes no more streams");
		exch_fail(x, &e);
		return;
	}
	cx->st.x = x;
	cx->st.credit = &x->rsp_credit;
	x->service_arg = &cx->head;
	c->taken++;
	if (!http_client_has_room(base))
		c->was_full = true;
	h2_want_send(&c->h2);
	exch_replay(x);
	exch_req_credit(x, h2_lend(&cx->st, REQ_CREDIT));
}

static void h2_data(struct exch *x, const uint8_t *p, size_t n)
{
	h2_body(&cx_of(x)->st, p, n);
}

static void h2_end_body(struct exch *x, const struct fields *trailers)
{
	h2_body_end(&cx_of(x)->st, trailers);
}

static void h2_credit(struct exch *x, size_t n)
{
	struct h2cx *cx = cx_of(x);

	(void)n;
	if (cx->st.x == x)
		deliver(&cx->st);
}

static void h2_cancel(struct exch *x)
{
	struct h2cx *cx = cx_of(x);

	if (cx->st.x != x)
		return;
	let_go(cx);
	if (!cx->st.closed)
		nghttp2_submit_rst_stream(
			cx->st.h2->ng, NGHTTP2_FLAG_NONE, cx->st.id, NGHTTP2_CANCEL);
	h2_want_send(cx->st.h2);
}

/* Before the server has said its limit one is never too many. */
static size_t h2_limit(const struct http_client *base)
{
	const struct h2client *c = (const struct h2client *)base;
	uint32_t limit = nghttp2_session_get_remote_settings(
		c->h2.ng, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);

	if (!c->h2.heard)
		return 1;
	return limit > STREAMS_MAX ? STREAMS_MAX : limit;
}

static bool h2_has_room(const struct http_client *base)
{
	const struct h2client *c = (const struct h2client *)base;

	return !c->closing && base->conn && c->h2.open < h2_limit(base) &&
	       !c->h2.unconsumed && c->h2.broken.code == ERR_NONE;
}

static int h2_takes_connect(const struct http_client *base)
{
	const struct h2client *c = (const struct h2client *)base;

	if (!c->h2.heard)
		return -1;
	return nghttp2_session_get_remote_settings(
		       c->h2.ng, NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL) == 1;
}

static size_t h2_open(const struct http_client *base)
{
	return ((const struct h2client *)base)->taken;
}

/* ---- the connection ---- */

static void on_later(struct later *d)
{
	struct h2client *c = container_of(d, struct h2client, h2.later);
	bool over;

	c->h2.busy = true;
	free_ended(c);
	h2_send(&c->h2);
	free_ended(c);
	c->h2.busy = false;
	over = c->closing && c->taken == 0 && c->h2.open == 0;
	if (c->h2.conn && c->h2.broken.code == ERR_NONE && !over) {
		room_again(c);
		return;
	}
	if (c->h2.conn)
		conn_finish(c->h2.conn);
	c->base.conn = c->h2.conn = NULL;
	gone(c);
}

static size_t h2_in(struct conn *conn, void *arg, const uint8_t *p, size_t n)
{
	struct h2client *c = cli(arg);

	(void)conn;
	if (h2_recv(&c->h2, p, n) < 0)
		say_closing(c);
	return n;
}

static void h2_room(struct conn *conn, void *arg)
{
	(void)conn;
	h2_want_send(&cli(arg)->h2);
}

static void h2_eof(struct conn *conn, void *arg)
{
	struct err ok = {.code = ERR_NONE};

	lost(cli(arg), &ok);
	conn_finish(conn);
}

static void h2_conn_gone(struct conn *conn, void *arg, const struct err *e)
{
	(void)conn;
	lost(cli(arg), e);
}

static void h2_conn_open(struct conn *conn, void *arg)
{
	(void)conn;
	h2_want_send(&cli(arg)->h2);
}

static const struct conn_user h2_user = {.on_open = h2_conn_open,
	.on_in = h2_in,
	.on_room = h2_room,
	.on_eof = h2_eof,
	.on_gone = h2_conn_gone};

static void h2_drain(struct http_client *base)
{
	struct h2client *c = (struct h2client *)base;

	c->closing = true;
	h2_want_send(&c->h2);
}

static void h2_end(struct http_client *base)
{
	struct h2client *c = (struct h2client *)base;
	struct err e;

	err_set(&e, ERR_CLOSED, "the connection is being ended");
	c->told = true;
	c->closing = true;
	c->unsent = base->conn && base->conn->bytes_out == 0;
	if (base->conn)
		conn_end(base->conn);
	base->conn = NULL;
	if (c->h2.busy) {
		h2_lost(&c->h2, &e);
		fail_all(c, &e);
		return;
	}
	c->h2.busy = true;
	fail_all(c, &e);
	free_all(c);
}

static const struct http_client_ops h2_ops = {.has_room = h2_has_room,
	.open = h2_open,
	.limit = h2_limit,
	.takes_connect = h2_takes_connect,
	.begin = h2_begin,
	.data = h2_data,
	.end_body = h2_end_body,
	.credit = h2_credit,
	.cancel = h2_cancel,
	.drain = h2_drain,
	.end = h2_end};

struct http_client *h2_client_new(
	struct conn *conn, const struct http_client_config *cfg, struct err *e)
{
	struct h2client *c = calloc(1, sizeof *c);
	struct h2_config h2 = {.head_max = cfg->head_max,
		.stream_window = cfg->stream_window,
		.conn_window = cfg->conn_window,
		.ping_every = cfg->keepalive_every,
		.ping_timeout = cfg->keepalive_timeout,
		.ping_idle = cfg->keepalive_idle,
		.stall = cfg->stall};

	if (c)
		later_init(&c->h2.later, on_later);
	if (!c || h2_init(&c->h2, &kind, c, conn, &h2, e) < 0) {
		if (c)
			later_clear(&c->h2.later);
		free(c);
		err_set(e, ERR_LIMIT, "no memory for a connection");
		return NULL;
	}
	c->magic = H2CLIENT_MAGIC;
	c->base.ops = &h2_ops;
	conn_use(conn, &h2_user, c);
	return &c->base;
}
