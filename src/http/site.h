/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTP_SITE_H
#define HTTP_SITE_H

/*
 * HTTP servers of our own (admin, webhooks, API server, dashboard): listeners, TLS or
 *not, HTTP/1 and HTTP/2 (by preface or ALPN), and a table of routes to handlers.
 *
 *	static const struct route routes[] = {
 *		{"GET", "/ready", get_ready},
 *		{"*", "/apis/", any_api},          a path that ends in '/' matches all
 *below
 *	};
 *
 * A handler gets the whole request body (up to `body_max`) and answers at once or
 *later: with one reply, or by streaming (watch, log following).
 */
#include "base/buf.h"
#include "http/head.h"
#include "net/tcp.h"
#include "tls/creds.h"

struct site;

struct call {
	const struct req_head
		*req;      /* all of these are borrowed until the call is over */
	struct slice path; /* decoded %XX, without the query */
	struct slice query;
	struct slice body;
	struct addr peer;
	const char *peer_id; /* TLS client identity, or "" */
	bool is_tls;
	void *site_arg;
	struct loop *loop;
	struct arena *arena; /* lives as long as the call */
	/* The handler's own; on_gone is called once when the call is over in any way.
	 */
	void *arg;
	void (*on_gone)(struct call *c);
	/* Streaming: the backlog fell below CONN_LOW. */
	void (*on_room)(struct call *c);
};

struct route {
	const char *method; /* "*": any */
	const char *path;
	void (*handle)(struct call *c);
};

/* The decoded value of a query parameter, from the call's arena; p == NULL when absent.
 */
struct slice call_param(struct call *c, const char *name);

/* The whole query, decoded, for one that is not of the form name=value&…; as above. */
struct slice call_query(struct call *c);

void call_header(
	struct call *c, const char *name, const char *value); /* before the answer */
void call_reply(struct call *c, int status, const char *type, struct slice body);
void call_text(struct call *c, int status, const char *fmt, ...) PRINTF_LIKE(3, 4);

void call_stream(struct call *c, int status, const char *type); /* then: */
void call_send(struct call *c, struct slice bytes);
size_t call_backlog(const struct call *c);
void call_end(struct call *c);

/*
 * Takes the connection over after a 101 (WebSocket: exec, port-forward): the handler
 * owns the returned conn.  HTTP/1.1 only; NULL (and nothing is answered) otherwise.
 */
struct conn *call_upgrade(struct call *c, const char *protocol);

struct site_config {
	struct addr at;
	struct snap
		*creds;  /* TLS when not NULL: the newest is used for each handshake */
	bool also_plain; /* with creds: detect TLS, accept both */
	bool ask_client_cert;
	size_t body_max; /* 0: 1 MB */
	const struct route *routes;
	size_t nroutes;
	void *arg;
	bool (*admit)(void *arg, const struct addr *peer); /* NULL: everybody */
	/* Before a handler; false: it has answered itself.  NULL: all. */
	bool (*permit)(struct call *c);
};

struct site *site_new(struct loop *l, const struct site_config *cfg, struct err *e);
const struct addr *site_addr(const struct site *s);
void site_drain(struct site *s, void (*done)(void *arg), void *arg);
void site_free(struct site *s);

/* Serves one conn that somebody else accepted (and detected) with this site's routes.
 */
void site_serve(struct site *s, struct conn *c);
/* A site without a listener, for site_serve(): leave cfg.at zero. */

#endif
