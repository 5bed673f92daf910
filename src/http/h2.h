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
#include "http/h2guard.h"
#include "net/conn.h"

/*
 * What one connection may make us hold, besides its streams' heads: body bytes that
 * came and that nobody takes yet, and body bytes asked of the other side that have not
 * left. Up to these each stream has all that it wants; then the connection's window
 * closes, and streams get little.  A stream that took nothing for `stall` meanwhile is
 * reset; while there is room, here and in the process (http_server_shed()), a stalled
 * stream lives for ever.
 */
#define H2_HELD_MAX   ((size_t)32 << 20)
#define H2_LENT_MAX   ((size_t)16 << 20)
#define H2_LENT_LEAST ((size_t)8 * 1024)
#define H2_HEADS_MAX  ((size_t)16 << 20)
#define H2_STALL      (300 * UINT64_C(1000000000))

struct h2;
struct h2_stream;

/* What a server and a client do differently.  `owner` is theirs. */
struct h2_kind {
	bool is_server;
	/* A block of fields begins; st->fields is to be set.  NULL: there is no such
	 * stream (a server makes it).  -1: no memory. */
	int (*begin)(void *owner, struct h2_stream *st, const nghttp2_frame *frame);
	int (*field)(struct h2_stream *st, const nghttp2_frame *frame,
		struct slice name, struct slice value); /* -1: it does not fit */
	void (*fields)(struct h2_stream *st, const nghttp2_frame *frame);
	void (*ended)(struct h2_stream *st); /* END_STREAM came */
	void (*sent)(struct h2_stream *st, const nghttp2_frame *frame);
	void (*closed)(struct h2_stream *st, uint32_t code);
	void (*settings)(void *owner); /* may be NULL, as the next */
	void (*goaway)(void *owner);
	void (*data)(struct exch *x, const uint8_t *p, size_t n);
	void (*fault)(void *owner, const char *what);
};

struct h2_config {
	size_t head_max;
	uint32_t max_streams; /* a server's */
	uint32_t stream_window, conn_window;
	uint64_t ping_every, ping_timeout;
	bool ping_idle;
	uint64_t stall; /* 0: H2_STALL */
};

struct h2 {
	const struct h2_kind *kind;
	void *owner;
	size_t head_max;
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
	bool heard;           /* the peer's SETTINGS */
	struct list streams;  /* h2_stream */
	struct list ended;    /* to be freed at the end of the turn */
	struct h2_stream *at; /* the one last looked up, or NULL */
	size_t open;
	struct err broken; /* the session is of no more use */

	uint8_t head[9]; /* of a frame, as far as it came */
	uint8_t nhead;
	uint32_t rest; /* of its payload (a server's first: the preface) */
	struct h2_guard guard;
	enum h2_fault fault; /* ends it, once the session has been left */
	bool calmed;         /* it was told so */
	int32_t ends[16];    /* streams that a client ended of late */
	size_t nends;
	int32_t ends_max; /* the highest of all those */
	int32_t run_ends; /* the highest that ends in bytes nghttp2 has not seen yet */
	size_t held, lent, heads;
	size_t unconsumed; /* of `held`: the connection's window is smaller by so much
			    */
	uint64_t stall;
	struct timer look; /* for stalled streams, while memory is short */
};

/* One stream; first in the server's and the client's own. */
struct h2_stream {
	struct list node;
	struct h2 *h2;
	struct exch *x;    /* NULL: it needs this stream no longer */
	size_t *credit;    /* of *x, for what comes */
	size_t lent;       /* counted in h2->lent */
	size_t head_bytes; /* of the block being received */
	size_t heads;      /* counted in h2->heads */
	uint64_t still;    /* no byte has moved since, as far as looks tell */
	bool moved;        /* since the last look */
	bool bad;          /* a block of fields did not fit */
	bool reset;        /* by the peer */
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

/* `h` zeroed but for `later`.  Submits SETTINGS.  `c` is borrowed. */
int h2_init(struct h2 *h, const struct h2_kind *kind, void *owner, struct conn *c,
	const struct h2_config *cfg, struct err *e);
void h2_fini(struct h2 *h); /* streams must have ended */

/* The peer has done something that it must not; `f` has an allowance. */
void h2_blame(struct h2 *h, enum h2_fault f, uint32_t n);
/* It has done worse: counted, and the connection ends once the session is left. */
void h2_end_for(struct h2 *h, enum h2_fault f);

/* Parts of it in h2in.c: */
void h2_callbacks(nghttp2_session_callbacks *cb);
/* How many of these bytes nghttp2 may have at once: all, or those before a frame whose
 * verdict depends on what it makes of them.  Counts frames: also those that nghttp2
 * ignores without a word.  0 only with h->fault. */
size_t h2_run(struct h2 *h, const uint8_t *p, size_t n);
void h2_unhold(struct h2 *h, size_t n); /* of `held` */
void h2_look(struct timer *t);          /* for stalled streams */
/* Resets the streams that hold bytes of which none has moved for so long. */
void h2_shed(struct h2 *h, uint64_t stall);

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
/* How much of what is asked for a stream's body may be granted at first. */
size_t h2_lend(struct h2_stream *st, size_t want);
/* Hands over what came, as far as there is credit; true when that was all of it. */
bool h2_deliver(struct h2_stream *st);

/* The body of a stream, for nghttp2_submit_*(). */
nghttp2_data_provider h2_provider(struct h2_stream *st);
void h2_body(struct h2_stream *st, const uint8_t *p, size_t n);
void h2_body_end(struct h2_stream *st, const struct fields *trailers);

/* Header list being built; names and values are borrowed until it was submitted. */
#define H2_NV_MAX (HTTP_FIELDS_MAX + 16)
struct h2_nv {
	nghttp2_nv v[H2_NV_MAX];
	size_t n;
};
/* Not by an initializer, which would clear 11 KB. */
static inline void h2_nv_init(struct h2_nv *nv)
{
	nv->n = 0;
}
void h2_nv_add(struct h2_nv *nv, struct slice name, struct slice value);
void h2_nv_fields(struct h2_nv *nv, const struct fields *f);
/* content-length, when it is known; `num` is the caller's storage until submitted. */
void h2_nv_length(struct h2_nv *nv, int64_t length, char num[24]);

const char *h2_error_name(uint32_t code);

#endif
