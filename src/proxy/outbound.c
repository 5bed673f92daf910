/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/outbound.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "net/tcp.h"
#include "proxy/outbound_int.h"

/*
 * A client silent for this long may be waiting for the server to speak; where clients
 * have spoken HTTP before there is less of a hurry.
 */
#define QUIET      (2 * NS_PER_MS)
#define QUIET_HTTP (50 * NS_PER_MS)

static struct transport_meter *accepted_meter(const struct out_conn *c)
{
	struct transport_meter *m;
	char text[ADDR_TEXT];
	struct buf b = BUF_INIT;

	labels_add(&b, "direction", SLICE("outbound"));
	labels_add(&b, "peer", SLICE("src"));
	labels_add(&b, "target_addr", slice_of(addr_text(&c->dst, text)));
	labels_add(&b, "tls", SLICE("no_identity"));
	labels_add(&b, "no_tls_reason", SLICE("loopback"));
	m = transport_meter_get(c->client.worker, buf_slice(&b));
	buf_fini(&b);
	return m;
}

static const char *error_label(const struct err *why)
{
	if (why->code == ERR_TIMEOUT || why->code == ERR_MISSING)
		return "failfast";
	return why->code == ERR_BUSY ? "loadshed" : "i/o";
}

static void count_error(struct out_conn *c, const struct err *why)
{
	struct pworker *w = c->client.worker;
	char text[ADDR_TEXT];
	struct buf b = BUF_INIT;

	labels_add(&b, "error", slice_of(error_label(why)));
	labels_add(&b, "target_addr", slice_of(addr_text(&c->dst, text)));
	metrics_count(w->metrics, M_OUT_TCP_ERRORS, buf_slice(&b), w->index);
	buf_fini(&b);
}

void out_conn_free(struct out_conn *c, const struct err *why)
{
	c->at = OUT_OVER;
	flow_end(&c->flow, why);
	flow_end(&c->server_flow, why);
	if (c->sniff)
		sniff_end(c->sniff);
	if (c->stream)
		stream_cancel(c->stream);
	list_remove(&c->node);
	if (c->streaming)
		seen_stream_close(c->target->seen, why);
	if (c->target)
		out_target_put(c->target);
	c->magic = 0;
	client_remove(&c->client);
	free(c);
}

static void refuse(struct out_conn *c, const struct err *why)
{
	char dst[ADDR_TEXT];

	log_warn("proxy", "outbound connection failed",
		LS("target", addr_text(&c->dst, dst)), LE(why));
	count_error(c, why);
	if (c->server) {
		flow_end(&c->server_flow, why);
		conn_abort(c->server);
	}
	flow_end(&c->flow, why);
	conn_abort(c->conn);
	out_conn_free(c, why);
}

/* ---- byte streams ---- */

static void relayed(void *arg, const struct err *e, uint64_t a_to_b, uint64_t b_to_a)
{
	struct out_conn *c = obj_cast(struct out_conn, arg, OUT_CONN_MAGIC);

	(void)a_to_b, (void)b_to_a;
	c->relay = NULL;
	out_conn_free(c, e);
}

static void join(struct out_conn *c)
{
	struct conn *server = c->server;
	struct err e;

	c->server = NULL;
	c->at = OUT_RELAY;
	c->relay = relay_new(c->conn, server, relayed, c, &e);
	if (!c->relay) {
		c->server = server;
		refuse(c, &e);
	}
}

static void server_dialled(void *arg, struct conn *server,
	const struct endpoint_info *to, struct transport_meter *meter,
	const struct err *e);

/* Where a byte stream to this target goes; NULL and `e` when it may not go anywhere. */
static struct balancer *stream_balancer(struct out_conn *c, struct err *e)
{
	const struct distribution *d = c->target->policy->opaque;
	const struct out_backend *b;

	if (d && (d->forbidden || d->invalid)) {
		if (d->forbidden)
			err_set(e, ERR_DENIED, "forbidden by policy");
		else
			err_set(e, ERR_SYNTAX, "the policy's route is invalid");
		return NULL;
	}
	b = out_target_pick(c->target, d);
	if (!b || !b->balancer) {
		err_set(e, ERR_MISSING, "%s",
			b && b->of->problem ? b->of->problem : "no backend");
		return NULL;
	}
	return b->balancer;
}

static int dial(struct out_conn *c, struct err *e)
{
	struct balancer *b;

	if (c->stream)
		return 0;
	b = stream_balancer(c, e);
	if (!b)
		return -1;
	c->stream = balancer_stream(b, server_dialled, c, e);
	return c->stream ? 0 : -1;
}

static void begin_stream(struct out_conn *c)
{
	struct err e;

	c->streaming = true;
	seen_stream_open(c->target->seen);
	if (c->server) {
		join(c);
		return;
	}
	c->at = OUT_DIAL;
	conn_pause(c->conn);
	if (dial(c, &e) < 0)
		refuse(c, &e);
}

static size_t server_in(struct conn *server, void *arg, const uint8_t *p, size_t n)
{
	struct out_conn *c = obj_cast(struct out_conn, arg, OUT_CONN_MAGIC);

	(void)server, (void)p;
	if (n == 0 || c->at != OUT_DETECT)
		return 0;
	if (c->sniff)
		sniff_end(c->sniff);
	c->sniff = NULL;
	c->target->client_first = false;
	seen_server_first(c->target->seen, c->since);
	begin_stream(c);
	return 0;
}

static void server_eof(struct conn *server, void *arg)
{
	(void)server_in(server, arg, (const uint8_t *)"", 1);
}

static void server_gone(struct conn *server, void *arg, const struct err *e)
{
	struct out_conn *c = obj_cast(struct out_conn, arg, OUT_CONN_MAGIC);

	(void)server;
	flow_end(&c->server_flow, e);
	c->server = NULL;
	stream_over(c->stream);
	c->stream = NULL;
}

static const struct conn_user server_user = {
	.on_in = server_in, .on_eof = server_eof, .on_gone = server_gone};

static void server_dialled(void *arg, struct conn *server,
	const struct endpoint_info *to, struct transport_meter *meter,
	const struct err *e)
{
	struct out_conn *c = obj_cast(struct out_conn, arg, OUT_CONN_MAGIC);

	if (!server) {
		c->stream = NULL;
		if (c->at == OUT_DIAL)
			refuse(c, e);
		else if (c->sniff)
			sniff_doom(c->sniff);
		return;
	}
	c->server = server;
	seen_peer(c->target->seen, to->hint, false);
	flow_begin(
		&c->server_flow, c->client.worker, server, transport_meter_ref(meter));
	if (c->at == OUT_DIAL)
		join(c);
	else
		conn_use(server, &server_user, c);
}

static void drop_server(struct out_conn *c)
{
	if (c->server) {
		flow_end(&c->server_flow, NULL);
		conn_finish(c->server);
		c->server = NULL;
		stream_over(c->stream);
	} else if (c->stream) {
		stream_cancel(c->stream);
	}
	c->stream = NULL;
}

/* ---- detection ---- */

static void verdict(void *arg, enum detect d, const char *sni, bool late)
{
	struct out_conn *c = obj_cast(struct out_conn, arg, OUT_CONN_MAGIC);

	(void)sni;
	c->sniff = NULL;
	seen_verdict(c->target->seen, d, late, c->since);
	if (d != DETECT_HTTP1 && d != DETECT_HTTP2) {
		begin_stream(c);
		return;
	}
	c->target->client_first = true;
	drop_server(c);
	out_http_begin(c, d == DETECT_HTTP2 ? HTTP_KIND_2 : HTTP_KIND_1);
}

/* Nothing was said on it, and the proxy is to end. */
static void leave(struct out_conn *c)
{
	drop_server(c);
	flow_end(&c->flow, NULL);
	conn_finish(c->conn);
	out_conn_free(c, NULL);
}

static void quiet(void *arg)
{
	struct out_conn *c = obj_cast(struct out_conn, arg, OUT_CONN_MAGIC);
	struct err e;

	if (c->client.worker->draining)
		leave(c);
	else if (dial(c, &e) < 0) /* a client that speaks now will hear why */
		sniff_doom(c->sniff);
}

static void doomed(void *arg)
{
	struct err e;

	err_set(&e, ERR_CLOSED, "the client waits for a server that is out of reach");
	refuse(obj_cast(struct out_conn, arg, OUT_CONN_MAGIC), &e);
}

static void sniff_gone(void *arg, const struct err *e)
{
	struct out_conn *c = obj_cast(struct out_conn, arg, OUT_CONN_MAGIC);

	c->sniff = NULL;
	seen_client_left(c->target->seen, c->since);
	flow_end(&c->flow, e);
	drop_server(c);
	out_conn_free(c, e);
}

static const struct sniff_user sniff_user = {.on_verdict = verdict,
	.on_quiet = quiet,
	.on_doom = doomed,
	.on_gone = sniff_gone};

static void detect(struct out_conn *c)
{
	struct sniff_spec spec = {.quiet = c->target->client_first ? QUIET_HTTP : QUIET,
		.limit = c->target->policy->detect_timeout};
	struct err e;

	c->at = OUT_DETECT;
	c->since = loop_now(c->client.worker->loop);
	c->sniff = sniff_new(c->conn, &spec, &sniff_user, c, &e);
	if (!c->sniff)
		refuse(c, &e);
}

void out_conn_policy(struct out_conn *c)
{
	seen_connection(c->target->seen);
	switch (c->target->policy->proto) {
	case PROTO_HTTP1:
		out_http_begin(c, HTTP_KIND_1);
		return;
	case PROTO_HTTP2:
	case PROTO_GRPC:
		out_http_begin(c, HTTP_KIND_2);
		return;
	case PROTO_DETECT:
		detect(c);
		return;
	case PROTO_OPAQUE:
	case PROTO_TLS:
		begin_stream(c);
		return;
	}
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
	out_conn_free(obj_cast(struct out_conn, arg, OUT_CONN_MAGIC), e);
}

static const struct conn_user wait_user = {.on_in = wait_in, .on_gone = wait_gone};

static void out_drain(struct client *cl)
{
	struct out_conn *c = container_of(cl, struct out_conn, client);

	if (c->http)
		http_server_drain(c->http);
	else if (c->sniff && sniff_is_quiet(c->sniff))
		leave(c);
}

static void out_stop(struct client *cl)
{
	struct out_conn *c = container_of(cl, struct out_conn, client);

	if (c->http)
		http_server_end(c->http);
	else if (c->relay)
		relay_end(c->relay);
	else
		conn_end(c->conn);
	if (c->server)
		conn_end(c->server);
	flow_end(&c->flow, NULL);
	out_conn_free(c, NULL);
}

/* Redirected connections only, and never back into ourselves. */
static int find_target(struct out_conn *c, struct err *e)
{
	if (tcp_original_dst(c->conn, &c->dst) < 0)
		return err_set(e, ERR_DENIED,
			"the outbound port takes redirected connections only");
	if (ip_is_loopback(&c->dst.ip))
		return err_set(e, ERR_DENIED,
			"outbound proxy cannot initiate connections on the loopback "
			"interface");
	c->target = out_target_get(c->client.worker, &c->dst);
	if (!c->target)
		return err_set(e, ERR_LIMIT, "no memory for a connection");
	return 0;
}

static void begin(struct out_conn *c)
{
	struct err e;

	if (find_target(c, &e) < 0) {
		log_warn("proxy", "outbound connection dropped", LE(&e));
		conn_end(c->conn);
		out_conn_free(c, &e);
		return;
	}
	flow_begin(&c->flow, c->client.worker, c->conn, accepted_meter(c));
	if (c->target->policy) {
		out_conn_policy(c);
		return;
	}
	c->at = OUT_POLICY;
	list_push(&c->target->waiting, &c->node);
	conn_use(c->conn, &wait_user, c);
}

void outbound_accept(struct pworker *w, int fd)
{
	struct tcp_opts o = {.keepalive = w->cfg->out.accept_keepalive,
		.user_timeout = w->cfg->out.accept_user_timeout,
		.leaving = &w->leaving};
	struct out_conn *c = calloc(1, sizeof *c);
	struct err e;

	if (!c) {
		close(fd);
		return;
	}
	c->magic = OUT_CONN_MAGIC;
	list_init(&c->node);
	list_init(&c->flow.node);
	list_init(&c->server_flow.node);
	c->client.drain = out_drain;
	c->client.stop = out_stop;
	c->conn = tcp_adopt(w->loop, fd, &o, &e);
	if (!c->conn) {
		log_warn("proxy", "outbound connection dropped", LE(&e));
		free(c);
		return;
	}
	client_add(w, &c->client);
	begin(c);
}
