/* SPDX-License-Identifier: Apache-2.0 */
/* What comes on an HTTP/2 connection: frames, fields, bodies; and what may not. */
#include "http/h2.h"

/* ---- what the peer does wrong ---- */

void h2_end_for(struct h2 *h, enum h2_fault f)
{
	if (h->fault != H2_FAULT_NONE)
		return;
	h->fault = f;
	if (h->broken.code == ERR_NONE)
		err_set(&h->broken, ERR_LIMIT, "HTTP/2: %s", h2_fault_name(f));
	h->kind->fault(h->owner, h2_fault_name(f));
	h2_want_send(h);
}

void h2_blame(struct h2 *h, enum h2_fault f, uint32_t n)
{
	if (h->fault != H2_FAULT_NONE)
		return;
	if (!h2_guard_take(&h->guard, f, n, loop_now(h->loop)))
		h2_end_for(h, f);
	else if (f == H2_MALFORMED || f == H2_HEADS)
		h->kind->fault(h->owner, h2_fault_name(f));
}

/* What nghttp2 itself found, and is sending GOAWAY for. */
static void own_verdict(struct h2 *h, const nghttp2_frame *frame)
{
	if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.error_code)
		h2_end_for(h, H2_PROTOCOL);
}

static void count_frame(struct h2 *h, const nghttp2_frame_hd *hd)
{
	bool ack = hd->flags & NGHTTP2_FLAG_ACK;

	switch (hd->type) {
	case NGHTTP2_DATA:
		if (!hd->length && !(hd->flags & NGHTTP2_FLAG_END_STREAM))
			h2_blame(h, H2_EMPTY, 1);
		break;
	case NGHTTP2_PING:
		if (!ack)
			h2_blame(h, H2_PINGS, 1);
		break;
	case NGHTTP2_SETTINGS:
		if (!ack)
			h2_blame(h, H2_SETTINGS, 1);
		break;
	case NGHTTP2_WINDOW_UPDATE:
		h2_blame(h, H2_WINDOWS, 1);
		break;
	case NGHTTP2_HEADERS:
	case NGHTTP2_RST_STREAM:
	case NGHTTP2_CONTINUATION:
	case NGHTTP2_GOAWAY:
	case NGHTTP2_PUSH_PROMISE:
		break;
	default:
		h2_blame(h, H2_IGNORED, 1);
	}
}

/*
 * nghttp2 forgets a stream with its end; RFC 9113 §5.1 wants a peer that goes on with
 * one after it said that it would not to be told.
 */
static void remember_end(struct h2 *h, const struct h2_stream *st)
{
	if (!h->kind->is_server || (!st->in_ended && !st->reset))
		return;
	h->ends[h->nends++ % countof(h->ends)] = st->id;
	if (st->id > h->ends_max)
		h->ends_max = st->id;
}

static bool has_stream(const nghttp2_frame_hd *hd)
{
	return hd->type == NGHTTP2_DATA || hd->type == NGHTTP2_HEADERS;
}

static bool is_after_end(struct h2 *h, const nghttp2_frame_hd *hd)
{
	if (hd->stream_id > h->ends_max || !has_stream(hd))
		return false;
	for (size_t i = 0; i < countof(h->ends); i++)
		if (h->ends[i] == hd->stream_id)
			return hd->stream_id != 0;
	return false;
}

/* What was said before in the same bytes may end its stream. */
static bool may_be_after_end(struct h2 *h, const nghttp2_frame_hd *hd)
{
	return (hd->stream_id <= h->run_ends && has_stream(hd)) || is_after_end(h, hd);
}

static void note_end(struct h2 *h, const nghttp2_frame_hd *hd)
{
	bool ends = hd->type == NGHTTP2_RST_STREAM ||
		    (has_stream(hd) && (hd->flags & NGHTTP2_FLAG_END_STREAM));

	if (ends && h->kind->is_server && hd->stream_id > h->run_ends)
		h->run_ends = hd->stream_id;
}

static nghttp2_frame_hd frame_head(const uint8_t p[9])
{
	return (nghttp2_frame_hd){
		.length = (size_t)p[0] << 16 | (size_t)p[1] << 8 | p[2],
		.type = p[3],
		.flags = p[4],
		.stream_id = (int32_t)((p[5] & 0x7fu) << 24 | (uint32_t)p[6] << 16 |
				       (uint32_t)p[7] << 8 | p[8]),
	};
}

static void begin_frame(struct h2 *h, const nghttp2_frame_hd *hd)
{
	h->nhead = 0;
	h->rest = (uint32_t)hd->length;
	count_frame(h, hd);
	note_end(h, hd);
	if (is_after_end(h, hd))
		nghttp2_session_terminate_session(h->ng, NGHTTP2_STREAM_CLOSED);
}

/* The head of a frame, as far as it is here; 0 when the run ends before it. */
static size_t take_head(struct h2 *h, const uint8_t *p, size_t n, bool is_first)
{
	uint8_t had = h->nhead;
	nghttp2_frame_hd hd;
	size_t used = 9u - had < n ? 9u - had : n;

	memcpy(h->head + had, p, used);
	h->nhead = (uint8_t)(had + used);
	if (h->nhead < 9)
		return used;
	hd = frame_head(h->head);
	if (!is_first && may_be_after_end(h, &hd)) {
		h->nhead = had;
		return 0;
	}
	begin_frame(h, &hd);
	return h->fault ? 0 : used;
}

size_t h2_run(struct h2 *h, const uint8_t *p, size_t n)
{
	size_t run = 0, head, payload;

	h->run_ends = 0;
	while (run < n) {
		if (!h->rest) {
			head = take_head(h, p + run, n - run, run == 0);
			if (!head)
				break;
			run += head;
		}
		payload = n - run < h->rest ? n - run : h->rest;
		h->rest -= (uint32_t)payload;
		run += payload;
	}
	return run;
}

/* ---- frames ---- */

/* The same one is asked for with every field of a head. */
static struct h2_stream *stream_of(struct h2 *h, int32_t id)
{
	if (!h->at || h->at->id != id)
		h->at = nghttp2_session_get_stream_user_data(h->ng, id);
	return h->at;
}

static int on_begin_headers(
	nghttp2_session *ng, const nghttp2_frame *frame, void *owner)
{
	struct h2 *h = owner;
	struct h2_stream *st = stream_of(h, frame->hd.stream_id);

	(void)ng;
	if (h->fault)
		return NGHTTP2_ERR_CALLBACK_FAILURE; /* the rest of a run */
	if (frame->hd.type != NGHTTP2_HEADERS)
		return 0;
	if (st)
		st->head_bytes = 0;
	return h->kind->begin(h->owner, st, frame) < 0
		       ? NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE
		       : 0;
}

/* A received field, copied into `a` where it does not live for ever. */
static struct slice text(nghttp2_rcbuf *rc, struct arena *a)
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

/* Even to look at what a few bytes unpack to takes time: no honest head is so large. */
static bool is_bomb(const struct h2_stream *st)
{
	return st->head_bytes / 4 > st->h2->head_max;
}

/* False when the block is larger than one may be, or all of them together. */
static bool fits(struct h2_stream *st, size_t n)
{
	struct h2 *h = st->h2;

	if (st->head_bytes > h->head_max || h->heads + n > H2_HEADS_MAX)
		return false;
	st->heads += n;
	h->heads += n;
	return true;
}

/* The last field of gRPC's trailers says more than all before it: never left out. */
static bool is_verdict(nghttp2_rcbuf *name, nghttp2_rcbuf *value)
{
	nghttp2_vec n = nghttp2_rcbuf_get_buf(name);

	return slice_is(slice_bytes(n.base, n.len), "grpc-status") &&
	       nghttp2_rcbuf_get_buf(value).len < 16;
}

static bool take_field(struct h2_stream *st, const nghttp2_frame *frame,
	nghttp2_rcbuf *name, nghttp2_rcbuf *value, size_t size)
{
	struct slice n, v;

	if (!fits(st, size) && !is_verdict(name, value))
		return false;
	n = text(name, st->x->arena);
	v = text(value, st->x->arena);
	return n.p && v.p && st->h2->kind->field(st, frame, n, v) == 0;
}

static int on_header(nghttp2_session *ng, const nghttp2_frame *frame,
	nghttp2_rcbuf *name, nghttp2_rcbuf *value, uint8_t flags, void *owner)
{
	struct h2 *h = owner;
	struct h2_stream *st = stream_of(h, frame->hd.stream_id);
	size_t size =
		nghttp2_rcbuf_get_buf(name).len + nghttp2_rcbuf_get_buf(value).len + 32;

	(void)ng, (void)flags;
	if (!st)
		return 0;
	st->head_bytes += size;
	if (is_bomb(st)) {
		h2_end_for(h, H2_HEADS);
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	}
	if (!st->x || st->over || !st->fields || (st->bad && !is_verdict(name, value)))
		return 0;
	if (take_field(st, frame, name, value, size))
		return 0;
	if (!st->bad)
		h2_blame(h, H2_HEADS, 1);
	st->bad = true;
	return 0;
}

static void on_conn_frame(struct h2 *h, const nghttp2_frame *frame)
{
	bool ack = frame->hd.flags & NGHTTP2_FLAG_ACK;

	if (frame->hd.type == NGHTTP2_GOAWAY && h->kind->goaway)
		h->kind->goaway(h->owner);
	if (frame->hd.type != NGHTTP2_SETTINGS || ack)
		return;
	h->heard = true;
	if (h->kind->settings)
		h->kind->settings(h->owner);
}

static int on_frame(nghttp2_session *ng, const nghttp2_frame *frame, void *owner)
{
	struct h2 *h = owner;
	struct h2_stream *st = stream_of(h, frame->hd.stream_id);

	(void)ng;
	if (!frame->hd.stream_id)
		on_conn_frame(h, frame);
	if (!st || !st->x)
		return 0;
	if (frame->hd.type == NGHTTP2_RST_STREAM)
		st->reset = true;
	if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
		return 0;
	if (frame->hd.type == NGHTTP2_HEADERS)
		h->kind->fields(st, frame);
	if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) && st->x) {
		st->in_ended = true;
		h->kind->ended(st);
	}
	return 0;
}

static int on_frame_send(nghttp2_session *ng, const nghttp2_frame *frame, void *owner)
{
	struct h2 *h = owner;
	struct h2_stream *st;

	(void)ng;
	own_verdict(h, frame);
	if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
		return 0;
	st = stream_of(h, frame->hd.stream_id);
	if (st)
		h->kind->sent(st, frame);
	return 0;
}

static bool is_error_of_peer(const struct h2_stream *st, uint32_t code)
{
	return !st->over && !st->reset &&
	       (code == NGHTTP2_PROTOCOL_ERROR || code == NGHTTP2_FLOW_CONTROL_ERROR ||
		       code == NGHTTP2_STREAM_CLOSED);
}

static int on_close(nghttp2_session *ng, int32_t id, uint32_t code, void *owner)
{
	struct h2 *h = owner;
	struct h2_stream *st = stream_of(h, id);

	(void)ng;
	if (!st)
		return 0;
	st->closed = true;
	h->open--;
	remember_end(h, st);
	if (is_error_of_peer(st, code))
		h2_blame(h, H2_MALFORMED, 1);
	h->at = NULL;
	h->kind->closed(st, code);
	return 0;
}

/* ---- streams that take nothing, while memory is short ---- */

#define LOOKS 5 /* in the time that a stream may stall */

static bool is_short(const struct h2 *h)
{
	return h->unconsumed || h->lent >= H2_LENT_MAX;
}

static void watch_stalls(struct h2 *h)
{
	if (!timer_is_set(&h->look))
		timer_set(&h->look, h->stall / LOOKS);
}

static void look_at(struct h2_stream *st, uint64_t stall)
{
	uint64_t now = loop_now(st->h2->loop);

	if (st->moved || st->closed || (!buf_len(&st->in) && !buf_len(&st->out))) {
		st->moved = false;
		st->still = now;
	} else if (now - st->still >= stall) {
		st->still = now; /* once */
		st->h2->kind->fault(st->h2->owner, h2_fault_name(H2_STALLED));
		nghttp2_submit_rst_stream(st->h2->ng, NGHTTP2_FLAG_NONE, st->id,
			NGHTTP2_ENHANCE_YOUR_CALM);
		h2_want_send(st->h2);
	}
}

void h2_shed(struct h2 *h, uint64_t stall)
{
	struct h2_stream *st;

	list_each(st, &h->streams, node) look_at(st, stall);
}

void h2_look(struct timer *t)
{
	struct h2 *h = container_of(t, struct h2, look);

	h2_shed(h, h->stall);
	if (is_short(h))
		watch_stalls(h);
}

size_t h2_lend(struct h2_stream *st, size_t want)
{
	struct h2 *h = st->h2;

	if (h->lent + want > H2_LENT_MAX) {
		want = H2_LENT_LEAST;
		watch_stalls(h);
	}
	st->lent = want;
	h->lent += want;
	return want;
}

/* ---- bodies that come ---- */

/* The connection's window is given back at once, so that a stream whose bytes nobody
 * takes does not hold up the others; but not for more than H2_HELD_MAX. */
static int hold(struct h2_stream *st, const uint8_t *p, size_t n)
{
	struct h2 *h = st->h2;

	if (buf_add(&st->in, p, n) < 0)
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	h->held += n;
	if (h->held <= H2_HELD_MAX) {
		nghttp2_session_consume_connection(h->ng, n);
	} else {
		h->unconsumed += n;
		watch_stalls(h);
	}
	return 0;
}

void h2_unhold(struct h2 *h, size_t n)
{
	size_t owed = n < h->unconsumed ? n : h->unconsumed;

	h->held -= n;
	h->unconsumed -= owed;
	if (!owed)
		return;
	nghttp2_session_consume_connection(h->ng, owed);
	h2_want_send(h);
}

static bool deliver_some(struct h2_stream *st)
{
	size_t n = buf_len(&st->in);

	if (!n || st->over || !st->x)
		return false;
	if (n > *st->credit)
		n = *st->credit;
	if (!n)
		return false;
	st->moved = true;
	if (!st->closed)
		nghttp2_session_consume_stream(st->h2->ng, st->id, n);
	h2_unhold(st->h2, n);
	st->h2->kind->data(st->x, (const uint8_t *)buf_slice(&st->in).p, n);
	buf_take(&st->in, n);
	h2_want_send(st->h2);
	return true;
}

bool h2_deliver(struct h2_stream *st)
{
	if (st->delivering)
		return false;
	st->delivering = true;
	while (deliver_some(st))
		;
	st->delivering = false;
	return st->in_ended && !buf_len(&st->in) && !st->over && st->x;
}

static int on_chunk(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *p,
	size_t n, void *owner)
{
	struct h2_stream *st = stream_of(owner, id);

	(void)flags;
	if (st && st->x && !st->over && (buf_len(&st->in) || n > *st->credit)) {
		int r = hold(st, p, n);

		h2_deliver(st);
		return r;
	}
	nghttp2_session_consume(ng, id, n);
	if (st && st->x && !st->over) {
		st->moved = true;
		st->h2->kind->data(st->x, p, n);
	}
	return 0;
}

void h2_callbacks(nghttp2_session_callbacks *cb)
{
	nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback2(cb, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_chunk);
	nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
	nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_frame_send);
	nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_close);
}
