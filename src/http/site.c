/* SPDX-License-Identifier: Apache-2.0 */
#include "http/site.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "http/siteint.h"
#include "net/tlsconn.h"
#include "wire/detect.h"

/* Connections of a site: accepted, detected, given to HTTP. */

#define FIRST_BYTES (10 * NS_PER_S) /* to say what it speaks, and for the handshake */
#define IDLE        (600 * NS_PER_S)
#define BODY_MAX    ((size_t)1024 * 1024)

static const struct http_server_user server_user;
static void detect(struct site_conn *c);

/* ---- the end of a connection ---- */

static void told_drained(struct site *s)
{
	void (*drained)(void *arg) = s->drained;

	if (!s->draining || !list_is_empty(&s->conns) || !drained)
		return;
	s->drained = NULL;
	drained(s->drained_arg);
}

static void conn_free(struct site_conn *c)
{
	struct site *s = c->site;

	timer_clear(&c->timer);
	list_remove(&c->node);
	free(c);
	told_drained(s);
}

/* Before HTTP has it. */
static void conn_drop(struct site_conn *c)
{
	if (c->conn)
		conn_end(c->conn);
	c->conn = NULL;
	conn_free(c);
}

static void early_gone(struct conn *conn, void *arg, const struct err *e)
{
	struct site_conn *c = arg;

	(void)conn;
	if (e->code != ERR_NONE)
		log_debug("http", "connection ended early", LE(e));
	c->conn = NULL;
	conn_free(c);
}

static void early_eof(struct conn *conn, void *arg)
{
	(void)conn;
	conn_drop(arg);
}

static void on_timer(struct timer *t)
{
	conn_drop(container_of(t, struct site_conn, timer));
}

/* ---- HTTP ---- */

static void serve(struct site_conn *c, enum http_kind kind)
{
	struct conn *conn = c->conn;
	struct err e;

	timer_clear(&c->timer);
	c->http = http_server_new(conn, kind, &c->site->http, &server_user, c, &e);
	if (!c->http) {
		log_warn("http", "connection dropped", LE(&e));
		conn_drop(c);
		return;
	}
	c->conn = NULL;
	if (c->site->draining)
		http_server_drain(c->http);
}

static void on_gone(void *arg, const struct err *e)
{
	(void)e;
	conn_free(arg);
}

static const struct http_server_user server_user = {
	.on_exch = site_exch, .on_gone = on_gone};

/* ---- TLS ---- */

static void site_tls_open(struct conn *conn, void *arg)
{
	struct site_conn *c = arg;
	const struct tls *tls = conn_tls(conn);

	snprintf(c->peer_id, sizeof c->peer_id, "%s", tls_peer_id(tls));
	if (strcmp(tls_alpn(tls), "h2") == 0)
		serve(c, HTTP_KIND_2);
	else if (strcmp(tls_alpn(tls), "http/1.1") == 0)
		serve(c, HTTP_KIND_1);
	else
		detect(c);
}

static size_t site_tls_in(struct conn *conn, void *arg, const uint8_t *p, size_t n)
{
	(void)conn, (void)arg, (void)p, (void)n;
	return 0; /* kept for HTTP */
}

static const struct conn_user tls_user = {.on_open = site_tls_open,
	.on_in = site_tls_in,
	.on_eof = early_eof,
	.on_gone = early_gone};

static void begin_tls(struct site_conn *c)
{
	static const char *const alpn[] = {"h2", "http/1.1", NULL};
	struct ref *creds = snap_get(c->site->creds);
	struct tls_config cfg = {.creds = (struct creds *)creds,
		.alpn = alpn,
		.ask_client_cert = c->site->ask_client_cert};
	struct conn *tls = NULL;
	struct err e;

	err_set(&e, ERR_BUSY, "no certificate yet");
	if (creds) {
		tls = tlsconn_server(c->conn, &cfg, FIRST_BYTES, &e);
		c->conn = tls;
	}
	ref_put(creds);
	c->is_tls = true;
	if (tls) {
		conn_use(tls, &tls_user, c);
		return;
	}
	log_warn("http", "connection dropped", LE(&e));
	conn_drop(c);
}

/* ---- what it speaks ---- */

static size_t detect_in(struct conn *conn, void *arg, const uint8_t *p, size_t n)
{
	struct site_conn *c = arg;

	(void)conn;
	switch (detect_bytes(p, n)) {
	case DETECT_MORE:
		break;
	case DETECT_TLS:
		if (c->site->creds && !c->is_tls)
			begin_tls(c);
		else
			conn_drop(c);
		break;
	case DETECT_HTTP2:
		serve(c, HTTP_KIND_2);
		break;
	case DETECT_HTTP1:
	case DETECT_OPAQUE: /* HTTP/1 says what is wrong with it */
		serve(c, HTTP_KIND_1);
		break;
	}
	return 0; /* whoever has it now begins with these bytes */
}

static const struct conn_user detect_user = {
	.on_in = detect_in, .on_eof = early_eof, .on_gone = early_gone};

static void detect(struct site_conn *c)
{
	conn_use(c->conn, &detect_user, c);
}

void site_serve(struct site *s, struct conn *conn)
{
	struct site_conn *c = calloc(1, sizeof *c);

	if (!c) {
		conn_end(conn);
		return;
	}
	c->site = s;
	c->conn = conn;
	c->peer = conn->peer;
	c->is_tls = conn_tls(conn) != NULL;
	if (c->is_tls)
		snprintf(c->peer_id, sizeof c->peer_id, "%s",
			tls_peer_id(conn_tls(conn)));
	list_init(&c->node);
	list_push(&s->conns, &c->node);
	timer_init(&c->timer, s->loop, on_timer);
	timer_set(&c->timer, FIRST_BYTES);
	if (s->creds && !s->also_plain && !conn_tls(conn))
		begin_tls(c);
	else
		detect(c);
}

/* ---- the site ---- */

static void accepted(void *arg, int fd, const struct addr *peer)
{
	struct site *s = arg;
	struct conn *conn = tcp_adopt(s->loop, fd, NULL, NULL);

	if (!conn)
		return;
	if (s->admit && !s->admit(s->arg, peer))
		conn_abort(conn);
	else
		site_serve(s, conn);
}

static void site_set(struct site *s, struct loop *l, const struct site_config *cfg)
{
	s->loop = l;
	s->creds = cfg->creds;
	s->also_plain = cfg->also_plain;
	s->ask_client_cert = cfg->ask_client_cert;
	s->body_max = cfg->body_max ? cfg->body_max : BODY_MAX;
	s->routes = cfg->routes;
	s->nroutes = cfg->nroutes;
	s->arg = cfg->arg;
	s->admit = cfg->admit;
	s->permit = cfg->permit;
	s->http.idle_timeout = IDLE;
	s->http.max_streams = 1000; /* watches */
	list_init(&s->conns);
}

struct site *site_new(struct loop *l, const struct site_config *cfg, struct err *e)
{
	struct listener_opts o = {.tuning.keepalive = 10 * NS_PER_S};
	struct site *s = calloc(1, sizeof *s);

	if (!s) {
		err_set(e, ERR_LIMIT, "no memory for a site");
		return NULL;
	}
	site_set(s, l, cfg);
	if (!cfg->at.ip.family)
		return s;
	s->listener = listener_new(l, &cfg->at, &o, accepted, s, e);
	if (s->listener)
		return s;
	free(s);
	return NULL;
}

const struct addr *site_addr(const struct site *s)
{
	static const struct addr none;

	return s->listener ? listener_addr(s->listener) : &none;
}

void site_drain(struct site *s, void (*done)(void *arg), void *arg)
{
	struct site_conn *c;

	s->draining = true;
	s->drained = done;
	s->drained_arg = arg;
	if (s->listener)
		listener_free(s->listener);
	s->listener = NULL;
	list_each(c, &s->conns, node)
	{
		if (c->http)
			http_server_drain(c->http);
		else
			conn_drop(c);
	}
	told_drained(s);
}

void site_free(struct site *s)
{
	struct site_conn *c;

	if (!s)
		return;
	s->drained = NULL;
	if (s->listener)
		listener_free(s->listener);
	while ((c = list_first(&s->conns, struct site_conn, node))) {
		struct http_server *http = c->http;

		c->http = NULL;
		if (http)
			http_server_end(http);
		conn_drop(c);
	}
	free(s);
}
