/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTP_CLIENT_H
#define HTTP_CLIENT_H

/*
 * The client side of HTTP over one conn: takes exchanges, writes requests, reads
 * responses (h1client.c, h2client.c).  HTTP/1: one exchange at a time.  HTTP/2: as many
 * as the peer lets us.
 *
 * A session never retries.  When it dies, each exchange fails with x->touched telling
 * whether a byte of it may have left; streams above a GOAWAY's last id, REFUSED_STREAM,
 * and requests still queued are untouched.  x->raced tells of a kept HTTP/1 connection
 * that the server closed while an idempotent request was on its way: nothing came back.
 */
#include "http/exch.h"
#include "http/server.h"
#include "net/conn.h"

struct http_client;

struct http_client_user {
	/* May be NULL.  It can take one more (h1: idle again; h2: below the peer's
	 * limit). */
	void (*on_room)(void *arg, struct http_client *c);
	/* May be NULL.  HTTP/2: the server said what it takes; its limit may be
	 * another.
	 */
	void (*on_settings)(void *arg, struct http_client *c);
	/* The last exchange ended and none is open. */
	void (*on_idle)(void *arg, struct http_client *c);
	/* It will take no more (GOAWAY, Connection: close, error); exchanges may still
	 * go on. */
	void (*on_closing)(void *arg, struct http_client *c);
	/* Over; the client frees itself after. */
	void (*on_gone)(void *arg, struct http_client *c, const struct err *e);
	void (*on_fault)(void *arg, const char *what); /* as http_server_user's */
};

struct http_client_config {
	size_t head_max;        /* 0: HTTP_HEAD_MAX; also for trailers */
	uint32_t stream_window; /* 0: 65535 */
	uint32_t conn_window;   /* 0: 1 MB */
	uint64_t keepalive_every,
		keepalive_timeout; /* h2 PING while streams are open */
	bool keepalive_idle;       /* also while idle */
	uint64_t stall;            /* as http_server_config's */
};

/* Takes `c`, open or still connecting (exchanges begun before wait in it). */
struct http_client *http_client_new(struct conn *c, enum http_kind kind,
	const struct http_client_config *cfg, const struct http_client_user *user,
	void *arg, struct err *e);

/* True when http_client_begin() may be called. */
bool http_client_has_room(const struct http_client *c);
size_t http_client_open(const struct http_client *c); /* exchanges in progress */
/* How many at once the peer takes, as it has said; 1 for HTTP/1, and until it speaks.
 */
size_t http_client_limit(const struct http_client *c);
/* Whether it takes extended CONNECT (RFC 8441): -1 until it has spoken. */
int http_client_takes_connect(const struct http_client *c);

/*
 * Carries `x` out: to be called from a service's begin().  From then on the client is
 * the service: it must be given the other calls, which http_client_service does.
 * x->service_arg is the client's.
 */
void http_client_begin(struct http_client *c, struct exch *x);
void http_client_data(struct exch *x, const uint8_t *p, size_t n);
void http_client_end_body(struct exch *x, const struct fields *trailers);
void http_client_credit(struct exch *x, size_t n);
void http_client_cancel(struct exch *x);

void http_client_drain(
	struct http_client *c); /* no new exchanges; gone when they ended */
void http_client_end(struct http_client *c); /* now; exchanges fail; no on_gone */
struct conn *http_client_conn(struct http_client *c);
/* ns for which the server keeps it when idle, as it said (Keep-Alive); 0: not said. */
uint64_t http_client_idle_limit(const struct http_client *c);

#endif
