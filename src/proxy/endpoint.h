/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_ENDPOINT_H
#define PROXY_ENDPOINT_H

/*
 * One address of a balancer: its connections (an HTTP/2 session shared by many
 * exchanges, HTTP/1 connections pooled), who waits for one, how it has answered lately.
 *
 * A dial that fails hands everybody who waited back to the balancer and shuts the
 * endpoint for a backoff.
 */
#include "api/transport_header.h"
#include "http/client.h"
#include "proxy/balancer.h"

enum endpoint_at {
	ENDPOINT_READY,   /* may be picked */
	ENDPOINT_BACKOFF, /* refused lately; its timer is set */
	ENDPOINT_REMOVED, /* discovery dropped it; freed when nothing uses it */
};

struct endpoint {
	struct list node; /* in the balancer */
	struct balancer *balancer;
	struct pworker *worker;
	const struct side_config *side;
	const struct endpoint_info *info; /* as told; lies in `owner` */
	struct endpoint_info use; /* as it is used: plain when it is this pod itself */
	bool is_local;
	struct ref *owner; /* a reference */
	char text[ADDR_TEXT];

	enum endpoint_at at;
	struct timer retry;
	unsigned failures; /* dials and refusals since it last answered */
	unsigned refusals; /* requests that came back unread, in a row */
	struct err last;
	uint64_t mark; /* one bit, of its own among 64 of the balancer's */

	double rtt; /* peak-EWMA, ns */
	uint64_t rtt_at;
	unsigned load;  /* exchanges before their first byte, and streams */
	unsigned users; /* exchanges and streams that point here */

	struct list sessions[2]; /* by kind: with room first */
	struct list waiting[2];  /* px by kind */
	unsigned dialing[2];
	struct timer queue; /* somebody waits for a session that is full */
	bool no_extended;   /* it takes no extended CONNECT, as far as is known */
	struct list spares; /* connections for the next requests */

	struct transport_meter *transport;
	struct meter *meter; /* of the authority below, a reference */
	char *authority;
};

struct endpoint *endpoint_new(struct balancer *b, enum side side, struct pworker *w,
	const struct endpoint_info *info, struct ref *owner);
/* Discovery dropped it, or the balancer ends: drains, frees itself when unused. */
void endpoint_remove(struct endpoint *ep);

/* Peak-EWMA × (load + 1), as of now. */
double endpoint_cost(struct endpoint *ep, uint64_t now, uint64_t decay);
void endpoint_observe(struct endpoint *ep, uint64_t rtt, uint64_t now, uint64_t decay);

/* Carries the exchange out on a connection, or queues it for one. */
void endpoint_begin(struct endpoint *ep, struct px *p);
void endpoint_unuse(struct endpoint *ep);
/* Leaves the queue of an endpoint. */
void endpoint_forget(struct px *p);

/* A TCP, or TLS, connection to it; NULL when it cannot even be begun. */
struct conn *endpoint_dial(struct endpoint *ep, struct err *e);
/* What is meant is said on each connection before all else. */
bool endpoint_has_header(const struct endpoint *ep);
/* It is open: says to a peer's own port what is meant (spec proxy.md §4).  -1: the peer
 * does not know of that; the caller ends `c`. */
int endpoint_opened(struct endpoint *ep, struct conn *c, enum transport_session session,
	struct err *e);
/* Puts its address before the text, unless it is there. */
void endpoint_name(const struct endpoint *ep, struct err *e);
/* Takes `c`, dialled at `since` and not yet used, for one of the next requests; it is
 * ended when none comes soon.  False: it is of no use here, and not taken. */
bool endpoint_spare(struct endpoint *ep, struct conn *c, uint64_t since);
/* Returns owned, open or still being dialled; NULL: there is none. */
struct conn *endpoint_take_spare(struct endpoint *ep);
void endpoint_drop_spares(struct endpoint *ep);
void endpoint_dial_failed(struct endpoint *ep, const struct err *e);
void endpoint_dial_worked(struct endpoint *ep);
/* It sent a request back unread (REFUSED_STREAM).  Once may be chance (a limit just
 * reached); one that does it again is shut. */
void endpoint_refused(struct endpoint *ep, const struct err *e);
void endpoint_answered(struct endpoint *ep);

/* Closes connections idle for longer than the pool's limit: HTTP/1, and HTTP/2 beyond
 * the first. */
void endpoint_sweep(struct endpoint *ep, uint64_t now);
void endpoint_drain(struct endpoint *ep);
/* Frees it when it was removed and nothing uses it any more. */
void endpoint_reap(struct endpoint *ep);

/* ---- what the balancer does for it ---- */
void balancer_retry(struct balancer *b, struct px *p, const struct err *why);
/* Of one that had not begun, and whose endpoint is no more: it waits like a new one. */
void balancer_again(struct balancer *b, struct px *p);
/* The endpoint carries it no longer. */
void balancer_release(struct px *p);
#define TRIES_MAX 8 /* of an exchange, or of a stream */
/* One that is ready, beside `ep`. */
bool balancer_has_another(const struct balancer *b, const struct endpoint *ep);
void balancer_ready_changed(struct balancer *b, struct endpoint *ep);

#endif
