/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/inbound.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "net/tcp.h"
#include "net/tlsconn.h"
#include "proxy/inbound_direct.h"

/* Another proxy has waited for its client already. */
#define QUIET_MESHED (DUCT_QUIET / 4)

/* ---- end ---- */

static struct in_conn *in_of(struct duct *d)
{
	struct in_conn *c = container_of(d, struct in_conn, duct);

	must(c->magic == IN_CONN_MAGIC);
	return c;
}

struct in_shake {
	struct in_conn *conn;
	struct later turn; /* for it to begin */
	struct shake shake;
};

static void end_shake(struct in_conn *c)
{
	if (!c->shake)
		return;
	shake_over(&c->duct.client.worker->shakes, &c->shake->shake);
	later_clear(&c->shake->turn);
	free(c->shake);
	c->shake = NULL;
}

void in_conn_free(struct in_conn *c, const struct err *why)
{
	end_shake(c);
	duct_fini(&c->duct, why);
	list_remove(&c->node);
	in_grant_drop(&c->grant);
	balancer_unref(c->balancer);
	if (c->direct)
		in_direct_free(c->direct);
	if (c->port)
		in_port_put(c->port);
	free(c->client_id);
	free(c->sni);
	c->magic = 0;
	free(c);
}

/* Ends the connection from our side. */
static void refuse(struct in_conn *c, const struct err *why)
{
	char peer[ADDR_TEXT], dst[ADDR_TEXT];

	log_info("proxy", "inbound connection refused",
		LS("client", addr_text(&c->peer, peer)),
		LS("target", addr_text(&c->dst, dst)), LE(why));
	duct_refuse(&c->duct, why);
	in_conn_free(c, why);
}

void in_conn_refuse(struct in_conn *c, const char *label, const struct err *why)
{
	in_count_error(c, label);
	refuse(c, why);
}

static void failed(struct duct *d, const struct err *why)
{
	in_conn_refuse(in_of(d), "i/o", why);
}

static struct seen *seen_of(const struct in_conn *c)
{
	return c->port ? c->port->seen : NULL;
}

static void over(struct duct *d, const struct err *why)
{
	struct in_conn *c = in_of(d);

	if (d->at == DUCT_SNIFF && why)
		seen_client_left(seen_of(c), c->since);
	in_conn_free(c, why);
}

/* ---- byte streams ---- */

static const struct authz *admitted(const struct in_conn *c)
{
	const struct inbound_policy *p = c->port->policy;

	return authz_match(p->authz, p->nauthz, &c->peer.ip, c->tls, in_identity(c));
}

static struct balancer *application(struct duct *d, struct err *e)
{
	struct in_conn *c = in_of(d);

	if (c->direct && c->direct->target)
		return out_target_stream(c->direct->target, NULL, e);
	return c->balancer;
}

void in_conn_stream(struct in_conn *c)
{
	const struct authz *az = admitted(c);
	struct err e;

	if (!az) {
		in_count(c, M_IN_TCP_DENY, NULL);
		err_set(&e, ERR_DENIED, "not authorized for port %u", c->dst.port);
		refuse(c, &e);
		return;
	}
	in_count(c, M_IN_TCP_ALLOW, az);
	list_push(&c->port->streams, &c->node);
	duct_stream(&c->duct);
}

void in_conn_recheck(struct in_conn *c)
{
	if (admitted(c))
		return;
	in_count(c, M_IN_TCP_TERMINATE, NULL);
	log_info("proxy", "connection terminated by a change of policy",
		LI("port", c->dst.port), LS("client_id", in_identity(c)));
	duct_cut(&c->duct);
	in_conn_free(c, NULL);
}

static void server_first(struct duct *d)
{
	struct in_conn *c = in_of(d);

	c->port->client_first = false;
	if (c->at == IN_SNIFF)
		duct_meter(d, in_accepted_meter(c));
	seen_server_first(c->port->seen, c->since);
	in_conn_stream(c);
}

/* ---- detection ---- */

static void http_verdict(struct in_conn *c, enum detect d, bool late)
{
	seen_verdict(c->port->seen, d, late, c->since);
	if (d == DETECT_HTTP1 || d == DETECT_HTTP2)
		in_http_begin(c, d == DETECT_HTTP2 ? HTTP_KIND_2 : HTTP_KIND_1);
	else
		in_conn_stream(c);
}

static uint64_t patience(const struct in_conn *c)
{
	if (c->tls)
		return QUIET_MESHED;
	return c->port->client_first ? DUCT_QUIET_HTTP : DUCT_QUIET;
}

static void detect_http(struct in_conn *c)
{
	struct sniff_spec spec = {
		.quiet = patience(c), .limit = c->port->policy->detect_timeout};

	c->at = IN_DETECT;
	c->since = loop_now(c->duct.client.worker->loop);
	duct_sniff(&c->duct, &spec);
}

/*
 * What the port's policy says is spoken, once TLS is out of the way.  `seen` is what
 * the first bytes have shown already (`late`: not in time), or DETECT_MORE.
 */
static void begin_protocol(struct in_conn *c, enum detect seen, bool late)
{
	enum proto proto = c->port->policy->proto;

	duct_meter(&c->duct, in_accepted_meter(c));
	seen_connection(c->port->seen);
	switch (proto) {
	case PROTO_HTTP2:
	case PROTO_GRPC:
		in_http_begin(c, HTTP_KIND_2);
		return;
	case PROTO_DETECT:
	case PROTO_HTTP1: /* a meshed peer may have made HTTP/2 of it */
		if (seen == DETECT_MORE)
			detect_http(c);
		else
			http_verdict(c, seen, late);
		return;
	case PROTO_OPAQUE:
	case PROTO_TLS:
		break;
	}
	in_conn_stream(c);
}

/* ---- TLS ---- */

static void shaken(struct conn *tls, void *arg)
{
	struct in_conn *c = obj_cast(struct in_conn, arg, IN_CONN_MAGIC);

	end_shake(c);
	c->at = IN_BEGUN;
	c->tls = true;
	c->client_id = slice_dup(slice_of(tls_peer_id(conn_tls(tls))));
	if (c->direct)
		in_direct_shaken(c, conn_tls(tls));
	else
		begin_protocol(c, DETECT_MORE, false);
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
	in_count_error(c, e->code == ERR_TIMEOUT ? "tls detection timeout" : "i/o");
	log_warn("proxy", "TLS handshake failed",
		LS("client", addr_text(&c->peer, peer)), LE(e));
	in_conn_free(c, e);
}

static const struct conn_user shake_user = {
	.on_open = shaken, .on_in = shake_in, .on_gone = shake_gone};

static void shake_begins(struct in_conn *c)
{
	struct shakes *all = &c->duct.client.worker->shakes;
	struct shake *surplus;
	struct err e;

	shake_begin(all, &c->shake->shake, &c->peer.ip);
	surplus = shakes_surplus(all);
	if (!surplus)
		return;
	err_set(&e, ERR_BUSY, "%d TLS handshakes are open, the limit", SHAKES_MAX);
	in_conn_refuse(
		container_of(surplus, struct in_shake, shake)->conn, "loadshed", &e);
}

static const char *const direct_alpn[] = {TRANSPORT_ALPN, NULL};

static void begin_tls(struct in_conn *c)
{
	struct pworker *w = c->duct.client.worker;
	struct ref *creds = snap_get(w->creds);
	struct tls_config cfg = {.creds = (struct creds *)creds,
		.alpn = c->direct ? direct_alpn : NULL,
		.ask_client_cert = true,
		.need_client_cert = c->direct != NULL};
	struct conn *tls = NULL;
	struct err e;

	if (creds_usable(cfg.creds, &e) < 0) {
		err_wrap(&e, "a TLS client");
		ref_put(creds);
		in_conn_refuse(c, "tls identity missing", &e);
		return;
	}
	tls = tlsconn_server(c->duct.conn, &cfg, w->cfg->in.detect_timeout, &e);
	ref_put(creds);
	if (!tls) {
		refuse(c, &e);
		return;
	}
	c->duct.conn = tls;
	conn_use(tls, &shake_user, c);
	shake_begins(c);
}

static void on_turn(struct later *d)
{
	begin_tls(container_of(d, struct in_shake, turn)->conn);
}

/* Until then it holds no more than a connection that is silent. */
static void wait_for_turn(struct in_conn *c)
{
	struct err e;

	duct_drop_server(&c->duct);
	c->shake = calloc(1, sizeof *c->shake);
	if (!c->shake) {
		err_set(&e, ERR_LIMIT, "no memory for a TLS handshake");
		refuse(c, &e);
		return;
	}
	c->shake->conn = c;
	later_init(&c->shake->turn, on_turn);
	c->at = IN_SHAKE;
	conn_use(c->duct.conn, &shake_user, c);
	conn_pause(c->duct.conn);
	loop_spare(c->duct.client.worker->loop, &c->shake->turn);
}

static void refuse_plain(struct in_conn *c)
{
	struct err e;

	err_set(&e, ERR_DENIED, "a direct connection without TLS to %s",
		c->duct.client.worker->cfg->server_name);
	in_conn_refuse(c, "unexpected", &e);
}

static void verdict(struct duct *d, enum detect seen, const char *sni, bool late)
{
	struct in_conn *c = in_of(d);

	if (c->at == IN_DETECT) {
		http_verdict(c, seen, late);
		return;
	}
	if (c->at == IN_DIRECT) {
		in_http_begin(c, seen == DETECT_HTTP2 ? HTTP_KIND_2 : HTTP_KIND_1);
		return;
	}
	if (seen == DETECT_TLS &&
		strcmp(sni, d->client.worker->cfg->server_name) == 0) {
		wait_for_turn(c);
		return;
	}
	c->tls_detected = seen == DETECT_TLS;
	c->sni = slice_dup(slice_of(sni));
	if (c->direct)
		refuse_plain(c);
	else
		begin_protocol(c, seen, late);
}

static const struct duct_user in_duct = {.on_verdict = verdict,
	.on_server_first = server_first,
	.balancer = application,
	.on_failed = failed,
	.on_over = over};

static void sniff_tls(struct in_conn *c)
{
	/* a client that waits for the application to speak is none of another proxy */
	struct sniff_spec spec = {.want_sni = true,
		.quiet = c->direct ? 0 : patience(c),
		.limit = c->duct.client.worker->cfg->in.detect_timeout};

	c->at = IN_SNIFF;
	c->since = loop_now(c->duct.client.worker->loop);
	duct_sniff(&c->duct, &spec);
}

void in_conn_policy(struct in_conn *c)
{
	if (c->direct) {
		in_direct_begin(c);
	} else if (c->port->policy->proto == PROTO_OPAQUE) {
		c->no_tls = "port_skipped";
		begin_protocol(c, DETECT_OPAQUE, false);
	} else {
		sniff_tls(c);
	}
}

void in_conn_target(struct in_conn *c)
{
	struct pworker *w = c->duct.client.worker;
	struct endpoint_info info = {.addr = c->dst, .weight = 10000};
	bool gateway = c->direct && *c->direct->header.name;
	struct err e;

	if (!gateway)
		c->balancer = balancer_for_addr(w, SIDE_IN, &info);
	c->port = in_port_get(w, c->dst.port);
	if (!c->port || (!gateway && !c->balancer)) {
		err_set(&e, ERR_LIMIT, "no memory for a connection");
		in_conn_refuse(c, "unexpected", &e);
	} else if (c->port->policy) {
		in_conn_policy(c);
	} else {
		list_push(&c->port->waiting, &c->node);
		duct_hold(&c->duct);
	}
}

/* ---- accept ---- */

/* Only addresses of this pod. */
static int find_target(struct in_conn *c, struct err *e)
{
	struct pworker *w = c->duct.client.worker;

	if (tcp_original_dst(c->duct.conn, &c->dst) < 0)
		c->dst = c->duct.conn->local;
	if (w->cfg->ninbound_ips && !worker_has_ip(w, &c->dst.ip))
		return err_set(e, ERR_DENIED,
			"inbound connections are not allowed on this IP address");
	if (c->dst.port == w->cfg->inbound_listen.port && !in_direct_new(c))
		return err_set(e, ERR_LIMIT, "no memory for a connection");
	return 0;
}

static void begin(struct in_conn *c)
{
	struct err e;

	if (find_target(c, &e) < 0) {
		log_warn("proxy", "inbound connection dropped", LE(&e));
		conn_end(c->duct.conn);
		in_conn_free(c, &e);
	} else if (c->direct) {
		sniff_tls(c);
	} else {
		in_conn_target(c);
	}
}

void inbound_accept(struct pworker *w, int fd)
{
	struct in_conn *c = calloc(1, sizeof *c);
	struct err e;

	if (!c) {
		close(fd);
		return;
	}
	c->magic = IN_CONN_MAGIC;
	c->no_tls = "no_tls_from_remote";
	list_init(&c->node);
	if (duct_init(&c->duct, w, SIDE_IN, fd, &in_duct, &e) < 0) {
		log_warn("proxy", "inbound connection dropped", LE(&e));
		free(c);
		return;
	}
	c->peer = c->duct.conn->peer;
	begin(c);
}
