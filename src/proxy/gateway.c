/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A gateway's requests (spec proxy.md §9.3): from the proxies of another cluster, for a
 * name of this one.  They pass the policy of the inbound port and go on through the
 * outbound side, by name.
 */
#include "api/api.h"
#include "base/log.h"
#include "http/grpc.h"
#include "proxy/access.h"
#include "proxy/inbound_direct.h"

/* ---- loops ---- */

static const char *own_id(const struct in_conn *c)
{
	return c->duct.client.worker->cfg->local_name;
}

static struct slice unquoted(struct slice s)
{
	if (s.n >= 2 && s.p[0] == '"' && s.p[s.n - 1] == '"')
		return (struct slice){s.p + 1, s.n - 2};
	return s;
}

/* RFC 7239 §4: by=…;for=…, one element for each proxy. */
static bool is_by(struct slice element, const char *id)
{
	struct slice pair, key;

	while (slice_cut(&element, ';', &pair))
		if (slice_cut(&pair, '=', &key) &&
			slice_ieq(slice_trim(key), SLICE("by")) &&
			slice_ieq(unquoted(slice_trim(pair)), slice_of(id)))
			return true;
	return false;
}

bool gateway_is_loop(const struct in_conn *c, const struct fields *f)
{
	struct slice rest, element;

	if (strcmp(in_identity(c), own_id(c)) == 0)
		return true;
	for (size_t i = 0; f && i < f->n; i++) {
		if (!slice_is(f->v[i].name, "forwarded"))
			continue;
		rest = f->v[i].value;
		while (slice_cut(&rest, ',', &element))
			if (is_by(element, own_id(c)))
				return true;
	}
	return false;
}

/* ---- the way on ---- */

static void add_forwarded(const struct in_conn *c, struct px *p)
{
	struct exch *x = p->x;
	struct buf b = BUF_LIMIT(2048);
	char *text;

	buf_printf(&b, "by=%s;for=%s;host=%s;proto=https", own_id(c), in_identity(c),
		c->direct->authority);
	text = b.failed ? NULL : api_text(buf_slice(&b), x->arena);
	if (text)
		fields_add(
			&x->req.fields, x->arena, SLICE("forwarded"), slice_of(text));
	buf_fini(&b);
}

static enum flow refuse(const struct in_conn *c, struct px *p, int status, int grpc,
	const char *label, const char *text)
{
	px_count_error(p, label);
	log_warn("proxy", "gateway request refused", LS("client_id", in_identity(c)),
		LS("target", c->direct->authority), LS("error", text));
	return px_answer(p, status, grpc, status == 508, text);
}

/* From here on it is one of the outbound side's. */
static void turn_out(struct px *p)
{
	p->worker->in_flight[SIDE_IN]--;
	p->worker->in_flight[SIDE_OUT]++;
	p->side = SIDE_OUT;
	meter_request(p->meter);
	p->outer = p->meter;
	p->outer_route = p->route_meter;
	p->meter = NULL;
	p->route_meter = NULL;
}

static enum flow gateway_request(struct exch *x, void *shared, void *state)
{
	struct in_conn *c = x->conn_ctx;
	struct px *p = x->user;
	enum flow f;

	if (c->direct->is_bad_name)
		return refuse(c, p, 404, GRPC_NOT_FOUND, "gateway domain invalid",
			"bad gateway domain");
	if (gateway_is_loop(c, &x->req.fields))
		return refuse(c, p, 508, GRPC_ABORTED, "gateway loop", "gateway loop");
	f = edit_filter.on_request(x, shared, state); /* what the port's policy says */
	if (f != FLOW_NEXT)
		return f;
	p->target = out_target_named(p->worker, c->direct->authority);
	if (!p->target) {
		err_set(&x->err, ERR_LIMIT, "no memory for a request");
		return FLOW_ABORT;
	}
	add_forwarded(c, p);
	if (x->req.version != HTTP_2)
		x->req.authority = slice_of(c->direct->authority);
	turn_out(p);
	return FLOW_NEXT;
}

static const struct filter gateway_filter = {
	.name = "gateway", .on_request = gateway_request};

const struct stack gateway_stack = {
	.count = 9,
	.layer = {{&meter_filter, NULL}, {&rescue_filter, NULL},
		{&in_policy_filter, NULL}, {&in_client_filter, NULL},
		{&gateway_filter, NULL}, {&route_filter, NULL}, {&edit_filter, NULL},
		{&peer_filter, NULL}, {&again_filter, NULL}},
	.service = &balancer_service,
};

/* The same, and an access log. */
const struct stack logged_gateway_stack = {
	.count = 10,
	.layer = {{&access_filter, NULL}, {&meter_filter, NULL}, {&rescue_filter, NULL},
		{&in_policy_filter, NULL}, {&in_client_filter, NULL},
		{&gateway_filter, NULL}, {&route_filter, NULL}, {&edit_filter, NULL},
		{&peer_filter, NULL}, {&again_filter, NULL}},
	.service = &balancer_service,
};
