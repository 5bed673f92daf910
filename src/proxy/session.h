/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_SESSION_H
#define PROXY_SESSION_H

/*
 * One HTTP connection to an endpoint, from dial to end.  HTTP/1: one exchange at a
 * time, back to the pool between; HTTP/2: shared.  Lies in endpoint->sessions, those
 * with room in front.
 */
#include "proxy/endpoint.h"

struct session {
	struct list node;
	struct endpoint *ep;
	enum http_kind kind;
	struct conn *conn;          /* while dialling */
	struct http_client *client; /* after */
	struct flow_count flow;
	uint64_t idle_since; /* 0: busy */
	bool closing;
};

/* Dials as many connections as those who wait need. */
void session_dial(struct endpoint *ep, enum http_kind kind);
struct session *session_with_room(struct endpoint *ep, enum http_kind kind);
void session_begin(struct session *s, struct px *p);
void session_drain(struct session *s);
void session_sweep(struct session *s, uint64_t now);

#endif
