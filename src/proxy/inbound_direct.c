/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/inbound_direct.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "tls/session.h"

static void on_timer(struct timer *t)
{
	struct in_direct *d = container_of(t, struct in_direct, timer);
	struct in_conn *c = d->conn;
	struct err e;

	err_set(&e, ERR_TIMEOUT, "a direct connection that says nothing");
	in_conn_refuse(c, "tls detection timeout", &e);
}

bool in_direct_new(struct in_conn *c)
{
	struct in_direct *d = calloc(1, sizeof *d);

	if (!d)
		return false;
	d->conn = c;
	list_init(&d->wait.node);
	timer_init(&d->timer, c->duct.client.worker->loop, on_timer);
	timer_set(&d->timer, c->duct.client.worker->cfg->in.detect_timeout);
	c->direct = d;
	return true;
}

void in_direct_free(struct in_direct *d)
{
	timer_clear(&d->timer);
	list_remove(&d->wait.node);
	if (d->target)
		out_target_put(d->target);
	free(d);
}

/* ---- the header ---- */

static const char *session_name(enum transport_session s)
{
	static const char *const names[] = {[SESSION_BYTES] = "",
		[SESSION_HTTP1] = "http/1",
		[SESSION_HTTP2] = "http/2"};

	return names[s];
}

static void count_header(const struct in_conn *c)
{
	const struct transport_header *h = &c->direct->header;
	struct pworker *w = c->duct.client.worker;
	struct buf b = BUF_INIT;
	char port[8];

	snprintf(port, sizeof port, "%u", h->port);
	labels_add(&b, "session_protocol", slice_of(session_name(h->session)));
	labels_add(&b, "target_port", slice_of(port));
	labels_add(&b, "target_name", slice_of(h->name));
	labels_add(&b, "client_id", slice_of(in_identity(c)));
	metrics_count(w->metrics, M_IN_TRANSPORT_HEADER, buf_slice(&b), w->index);
	buf_fini(&b);
}

/* The port that is meant: its policy counts.  Of a gateway it is our own. */
static void to_port(struct in_conn *c)
{
	struct in_direct *d = c->direct;
	struct err e;

	if (!*d->header.name && d->header.port == c->dst.port) {
		err_set(&e, ERR_DENIED, "inbound connection must not target port %u",
			c->dst.port);
		in_conn_refuse(c, "unexpected", &e);
		return;
	}
	if (*d->header.name)
		snprintf(d->authority, sizeof d->authority, "%s:%u", d->header.name,
			d->header.port);
	else
		c->dst.port = d->header.port;
	in_conn_target(c);
}

static bool may_serve(struct in_conn *c)
{
	const char *suffixes = c->duct.client.worker->cfg->gateway_suffixes;
	struct in_direct *d = c->direct;
	struct err e;

	if (!*d->header.name)
		return true;
	d->is_bad_name = !name_in_suffixes(slice_of(d->header.name), suffixes);
	if (*suffixes && (!d->is_bad_name || d->header.session != SESSION_BYTES))
		return true; /* a request is answered with what is wrong */
	err_set(&e, ERR_DENIED, "%s: %s", d->header.name,
		*suffixes ? "bad gateway domain" : "this pod is no gateway");
	in_conn_refuse(c, "gateway domain invalid", &e);
	return false;
}

static size_t header_in(struct conn *conn, void *arg, const uint8_t *p, size_t n)
{
	struct in_conn *c = obj_cast(struct in_conn, arg, IN_CONN_MAGIC);
	size_t used = 0;
	struct err e;

	(void)conn;
	switch (transport_header_read(p, n, &c->direct->header, &used)) {
	case TRANSPORT_MORE:
		return 0;
	case TRANSPORT_BAD:
		err_set(&e, ERR_SYNTAX, "the transport header is malformed");
		in_conn_refuse(c, "unexpected", &e);
		return 0;
	case TRANSPORT_DONE:
		break;
	}
	timer_clear(&c->direct->timer);
	count_header(c);
	if (may_serve(c))
		to_port(c);
	return used;
}

static void header_eof(struct conn *conn, void *arg)
{
	struct in_conn *c = obj_cast(struct in_conn, arg, IN_CONN_MAGIC);
	struct err e;

	(void)conn;
	err_set(&e, ERR_CLOSED, "it ended before a transport header");
	in_conn_refuse(c, "unexpected", &e);
}

static void header_gone(struct conn *conn, void *arg, const struct err *e)
{
	(void)conn;
	in_conn_free(obj_cast(struct in_conn, arg, IN_CONN_MAGIC), e);
}

static const struct conn_user header_user = {
	.on_in = header_in, .on_eof = header_eof, .on_gone = header_gone};

void in_direct_shaken(struct in_conn *c, const struct tls *tls)
{
	struct err e = {.code = ERR_NONE};

	if (!*in_identity(c))
		err_set(&e, ERR_DENIED, "a direct connection without an identity");
	else if (strcmp(tls_alpn(tls), TRANSPORT_ALPN) != 0)
		err_set(&e, ERR_DENIED, "a direct connection without %s",
			TRANSPORT_ALPN);
	if (e.code != ERR_NONE)
		in_conn_refuse(c, "unexpected", &e);
	else
		conn_use(c->duct.conn, &header_user, c);
}

/* ---- what is spoken behind it ---- */

static void target_there(struct out_wait *wait)
{
	struct in_direct *d = container_of(wait, struct in_direct, wait);

	in_conn_stream(d->conn);
}

/* Bytes for a name: they wait until it is known where to. */
static void gateway_stream(struct in_conn *c)
{
	struct in_direct *d = c->direct;
	struct err e;

	if (gateway_is_loop(c, NULL)) {
		err_set(&e, ERR_DENIED, "%s: gateway loop", d->authority);
		in_conn_refuse(c, "gateway loop", &e);
		return;
	}
	d->target = out_target_named(c->duct.client.worker, d->authority);
	if (!d->target) {
		err_set(&e, ERR_LIMIT, "%s: no memory for it", d->authority);
		in_conn_refuse(c, "unexpected", &e);
		return;
	}
	if (d->target->policy) {
		in_conn_stream(c);
		return;
	}
	d->wait.ready = target_there;
	list_push(&d->target->waiting, &d->wait.node);
	duct_hold(&c->duct);
}

/* HTTP/1 at first: the proxy that asks may have made HTTP/2 of it, as on any port. */
static void look_at_http(struct in_conn *c)
{
	const struct sniff_spec spec = {
		.limit = c->duct.client.worker->cfg->in.detect_timeout};

	c->at = IN_DIRECT;
	duct_sniff(&c->duct, &spec);
}

void in_direct_begin(struct in_conn *c)
{
	const struct transport_header *h = &c->direct->header;

	duct_meter(&c->duct, in_accepted_meter(c));
	seen_connection(c->port->seen);
	switch (h->session) {
	case SESSION_HTTP2:
		in_http_begin(c, HTTP_KIND_2);
		return;
	case SESSION_HTTP1:
		look_at_http(c);
		return;
	case SESSION_BYTES:
		break;
	}
	if (*h->name)
		gateway_stream(c);
	else
		in_conn_stream(c);
}
