/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTP_SERVER_H
#define HTTP_SERVER_H

/*
 * The server side of HTTP over a conn: parses requests, makes exchanges, writes
 * responses. One interface, two codecs (h1server.c: RFC 9112 with llhttp; h2server.c:
 * RFC 9113 with nghttp2).  HTTP/1 pipelining is served in order, one exchange at a
 * time.
 *
 * What a peer may make us hold: one head (limit, time), the credit of each body, 100
 * streams (limit by option) a connection.  Malformed requests are answered 400 (408,
 * 413, 431, 501, 505 where they fit) and the connection closed.
 */
#include "http/exch.h"
#include "net/conn.h"

enum http_kind { HTTP_KIND_1, HTTP_KIND_2 };

struct http_server_config {
	size_t head_max;        /* 0: HTTP_HEAD_MAX */
	uint32_t max_streams;   /* 0: 100; h2 */
	uint32_t stream_window; /* 0: 65535; h2, what we let the peer send */
	uint32_t conn_window;   /* 0: 1 MB */
	size_t exch_chunk; /* h2: memory an exchange takes at a time, less where many
			      last; 0: 4 KB */
	uint64_t keepalive_every, keepalive_timeout; /* h2 PING; ns; 0: off */
	uint64_t stall; /* h2: how long a stream may take nothing while memory is short;
			   0: 5 min */
	uint64_t idle_timeout; /* ns without an exchange, then closed in order; 0: none
				*/
	uint64_t head_timeout; /* ns for a head once its first byte came, then 408; 0:
				  none; h1 */
};

struct http_server;

struct http_server_user {
	/* A request head is complete: choose the stack, call exch_begin() (now or
	 * later). x->conn_ctx is `arg`. */
	void (*on_exch)(void *arg, struct exch *x);
	/* May be NULL.  `rsp` is the codec's own answer to what could not become an
	 * exchange, or ended without a response: to be counted; fields may be added. */
	void (*on_refused)(void *arg, struct rsp_head *rsp, struct arena *a,
		const struct err *why);
	/* The connection is over (all exchanges are); the server frees itself after. */
	void (*on_gone)(void *arg, const struct err *e);
	/* May be NULL.  The peer broke a limit or a rule, of a fixed list ("rapid
	 * reset"): to be counted.  Not the place to end the server. */
	void (*on_fault)(void *arg, const char *what);
};

/* Takes `c` (with the bytes it kept).  `cfg` is borrowed for the server's life. */
struct http_server *http_server_new(struct conn *c, enum http_kind kind,
	const struct http_server_config *cfg, const struct http_server_user *user,
	void *arg, struct err *e);

/* No new exchanges: GOAWAY, or Connection: close on the last response; gone when they
 * ended. */
void http_server_drain(struct http_server *s);
void http_server_end(struct http_server *s); /* now; exchanges fail; no on_gone */
/* Memory is short: exchanges that hold bytes of which their client has taken none for
 * so long fail.  (What an HTTP/1 client does not take is the conn's backlog.) */
void http_server_shed(struct http_server *s, uint64_t stall);
size_t http_server_open(const struct http_server *s); /* exchanges in progress */
struct conn *http_server_conn(struct http_server *s);

/*
 * HTTP/1.1 upgrades: answers `x`, the exchange being served, with the head in x->rsp
 * (101) and gives the connection away.  The exchange and then the server are over at
 * the end of the turn.  Returns owned; NULL, and nothing was done, when it cannot be.
 */
struct conn *http_server_take(struct http_server *s, struct exch *x);

#endif
