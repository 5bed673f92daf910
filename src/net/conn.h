/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_CONN_H
#define NET_CONN_H

/*
 * Seam 1: a byte transport with one user above it.  TCP, TLS over another conn, or an
 * in-memory pipe (net/pipe.h) look the same.
 *
 * In:  bytes are read into the loop's scratch and shown to the user by on_in(), which
 *      says how many it consumed.  The rest is kept by the conn and shown again,
 * longer, when more arrives (so a codec or a detector may simply wait for more).  At
 * most CONN_HELD are kept, or what the user has set c->hold to; reading stops there by
 * itself, and whenever conn_pause() says so. Out: conn_write() takes everything; it
 * leaves at the end of the turn, or at once when it is large.  conn_backlog() says what
 * has not left yet; a user over CONN_HIGH stops producing until on_room() (backlog at
 * or below CONN_LOW). An idle conn holds no buffer.
 *
 * End: exactly one of
 *   on_gone()     the transport is over (error, reset, or both directions ended in
 *                 order: e->code is ERR_NONE); the conn frees itself after the call.
 *   conn_end()    the user drops it: no callback follows, unsent bytes are lost.
 *   conn_finish() the user is done: no callback follows; what was written still leaves
 *                 (as long as the peer takes some of it every CONN_STALL), then FIN,
 *                 then a short wait for the peer (at most CONN_LINGER, and for not
 *                 more bytes than CONN_DROPPED) and it is freed.
 *   conn_abort()  as conn_end(), and the peer sees a reset.
 * All may be called in any callback of the conn, also from within on_in(): the user
 * must then return at once (and its return value is ignored).  The memory is freed at
 * the end of the turn.
 *
 * A conn belongs to the thread of its loop.
 */
#include "base/addr.h"
#include "base/err.h"
#include "ev/loop.h"

#define CONN_HELD    ((size_t)64 * 1024)
#define CONN_HIGH    ((size_t)128 * 1024)
#define CONN_LOW     ((size_t)32 * 1024)
#define CONN_LINGER  (5 * NS_PER_S)
#define CONN_STALL   (30 * NS_PER_S)
/* Thrown away of who still sends: enough for it to see the answer and stop. */
#define CONN_DROPPED ((size_t)16 * 1024 * 1024)

struct conn;

struct conn_user {
	/* All may be NULL but on_in and on_gone.  `arg` is what conn_use() was given.
	 */
	void (*on_open)(struct conn *c, void *arg); /* connected; TLS: handshake done */
	size_t (*on_in)(struct conn *c, void *arg, const uint8_t *p, size_t n);
	void (*on_room)(struct conn *c, void *arg);
	void (*on_eof)(struct conn *c, void *arg); /* the peer will send no more */
	void (*on_gone)(struct conn *c, void *arg, const struct err *e);
};

struct conn_ops { /* what a transport implements; users call the functions below */
	void (*write)(struct conn *c, const uint8_t *p, size_t n);
	void (*flush)(struct conn *c);
	size_t (*backlog)(const struct conn *c);
	void (*read)(struct conn *c, bool on); /* pause or resume */
	void (*shutdown)(struct conn *c);
	void (*close)(struct conn *c, int how); /* CONN_CLOSE_* */
	bool (*ended)(const struct conn *c);    /* may be NULL */
};
enum { CONN_CLOSE_NOW, CONN_CLOSE_FINISH, CONN_CLOSE_ABORT };

struct tls;
struct conn;

/*
 * Who counts a conn's bytes from outside.  Lies in its owner, which may end before the
 * conn (a conn that finishes still sends) or after it (a codec tells of the end later).
 */
struct conn_count {
	struct conn *conn; /* NULL once it is over; then what it was: */
	uint64_t in, out;
};

struct conn {
	unsigned magic;
	const struct conn_ops *ops;
	const struct conn_user *user;
	void *arg;
	struct loop *loop;
	struct addr local, peer;      /* of the socket below; zero for pipes */
	uint64_t bytes_in, bytes_out; /* of this layer, for metrics */
	size_t hold;                  /* CONN_HELD from conn_use() on */
	struct conn_count *count;     /* private */
	bool is_open;                 /* on_open has been or is being called */
	bool is_eof;                  /* on_eof has been called */
	bool is_shut;                 /* conn_shutdown() was called */
	bool is_paused;
	bool owes_eof;  /* private: the peer's end is to be told (again) */
	bool owes_room; /* private: on_room is to be told when the backlog is low */
};

/* Sets or replaces the user.  Bytes kept are shown to the new one at the end of the
 * turn; then eof, when it has happened already (is_eof is false until then). */
void conn_use(struct conn *c, const struct conn_user *user, void *arg);

static inline void conn_write(struct conn *c, const void *p, size_t n)
{
	c->ops->write(c, p, n);
}
static inline void conn_flush(struct conn *c) /* now, instead of at the turn's end */
{
	c->ops->flush(c);
}
static inline size_t conn_backlog(const struct conn *c)
{
	return c->ops->backlog(c);
}
/* The peer's end, or a reset, has arrived already, though nobody was told yet. */
bool conn_has_ended(const struct conn *c);
void conn_pause(struct conn *c); /* on_in will not be called */
void conn_resume(
	struct conn *c); /* on_in again, with what was kept, at the turn's end */
void conn_shutdown(
	struct conn *c); /* no more writes: FIN (TLS: close_notify) after the backlog */
void conn_end(struct conn *c);
void conn_finish(struct conn *c);
void conn_abort(struct conn *c);

/* The session of a TLS conn, or NULL: tls_peer_id(), tls_alpn(), tls_sni(). */
const struct tls *conn_tls(const struct conn *c);
/* The conn under a TLS conn, or `c` itself. */
struct conn *conn_base(struct conn *c);

void conn_count_begin(struct conn_count *n, struct conn *c); /* one for each conn */
void conn_count_look(struct conn_count *n);                  /* brings it up to date */
void conn_count_end(struct conn_count *n);                   /* repeatable */

#endif
