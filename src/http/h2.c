/* SPDX-License-Identifier: Apache-2.0 */
#include "http/h2.h"

#include "base/clock.h"
#include "base/pieces.h"

/* ---- keep-alive ---- */

static void on_ping(struct timer *t)
{
	struct h2 *h = container_of(t, struct h2, ping);

	/* who is late itself has not looked for the answer yet */
	bool is_late = loop_now(h->loop) - t->when > h->ping_timeout / 4;

	if (h->pinged && !is_late) {
		err_set(&h->broken, ERR_TIMEOUT, "HTTP/2: no answer to a ping");
		h2_end_for(h, H2_SILENT);
		return;
	}
	if (!h->pinged && (h->open || h->ping_idle)) {
		h->pinged = true;
		nghttp2_submit_ping(h->ng, NGHTTP2_FLAG_NONE, NULL);
		h2_want_send(h);
	}
	timer_set(t, h->pinged ? h->ping_timeout : h->ping_every);
}

static void keepalive(struct h2 *h, const struct h2_config *cfg)
{
	timer_init(&h->ping, h->loop, on_ping);
	h->ping_every = cfg->ping_every;
	h->ping_timeout = cfg->ping_timeout ? cfg->ping_timeout : cfg->ping_every;
	h->ping_idle = cfg->ping_idle;
	if (h->ping_every)
		timer_set(&h->ping, h->ping_every);
}

/* ---- session ---- */

static int send_data(nghttp2_session *ng, nghttp2_frame *frame, const uint8_t *head,
	size_t n, nghttp2_data_source *source, void *owner);

static nghttp2_session_callbacks *callbacks(void)
{
	nghttp2_session_callbacks *cb;

	if (nghttp2_session_callbacks_new(&cb) != 0)
		return NULL;
	h2_callbacks(cb);
	nghttp2_session_callbacks_set_send_data_callback(cb, send_data);
	return cb;
}

static nghttp2_option *options(size_t head_max)
{
	nghttp2_option *opt;

	if (nghttp2_option_new(&opt) != 0)
		return NULL;
	nghttp2_option_set_no_auto_window_update(opt, 1);
	nghttp2_option_set_no_closed_streams(opt, 1);
	nghttp2_option_set_max_send_header_block_length(opt, head_max + 65536);
	nghttp2_option_set_max_outbound_ack(opt, 1000);
	nghttp2_option_set_max_settings(opt, 32);
	nghttp2_option_set_max_continuations(opt, 16);
	/* h2guard.c knows more of what the peer has done */
	nghttp2_option_set_stream_reset_rate_limit(opt, UINT32_MAX, UINT32_MAX);
	return opt;
}

static int settings(struct h2 *h, const struct h2_config *cfg)
{
	nghttp2_settings_entry v[4];
	size_t n = 0;

	v[n++] = (nghttp2_settings_entry){
		NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)h->head_max};
	if (cfg->stream_window && cfg->stream_window != NGHTTP2_INITIAL_WINDOW_SIZE)
		v[n++] = (nghttp2_settings_entry){
			NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, cfg->stream_window};
	if (h->kind->is_server) {
		v[n++] = (nghttp2_settings_entry){
			NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, cfg->max_streams};
		v[n++] = (nghttp2_settings_entry){
			NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1}; /* RFC 8441 §3 */
	} else {
		v[n++] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_ENABLE_PUSH, 0};
	}
	if (nghttp2_submit_settings(h->ng, NGHTTP2_FLAG_NONE, v, n) != 0)
		return -1;
	return nghttp2_session_set_local_window_size(h->ng, NGHTTP2_FLAG_NONE, 0,
		(int32_t)(cfg->conn_window ? cfg->conn_window : 1 << 20));
}

/* ---- nghttp2's memory: a dozen small pieces a request ---- */

static void *mem_alloc(size_t n, void *arg)
{
	(void)arg;
	return piece_alloc(n);
}

static void mem_free(void *p, void *arg)
{
	(void)arg;
	piece_free(p);
}

static void *mem_calloc(size_t n, size_t size, void *arg)
{
	(void)arg;
	return calloc(n, size);
}

static void *mem_realloc(void *p, size_t n, void *arg)
{
	(void)arg;
	return realloc(p, n);
}

/* ---- a session ---- */

static int session(struct h2 *h)
{
	nghttp2_mem mem = {NULL, mem_alloc, mem_free, mem_calloc, mem_realloc};
	nghttp2_session_callbacks *cb = callbacks();
	nghttp2_option *opt = options(h->head_max);
	int r = -1;

	if (cb && opt)
		r = h->kind->is_server
			    ? nghttp2_session_server_new3(&h->ng, cb, h, opt, &mem)
			    : nghttp2_session_client_new3(&h->ng, cb, h, opt, &mem);
	nghttp2_option_del(opt);
	nghttp2_session_callbacks_del(cb);
	return r;
}

int h2_init(struct h2 *h, const struct h2_kind *kind, void *owner, struct conn *c,
	const struct h2_config *cfg, struct err *e)
{
	h->kind = kind;
	h->rest = kind->is_server ? NGHTTP2_CLIENT_MAGIC_LEN : 0;
	h->owner = owner;
	h->head_max = cfg->head_max ? cfg->head_max : HTTP_HEAD_MAX;
	h->conn = c;
	h->loop = c->loop;
	h->stall = cfg->stall ? cfg->stall : H2_STALL;
	list_init(&h->streams);
	list_init(&h->ended);
	h2_guard_init(&h->guard, loop_now(h->loop));
	if (session(h) != 0)
		return err_set(e, ERR_LIMIT, "no memory for HTTP/2");
	if (settings(h, cfg) != 0) {
		nghttp2_session_del(h->ng);
		return err_set(e, ERR_LIMIT, "no memory for HTTP/2");
	}
	timer_init(&h->look, h->loop, h2_look);
	keepalive(h, cfg);
	h2_want_send(h);
	return 0;
}

void h2_fini(struct h2 *h)
{
	later_clear(&h->later);
	timer_clear(&h->ping);
	timer_clear(&h->look);
	nghttp2_session_del(h->ng);
}

void h2_lost(struct h2 *h, const struct err *why)
{
	h->conn = NULL;
	if (h->broken.code == ERR_NONE)
		h->broken = *why;
	h2_want_send(h);
}

static enum h2_fault fault_of(int r)
{
	if (r == NGHTTP2_ERR_TOO_MANY_CONTINUATIONS)
		return H2_CONTINUATIONS;
	return r == NGHTTP2_ERR_FLOODED ? H2_UNREAD : H2_PROTOCOL;
}

/* Whole runs at a time: what nghttp2 does for each call costs as much as for a frame.
 */
static ssize_t feed(struct h2 *h, const uint8_t *p, size_t n)
{
	ssize_t r = 0;

	while (n > 0 && r >= 0 && !h->fault) {
		size_t run = h2_run(h, p, n);

		if (run)
			r = nghttp2_session_mem_recv(h->ng, p, run);
		p += run;
		n -= run;
	}
	return r;
}

int h2_recv(struct h2 *h, const uint8_t *p, size_t n)
{
	ssize_t r;

	h->busy = true;
	h->pinged = false; /* whatever it says, it lives */
	r = feed(h, p, n);
	h->busy = false;
	h2_want_send(h);
	if (r < 0 && h->fault == H2_FAULT_NONE) {
		err_set(&h->broken, r == NGHTTP2_ERR_NOMEM ? ERR_LIMIT : ERR_SYNTAX,
			"HTTP/2: %s", nghttp2_strerror((int)r));
		h2_end_for(h, fault_of((int)r));
	}
	return h->broken.code == ERR_NONE ? 0 : -1;
}

/* True when there is a last word to say, before the connection is ended for `fault`. */
static bool says_calm(struct h2 *h)
{
	if (h->fault == H2_FAULT_NONE || h->fault == H2_PROTOCOL || h->calmed)
		return false;
	h->calmed = true;
	nghttp2_session_terminate_session(h->ng,
		h->fault == H2_SILENT ? NGHTTP2_NO_ERROR : NGHTTP2_ENHANCE_YOUR_CALM);
	return true;
}

static void write_frames(struct h2 *h)
{
	const uint8_t *p;
	ssize_t n;

	while (h->conn && conn_backlog(h->conn) <= CONN_HIGH) {
		n = nghttp2_session_mem_send(h->ng, &p);
		if (n <= 0)
			break;
		conn_write(h->conn, p, (size_t)n);
	}
}

void h2_send(struct h2 *h)
{
	if (h->sending || !h->conn)
		return;
	h->sending = true;
	do
		write_frames(h);
	while (says_calm(h));
	h->sending = false;
}

/* ---- bodies that leave ---- */

static void submit_trailers(nghttp2_session *ng, int32_t id, const struct fields *f)
{
	struct h2_nv nv;

	h2_nv_init(&nv);
	h2_nv_fields(&nv, f);
	nghttp2_submit_trailer(ng, id, nv.v, nv.n);
}

static ssize_t read_body(nghttp2_session *ng, int32_t id, uint8_t *buf, size_t len,
	uint32_t *flags, nghttp2_data_source *source, void *owner)
{
	struct h2_stream *st = source->ptr;
	size_t n = buf_len(&st->out);

	(void)owner, (void)buf;
	if (n == 0 && !st->out_ended)
		return NGHTTP2_ERR_DEFERRED;
	*flags |= NGHTTP2_DATA_FLAG_NO_COPY;
	if (n > len)
		return (ssize_t)len;
	if (!st->out_ended)
		return (ssize_t)n;
	*flags |= NGHTTP2_DATA_FLAG_EOF;
	if (st->out_trailers && st->out_trailers->n) {
		*flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
		submit_trailers(ng, id, st->out_trailers);
	}
	return (ssize_t)n;
}

nghttp2_data_provider h2_provider(struct h2_stream *st)
{
	return (nghttp2_data_provider){{.ptr = st}, read_body};
}

/* Straight from the stream's bytes to the connection's. */
static int send_data(nghttp2_session *ng, nghttp2_frame *frame, const uint8_t *head,
	size_t n, nghttp2_data_source *source, void *owner)
{
	struct h2_stream *st = source->ptr;
	struct h2 *h = st->h2;

	(void)ng, (void)frame, (void)owner;
	if (!h->conn)
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	conn_write(h->conn, head, 9);
	if (n == 0)
		return 0;
	if (h->conn)
		conn_write(h->conn, buf_slice(&st->out).p, n);
	buf_take(&st->out, n);
	st->moved = true;
	h2_guard_sent(&h->guard);
	if (!st->over)
		st->sent(st, n);
	return 0;
}

void h2_body(struct h2_stream *st, const uint8_t *p, size_t n)
{
	if (st->closed || n == 0)
		return;
	if (buf_add(&st->out, p, n) < 0) {
		nghttp2_submit_rst_stream(
			st->h2->ng, NGHTTP2_FLAG_NONE, st->id, NGHTTP2_INTERNAL_ERROR);
		return;
	}
	nghttp2_session_resume_data(st->h2->ng, st->id);
	h2_want_send(st->h2);
}

void h2_body_end(struct h2_stream *st, const struct fields *trailers)
{
	st->out_ended = true;
	st->out_trailers = trailers;
	if (st->closed)
		return;
	nghttp2_session_resume_data(st->h2->ng, st->id);
	h2_want_send(st->h2);
}

void h2_stream_init(struct h2_stream *st, struct h2 *h)
{
	st->h2 = h;
	list_init(&st->node);
	list_push(&h->streams, &st->node);
	st->still = loop_now(h->loop);
	h->open++;
	h2_guard_opened(&h->guard);
}

void h2_stream_fini(struct h2_stream *st)
{
	struct h2 *h = st->h2;

	list_remove(&st->node);
	if (h->at == st)
		h->at = NULL;
	if (buf_len(&st->in))
		h2_unhold(h, buf_len(&st->in));
	h->lent -= st->lent;
	h->heads -= st->heads;
	buf_fini(&st->in);
	buf_fini(&st->out);
}

/* ---- fields ---- */

void h2_nv_add(struct h2_nv *nv, struct slice name, struct slice value)
{
	if (nv->n < H2_NV_MAX)
		nv->v[nv->n++] = (nghttp2_nv){(uint8_t *)name.p, (uint8_t *)value.p,
			name.n, value.n, NGHTTP2_NV_FLAG_NONE};
}

void h2_nv_fields(struct h2_nv *nv, const struct fields *f)
{
	for (size_t i = 0; i < f->n; i++)
		h2_nv_add(nv, f->v[i].name, f->v[i].value);
}

void h2_nv_length(struct h2_nv *nv, int64_t length, char num[24])
{
	if (length < 0)
		return;
	h2_nv_add(nv, SLICE("content-length"), slice_decimal((uint64_t)length, num));
}

const char *h2_error_name(uint32_t code)
{
	return nghttp2_http2_strerror(code);
}
