/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/clock.h"
#include "http/h2.h"
#include "http/serverint.h"

struct h2server {
	struct http_server base; /* first */
	unsigned magic;
	struct h2 h2;
	size_t exch_chunk;
	bool draining, goaway_sent;
	bool told;          /* http_server_end() was called: on_gone is not wanted */
	struct timer drain; /* between the notice and the last GOAWAY */
	struct timer idle;
	struct list due; /* h2sx: response heads to be submitted at the turn's end */
};

#define H2SERVER_MAGIC 0x425e0001u

struct h2sx {                /* a stream and its exchange */
	struct h2_stream st; /* first */
	struct exch x;
	struct arena arena;
	struct h2server *server;
	struct list due;
	uint64_t born;
	bool begun;       /* the request's head was given to the user */
	bool head_out;    /* it was */
	bool reset_after; /* the request is of no use once the response has left */
};

#define RSP_CREDIT ((size_t)128 * 1024)
#define EXCH_ARENA ((size_t)1024 * 1024)

static struct h2sx *sx_of(struct exch *x)
{
	return container_of(x, struct h2sx, x);
}

static struct h2server *srv(void *p)
{
	return obj_cast(struct h2server, p, H2SERVER_MAGIC);
}

/* ---- ends ---- */

static void sx_free(struct h2sx *sx)
{
	struct arena a = sx->arena; /* which holds `sx` */

	list_remove(&sx->due);
	h2_stream_fini(&sx->st);
	arena_fini(&a);
}

/* Freed at the end of the turn, once nghttp2 and the exchange are both done with it. */
static void sx_ended(struct h2sx *sx)
{
	if (!sx->st.closed || !sx->st.over)
		return;
	if (!sx->server) { /* it was cancelled before somebody began it */
		sx_free(sx);
		return;
	}
	list_remove(&sx->st.node);
	list_push(&sx->server->h2.ended, &sx->st.node);
	h2_want_send(&sx->server->h2);
}

static void free_ended(struct h2server *s)
{
	struct h2_stream *st;

	while ((st = list_first(&s->h2.ended, struct h2_stream, node)))
		sx_free((struct h2sx *)st);
}

static void sx_cancel(struct h2sx *sx, const struct err *e)
{
	if (sx->st.over)
		return;
	if (sx->begun) {
		exch_cancel(&sx->x, e);
	} else {
		sx->st.over = true;
		sx_ended(sx);
	}
}

static void cancel_all(struct h2server *s, const struct err *e)
{
	struct h2_stream *st;

	list_each(st, &s->h2.streams, node)
	{
		st->closed = true;
		sx_cancel((struct h2sx *)st, e);
	}
}

static void free_streams(struct h2server *s)
{
	struct h2_stream *st;

	while ((st = list_first(&s->h2.streams, struct h2_stream, node))) {
		struct h2sx *sx = (struct h2sx *)st;

		list_remove(&st->node);
		if (st->over)
			sx_free(sx);
		else /* ends when somebody begins it */
			sx->server = NULL;
	}
	free_ended(s);
}

static void free_all(struct h2server *s)
{
	free_streams(s);
	timer_clear(&s->drain);
	timer_clear(&s->idle);
	h2_fini(&s->h2);
	s->magic = 0;
	free(s);
}

/* The conn is over, and nobody is inside the session. */
static void gone(struct h2server *s)
{
	const struct http_server_user *user = s->base.user;
	void *arg = s->base.arg;
	struct err why = s->h2.broken, lost = why;
	bool told = s->told;

	if (why.code == ERR_NONE)
		err_set(&lost, ERR_CLOSED, "the client has closed");
	cancel_all(s, &lost);
	free_all(s);
	if (!told)
		user->on_gone(arg, &why);
}

static void lost(struct h2server *s, const struct err *e)
{
	s->base.conn = NULL;
	h2_lost(&s->h2, e);
}

/* ---- responses: the source ---- */

static void submit_head(struct h2sx *sx)
{
	struct rsp_head *h = &sx->x.rsp;
	struct h2_nv nv;
	char status[4], length[24];
	nghttp2_data_provider body = h2_provider(&sx->st);
	bool last = sx->st.out_ended && !buf_len(&sx->st.out) &&
		    (!sx->st.out_trailers || !sx->st.out_trailers->n);

	list_remove(&sx->due);
	sx->head_out = true;
	if (sx->st.closed)
		return;
	status[0] = (char)('0' + h->status / 100 % 10);
	status[1] = (char)('0' + h->status / 10 % 10);
	status[2] = (char)('0' + h->status % 10);
	h2_nv_init(&nv);
	h2_nv_add(&nv, SLICE(":status"), (struct slice){status, 3});
	h2_nv_fields(&nv, &h->fields);
	if (h->status != 204 && h->status != 304)
		h2_nv_length(&nv, h->length, length);
	if (nghttp2_submit_response(
		    sx->st.h2->ng, sx->st.id, nv.v, nv.n, last ? NULL : &body) != 0)
		nghttp2_submit_rst_stream(sx->st.h2->ng, NGHTTP2_FLAG_NONE, sx->st.id,
			NGHTTP2_INTERNAL_ERROR);
}

static void on_info(struct exch *x, const struct rsp_head *head)
{
	struct h2sx *sx = sx_of(x);
	struct h2_nv nv;
	char status[4] = {(char)('0' + head->status / 100),
		(char)('0' + head->status / 10 % 10), (char)('0' + head->status % 10),
		0};

	if (sx->st.closed || head->status == 101)
		return;
	h2_nv_init(&nv);
	h2_nv_add(&nv, SLICE(":status"), (struct slice){status, 3});
	h2_nv_fields(&nv, &head->fields);
	nghttp2_submit_headers(
		sx->st.h2->ng, NGHTTP2_FLAG_NONE, sx->st.id, NULL, nv.v, nv.n, NULL);
	h2_want_send(sx->st.h2);
}

/* An HTTP/1 server accepted what came as an extended CONNECT (RFC 8441 §5). */
static void accept_websocket(struct exch *x)
{
	x->rsp.status = 200;
	x->rsp.length = BODY_UNKNOWN;
	fields_remove(&x->rsp.fields, SLICE("sec-websocket-accept"));
}

static void on_head(struct exch *x)
{
	struct h2sx *sx = sx_of(x);

	if (x->rsp.status == 101)
		accept_websocket(x);
	list_push(&sx->server->due, &sx->due); /* it may turn out to be all */
	if (x->rsp.close)
		http_server_drain(&sx->server->base);
	h2_want_send(sx->st.h2);
	exch_rsp_credit(x, h2_lend(&sx->st, RSP_CREDIT));
}

static void on_data(struct exch *x, const uint8_t *p, size_t n)
{
	struct h2sx *sx = sx_of(x);

	if (!sx->head_out)
		submit_head(sx);
	h2_body(&sx->st, p, n);
}

static void on_end(struct exch *x, const struct fields *trailers)
{
	struct h2sx *sx = sx_of(x);
	struct err ok = {.code = ERR_NONE};

	if (!sx->head_out) {
		sx->st.out_ended = true;
		sx->st.out_trailers = trailers;
		submit_head(sx);
		h2_want_send(sx->st.h2);
	} else {
		h2_body_end(&sx->st, trailers);
	}
	if (!x->req_ended) {
		sx->reset_after = true;
		exch_cancel(x, &ok);
	}
}

static void deliver(struct h2_stream *st);

static void on_credit(struct exch *x, size_t n)
{
	(void)n;
	deliver(&sx_of(x)->st);
}

static uint32_t reset_code(const struct exch *x)
{
	if (x->reset_code >= 0)
		return (uint32_t)x->reset_code;
	return x->err.code == ERR_BUSY ? NGHTTP2_REFUSED_STREAM
				       : NGHTTP2_INTERNAL_ERROR;
}

static void on_over(struct exch *x)
{
	struct h2sx *sx = sx_of(x);

	sx->st.over = true;
	if (sx->server && x->err.code != ERR_NONE && !sx->st.closed) {
		list_remove(&sx->due);
		nghttp2_submit_rst_stream(
			sx->st.h2->ng, NGHTTP2_FLAG_NONE, sx->st.id, reset_code(x));
		h2_want_send(sx->st.h2);
	}
	sx_ended(sx);
}

static const struct source h2_source = {.info = on_info,
	.head = on_head,
	.data = on_data,
	.end = on_end,
	.credit = on_credit,
	.over = on_over};

static void on_sent(struct h2_stream *st, size_t n)
{
	exch_rsp_credit(&((struct h2sx *)st)->x, n);
}

/* ---- requests ---- */

static struct h2sx *sx_new(struct h2server *s, int32_t id)
{
	struct h2sx *sx;
	struct arena a;

	arena_init(&a, EXCH_ARENA);
	a.chunk = s->exch_chunk;
	sx = arena_alloc(&a, sizeof *sx);
	if (!sx)
		return NULL;
	sx->arena = a;
	h2_stream_init(&sx->st, &s->h2);
	sx->st.id = id;
	sx->st.sent = on_sent;
	sx->st.x = &sx->x;
	sx->st.credit = &sx->x.req_credit;
	sx->server = s;
	list_init(&sx->due);
	sx->born = loop_now(s->h2.loop);
	sx->x.arena = &sx->arena;
	sx->x.loop = s->h2.loop;
	sx->x.source = &h2_source;
	sx->x.conn_ctx = s->base.arg;
	sx->x.req.version = HTTP_2;
	sx->x.req.scheme = SLICE("http");
	sx->x.req.path = SLICE("");
	sx->x.req.authority = SLICE("");
	sx->x.req.length = BODY_UNKNOWN;
	sx->x.reset_code = -1;
	sx->st.fields = &sx->x.req.fields;
	return sx;
}

static int request_begin(void *owner, struct h2_stream *st, const nghttp2_frame *frame)
{
	struct h2server *s = srv(owner);
	struct h2sx *sx = (struct h2sx *)st;

	if (sx) {
		st->fields = arena_alloc(&sx->arena, sizeof *st->fields);
		return st->fields ? 0 : -1;
	}
	timer_clear(&s->idle);
	sx = sx_new(s, frame->hd.stream_id);
	if (!sx)
		return -1;
	nghttp2_session_set_stream_user_data(s->h2.ng, frame->hd.stream_id, sx);
	return 0;
}

static void pseudo(struct req_head *req, struct slice name, struct slice value)
{
	if (slice_is(name, ":method"))
		req->method = value;
	else if (slice_is(name, ":path"))
		req->path = value;
	else if (slice_is(name, ":authority"))
		req->authority = value;
	else if (slice_is(name, ":scheme"))
		req->scheme = value;
	else if (slice_is(name, ":protocol"))
		req->upgrade = value;
}

static int request_field(struct h2sx *sx, struct slice name, struct slice value)
{
	struct req_head *req = &sx->x.req;
	uint64_t n;

	if (name.p[0] == ':') {
		pseudo(req, name, value);
		return 0;
	}
	if (slice_is(name, "content-length")) {
		if (slice_u64(value, INT64_MAX, &n))
			req->length = (int64_t)n;
		req->says_length = true;
		return 0;
	}
	if (slice_is(name, "te")) {
		req->te_trailers = true;
		return 0;
	}
	if (slice_is(name, "host")) {
		if (!req->authority.n)
			req->authority = value;
		req->two_hosts |= !slice_ieq(req->authority, value);
		return 0;
	}
	return fields_add(&req->fields, &sx->arena, name, value);
}

static int on_field(struct h2_stream *st, const nghttp2_frame *frame, struct slice name,
	struct slice value)
{
	struct h2sx *sx = (struct h2sx *)st;

	if (frame->headers.cat == NGHTTP2_HCAT_REQUEST)
		return request_field(sx, name, value);
	return name.p[0] == ':' ? 0 : fields_add(st->fields, &sx->arena, name, value);
}

/* Gives what the exchange has credit for; then the end, when it has come. */
static void deliver(struct h2_stream *st)
{
	struct h2sx *sx = (struct h2sx *)st;
	bool asks = slice_is(sx->x.req.method, "CONNECT") || sx->x.req.upgrade.n;

	if (sx->begun && h2_deliver(st) && (!asks || sx->head_out))
		exch_req_end(st->x, st->in_trailers);
}

static void refuse(struct h2sx *sx)
{
	exch_answer(&sx->x, 431);
	sx->st.out_ended = true;
	submit_head(sx);
	sx->reset_after = true;
	sx->st.over = true;
}

static void begin_exchange(struct h2server *s, struct h2sx *sx, bool ended)
{
	if (sx->st.bad) {
		refuse(sx);
		return;
	}
	sx->begun = true;
	if (ended)
		sx->x.req.length = 0;
	s->base.user->on_exch(s->base.arg, &sx->x);
}

static void on_fields(struct h2_stream *st, const nghttp2_frame *frame)
{
	struct h2sx *sx = (struct h2sx *)st;

	if (frame->headers.cat == NGHTTP2_HCAT_REQUEST)
		begin_exchange(
			sx->server, sx, frame->hd.flags & NGHTTP2_FLAG_END_STREAM);
	else if (st->bad)
		nghttp2_submit_rst_stream(st->h2->ng, NGHTTP2_FLAG_NONE, st->id,
			NGHTTP2_ENHANCE_YOUR_CALM);
	else
		st->in_trailers = st->fields;
}

static void on_frame_sent(struct h2_stream *st, const nghttp2_frame *frame)
{
	struct h2sx *sx = (struct h2sx *)st;

	if (!(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
		return;
	if (sx->begun)
		h2_guard_served(&st->h2->guard);
	if (sx->reset_after)
		nghttp2_submit_rst_stream(
			st->h2->ng, NGHTTP2_FLAG_NONE, st->id, NGHTTP2_NO_ERROR);
}

/* Reset by the client: cheap for it, and not for us. */
static void blame_reset(struct h2sx *sx)
{
	struct h2 *h = sx->st.h2;
	bool young = loop_now(h->loop) - sx->born < H2_RESET_YOUNG;

	h2_blame(h, H2_RESETS, young ? H2_RESET_COST : 1);
}

static void on_closed(struct h2_stream *st, uint32_t code)
{
	struct h2sx *sx = (struct h2sx *)st;
	struct h2server *s = sx->server;
	struct err e;

	if (st->reset)
		blame_reset(sx);
	if (!st->over) {
		err_set(&e, ERR_CLOSED, "the client has reset the stream: %s",
			h2_error_name(code));
		sx->x.reset_code = (int)code;
		sx_cancel(sx, &e);
	}
	sx_ended(sx);
	if (!s->h2.open && s->base.cfg->idle_timeout)
		timer_set(&s->idle, s->base.cfg->idle_timeout);
}

static void on_fault(void *owner, const char *what)
{
	struct h2server *s = srv(owner);

	if (!s->told && s->base.user->on_fault)
		s->base.user->on_fault(s->base.arg, what);
}

static const struct h2_kind kind = {.is_server = true,
	.begin = request_begin,
	.field = on_field,
	.fields = on_fields,
	.ended = deliver,
	.sent = on_frame_sent,
	.closed = on_closed,
	.data = exch_req_data,
	.fault = on_fault};

/* ---- the connection ---- */

static void submit_heads(struct h2server *s)
{
	struct h2sx *sx;

	while ((sx = list_first(&s->due, struct h2sx, due))) {
		submit_head(sx);
		deliver(&sx->st);
	}
}

static bool is_finished(const struct h2server *s)
{
	if (!nghttp2_session_want_read(s->h2.ng) &&
		!nghttp2_session_want_write(s->h2.ng))
		return true;
	return s->goaway_sent && s->h2.open == 0 &&
	       !nghttp2_session_want_write(s->h2.ng);
}

static void on_later(struct later *d)
{
	struct h2server *s = container_of(d, struct h2server, h2.later);

	s->h2.busy = true;
	free_ended(s);
	submit_heads(s);
	h2_send(&s->h2);
	free_ended(s);
	s->h2.busy = false;
	if (s->h2.conn && s->h2.broken.code == ERR_NONE && !is_finished(s))
		return;
	if (s->h2.conn)
		conn_finish(s->h2.conn);
	s->base.conn = s->h2.conn = NULL;
	gone(s);
}

static size_t h2_in(struct conn *c, void *arg, const uint8_t *p, size_t n)
{
	struct h2server *s = srv(arg);

	(void)c;
	(void)h2_recv(&s->h2, p, n); /* broken: on_later() says GOAWAY and ends it */
	return n;
}

static void h2_room(struct conn *c, void *arg)
{
	(void)c;
	h2_want_send(&srv(arg)->h2);
}

static void h2_eof(struct conn *c, void *arg)
{
	struct h2server *s = srv(arg);
	struct err ok = {.code = ERR_NONE};

	conn_finish(c);
	lost(s, &ok);
}

static void h2_conn_gone(struct conn *c, void *arg, const struct err *e)
{
	(void)c;
	lost(srv(arg), e);
}

static const struct conn_user h2_user = {
	.on_in = h2_in, .on_room = h2_room, .on_eof = h2_eof, .on_gone = h2_conn_gone};

#define NOTICE (50 * NS_PER_MS) /* for requests on their way when it was given */

static void on_drain(struct timer *t)
{
	struct h2server *s = container_of(t, struct h2server, drain);

	s->goaway_sent = true;
	nghttp2_submit_goaway(s->h2.ng, NGHTTP2_FLAG_NONE,
		nghttp2_session_get_last_proc_stream_id(s->h2.ng), NGHTTP2_NO_ERROR,
		NULL, 0);
	h2_want_send(&s->h2);
}

static void h2_drain(struct http_server *base)
{
	struct h2server *s = (struct h2server *)base;

	if (s->draining)
		return;
	s->draining = true;
	nghttp2_submit_shutdown_notice(s->h2.ng);
	timer_set(&s->drain, NOTICE);
	h2_want_send(&s->h2);
}

static void on_idle(struct timer *t)
{
	h2_drain(&container_of(t, struct h2server, idle)->base);
}

static void h2_end(struct http_server *base)
{
	struct h2server *s = (struct h2server *)base;
	struct err e;

	err_set(&e, ERR_CLOSED, "the server is ending");
	s->told = true;
	if (base->conn)
		conn_end(base->conn);
	base->conn = NULL;
	cancel_all(s, &e);
	if (s->h2.busy)
		h2_lost(&s->h2, &e);
	else
		free_all(s);
}

static size_t h2_open(const struct http_server *base)
{
	return ((const struct h2server *)base)->h2.open;
}

static void shed(struct http_server *base, uint64_t stall)
{
	h2_shed(&((struct h2server *)base)->h2, stall);
}

static const struct http_server_ops h2_ops = {
	.drain = h2_drain, .end = h2_end, .open = h2_open, .shed = shed};

struct http_server *h2_server_new(
	struct conn *c, const struct http_server_config *cfg, struct err *e)
{
	struct h2server *s = calloc(1, sizeof *s);
	struct h2_config h2 = {.head_max = cfg->head_max,
		.max_streams = cfg->max_streams ? cfg->max_streams : 100,
		.stream_window = cfg->stream_window,
		.conn_window = cfg->conn_window,
		.ping_every = cfg->keepalive_every,
		.ping_timeout = cfg->keepalive_timeout,
		.stall = cfg->stall};

	if (s) {
		later_init(&s->h2.later, on_later);
		list_init(&s->due);
	}
	if (!s || h2_init(&s->h2, &kind, s, c, &h2, e) < 0) {
		if (s)
			later_clear(&s->h2.later);
		free(s);
		err_set(e, ERR_LIMIT, "no memory for a connection");
		return NULL;
	}
	s->magic = H2SERVER_MAGIC;
	s->exch_chunk = cfg->exch_chunk;
	s->base.ops = &h2_ops;
	timer_init(&s->drain, c->loop, on_drain);
	timer_init(&s->idle, c->loop, on_idle);
	conn_use(c, &h2_user, s);
	return &s->base;
}
