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
	bool told;   /* http_client_end() was called: no callbacks are wanted */
	bool unsent; /* the conn ended before a byte had left */
};

#define H2CLIENT_MAGIC 0x42c10001u
#define REQ_CREDIT     ((size_t)64 * 1024)

struct h2cx {                /* a stream; x->service_arg points at `head` */
	struct h2_stream st; /* first */
	struct client_stream head;
	struct exch *x; /* NULL once it is over for us */
	struct h2client *client;
	struct arena *arena; /* the exchange's, until it is over */
	struct rsp_head rsp; /* being received */
	size_t head_bytes;
	bool got_head, rsp_ended, bad;
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
	if (!cx->st.closed || cx->x)
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
	struct exch *x = cx->x;

	cx->x = NULL;
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
		struct exch *x;

		st->closed = true;
		x = let_go((struct h2cx *)st); /* takes it off the list */
		if (!x)
			continue;
		if (c->unsent)
			x->touched = false;
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

static int begin_headers(nghttp2_session *ng, const nghttp2_frame *frame, void *owner)
{
	struct h2cx *cx = nghttp2_session_get_stream_user_data(ng, frame->hd.stream_id);

	(void)owner;
	if (frame->hd.type != NGHTTP2_HEADERS || !cx || !cx->x)
		return 0;
	cx->head_bytes = 0;
	if (!cx->got_head) {
		cx->rsp = (struct rsp_head){.version = HTTP_2, .length = BODY_UNKNOWN};
		cx->st.fields = &cx->rsp.fields;
		return 0;
	}
	cx->st.fields = arena_alloc(cx->arena, sizeof *cx->st.fields);
	return cx->st.fields ? 0 : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static int response_field(struct h2cx *cx, struct slice name, struct slice value)
{
	uint64_t n;

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
	return fields_add(cx->st.fields, cx->arena, name, value);
}

static int on_header(nghttp2_session *ng, const nghttp2_frame *frame,
	nghttp2_rcbuf *name, nghttp2_rcbuf *value, uint8_t flags, void *owner)
{
	struct h2client *c = cli(owner);
	struct h2cx *cx = nghttp2_session_get_stream_user_data(ng, frame->hd.stream_id);
	struct slice n, v;

	(void)flags;
	if (!cx || !cx->x || cx->bad || !cx->st.fields)
		return 0;
	n = h2_text(name, cx->arena);
	v = h2_text(value, cx->arena);
	cx->head_bytes += n.n + v.n + 32;
	if (!n.p || !v.p || cx->head_bytes > client_head_max(&c->base) ||
		response_field(cx, n, v) < 0)
		cx->bad = true;
	return 0;
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
	struct err e;

	if (cx->bad || cx->rsp.status < 100) {
		err_set(&e, ERR_LIMIT, "the response's head is larger than %zu bytes",
			client_head_max(&cx->client->base));
		cx_fail(cx, &e, NGHTTP2_CANCEL);
		return;
	}
	if (cx->rsp.status < 200) {
		exch_info(cx->x, &cx->rsp);
		return;
	}
	cx->got_head = true;
	if (ended && cx->rsp.length < 0 && !slice_is(cx->x->req.method, "HEAD"))
		cx->rsp.length = 0;
	cx->x->rsp = cx->rsp;
	exch_response(cx->x);
}

static bool deliver_some(struct h2cx *cx)
{
	struct h2_stream *st = &cx->st;
	size_t n = buf_len(&st->in);

	if (n > cx->x->rsp_credit)
		n = cx->x->rsp_credit;
	if (!n)
		return false;
	if (!st->closed)
		nghttp2_session_consume_stream(st->h2->ng, st->id, n);
	exch_rsp_data(cx->x, (const uint8_t *)buf_slice(&st->in).p, n);
	buf_take(&st->in, n);
	h2_want_send(st->h2);
	return cx->x != NULL;
}

/* Gives what there is credit for; then the end, when it has come. */
static void deliver(struct h2cx *cx)
{
	struct h2_stream *st = &cx->st;
	struct exch *x = cx->x;

	if (st->delivering)
		return;
	st->delivering = true;
	while (deliver_some(cx))
		;
	st->delivering = false;
	if (!cx->x || !st->in_ended || buf_len(&st->in) || cx->rsp_ended)
		return;
	cx->rsp_ended = true;
	if (x->req_ended)
		let_go(cx);
	exch_rsp_end(x, st->in_trailers);
}

static int on_chunk(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *p,
	size_t n, void *owner)
{
	struct h2cx *cx = nghttp2_session_get_stream_user_data(ng, id);

	(void)flags, (void)owner;
	nghttp2_session_consume_connection(ng, n);
	if (!cx || !cx->x || !cx->got_head) {
		nghttp2_session_consume_stream(ng, id, n);
		return 0;
	}
	if (!buf_len(&cx->st.in) && n <= cx->x->rsp_credit) {
		nghttp2_session_consume_stream(ng, id, n);
		exch_rsp_data(cx->x, p, n);
		return 0;
	}
	if (buf_add(&cx->st.in, p, n) < 0)
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	deliver(cx);
	return 0;
}

static int on_frame(nghttp2_session *ng, const nghttp2_frame *frame, void *owner)
{
	struct h2client *c = cli(owner);
	bool ended = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
	struct h2cx *cx;

	if (frame->hd.type == NGHTTP2_GOAWAY)
		say_closing(c);
	if (frame->hd.type == NGHTTP2_PING && (frame->hd.flags & NGHTTP2_FLAG_ACK))
		c->h2.pinged = false;
	if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
		return 0;
	cx = nghttp2_session_get_stream_user_data(ng, frame->hd.stream_id);
	if (!cx || !cx->x)
		return 0;
	if (frame->hd.type == NGHTTP2_HEADERS) {
		if (!cx->got_head)
			got_head(cx, ended);
		else
			cx->st.in_trailers = cx->st.fields;
	}
	if (ended && cx->x) {
		cx->st.in_ended = true;
		deliver(cx);
	}
	return 0;
}

static int on_frame_send(nghttp2_session *ng, const nghttp2_frame *frame, void *owner)
{
	struct h2cx *cx;

	(void)owner;
	if (frame->hd.type != NGHTTP2_HEADERS)
		return 0;
	cx = nghttp2_session_get_stream_user_data(ng, frame->hd.stream_id);
	if (cx && cx->x)
		cx->x->touched = true;
	return 0;
}

static void room_again(struct h2client *c)
{
	if (c->closing || !c->base.conn)
		return;
	if (c->was_full && c->base.user->on_room && http_client_has_room(&c->base)) {
		c->was_full = false;
		c->base.user->on_room(c->base.arg, &c->base);
	}
	if (c->taken == 0 && c->h2.open == 0 && c->base.user->on_idle)
		c->base.user->on_idle(c->base.arg, &c->base);
}

static int on_close(nghttp2_session *ng, int32_t id, uint32_t code, void *owner)
{
	struct h2client *c = cli(owner);
	struct h2cx *cx = nghttp2_session_get_stream_user_data(ng, id);
	struct exch *x;
	struct err e;

	if (!cx)
		return 0;
	cx->st.closed = true;
	c->h2.open--;
	if (cx->x && !cx->st.in_ended) {
		x = cx->x;
		if (code == NGHTTP2_REFUSED_STREAM)
			x->touched = false;
		err_set(&e, ERR_CLOSED, "the server has reset the stream: %s",
			h2_error_name(code));
		x->reset_code = (int)code;
		let_go(cx);
		exch_fail(x, &e);
	} else {
		cx_ended(cx);
	}
	return 0;
}

/* ---- requests: the service ---- */

static void submit(struct h2client *c, struct h2cx *cx, struct exch *x)
{
	const struct req_head *h = &x->req;
	struct h2_nv nv = {.n = 0};
	nghttp2_data_provider body = h2_provider(&cx->st);
	bool none = h->length == 0 && !h->upgrade.n;
	char length[24];

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
	if (h->length > 0)
		h2_nv_length(&nv, h->length, length);
	cx->st.id = nghttp2_submit_request(
		c->h2.ng, NULL, nv.v, nv.n, none ? NULL : &body, cx);
}

static void on_sent(struct h2_stream *st, size_t n)
{
	struct h2cx *cx = (struct h2cx *)st;

	if (cx->x)
		exch_req_credit(cx->x, n);
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
		cx->arena = x->arena;
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
	cx->x = x;
	x->service_arg = &cx->head;
	c->taken++;
	if (!http_client_has_room(base))
		c->was_full = true;
	h2_want_send(&c->h2);
	exch_replay(x);
	exch_req_credit(x, REQ_CREDIT);
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
	if (cx->x == x && cx->got_head)
		deliver(cx);
}

static void h2_cancel(struct exch *x)
{
	struct h2cx *cx = cx_of(x);

	if (cx->x != x)
		return;
	let_go(cx);
	if (!cx->st.closed)
		nghttp2_submit_rst_stream(
			cx->st.h2->ng, NGHTTP2_FLAG_NONE, cx->st.id, NGHTTP2_CANCEL);
	h2_want_send(cx->st.h2);
}

static bool h2_has_room(const struct http_client *base)
{
	const struct h2client *c = (const struct h2client *)base;
	uint32_t limit = nghttp2_session_get_remote_settings(
		c->h2.ng, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);

	if (limit > 1000)
		limit = 1000;
	return !c->closing && base->conn && c->h2.open < limit &&
	       c->h2.broken.code == ERR_NONE;
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
	.begin = h2_begin,
	.data = h2_data,
	.end_body = h2_end_body,
	.credit = h2_credit,
	.cancel = h2_cancel,
	.drain = h2_drain,
	.end = h2_end};

static nghttp2_session_callbacks *callbacks(void)
{
	nghttp2_session_callbacks *cb;

	if (nghttp2_session_callbacks_new(&cb) != 0)
		return NULL;
	h2_common_callbacks(cb);
	nghttp2_session_callbacks_set_on_begin_headers_callback(cb, begin_headers);
	nghttp2_session_callbacks_set_on_header_callback2(cb, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_chunk);
	nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
	nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_frame_send);
	nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_close);
	return cb;
}

static uint32_t or_else(uint32_t v, uint32_t other)
{
	return v ? v : other;
}

struct http_client *h2_client_new(
	struct conn *conn, const struct http_client_config *cfg, struct err *e)
{
	struct h2client *c = calloc(1, sizeof *c);
	nghttp2_session_callbacks *cb = callbacks();
	uint32_t head = (uint32_t)(cfg->head_max ? cfg->head_max : HTTP_HEAD_MAX);

	if (!c || !cb || h2_init(&c->h2, conn, false, cb, c, head, e) < 0) {
		nghttp2_session_callbacks_del(cb);
		free(c);
		err_set(e, ERR_LIMIT, "no memory for a connection");
		return NULL;
	}
	nghttp2_session_callbacks_del(cb);
	c->magic = H2CLIENT_MAGIC;
	c->base.ops = &h2_ops;
	later_init(&c->h2.later, on_later);
	h2_settings(&c->h2, 0, or_else(cfg->stream_window, NGHTTP2_INITIAL_WINDOW_SIZE),
		or_else(cfg->conn_window, 1 << 20), head, true);
	h2_keepalive(&c->h2, cfg->keepalive_every, cfg->keepalive_timeout,
		cfg->keepalive_idle);
	conn_use(conn, &h2_user, c);
	return &c->base;
}
