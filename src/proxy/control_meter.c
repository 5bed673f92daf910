/* SPDX-License-Identifier: Apache-2.0 */
/* Counts the calls of the control plane's clients: spec proxy.md §13.1, control_*. */
#include <stdio.h>

#include "base/clock.h"
#include "proxy/control.h"
#include "proxy/meter.h"

struct call_meter { /* a filter's state: one call */
	uint64_t begun;
	int grpc_status;
};

static void count(struct control_meter *m, enum family f, struct slice labels,
	void (*how)(struct series *s, unsigned worker, uint64_t n), uint64_t n)
{
	struct series *s = metrics_series(m->metrics, f, labels);

	if (!s)
		return;
	how(s, metrics_control(m->metrics), n);
	series_put(s);
}

static void add(struct series *s, unsigned worker, uint64_t n)
{
	series_add(s, worker, (int64_t)n);
}

static int grpc_status_in(const struct fields *f)
{
	const struct field *status = f ? fields_find(f, SLICE("grpc-status")) : NULL;
	uint64_t n;

	return status && slice_u64(status->value, 1000, &n) ? (int)n : -1;
}

static enum flow on_request(struct exch *x, void *shared, void *state)
{
	struct control_meter *m = shared;
	struct call_meter *c = state;

	c->begun = loop_now(x->loop);
	c->grpc_status = -1;
	count(m, M_CONTROL_REQUEST_TOTAL, slice_of(m->labels), add, 1);
	return FLOW_NEXT;
}

static enum flow on_response(struct exch *x, void *shared, void *state)
{
	(void)shared;
	((struct call_meter *)state)->grpc_status = grpc_status_in(&x->rsp.fields);
	return FLOW_NEXT;
}

static void on_end(struct exch *x, void *shared, void *state, enum dir d,
	const struct fields *trailers)
{
	struct call_meter *c = state;

	(void)x, (void)shared;
	if (d == DIR_RESPONSE && c->grpc_status < 0)
		c->grpc_status = grpc_status_in(trailers);
}

/* A stream that we end ourselves is no failure of the control plane's. */
static const char *error_label(const struct exch *x)
{
	if (x->err.code == ERR_NONE || x->cancelled)
		return "";
	return x->err.code == ERR_TIMEOUT ? "timeout" : "i/o";
}

static void on_done(struct exch *x, void *shared, void *state)
{
	const char *error = error_label(x);
	struct control_meter *m = shared;
	struct call_meter *c = state;
	struct buf b = BUF_INIT;
	bool failure = *error || outcome_is_failure(x->rsp.status, c->grpc_status);
	char num[16];

	buf_text(&b, m->labels);
	snprintf(num, sizeof num, "%d", x->rsp.status);
	labels_add(&b, "status_code", x->rsp.status ? slice_of(num) : SLICE(""));
	count(m, M_CONTROL_RESPONSE_LATENCY_MS, buf_slice(&b), series_observe,
		(loop_now(x->loop) - c->begun) / NS_PER_MS);
	labels_add(&b, "classification", failure ? SLICE("failure") : SLICE("success"));
	snprintf(num, sizeof num, "%d", c->grpc_status);
	labels_add(&b, "grpc_status", c->grpc_status >= 0 ? slice_of(num) : SLICE(""));
	labels_add(&b, "error", slice_of(error));
	count(m, M_CONTROL_RESPONSE_TOTAL, buf_slice(&b), add, 1);
	buf_fini(&b);
}

const struct filter control_meter_filter = {
	.name = "control-meter",
	.state_size = sizeof(struct call_meter),
	.on_request = on_request,
	.on_response = on_response,
	.on_end = on_end,
	.on_done = on_done,
};

/* ---- connections and names ---- */

static const struct {
	const char *name;
	enum family endpoints;
} clients[] = {
	[CLIENT_DESTINATION] = {"destination", M_DESTINATION_ENDPOINTS},
	[CLIENT_IDENTITY] = {"identity", M_IDENTITY_ENDPOINTS},
	[CLIENT_POLICY] = {"policy", M_POLICY_ENDPOINTS},
};

static void tell_endpoints(const struct control_meter *m, const char *state, int n)
{
	struct buf b = BUF_INIT;
	struct series *s;

	labels_add(&b, "endpoint_state", slice_of(state));
	labels_add(&b, "addr", slice_of(m->addr));
	s = metrics_series(m->metrics, clients[m->client].endpoints, buf_slice(&b));
	series_set(s, metrics_control(m->metrics), n);
	series_put(s);
	buf_fini(&b);
}

void control_meter_state(void *arg, bool up, const struct err *e)
{
	(void)e;
	tell_endpoints(arg, "ready", up);
	tell_endpoints(arg, "pending", !up);
}

void control_meter_lookup(void *arg, bool is_srv, bool found)
{
	struct control_meter *m = arg;
	struct buf b = BUF_INIT;

	labels_add(&b, "client", slice_of(clients[m->client].name));
	labels_add(&b, "record_type", is_srv ? SLICE("SRV") : SLICE("A/AAAA"));
	labels_add(&b, "result", found ? SLICE("ok") : SLICE("not_found"));
	metrics_count(m->metrics, M_DNS_RESOLUTIONS, buf_slice(&b),
		metrics_control(m->metrics));
	buf_fini(&b);
}

void control_meter_init(struct control_meter *m, struct metrics *metrics,
	enum control_client client, const struct control_addr *to)
{
	struct slice host = slice_of(to->host), label;
	struct buf b = BUF_INIT;

	m->metrics = metrics;
	m->client = client;
	if (slice_ends(host, SLICE(".")))
		host.n--;
	snprintf(m->addr, sizeof m->addr, "%.*s:%u", SLICE_FMT(host), to->port);
	labels_add(&b, "addr", slice_of(m->addr));
	if (to->name[0]) {
		labels_add(&b, "tls", SLICE("true"));
		labels_add(&b, "server_id", slice_of(to->name));
	} else {
		labels_add(&b, "tls", SLICE("no_identity"));
		labels_add(&b, "no_tls_reason", SLICE("loopback"));
	}
	label = buf_slice(&b);
	snprintf(m->labels, sizeof m->labels, "%.*s", SLICE_FMT(label));
	buf_fini(&b);
	control_meter_state(m, false, NULL);
}
