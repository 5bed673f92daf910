/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/duct.h"

#include <stdlib.h>

#include "base/log.h"
#include "net/tcp.h"

/* ---- the server's side, counted ---- */

/* Without memory it is not. */
static void begin_server_flow(struct duct *d)
{
	d->server_flow = calloc(1, sizeof *d->server_flow);
	if (d->server_flow)
		flow_begin(d->server_flow, d->client.worker, d->server,
			transport_meter_ref(stream_meter(d->stream)));
}

static void end_server_flow(struct duct *d, const struct err *why)
{
	if (d->server_flow)
		flow_end(d->server_flow, why);
	free(d->server_flow);
	d->server_flow = NULL;
}

/* ---- end ---- */

void duct_fini(struct duct *d, const struct err *why)
{
	flow_end(&d->flow, why);
	end_server_flow(d, why);
	if (d->sniff)
		sniff_end(d->sniff);
	d->sniff = NULL;
	if (d->stream)
		stream_cancel(d->stream);
	d->stream = NULL;
	client_remove(&d->client);
}

void duct_refuse(struct duct *d, const struct err *why)
{
	end_server_flow(d, why);
	if (d->server)
		conn_abort(d->server);
	d->server = NULL;
	flow_end(&d->flow, why);
	conn_abort(d->conn);
}

void duct_cut(struct duct *d)
{
	if (d->relay)
		relay_end(d->relay);
	else
		duct_refuse(d, NULL);
	d->relay = NULL;
}

/* Nothing was said on it, and the proxy is to end. */
static void leave(struct duct *d)
{
	duct_drop_server(d);
	flow_end(&d->flow, NULL);
	conn_finish(d->conn);
	d->user->on_over(d, NULL);
}

static void on_drain(struct client *cl)
{
	struct duct *d = container_of(cl, struct duct, client);

	if (d->http)
		http_server_drain(d->http);
	else if (d->sniff && sniff_is_quiet(d->sniff))
		leave(d);
}

static void end_now(struct duct *d, const struct err *why)
{
	if (d->http)
		http_server_end(d->http);
	else if (d->relay)
		relay_end(d->relay);
	else
		conn_end(d->conn);
	if (d->server)
		conn_end(d->server);
	flow_end(&d->flow, why);
	d->user->on_over(d, why);
}

static void on_stop(struct client *cl)
{
	end_now(container_of(cl, struct duct, client), NULL);
}

static void on_shed(struct client *cl)
{
	struct duct *d = container_of(cl, struct duct, client);
	char peer[ADDR_TEXT];
	struct err e;

	if (d->flow.still < SHED_AFTER) {
		if (d->http)
			http_server_shed(d->http, SHED_AFTER * NS_PER_S);
		return;
	}
	err_set(&e, ERR_BUSY, "memory is short, and %s took nothing for %d s",
		addr_text(&d->flow.bytes.conn->peer, peer), SHED_AFTER);
	log_warn("proxy", "connection dropped", LE(&e));
	end_now(d, &e);
}

/* ---- waiting ---- */

static size_t held_in(struct conn *conn, void *arg, const uint8_t *p, size_t n)
{
	(void)conn, (void)arg, (void)p, (void)n;
	return 0;
}

static void held_gone(struct conn *conn, void *arg, const struct err *e)
{
	struct duct *d = arg;

	(void)conn;
	d->user->on_over(d, e);
}

static const struct conn_user held_user = {.on_in = held_in, .on_gone = held_gone};

void duct_hold(struct duct *d)
{
	d->at = DUCT_HELD;
	conn_use(d->conn, &held_user, d);
}

/* ---- byte streams ---- */

static void relayed(void *arg, const struct err *e, uint64_t a_to_b, uint64_t b_to_a)
{
	struct duct *d = arg;

	(void)a_to_b, (void)b_to_a;
	d->relay = NULL;
	d->user->on_over(d, e);
}

/* It is counted from here on: one that was dialled in advance may never serve. */
static void join(struct duct *d)
{
	struct conn *server = d->server;
	struct err e;

	begin_server_flow(d);
	d->server = NULL;
	d->at = DUCT_RELAY;
	d->relay = relay_new(d->conn, server, relayed, d, &e);
	if (!d->relay) {
		d->server = server;
		d->user->on_failed(d, &e);
	}
}

static size_t server_in(struct conn *server, void *arg, const uint8_t *p, size_t n)
{
	struct duct *d = arg;

	(void)server;
	if (n == 0 || d->at != DUCT_SNIFF)
		return 0;
	if (detect_server_http2(p, n))
		return 0; /* says nothing of its client, who is to speak yet */
	if (d->sniff)
		sniff_end(d->sniff);
	d->sniff = NULL;
	d->user->on_server_first(d);
	return 0;
}

static void server_eof(struct conn *server, void *arg)
{
	(void)server_in(server, arg, (const uint8_t *)"", 1);
}

static void server_gone(struct conn *server, void *arg, const struct err *e)
{
	struct duct *d = arg;

	(void)server;
	end_server_flow(d, e);
	d->server = NULL;
	stream_over(d->stream);
	d->stream = NULL;
}

/* While nobody has said a word: the server's first byte decides. */
static const struct conn_user server_user = {
	.on_in = server_in, .on_eof = server_eof, .on_gone = server_gone};

static void dialled(void *arg, struct conn *server, const struct endpoint_info *to,
	const struct err *e)
{
	struct duct *d = arg;

	if (!server) {
		d->stream = NULL;
		if (d->at == DUCT_DIAL)
			d->user->on_failed(d, e);
		else if (d->sniff) /* it may still speak HTTP, and hear of it then */
			sniff_doom(d->sniff);
		return;
	}
	d->server = server;
	if (d->user->on_dialled)
		d->user->on_dialled(d, to);
	if (d->at == DUCT_DIAL)
		join(d);
	else
		conn_use(server, &server_user, d);
}

static int dial(struct duct *d, struct err *e)
{
	struct balancer *b;

	if (d->stream)
		return 0;
	b = d->user->balancer(d, e);
	if (!b)
		return -1;
	d->stream = balancer_stream(b, dialled, d, e);
	return d->stream ? 0 : -1;
}

void duct_stream(struct duct *d)
{
	struct err e;

	if (d->server) {
		join(d);
		return;
	}
	duct_hold(d); /* it may leave meanwhile */
	d->at = DUCT_DIAL;
	conn_pause(d->conn);
	if (dial(d, &e) < 0)
		d->user->on_failed(d, &e);
}

static void drop_server(struct duct *d, void (*end)(struct conn *))
{
	if (d->server) {
		end_server_flow(d, NULL);
		end(d->server);
		d->server = NULL;
		stream_over(d->stream);
	} else if (d->stream) {
		stream_cancel(d->stream);
	}
	d->stream = NULL;
}

void duct_drop_server(struct duct *d)
{
	drop_server(d, conn_finish);
}

/* What was dialled in advance may carry the first request. */
static void spare_server(struct duct *d)
{
	if (!d->stream || !stream_spare(d->stream, d->server)) {
		duct_drop_server(d);
		return;
	}
	d->server = NULL;
	d->stream = NULL;
}

/* ---- detection ---- */

static void verdict(void *arg, enum detect v, const char *sni, bool late)
{
	struct duct *d = arg;

	d->sniff = NULL;
	d->user->on_verdict(d, v, sni, late);
}

static void quiet(void *arg)
{
	struct duct *d = arg;
	struct err e;

	if (d->client.worker->draining)
		leave(d);
	else if (dial(d, &e) < 0) /* a client that speaks now will hear why */
		sniff_doom(d->sniff);
}

static void doomed(void *arg)
{
	struct duct *d = arg;
	struct err e;

	err_set(&e, ERR_CLOSED, "the client waits for a server that is out of reach");
	d->user->on_failed(d, &e);
}

static void sniff_gone(void *arg, const struct err *e)
{
	struct duct *d = arg;

	d->sniff = NULL;
	flow_end(&d->flow, e);
	drop_server(d, conn_abort); /* a reset passes; and leaves no TIME-WAIT here */
	d->user->on_over(d, e);
}

static const struct sniff_user sniff_user = {.on_verdict = verdict,
	.on_quiet = quiet,
	.on_doom = doomed,
	.on_gone = sniff_gone};

/* Of a proxy that is to end nobody is waited for who says nothing. */
#define DRAIN_QUIET (50 * NS_PER_MS)

void duct_sniff(struct duct *d, const struct sniff_spec *how)
{
	struct sniff_spec spec = *how;
	struct err e;

	if (spec.quiet < DRAIN_QUIET && d->client.worker->draining)
		spec.quiet = DRAIN_QUIET;
	d->at = DUCT_SNIFF;
	d->sniff = sniff_new(d->conn, &spec, &sniff_user, d, &e);
	if (!d->sniff)
		d->user->on_failed(d, &e);
}

/* ---- HTTP ---- */

void duct_http(struct duct *d, enum http_kind kind, const struct http_server_user *user,
	void *arg)
{
	struct pworker *w = d->client.worker;
	struct err e;

	d->at = DUCT_HTTP;
	spare_server(d);
	d->http = http_server_new(d->conn, kind,
		d->side == SIDE_IN ? &w->in_http : &w->out_http, user, arg, &e);
	if (!d->http) {
		log_warn("proxy", "connection dropped", LE(&e));
		conn_end(d->conn);
		d->user->on_over(d, &e);
	} else if (w->draining) {
		http_server_drain(d->http);
	}
}

/* ---- begin ---- */

void duct_meter(struct duct *d, struct transport_meter *taken)
{
	flow_begin(&d->flow, d->client.worker, d->conn, taken);
}

int duct_init(struct duct *d, struct pworker *w, enum side side, int fd,
	const struct duct_user *user, struct err *e)
{
	d->conn = tcp_adopt(w->loop, fd, &w->leaving, e);
	if (!d->conn)
		return -1;
	d->side = side;
	d->user = user;
	list_init(&d->flow.node);
	d->client.drain = on_drain;
	d->client.stop = on_stop;
	d->client.shed = on_shed;
	client_add(w, &d->client);
	return 0;
}
