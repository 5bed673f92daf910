/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTP_H2_H
#define HTTP_H2_H

/*
 * What both ends of an HTTP/2 connection do alike (RFC 9113), over nghttp2: for
 * h2server.c and h2client.c only.
 *
 * Nothing is written while frames are being read: what was submitted leaves at the end
 * of the turn.  A session is never freed inside its own callbacks.
 */
#include <nghttp2/nghttp2.h>

#include "base/buf.h"
#include "http/exch.h"
#include "net/conn.h"

struct h2 {
	nghttp2_session *ng;
	struct conn
		*conn; /* NULL once it is gone or given up; on_later() does the rest */
	struct loop *loop;
	struct later later; /* the owner's: h2_send(), and what ended */
	struct timer ping;
	uint64_t ping_every, ping_timeout;
	bool ping_idle, pinged;
	bool busy; /* inside the session, or a conn's callback: not to be freed */
	bool sending;
	struct list streams; /* h2_stream */
	struct list ended;   /* to be freed at the end of the turn */
	size_t open;
	struct err broken; /* the session is of no more use */
};

/* One stream; first in the server's and the client's own. */
struct h2_stream {
	struct list node;
	struct h2 *h2;
	int32_t id;
	struct buf in;   /* body bytes that there is no credit for yet */
	struct buf out;  /* body bytes that have not left yet */
	bool in_ended;   /* END_STREAM came; told when `in` is empty */
	bool out_ended;  /* no more will be added to `out` */
	bool closed;     /* nghttp2 has forgotten it */
	bool over;       /* the exchange has */
	bool delivering; /* credit granted meanwhile is used by the one who delivers */
	const struct fields *in_trailers;
	struct fields *fields; /* being received */
	const struct fields *out_trailers;
	/* bytes left: the producer may be given as many again */
	void (*sent)(struct h2_stream *st, size_t n);
};

int h2_init(struct h2 *h, struct conn *c, bool server,
	const nghttp2_session_callbacks *callbacks, void *owner, uint32_t max_head,
	struct err *e);
void h2_fini(struct h2 *h); /* streams must have ended */

/* Callbacks that both ends share. */
void h2_common_callbacks(nghttp2_session_callbacks *cb);

int h2_settings(struct h2 *h, uint32_t max_streams, uint32_t stream_window,
	uint32_t conn_window, uint32_t max_head, bool client);

/* Feeds bytes; -1 when the session is broken (h->broken says why). */
int h2_recv(struct h2 *h, const uint8_t *p, size_t n);
/* Writes what may be written now. */
void h2_send(struct h2 *h);
static inline void h2_want_send(struct h2 *h)
{
	loop_later(h->loop, &h->later);
}
/* The conn is over; streams are told, and the owner, at the end of the turn. */
void h2_lost(struct h2 *h, const struct err *why);

void h2_stream_init(struct h2_stream *st, struct h2 *h);
void h2_stream_fini(struct h2_stream *st);

/* The body of a stream, for nghttp2_submit_*(). */
nghttp2_data_provider h2_provider(struct h2_stream *st);
void h2_body(struct h2_stream *st, const uint8_t *p, size_t n);
void h2_body_end(struct h2_stream *st, const struct fields *trailers);

/* A received field, copied into `a` where it does not live for ever. */
struct slice h2_text(nghttp2_rcbuf *rc, struct arena *a);

/* Header list being built; names and values are borrowed until it was submitted. */
#define H2_NV_MAX (HTTP_FIELDS_MAX + 16)
struct h2_nv {
	nghttp2_nv v[H2_NV_MAX];
	size_t n;
};
void h2_nv_add(struct h2_nv *nv, struct slice name, struct slice value);
void h2_nv_fields(struct h2_nv *nv, const struct fields *f);
/* content-length, when it is known; `num` is the caller's storage until submitted. */
void h2_nv_length(struct h2_nv *nv, int64_t length, char num[24]);

void h2_keepalive(struct h2 *h, uint64_t every, uint64_t timeout, bool idle);
const char *h2_error_name(uint32_t code);

#endif
