/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_TRANSPORT_H
#define NET_TRANSPORT_H

/*
 * For those who implement struct conn (tcp.c, tlsconn.c, pipe.c), not for users.
 *
 * The receiving half is the same for all: bytes that the user did not consume are kept,
 * and shown again in front of what comes next.
 */
#include "base/buf.h"
#include "net/conn.h"

#define CONN_MAGIC 0xc0220001u

void conn_init(struct conn *c, struct loop *l, const struct conn_ops *ops);
void conn_fini(struct conn *c); /* before it is freed */

/* The user of a conn that its user has left. */
extern const struct conn_user conn_nobody;

static inline bool conn_is_left(const struct conn *c)
{
	return c->user == &conn_nobody;
}

/* Bytes that came and were not consumed. */
struct kept {
	struct buf bytes;
	bool showing; /* the user looks at them: they must stay put */
};

/*
 * Shows `n` new bytes to the user (behind those kept); keeps what it leaves.  The conn
 * may have been left by the user when this returns; its memory is still there.  `room`
 * bytes in front of `p` may be written to: when less is kept than has come, it is put
 * there, and what came need not be copied.  -1: no memory to keep the rest.
 */
int kept_in(struct kept *k, struct conn *c, uint8_t *p, size_t n, size_t room);
/* Shows again what is kept. */
void kept_again(struct kept *k, struct conn *c);
static inline size_t kept_len(const struct kept *k)
{
	return buf_len(&k->bytes);
}
/* Frees them: when the user looks at them, as soon as it has returned. */
void kept_fini(struct kept *k);

#endif
