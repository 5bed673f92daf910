/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOCAL_PODTUNNEL_H
#define LOCAL_PODTUNNEL_H

/*
 * A connection to a port of a pod, made inside the pod's network namespace to its
 * loopback address (IPv4, then IPv6), so that servers which listen only there are
 * reached as well.  What port-forward is made of.
 *
 * Each direction ends by itself.  What is written before the connection is there waits.
 */
#include "base/buf.h"
#include "net/tcp.h"

struct tunnel;
struct tunnel_user {
	void (*on_in)(struct tunnel *t, struct slice bytes);
	void (*on_eof)(struct tunnel *t);  /* the pod will send no more */
	void (*on_room)(struct tunnel *t); /* the backlog is low again */
	/* It is over, of itself: `why` NULL when in order.  The owner may free it. */
	void (*on_over)(struct tunnel *t, const char *why);
};

struct tunnel {
	const struct tunnel_user *user;
	struct loop *loop;
	uint16_t port;
	struct conn *conn;
	struct addr to;
	int net; /* namespace, for the second attempt: own fd; -1: none */
	struct buf early;
	bool is_shut; /* we will write no more */
	char why[320];
	struct later over;
};

/* Starts to connect inside network namespace `net` (-1: it is gone); on_over follows
 * when that fails, never before this returns. */
void tunnel_begin(struct tunnel *t, struct loop *l, int net, uint16_t port,
	const struct tunnel_user *user);
void tunnel_write(struct tunnel *t, struct slice bytes);
void tunnel_shutdown(struct tunnel *t); /* no more writes */
void tunnel_pause(struct tunnel *t, bool on);
size_t tunnel_backlog(const struct tunnel *t);
/* What was written may still leave; no callback follows; repeatable. */
void tunnel_end(struct tunnel *t);

#endif
