/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOCAL_WSCONN_H
#define LOCAL_WSCONN_H

/*
 * A WebSocket on the connection of a call: what exec, attach and port-forward share.
 * Pings are answered here, and the client's close.
 *
 * The owner keeps the struct until the end of the turn in which on_gone came or
 * wsconn_finish() was called, then calls wsconn_fini().
 */
#include "http/site.h"
#include "http/ws.h"

struct wsconn_user {
	void (*on_message)(void *arg, struct slice m);
	void (*on_room)(void *arg); /* the backlog is low again */
	void (*on_gone)(void *arg); /* the client has left; nothing follows */
};

struct wsconn {
	struct conn *conn; /* NULL: it is over */
	struct ws ws;
	const struct wsconn_user *user;
	void *arg;
};

/*
 * Takes the call's connection over with the first of `protocols` (in order of
 * preference, NULL at the end) that the client offers, and says which.  -1: it offers
 * none, and nothing was answered.  `max`: of a message.
 */
int wsconn_accept(struct wsconn *w, struct call *c, const char *const *protocols,
	size_t max, const struct wsconn_user *user, void *arg);
void wsconn_fini(struct wsconn *w); /* of a zeroed one too */

/* All of these do nothing when it is over. */
void wsconn_send(struct wsconn *w, struct slice bytes);
void wsconn_send_on(struct wsconn *w, enum ws_channel channel, struct slice bytes);
void wsconn_pause(struct wsconn *w, bool on);
size_t wsconn_backlog(const struct wsconn *w);
/* Says that it ended in order; no callback follows. */
void wsconn_finish(struct wsconn *w);

#endif
