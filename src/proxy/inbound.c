/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/inbound.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "net/tcp.h"
#include "net/tlsconn.h"
#include "proxy/inbound_int.h"

/* A client silent for this long may be waiting for the application to speak. */
#define QUIET (2 * NS_PER_MS)

const char *in_identity(const struct in_conn *c)
{
	return c->client_id ? c->client_id : "";
}

/* ---- labels ---- */

void in_target_labels(struct buf *b, const struct in_conn *c)
{
	char text[ADDR_TEXT], port[8];

	snprintf(port, sizeof port, "%u", c->dst.port);
	labels_add(b, "target_addr", slice_of(addr_text(&c->dst, text)));
	labels_add(b, "target_ip", slice_of(ip_text(&c->dst.ip, text)));
	labels_add(b, "target_port", slice_of(port));
}

void in_tls_labels(struct buf *b, const struct in_conn *c)
{
	if (c->tls) {
		labels_add(b, "tls", SLICE("true"));
		labels_add(b, "client_id", slice_of(in_identity(c)));
	} else if (c->tls_detected) {
		labels_add(b, "tls", SLICE("opaque"));
		labels_add(b, "sni", slice_of(c->sni ? c->sni : ""));
	} else {
		labels_add(b, "tls", SLICE("no_identity"));
		labels_add(b, "no_tls_reason", slice_of(c->no_tls));
	}
}

static struct transport_meter *accepted_meter(struct in_conn *c)
{
	const struct meta none = {"", "", "", "", "", 0};
	struct transport_meter *m;
	struct buf b = BUF_INIT;

	labels_add(&b, "direction", SLICE("inbound"));
	labels_add(&b, "peer", SLICE("src"));
	in_target_labels(&b, c);
	in_tls_labels(&b, c);
	labels_meta(&b, "srv_", c->port->policy ? &c->port->policy->server : &none);
	m = transport_meter_get(c->client.worker, buf_slice(&b));
	buf_fini(&b);
	return m;
}

/* Adds `n` to one inbound series with the target, the server and an authorization. */
static void count(struct in_conn *c, enum family f, const struct authz *az)
{
	struct pworker *w = c->client.worker;
	struct buf b = BUF_INIT;

	in_target_labels(&b, c);
	if (c->port->policy)
		labels_meta(&b, "srv_", &c->port->policy->server);
	if (az)
		labels_meta(&b, "authz_", &az->meta);
	in_tls_labels(&b, c);
	metrics_count(w->metrics, f, buf_slice(&b), w->index);
	buf_fini(&b);
}

static void count_error(struct in_conn *c, const char *error)
{
	struct pworker *w = c->client.worker;
	struct buf b = BUF_INIT;

	labels_add(&b, "error", slice_of(error));
	in_target_labels(&b, c);
	metrics_count(w->metrics, M_IN_TCP_ERRORS, buf_slice(&b), w->index);
	buf_fini(&b);
}

/* ---- end ---- */

void in_conn_free(struct in_conn *c, const struct err *why)
{
	c->at = IN_OVER;
	flow_end(&c->flow, why);
	flow_end(&c->app_flow, why);
	if (c->sniff)
		sniff_end(c->sniff);
	if (c->stream)
		stream_cancel(c->stream);
	list_remove(&c->node);
	in_grant_drop(&c->grant);
	balancer_unref(c->balancer);
	if (c->port)
		in_port_put(c->port);
	free(c->client_id);
	free(c->sni);
	c->magic = 0;
	client_remove(&c->client);
	free(c);
}

/* Ends the connection from our side. */
static void refuse(struct in_conn *c, const struct err *why)
{
	char peer[ADDR_TEXT], dst[ADDR_TEXT];

	log_info("proxy", "inbound connection refused",
		LS("client", addr_text(&c->peer, peer)),
		LS("target", addr_text(&c->dst, dst)), LE(why));
	if (c->app)
		conn_abort(c->app);
	flow_end(&c->flow, why);
	conn_abort(c->conn);
	in_conn_free(c, why);
}

/* ---- byte streams ---- */

static const struct authz *admitted(const struct in_conn *c)
{
	const struct inbound_policy *p = c->port->policy;

	return authz_match(p->authz, p->nauthz, &c->peer.ip, c->tls, in_identity(c));
}

static void relayed(void *arg, const struct err *e, uint64_t a_to_b, uint64_t b_to_a)
{
	struct in_conn *c = obj_cast(struct in_conn, arg, IN_CONN_MAGIC);

	(void)a_to_b, (void)b_to_a;
	c->relay = NULL;
	in_conn_free(c, e);
}

static void join(struct in_conn *c)
{
	struct conn *app = c->app;
	struct err e;

	c->app = NULL;
	c->at = IN_RELAY;
	list_push(&c->port->streams, &c->node);
	c->relay = relay_new(c->conn, app, relayed, c, &e);
	if (!c->relay) {
		c->app = app;
		refuse(c, &e);
	}
}

static void app_dialled(void *arg, struct conn *app, const struct endpoint_info *to,
	struct transport_meter *meter, const struct err *e);

static void dial(struct in_conn *c)
{
	struct err e;

	if (c->stream)
		return;
	c->stream = balancer_stream(c->balancer, app_dialled, c, &e);
	if (!c->stream)
		refuse(c, &e);
}

static void begin_stream(struct in_conn *c)
{
	const struct authz *az = admitted(c);
	struct err e;

	if (!az) {
		count(c, M_IN_TCP_DENY, NULL);
		err_set(&e, ERR_DENIED, "not authorized for port %u", c->dst.port);
		refuse(c, &e);
		return;
	}
	count(c, M_IN_TCP_ALLOW, az);
	if (c->app) {
		join(c);
		return;
	}
	c->at = IN_DIAL;
	conn_pause(c->conn);
	dial(c);
}

void in_conn_recheck(struct in_conn *c)
{
	if (c->at != IN_RELAY || admitted(c))
		return;
	count(c, M_IN_TCP_TERMINATE, NULL);
	log_info("proxy", "connection terminated by a change of policy",
		LI("port", c->dst.port), LS("client_id", in_identity(c)));
	relay_end(c->relay);
	in_conn_free(c, NULL);
}

/* While nobody has said a word: the application's first byte decides. */
static size_t app_in(struct conn *app, void *arg, const uint8_t *p, size_t n)
{
	struct in_conn *c = obj_cast(struct in_conn, arg, IN_CONN_MAGIC);

	(void)app, (void)p;
	if (n == 0 || (c->at != IN_DETECT && c->at != IN_SNIFF))
		return 0;
	if (c->sniff)
		sniff_end(c->sniff);
	c->sniff = NULL;
	if (c->at == IN_SNIFF)
		flow_begin(&c->flow, c->client.worker, c->conn, accepted_meter(c));
	seen_server_first(c->port->seen, c->since);
	begin_stream(c);
	return 0;
}

static void app_gone(struct conn *app, void *arg, const struct err *e)
{
	struct in_conn *c = obj_cast(struct in_conn, arg, IN_CONN_MAGIC);

	(void)app;
	flow_end(&c->app_flow, e);
	c->app = NULL;
	stream_over(c->stream);
	c->stream = NULL;
}

static void app_eof(struct conn *app, void *arg)
{
	(void)app_in(app, arg, (const uint8_t *)"", 1);
}

static const struct conn_user app_user = {
	.on_in = app_in, .on_eof = app_eof, .on_gone = app_gone};

static void app_dialled(void *arg, struct conn *app, const struct endpoint_info *to,
	struct transport_meter *meter, const struct err *e)
{
	struct in_conn *c = obj_cast(struct in_conn, arg, IN_CONN_MAGIC);

	(void)to;
	if (!app) {
		c->stream = NULL;
		count_error(c, "i/o");
		if (c->at == IN_DIAL)
			refuse(c, e);
		else if (c->sniff) /* it may still speak HTTP, and hear of it then */
			sniff_doom(c->sniff);
		return;
	}
	c->app = app;
	flow_begin(&c->app_flow, c->client.worker, app, transport_meter_ref(meter));
	if (c->at == IN_DIAL)
		join(c);
	else
		conn_use(app, &app_user, c);
}

/* The application was dialled for nothing: the client speaks HTTP. */
static void drop_app(struct in_conn *c)
{
	if (c->app) {
		flow_end(&c->app_flow, NULL);
		conn_finish(c->app);
		c->app = NULL;
		stream_over(c->stream);
	} else if (c->stream) {
		stream_cancel(c->stream);
	}
	c->stream = NULL;
}

/* ---- detection ---- */

static void http_verdict(void *arg, enum detect d, const char *sni, bool late)
{
	struct in_conn *c = obj_cast(struct in_conn, arg, IN_CONN_MAGIC);

	(void)sni;
	c->sniff = NULL;
	c->timed_out = late;
	seen_verdict(c->port->seen, d, late, c->since);
	if (d == DETECT_HTTP1 || d == DETECT_HTTP2) {
		drop_app(c);
		c->at = IN_HTTP;
		in_http_begin(c, d == DETECT_HTTP2 ? HTTP_KIND_2 : HTTP_KIND_1);
		return;
	}
	begin_stream(c);
}

/* Nothing was said on it, and the proxy is to end. */
static void leave(struct in_conn *c)
{
	drop_app(c);
	flow_end(&c->flow, NULL);
	conn_finish(c->conn);
	in_conn_free(c, NULL);
}

static void client_quiet(void *arg)
{
	struct in_conn *c = obj_cast(struct in_conn, arg, IN_CONN_MAGIC);

	if (c->client.worker->draining)
		leave(c);
	else
		dial(c);
}

static void client_doomed(void *arg)
{
	struct err e;

	err_set(&e, ERR_TIMEOUT, "the client waits for an application that is away");
	refuse(obj_cast(struct in_conn, arg, IN_CONN_MAGIC), &e);
}

static void client_gone(void *arg, const struct err *e)
{
	struct in_conn *c = obj_cast(struct in_conn, arg, IN_CONN_MAGIC);

	c->sniff = NULL;
	seen_client_left(c->port->seen, c->since);
	flow_end(&c->flow, e);
	drop_app(c);
	in_conn_free(c, e);
}

static const struct sniff_user http_sniff = {.on_verdict = http_verdict,
	.on_quiet = client_quiet,
	.on_doom = client_doomed,
	.on_gone = client_gone};

static void detect_http(struct in_conn *c)
{
	struct sniff_spec spec = {
		.quiet = QUIET, .limit = c->port->policy->detect_timeout};
	struct err e;

	c->at = IN_DETECT;
	c->since = loop_now(c->client.worker->loop);
	c->sniff = sniff_new(c->conn, &spec, &http_sniff, c, &e);
	if (!c->sniff)
		refuse(c, &e);
}

/*
 * What the port's policy says is spoken, once TLS is out of the way.  `seen` is what
 * the first bytes have shown already, or DETECT_MORE.
 */
static void begin_protocol(struct in_conn *c, enum detect seen)
{
	enum proto proto = c->port->policy->proto;

	flow_begin(&c->flow, c->client.worker, c->conn, accepted_meter(c));
	seen_connection(c->port->seen);
	switch (proto) {
	case PROTO_HTTP2:
	case PROTO_GRPC:
		c->at = IN_HTTP;
		drop_app(c);
		in_http_begin(c, HTTP_KIND_2);
		return;
	case PROTO_DETECT:
	case PROTO_HTTP1: /* a meshed peer may have made HTTP/2 of it */
		if (seen == DETECT_MORE)
			detect_http(c);
		else
			http_verdict(c, seen, "", c->timed_out);
		return;
	case PROTO_OPAQUE:
	case PROTO_TLS:
		break;
	}
	begin_stream(c);
}

/* ---- TLS ---- */

static void shaken(struct conn *tls, void *arg)
{
	struct in_conn *c = obj_cast(struct in_conn, arg, IN_CONN_MAGIC);

	c->tls = true;
	c->client_id = slice_dup(slice_of(tls_peer_id(conn_tls(tls))));
	begin_protocol(c, DETECT_MORE);
}

static size_t shake_in(struct conn *tls, void *arg, const uint8_t *p, size_t n)
{
	(void)tls, (void)arg, (void)p, (void)n;
	return 0;
}

static void shake_gone(struct conn *tls, void *arg, const struct err *e)
{
	struct in_conn *c = obj_cast(struct in_conn, arg, IN_CONN_MAGIC);
	char peer[ADDR_TEXT];

	(void)tls;
	count_error(c, e->code == ERR_TIMEOUT ? "tls detection timeout" : "i/o");
	log_warn("proxy", "TLS handshake failed",
		LS("client", addr_text(&c->peer, peer)), LE(e));
	in_conn_free(c, e);
}

static const struct conn_user shake_user = {
	.on_open = shaken, .on_in = shake_in, .on_gone = shake_gone};

static void begin_tls(struct in_conn *c)
{
	struct pworker *w = c->client.worker;
	struct ref *creds = snap_get(w->creds);
	struct tls_config cfg = {
		.creds = (struct creds *)creds, .ask_client_cert = true};
	struct conn *tls = NULL;
	struct err e;

	c->at = IN_SHAKE;
	if (!creds) {
		err_set(&e, ERR_BUSY, "a TLS client, and we have no certificate yet");
		refuse(c, &e);
		return;
	}
	tls = tlsconn_server(c->conn, &cfg, w->cfg->in.detect_timeout, &e);
	ref_put(creds);
	if (!tls) {
		refuse(c, &e);
		return;
	}
	c->conn = tls;
	conn_use(tls, &shake_user, c);
}

static void tls_verdict(void *arg, enum detect d, const char *sni, bool late)
{
	struct in_conn *c = obj_cast(struct in_conn, arg, IN_CONN_MAGIC);

	c->sniff = NULL;
	c->timed_out = late;
	if (d == DETECT_TLS && strcmp(sni, c->client.worker->cfg->server_name) == 0) {
		drop_app(c);
		begin_tls(c);
		return;
	}
	c->tls_detected = d == DETECT_TLS;
	c->sni = slice_dup(slice_of(sni));
	begin_protocol(c, d);
}

static const struct sniff_user tls_sniff = {.on_verdict = tls_verdict,
	.on_quiet = client_quiet,
	.on_doom = client_doomed,
	.on_gone = client_gone};

void in_conn_policy(struct in_conn *c)
{
	const struct inbound_policy *p = c->port->policy;
	struct sniff_spec spec = {.want_sni = true,
		.quiet = QUIET,
		.limit = c->client.worker->cfg->in.detect_timeout};
	struct err e;

	if (p->proto == PROTO_OPAQUE) {
		c->no_tls = "port_skipped";
		begin_protocol(c, DETECT_OPAQUE);
		return;
	}
	c->at = IN_SNIFF;
	c->since = loop_now(c->client.worker->loop);
	c->sniff = sniff_new(c->conn, &spec, &tls_sniff, c, &e);
	if (!c->sniff)
		refuse(c, &e);
}

/* ---- accept ---- */

static size_t wait_in(struct conn *conn, void *arg, const uint8_t *p, size_t n)
{
	(void)conn, (void)arg, (void)p, (void)n;
	return 0;
}

static void wait_gone(struct conn *conn, void *arg, const struct err *e)
{
	(void)conn;
	in_conn_free(obj_cast(struct in_conn, arg, IN_CONN_MAGIC), e);
}

static const struct conn_user wait_user = {.on_in = wait_in, .on_gone = wait_gone};

static void in_drain(struct client *cl)
{
	struct in_conn *c = container_of(cl, struct in_conn, client);

	if (c->http)
		http_server_drain(c->http);
	else if (c->sniff && sniff_is_quiet(c->sniff))
		leave(c);
}

static void in_stop(struct client *cl)
{
	struct in_conn *c = container_of(cl, struct in_conn, client);

	if (c->http)
		http_server_end(c->http);
	else if (c->relay)
		relay_end(c->relay);
	else
		conn_end(c->conn);
	if (c->app)
		conn_end(c->app);
	flow_end(&c->flow, NULL);
	in_conn_free(c, NULL);
}

static bool ip_allowed(const struct pworker *w, const struct ip *ip)
{
	for (size_t i = 0; i < w->cfg->ninbound_ips; i++)
		if (ip_eq(&w->cfg->inbound_ips[i], ip))
			return true;
	return w->cfg->ninbound_ips == 0;
}

/* The target: never ourselves, only addresses of this pod. */
static int find_target(struct in_conn *c, struct err *e)
{
	struct pworker *w = c->client.worker;
	struct endpoint_info info = {.weight = 10000};

	if (tcp_original_dst(c->conn, &c->dst) < 0)
		c->dst = c->conn->local;
	if (c->dst.port == w->cfg->inbound_listen.port)
		return err_set(e, ERR_DENIED,
			"inbound connection must not target port %u", c->dst.port);
	if (!ip_allowed(w, &c->dst.ip))
		return err_set(e, ERR_DENIED,
			"inbound connections are not allowed on this IP address");
	info.addr = c->dst;
	c->balancer = balancer_for_addr(w, SIDE_IN, &info);
	c->port = in_port_get(w, c->dst.port);
	if (!c->balancer || !c->port)
		return err_set(e, ERR_LIMIT, "no memory for a connection");
	return 0;
}

static void begin(struct in_conn *c)
{
	struct err e;

	if (find_target(c, &e) < 0) {
		log_warn("proxy", "inbound connection dropped", LE(&e));
		conn_end(c->conn);
		in_conn_free(c, &e);
		return;
	}
	if (c->port->policy) {
		in_conn_policy(c);
		return;
	}
	c->at = IN_POLICY;
	list_push(&c->port->waiting, &c->node);
	conn_use(c->conn, &wait_user, c);
}

void inbound_accept(struct pworker *w, int fd)
{
	struct tcp_opts o = {.keepalive = w->cfg->in.accept_keepalive,
		.user_timeout = w->cfg->in.accept_user_timeout,
		.leaving = &w->leaving};
	struct in_conn *c = calloc(1, sizeof *c);
	struct err e;

	if (!c) {
		close(fd);
		return;
	}
	c->magic = IN_CONN_MAGIC;
	c->no_tls = "no_tls_from_remote";
	list_init(&c->node);
	list_init(&c->flow.node);
	list_init(&c->app_flow.node);
	c->client.drain = in_drain;
	c->client.stop = in_stop;
	c->conn = tcp_adopt(w->loop, fd, &o, &e);
	if (!c->conn) {
		log_warn("proxy", "inbound connection dropped", LE(&e));
		free(c);
		return;
	}
	c->peer = c->conn->peer;
	client_add(w, &c->client);
	begin(c);
}
