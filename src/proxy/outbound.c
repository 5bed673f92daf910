/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/outbound.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "net/tcp.h"
#include "proxy/outbound_int.h"

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
	m = transport_meter_get(c->duct.client.worker, buf_slice(&b));
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
	struct pworker *w = c->duct.client.worker;
	char text[ADDR_TEXT];
	struct buf b = BUF_INIT;

	labels_add(&b, "error", slice_of(error_label(why)));
	labels_add(&b, "target_addr", slice_of(addr_text(&c->dst, text)));
	metrics_count(w->metrics, M_OUT_TCP_ERRORS, buf_slice(&b), w->index);
	buf_fini(&b);
}

static struct out_conn *out_of(struct duct *d)
{
	struct out_conn *c = container_of(d, struct out_conn, duct);

	must(c->magic == OUT_CONN_MAGIC);
	return c;
}

/* ---- byte streams ---- */

static const struct meta *tls_meta(const struct out_conn *c)
{
	return c->tls ? &c->tls->meta : NULL;
}

static void begin_stream(struct out_conn *c)
{
	c->streaming = true;
	seen_stream_open(c->target->seen, tls_meta(c));
	duct_stream(&c->duct);
}

static struct balancer *server(struct duct *d, struct err *e)
{
	struct out_conn *c = out_of(d);

	return out_target_stream(c->target, c->tls, e);
}

static void server_first(struct duct *d)
{
	struct out_conn *c = out_of(d);

	c->target->client_first = false;
	seen_server_first(c->target->seen, c->since);
	begin_stream(c);
}

static void dialled(struct duct *d, const struct endpoint_info *to)
{
	seen_peer(out_of(d)->target->seen, to->hint, false);
}

/* ---- end ---- */

void out_conn_free(struct out_conn *c, const struct err *why)
{
	duct_fini(&c->duct, why);
	list_remove(&c->wait.node);
	if (c->streaming)
		seen_stream_close(c->target->seen, tls_meta(c), why);
	if (c->target)
		out_target_put(c->target);
	if (c->policy)
		ref_put(c->policy);
	c->magic = 0;
	free(c);
}

static void failed(struct duct *d, const struct err *why)
{
	struct out_conn *c = out_of(d);
	char dst[ADDR_TEXT];

	log_warn("proxy", "outbound connection failed",
		LS("target", addr_text(&c->dst, dst)), LE(why));
	count_error(c, why);
	duct_refuse(d, why);
	out_conn_free(c, why);
}

static void over(struct duct *d, const struct err *why)
{
	struct out_conn *c = out_of(d);

	if (d->at == DUCT_SNIFF && why)
		seen_client_left(c->target->seen, c->since);
	out_conn_free(c, why);
}

/* ---- detection ---- */

/* TLS that a policy routes: the hello must say for whom it is. */
static void begin_tls(struct out_conn *c, enum detect seen, const char *sni)
{
	struct out_target *t = c->target;
	struct err e;

	if (seen == DETECT_TLS && *sni) {
		c->policy = &t->policy->ref;
		ref_get(c->policy);
		c->tls = out_target_tls(t, sni);
	}
	if (c->tls) {
		begin_stream(c);
		return;
	}
	if (c->policy)
		err_set(&e, ERR_MISSING, "no route for the server name %s", sni);
	else
		err_set(&e, ERR_DENIED, "the policy wants TLS with a server name");
	failed(&c->duct, &e);
}

static bool wants_tls(const struct out_conn *c)
{
	return c->target->policy->proto == PROTO_TLS &&
	       !c->duct.client.worker->cfg->ingress;
}

static void verdict(struct duct *d, enum detect seen, const char *sni, bool late)
{
	struct out_conn *c = out_of(d);

	seen_verdict(c->target->seen, seen, late, c->since);
	if (wants_tls(c)) {
		begin_tls(c, seen, sni);
		return;
	}
	if (seen != DETECT_HTTP1 && seen != DETECT_HTTP2) {
		begin_stream(c);
		return;
	}
	c->target->client_first = true;
	out_http_begin(c, seen == DETECT_HTTP2 ? HTTP_KIND_2 : HTTP_KIND_1);
}

static const struct duct_user out_duct = {.on_verdict = verdict,
	.on_server_first = server_first,
	.balancer = server,
	.on_dialled = dialled,
	.on_failed = failed,
	.on_over = over};

static void detect(struct out_conn *c)
{
	struct sniff_spec spec = {
		.quiet = c->target->client_first ? DUCT_QUIET_HTTP : DUCT_QUIET,
		.limit = c->target->policy->detect_timeout};

	if (wants_tls(c)) { /* a TLS client speaks first */
		spec.want_sni = true;
		spec.quiet = 0;
		spec.limit = c->duct.client.worker->cfg->out.detect_timeout;
	}
	c->since = loop_now(c->duct.client.worker->loop);
	duct_sniff(&c->duct, &spec);
}

static void begin_protocol(struct out_conn *c)
{
	enum proto proto = c->target->policy->proto;

	seen_connection(c->target->seen);
	if (c->duct.client.worker->cfg->ingress)
		proto = PROTO_DETECT; /* its requests say where they go */
	switch (proto) {
	case PROTO_HTTP1:
		out_http_begin(c, HTTP_KIND_1);
		return;
	case PROTO_HTTP2:
	case PROTO_GRPC:
		out_http_begin(c, HTTP_KIND_2);
		return;
	case PROTO_DETECT:
	case PROTO_TLS:
		detect(c);
		return;
	case PROTO_OPAQUE:
		begin_stream(c);
		return;
	}
}

static void policy_there(struct out_wait *wait)
{
	begin_protocol(container_of(wait, struct out_conn, wait));
}

/* ---- accept ---- */

/* Redirected connections only, and never back into ourselves. */
static int find_target(struct out_conn *c, struct err *e)
{
	if (tcp_original_dst(c->duct.conn, &c->dst) < 0)
		return err_set(e, ERR_DENIED,
			"the outbound port takes redirected connections only");
	if (ip_is_loopback(&c->dst.ip))
		return err_set(e, ERR_DENIED,
			"outbound proxy cannot initiate connections on the loopback "
			"interface");
	c->target = out_target_get(c->duct.client.worker, &c->dst);
	if (!c->target)
		return err_set(e, ERR_LIMIT, "no memory for a connection");
	return 0;
}

static void begin(struct out_conn *c)
{
	struct err e;

	if (find_target(c, &e) < 0) {
		log_warn("proxy", "outbound connection dropped", LE(&e));
		conn_end(c->duct.conn);
		out_conn_free(c, &e);
		return;
	}
	duct_meter(&c->duct, accepted_meter(c));
	if (c->target->policy) {
		begin_protocol(c);
		return;
	}
	list_push(&c->target->waiting, &c->wait.node);
	duct_hold(&c->duct);
}

void outbound_accept(struct pworker *w, int fd)
{
	struct out_conn *c = calloc(1, sizeof *c);
	struct err e;

	if (!c) {
		close(fd);
		return;
	}
	c->magic = OUT_CONN_MAGIC;
	list_init(&c->wait.node);
	c->wait.ready = policy_there;
	if (duct_init(&c->duct, w, SIDE_OUT, fd, &out_duct, &e) < 0) {
		log_warn("proxy", "outbound connection dropped", LE(&e));
		free(c);
		return;
	}
	begin(c);
}
