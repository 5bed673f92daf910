/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests that come to the application: policy, identity fields, orig-proto (spec
 * proxy.md §3.3, §5, §6, §7.3).
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "http/grpc.h"
#include "http/spelling.h"
#include "proxy/access.h"
#include "proxy/fault.h"
#include "proxy/inbound_direct.h"

/* ---- orig-proto: HTTP/1 that a proxy of ours carried over HTTP/2 ---- */

/* "HTTP/1.1; absolute-form; case=title,X-One" */
static void read_orig_proto(struct px *p, struct slice said)
{
	struct req_head *req = &p->x->req;
	struct slice part = SLICE("");

	slice_cut(&said, ';', &part);
	req->version = slice_starts(part, SLICE("HTTP/1.0")) ? HTTP_1_0 : HTTP_1_1;
	while (slice_cut(&said, ';', &part)) {
		part = slice_trim(part);
		if (slice_is(part, "absolute-form"))
			req->absolute_form = true;
		if (slice_is(part, "no-host") && req->version == HTTP_1_0)
			req->authority = SLICE("");
		if (!slice_starts(part, SLICE("case=")))
			continue;
		p->respells = true;
		req->titled = spelling_restore(
			&req->fields, slice_bytes(part.p + 5, part.n - 5));
	}
}

static void restore_version(struct px *p)
{
	struct req_head *req = &p->x->req;
	struct slice orig = fields_get(&req->fields, SLICE("l5d-orig-proto"));

	if (!orig.n || req->version != HTTP_2)
		return;
	p->restored = true;
	fields_remove(&req->fields, SLICE("l5d-orig-proto"));
	read_orig_proto(p, orig);
	req->no_host = req->version == HTTP_1_0 && req->authority.n == 0;
	p->is_grpc = false;
}

/* No line, field or request is to come out that did not go in. */
static void refuse(struct px *p)
{
	struct err e;

	err_set(&e, ERR_SYNTAX, "an HTTP/2 request that cannot be HTTP/1");
	px_count_error(p, "malformed request");
	log_info("proxy", "request refused", LS("direction", "inbound"), LE(&e));
	p->x->reset_code = HTTP_PROTOCOL_ERROR;
	exch_cancel(p->x, &e);
}

/* What the response was, for the proxy that carries it to the client. */
static struct slice answered_proto(const struct px *p)
{
	const struct rsp_head *rsp = &p->x->rsp;
	struct slice version =
		rsp->version == HTTP_1_0 ? SLICE("HTTP/1.0; ") : SLICE("HTTP/1.1; ");
	char text[SPELLING_ROOM], *out = NULL;
	size_t n;

	if (p->respells && p->endpoint)
		out = arena_alloc(p->x->arena, version.n + SPELLING_ROOM);
	if (!out)
		return slice_bytes(version.p, version.n - 2);
	n = spelling_say(&rsp->fields, rsp->titled, text);
	memcpy(out, version.p, version.n);
	memcpy(out + version.n, text, n);
	return slice_bytes(out, version.n + n);
}

/* ---- authorization ---- */

/* The label is there by option only: a client chooses what it says. */
static void authority_label(struct buf *b, const struct in_conn *c, const struct px *p)
{
	if (c->duct.client.worker->cfg->authority_labels)
		labels_add(b, "authority", p->x->req.authority);
}

static void grant_labels(struct buf *b, struct in_conn *c, const struct px *p)
{
	labels_meta(b, "srv_", &c->port->policy->server);
	labels_meta(b, "route_", &p->route->meta);
	labels_meta(b, "authz_", &c->grant.authz->meta);
}

static void grant_meters(struct in_conn *c, const struct px *p)
{
	struct pworker *w = c->duct.client.worker;
	struct buf b = BUF_INIT, a = BUF_INIT, r = BUF_INIT;

	labels_add(&b, "direction", SLICE("inbound"));
	authority_label(&b, c, p);
	in_target_labels(&b, c);
	in_tls_labels(&b, c);
	grant_labels(&b, c, p);
	in_target_labels(&a, c);
	grant_labels(&a, c, p);
	in_tls_labels(&a, c);
	labels_inbound_route(&r, &c->port->policy->server, &p->route->meta);
	c->grant.meter = meter_get(w, buf_slice(&b));
	c->grant.allow = metrics_series(w->metrics, M_IN_HTTP_ALLOW, buf_slice(&a));
	c->grant.route_meter =
		route_meter_get(w, ROUTE_IN, p->route->is_grpc, buf_slice(&r));
	buf_fini(&b);
	buf_fini(&a);
	buf_fini(&r);
}

void in_grant_drop(struct in_grant *g)
{
	meter_put(g->meter);
	route_meter_put(g->route_meter);
	series_put(g->allow);
	free(g->authority);
	*g = (struct in_grant){0};
}

static bool fits(const struct in_conn *c, const struct px *p, const struct authz *az)
{
	const struct in_grant *g = &c->grant;

	return g->policy == c->port->policy && g->route == p->route && g->authz == az &&
	       (!g->authority || slice_is(p->x->req.authority, g->authority));
}

/* The series of this connection's last request fit most requests that follow. */
static void use_grant(struct in_conn *c, struct px *p, const struct authz *az)
{
	struct in_grant *g = &c->grant;

	if (!fits(c, p, az)) {
		in_grant_drop(g);
		g->policy = c->port->policy;
		g->route = p->route;
		g->authz = az;
		if (c->duct.client.worker->cfg->authority_labels)
			g->authority = slice_dup(p->x->req.authority);
		grant_meters(c, p);
	}
	p->meter = meter_ref(g->meter);
	p->route_meter = route_meter_ref(g->route_meter);
	route_meter_request(p->route_meter);
	series_add(g->allow, c->duct.client.worker->index, 1);
}

static void count_denied(struct in_conn *c, const struct px *p, enum family f)
{
	struct pworker *w = c->duct.client.worker;
	struct buf b = BUF_INIT;

	in_target_labels(&b, c);
	labels_meta(&b, "srv_", &c->port->policy->server);
	if (p->route)
		labels_meta(&b, "route_", &p->route->meta);
	in_tls_labels(&b, c);
	metrics_count(w->metrics, f, buf_slice(&b), w->index);
	buf_fini(&b);
}

static enum flow deny(struct in_conn *c, struct px *p)
{
	char peer[ADDR_TEXT], text[512];

	count_denied(c, p, M_IN_HTTP_DENY);
	snprintf(text, sizeof text, "client %s%s is not authorized",
		*in_identity(c) ? in_identity(c) : addr_text(&c->peer, peer),
		c->tls ? "" : " (no TLS identity)");
	log_info("proxy", "request denied", LS("client", addr_text(&c->peer, peer)),
		LS("client_id", in_identity(c)), LI("port", c->dst.port),
		LS("server", c->port->policy->server.name));
	return px_answer(p, 403, GRPC_PERMISSION_DENIED, false, text);
}

static void audit(const struct in_conn *c, const struct px *p)
{
	char peer[ADDR_TEXT];

	log_info("proxy", "Request allowed", LS("client", addr_text(&c->peer, peer)),
		LS("client_id", in_identity(c)), LI("port", c->dst.port),
		LZ("path", p->x->req.path));
}

static const struct authz *authorize(const struct in_conn *c, const struct px *p)
{
	const struct inbound_policy *pol = c->port->policy;
	const struct authz *az = authz_match(
		p->route->authz, p->route->nauthz, &c->peer.ip, c->tls, in_identity(c));

	if (!az)
		az = authz_match(
			pol->authz, pol->nauthz, &c->peer.ip, c->tls, in_identity(c));
	return az;
}

static enum flow policy_request(struct exch *x, void *shared, void *state)
{
	struct in_conn *c = x->conn_ctx;
	struct px *p = x->user;
	struct inbound_policy *pol = c->port->policy;
	const struct authz *az;

	(void)shared, (void)state;
	ref_get(&pol->ref);
	p->policy = &pol->ref;
	if (pol->invalid)
		return px_answer(p, 500, GRPC_INTERNAL, true, "invalid server policy");
	p->rule = routes_match(pol->routes, pol->nroutes, &x->req, &p->route);
	if (!p->rule) {
		p->route = NULL;
		count_denied(c, p, M_IN_HTTP_ROUTE_NOT_FOUND);
		return px_answer(p, 404, GRPC_NOT_FOUND, false, "no route found");
	}
	az = authorize(c, p);
	if (!az)
		return deny(c, p);
	if (az->audit)
		audit(c, p);
	use_grant(c, p, az);
	return FLOW_NEXT;
}

const struct filter in_policy_filter = {.name = "policy", .on_request = policy_request};

/* ---- the fields that an application may trust ---- */

static enum flow identity_request(struct exch *x, void *shared, void *state)
{
	struct in_conn *c = x->conn_ctx;
	struct px *p = x->user;

	(void)shared, (void)state;
	fields_remove(&x->req.fields, SLICE("l5d-client-id"));
	if (*in_identity(c))
		fields_add(&x->req.fields, x->arena, SLICE("l5d-client-id"),
			slice_of(in_identity(c)));
	if (c->balancer)
		p->balancer = balancer_ref(c->balancer);
	return FLOW_NEXT;
}

static enum flow identity_response(struct exch *x, void *shared, void *state)
{
	struct in_conn *c = x->conn_ctx;
	struct px *p = x->user;

	(void)shared, (void)state;
	c->port->client_first = true;
	fields_remove(&x->rsp.fields, SLICE(PX_UNANSWERED));
	if (p->restored)
		fields_set(&x->rsp.fields, x->arena, SLICE("l5d-orig-proto"),
			answered_proto(p));
	return FLOW_NEXT;
}

const struct filter in_client_filter = {.name = "identity",
	.on_request = identity_request,
	.on_response = identity_response};

/* ---- the stack ---- */

static const struct stack inbound_stack = {
	.count = 6,
	.layer = {{&meter_filter, NULL}, {&rescue_filter, NULL},
		{&in_policy_filter, NULL}, {&edit_filter, NULL},
		{&in_client_filter, NULL}, {&again_filter, NULL}},
	.service = &balancer_service,
};

static bool informs(const struct in_conn *c)
{
	return c->tls && *in_identity(c);
}

/* The same, and an access log. */
static const struct stack logged_stack = {
	.count = 7,
	.layer = {{&access_filter, NULL}, {&meter_filter, NULL}, {&rescue_filter, NULL},
		{&in_policy_filter, NULL}, {&edit_filter, NULL},
		{&in_client_filter, NULL}, {&again_filter, NULL}},
	.service = &balancer_service,
};

static const struct stack *stack_of(const struct in_conn *c)
{
	if (!c->duct.client.worker->access)
		return c->balancer ? &inbound_stack : &gateway_stack;
	return c->balancer ? &logged_stack : &logged_gateway_stack;
}

static void on_exch(void *arg, struct exch *x)
{
	struct in_conn *c = obj_cast(struct in_conn, arg, IN_CONN_MAGIC);
	struct px *p = px_new(x, c->duct.client.worker, SIDE_IN);
	struct err e;

	if (!p) {
		err_set(&e, ERR_LIMIT, "no memory for a request");
		exch_cancel(x, &e);
		return;
	}
	p->duct = &c->duct;
	p->informs = informs(c);
	restore_version(p);
	if (p->restored && !req_head_fits_http1(&x->req))
		refuse(p);
	exch_begin(x, stack_of(c));
}

static void on_gone(void *arg, const struct err *e)
{
	struct in_conn *c = obj_cast(struct in_conn, arg, IN_CONN_MAGIC);

	c->duct.http = NULL;
	in_conn_free(c, e);
}

static void on_refused(
	void *arg, struct rsp_head *rsp, struct arena *a, const struct err *why)
{
	struct in_conn *c = obj_cast(struct in_conn, arg, IN_CONN_MAGIC);

	px_refused(c->duct.client.worker, SIDE_IN, informs(c), rsp, a, why);
}

static void on_fault(void *arg, const char *what)
{
	struct in_conn *c = obj_cast(struct in_conn, arg, IN_CONN_MAGIC);

	peer_fault(c->duct.client.worker, SIDE_IN, true, &c->peer.ip, what);
}

static const struct http_server_user server_user = {.on_exch = on_exch,
	.on_refused = on_refused,
	.on_gone = on_gone,
	.on_fault = on_fault};

void in_http_begin(struct in_conn *c, enum http_kind kind)
{
	duct_http(&c->duct, kind, &server_user, c);
}
