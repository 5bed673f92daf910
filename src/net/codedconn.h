/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_CODEDCONN_H
#define NET_CODEDCONN_H

/*
 * A conn whose bytes travel in another protocol over the conn below: a way through an
 * HTTP or SOCKS proxy (net/via.h), a port of a pod in a WebSocket (kube/forward.h).
 * For commands: bytes are copied on their way.
 *
 * Takes `below` and ends it when it ends.  on_open comes when the codec says so; when
 * it does not within `timeout`, or the codec refuses, on_gone comes with the reason.
 */
#include "base/buf.h"
#include "net/conn.h"

enum coded_at {
	CODED_WAITING, /* for the far side to agree */
	CODED_OPEN,
	CODED_OVER, /* the far side has ended in order */
};

struct coded_ops {
	/* What is said first, as soon as the conn below is open. */
	void (*greet)(void *codec, struct buf *out);
	/* Takes all of `in`: appends what is the user's to `plain`, what is to be
	 * answered to `out`.  -1: it is refused, or broken. */
	int (*read)(void *codec, struct slice in, struct buf *plain, struct buf *out,
		enum coded_at *at, struct err *e);
	int (*wrap)(void *codec, struct slice bytes, struct buf *out); /* NULL: as is */
	void (*bye)(
		void *codec, struct buf *out); /* before a close in order, or NULL */
	void (*free)(void *codec);
	bool is_whole; /* one direction cannot end alone */
};

/* Takes `codec` too, also on failure. */
struct conn *codedconn_new(struct conn *below, const struct coded_ops *ops, void *codec,
	uint64_t timeout, struct err *e);

#endif
