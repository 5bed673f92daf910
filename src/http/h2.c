/* SPDX-License-Identifier: Apache-2.0 */
#include "http/h2.h"

#include <stdio.h>

#include "base/clock.h"

/* ---- session ---- */

int h2_init(struct h2 *h, struct conn *c, bool server,
	const nghttp2_session_callbacks *callbacks, void *owner, uint32_t max_head,
	struct err *e)
{
	nghttp2_option *opt;
	int r;

	if (nghttp2_option_new(&opt) != 0)
		return err_set(e, ERR_LIMIT, "no memory for HTTP/2");
	nghttp2_option_set_no_auto_window_update(opt, 1);
	nghttp2_option_set_no_closed_streams(opt, 1);
	nghttp2_option_set_max_send_header_block_length(opt, max_head + 65536);
	nghttp2_option_set_max_outbound_ack(opt, 1000);
	nghttp2_option_set_max_settings(opt, 32);
	nghttp2_option_set_max_continuations(opt, 16);
	nghttp2_option_set_stream_reset_rate_limit(opt, 1000, 100);
	r = server ? nghttp2_session_server_new2(&h->ng, callbacks, owner, opt)
		   : nghttp2_session_client_new2(&h->ng, callbacks, owner, opt);
	nghttp2_option_del(opt);
	if (r != 0)
		return err_set(e, ERR_LIMIT, "no memory for HTTP/2");
	h->conn = c;
	h->loop = c->loop;
	list_init(&h->streams);
	list_init(&h->ended);
	return 0;
}

void h2_fini(struct h2 *h)
{
	later_clear(&h->later);
	timer_clear(&h->ping);
	nghttp2_session_del(h->ng);
}

int h2_settings(struct h2 *h, uint32_t max_streams, uint32_t stream_window,
	uint32_t conn_window, uint32_t max_head, bool client)
{
	nghttp2_settings_entry v[4];
	size_t n = 0;

	v[n++] = (nghttp2_settings_entry){
		NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, max_head};
	if (stream_window != NGHTTP2_INITIAL_WINDOW_SIZE)
		v[n++] = (nghttp2_settings_entry){
			NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, stream_window};
	if (client)
		v[n++] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_ENABLE_PUSH, 0};
	else
		v[n++] = (nghttp2_settings_entry){
			NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, max_streams};
	if (nghttp2_submit_settings(h->ng, NGHTTP2_FLAG_NONE, v, n) != 0)
		return -1;
	if (nghttp2_session_set_local_window_size(
		    h->ng, NGHTTP2_FLAG_NONE, 0, (int32_t)conn_window) != 0)
		return -1;
	h2_want_send(h);
	return 0;
}

void h2_lost(struct h2 *h, const struct err *why)
{
	h->conn = NULL;
	if (h->broken.code == ERR_NONE)
		h->broken = *why;
	h2_want_send(h);
}

int h2_recv(struct h2 *h, const uint8_t *p, size_t n)
{
	ssize_t r;

	h->busy = true;
	r = nghttp2_session_mem_recv(h->ng, p, n);
	h->busy = false;
	h2_want_send(h);
	if (r >= 0)
		return 0;
	return err_set(&h->broken, ERR_SYNTAX, "HTTP/2: %s", nghttp2_strerror((int)r));
}

void h2_send(struct h2 *h)
{
	const uint8_t *p;
	ssize_t n;

	if (h->sending || !h->conn)
		return;
	h->sending = true;
	while (h->conn && conn_backlog(h->conn) <= CONN_HIGH) {
		n = nghttp2_session_mem_send(h->ng, &p);
		if (n <= 0)
			break;
		conn_write(h->conn, p, (size_t)n);
	}
	h->sending = false;
}

/* ---- bodies ---- */

static ssize_t read_body(nghttp2_session *ng, int32_t id, uint8_t *buf, size_t len,
	uint32_t *flags, nghttp2_data_source *source, void *owner)
{
	struct h2_stream *st = source->ptr;
	size_t n = buf_len(&st->out);
	struct h2_nv nv = {.n = 0};

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
		h2_nv_fields(&nv, st->out_trailers);
		nghttp2_submit_trailer(ng, id, nv.v, nv.n);
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
	h->open++;
}

void h2_stream_fini(struct h2_stream *st)
{
	list_remove(&st->node);
	buf_fini(&st->in);
	buf_fini(&st->out);
}

/* ---- fields ---- */

struct slice h2_text(nghttp2_rcbuf *rc, struct arena *a)
{
	nghttp2_vec v = nghttp2_rcbuf_get_buf(rc);
	char *p;

	if (nghttp2_rcbuf_is_static(rc))
		return slice_bytes(v.base, v.len);
	p = arena_alloc(a, v.len + 1);
	if (!p)
		return SLICE_NONE;
	memcpy(p, v.base, v.len);
	return (struct slice){p, v.len};
}

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
	snprintf(num, 24, "%lld", (long long)length);
	h2_nv_add(nv, SLICE("content-length"), slice_of(num));
}

/* ---- keep-alive ---- */

static void on_ping(struct timer *t)
{
	struct h2 *h = container_of(t, struct h2, ping);

	if (h->pinged) {
		err_set(&h->broken, ERR_TIMEOUT, "HTTP/2: no answer to a ping");
		h2_want_send(h);
		return;
	}
	if (h->open || h->ping_idle) {
		h->pinged = true;
		nghttp2_submit_ping(h->ng, NGHTTP2_FLAG_NONE, NULL);
		h2_want_send(h);
	}
	timer_set(t, h->pinged ? h->ping_timeout : h->ping_every);
}

void h2_keepalive(struct h2 *h, uint64_t every, uint64_t timeout, bool idle)
{
	timer_init(&h->ping, h->loop, on_ping);
	h->ping_every = every;
	h->ping_timeout = timeout ? timeout : every;
	h->ping_idle = idle;
	if (every)
		timer_set(&h->ping, every);
}

void h2_common_callbacks(nghttp2_session_callbacks *cb)
{
	nghttp2_session_callbacks_set_send_data_callback(cb, send_data);
}

const char *h2_error_name(uint32_t code)
{
	return nghttp2_http2_strerror(code);
}
