/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_SESSION_H
#define PROXY_SESSION_H

/*
 * One HTTP connection to an endpoint, from dial to end.  HTTP/1: one exchange at a
 * time, back to the pool between; HTTP/2: shared, one while it has room, up to
 * H2_SESSIONS_MAX when the server's limit of streams is reached.  Lies in
 * endpoint->sessions, those with room in front.
 */
#include "proxy/endpoint.h"

#define H2_SESSIONS_MAX 64 /* to one endpoint, of one worker */

struct session {
	struct list node;
	struct endpoint *ep;
	enum http_kind kind;
	struct conn *conn;          /* while dialling */
	struct http_client *client; /* after */
	struct flow_count flow;
	uint64_t idle_since; /* 0: busy */
	bool closing;
	bool heard; /* HTTP/2: the server's SETTINGS came */
};

/* Dials as many connections as those who wait need, and the server allows. */
void session_dial(struct endpoint *ep, enum http_kind kind);
/* `once`: for a request that cannot be sent twice; a kept connection is looked at. */
struct session *session_with_room(struct endpoint *ep, enum http_kind kind, bool once);
/* False: whether it takes this request is not known yet, or it does not. */
bool session_takes(const struct session *s, const struct px *p);
/* Those who wait for a session that is full do so for a while. */
void session_queue_due(struct timer *t);
void session_begin(struct session *s, struct px *p);
void session_drain(struct session *s);
void session_sweep(struct session *s, uint64_t now);

#endif
