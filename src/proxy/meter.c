/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/meter.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"

struct outcome_series {
	struct outcome_series *next;
	int status, grpc_status;
	bool failure;
	const char *error;
	struct series *total;
};

struct latency_series {
	struct latency_series *next;
	int status;
	struct series *ms;
};

struct meter {
	struct map_node node;
	struct pworker *worker;
	unsigned refs;
	uint64_t unused_since;
	char *labels;
	struct series *requests;
	struct outcome_series *outcomes;
	struct latency_series *latencies;
};

static struct series *series_of(struct pworker *w, enum family f, const char *labels)
{
	return metrics_series(w->metrics, f, slice_of(labels));
}

static struct meter *meter_new(struct pworker *w, struct slice labels)
{
	struct meter *m = calloc(1, sizeof *m);

	if (!m)
		return NULL;
	m->worker = w;
	m->labels = slice_dup(labels);
	if (!m->labels || map_insert(&w->meters, &m->node, slice_of(m->labels)) < 0) {
		free(m->labels);
		free(m);
		return NULL;
	}
	m->requests = series_of(w, M_REQUEST_TOTAL, m->labels);
	return m;
}

struct meter *meter_get(struct pworker *w, struct slice labels)
{
	struct meter *m = map_get(&w->meters, labels, struct meter, node);

	if (!m)
		m = meter_new(w, labels);
	if (m)
		m->refs++;
	return m;
}

struct meter *meter_ref(struct meter *m)
{
	if (m)
		m->refs++;
	return m;
}

void meter_put(struct meter *m)
{
	if (m && --m->refs == 0) {
		m->unused_since = loop_now(m->worker->loop);
		worker_tick(m->worker);
	}
}

static void meter_free(struct meter *m)
{
	map_remove(&m->worker->meters, &m->node);
	for (struct outcome_series *o = m->outcomes, *next; o; o = next) {
		next = o->next;
		series_put(o->total);
		free(o);
	}
	for (struct latency_series *l = m->latencies, *next; l; l = next) {
		next = l->next;
		series_put(l->ms);
		free(l);
	}
	series_put(m->requests);
	free(m->labels);
	free(m);
}

void meter_request(struct meter *m)
{
	if (m)
		series_add(m->requests, m->worker->index, 1);
}

static void outcome_labels(
	struct buf *b, const struct meter *m, const struct outcome *o)
{
	char num[16];

	buf_text(b, m->labels);
	snprintf(num, sizeof num, "%d", o->status);
	labels_add(b, "status_code", o->status ? slice_of(num) : SLICE(""));
	labels_add(
		b, "classification", o->failure ? SLICE("failure") : SLICE("success"));
	snprintf(num, sizeof num, "%d", o->grpc_status);
	labels_add(b, "grpc_status", o->grpc_status >= 0 ? slice_of(num) : SLICE(""));
	labels_add(b, "error", slice_of(o->error));
}

static struct series *outcome_series(struct meter *m, const struct outcome *o)
{
	struct buf b = BUF_INIT;
	struct outcome_series *s;

	for (s = m->outcomes; s; s = s->next)
		if (s->status == o->status && s->grpc_status == o->grpc_status &&
			s->failure == o->failure && s->error == o->error)
			return s->total;
	s = calloc(1, sizeof *s);
	if (!s)
		return NULL;
	outcome_labels(&b, m, o);
	*s = (struct outcome_series){
		m->outcomes, o->status, o->grpc_status, o->failure, o->error, NULL};
	s->total = metrics_series(m->worker->metrics, M_RESPONSE_TOTAL, buf_slice(&b));
	m->outcomes = s;
	buf_fini(&b);
	return s->total;
}

static struct series *latency_series(struct meter *m, int status)
{
	struct buf b = BUF_INIT;
	struct latency_series *s;
	char num[16];

	for (s = m->latencies; s; s = s->next)
		if (s->status == status)
			return s->ms;
	s = calloc(1, sizeof *s);
	if (!s)
		return NULL;
	snprintf(num, sizeof num, "%d", status);
	buf_text(&b, m->labels);
	labels_add(&b, "status_code", status ? slice_of(num) : SLICE(""));
	*s = (struct latency_series){m->latencies, status, NULL};
	s->ms = metrics_series(
		m->worker->metrics, M_RESPONSE_LATENCY_MS, buf_slice(&b));
	m->latencies = s;
	buf_fini(&b);
	return s->ms;
}

void meter_response(struct meter *m, const struct outcome *o)
{
	struct series *total, *ms;

	if (!m)
		return;
	total = outcome_series(m, o);
	ms = latency_series(m, o->status);
	if (total)
		series_add(total, m->worker->index, 1);
	if (ms)
		series_observe(ms, m->worker->index, o->ms);
}

bool outcome_is_failure(int status, int grpc_status)
{
	/* UNKNOWN, DEADLINE_EXCEEDED, PERMISSION_DENIED, INTERNAL, UNAVAILABLE,
	 * DATA_LOSS */
	static const uint32_t grpc_failures =
		1u << 2 | 1u << 4 | 1u << 7 | 1u << 13 | 1u << 14 | 1u << 15;

	if (grpc_status >= 0)
		return grpc_status > 31 || (grpc_failures >> grpc_status & 1);
	return status >= 500;
}

/* ---- transports ---- */

struct close_series {
	struct close_series *next;
	int sys;
	struct series *total;
};

struct transport_meter {
	struct map_node node;
	struct pworker *worker;
	unsigned refs;
	uint64_t unused_since;
	char *labels;
	struct series *opened, *open, *in, *out, *duration;
	struct series *received, *sent; /* by zone, for all meters of one; or NULL */
	struct close_series *closes;
};

static struct transport_meter *transport_new(struct pworker *w, struct slice labels)
{
	struct transport_meter *m = calloc(1, sizeof *m);

	if (!m)
		return NULL;
	m->worker = w;
	m->labels = slice_dup(labels);
	if (!m->labels ||
		map_insert(&w->transports, &m->node, slice_of(m->labels)) < 0) {
		free(m->labels);
		free(m);
		return NULL;
	}
	m->opened = series_of(w, M_TCP_OPEN_TOTAL, m->labels);
	m->open = series_of(w, M_TCP_OPEN_CONNECTIONS, m->labels);
	m->in = series_of(w, M_TCP_READ_BYTES, m->labels);
	m->out = series_of(w, M_TCP_WRITE_BYTES, m->labels);
	m->duration = series_of(w, M_TCP_CONNECTION_DURATION_MS, m->labels);
	return m;
}

struct transport_meter *transport_meter_get(struct pworker *w, struct slice labels)
{
	struct transport_meter *m =
		map_get(&w->transports, labels, struct transport_meter, node);

	if (!m)
		m = transport_new(w, labels);
	if (m)
		m->refs++;
	return m;
}

struct transport_meter *transport_meter_ref(struct transport_meter *m)
{
	if (m)
		m->refs++;
	return m;
}

void transport_meter_put(struct transport_meter *m)
{
	if (m && --m->refs == 0) {
		m->unused_since = loop_now(m->worker->loop);
		worker_tick(m->worker);
	}
}

static struct series *cost_series(
	struct transport_meter *m, const char *op, const char *zone)
{
	struct buf b = BUF_INIT;
	struct series *s;

	labels_add(&b, "op", slice_of(op));
	labels_add(&b, "zone_locality", slice_of(zone));
	s = metrics_series(m->worker->metrics, M_TRANSFER_COST, buf_slice(&b));
	buf_fini(&b);
	return s;
}

void transport_meter_cost(struct transport_meter *m, const char *zone)
{
	if (!m || m->sent)
		return;
	m->sent = cost_series(m, "Send", zone);
	m->received = cost_series(m, "Recv", zone);
}

static void transport_free(struct transport_meter *m)
{
	struct series *all[] = {
		m->opened, m->open, m->in, m->out, m->duration, m->received, m->sent};

	map_remove(&m->worker->transports, &m->node);
	for (struct close_series *s = m->closes, *next; s; s = next) {
		next = s->next;
		series_put(s->total);
		free(s);
	}
	for (size_t i = 0; i < countof(all); i++)
		series_put(all[i]);
	free(m->labels);
	free(m);
}

static struct series *close_series(struct transport_meter *m, int sys)
{
	const char *name = sys ? strerrorname_np(sys) : "";
	struct buf b = BUF_INIT;
	struct close_series *s;

	for (s = m->closes; s; s = s->next)
		if (s->sys == sys)
			return s->total;
	s = calloc(1, sizeof *s);
	if (!s)
		return NULL;
	buf_text(&b, m->labels);
	labels_add(&b, "errno", slice_of(name ? name : "UNKNOWN"));
	*s = (struct close_series){m->closes, sys, NULL};
	s->total = metrics_series(m->worker->metrics, M_TCP_CLOSE_TOTAL, buf_slice(&b));
	m->closes = s;
	buf_fini(&b);
	return s->total;
}

void flow_begin(struct flow_count *f, struct pworker *w, struct conn *c,
	struct transport_meter *taken)
{
	*f = (struct flow_count){
		.worker = w, .meter = taken, .since = loop_now(w->loop)};
	list_init(&f->node);
	if (!taken)
		return;
	conn_count_begin(&f->bytes, conn_base(c));
	list_push(&w->flows, &f->node);
	series_add(taken->opened, w->index, 1);
	series_add(taken->open, w->index, 1);
	worker_tick(w);
}

static void count_bytes(const struct flow_count *f, struct series *all,
	struct series *by_zone, uint64_t n)
{
	if (!n)
		return;
	series_add(all, f->worker->index, (int64_t)n);
	series_add(by_zone, f->worker->index, (int64_t)n);
}

void flow_tick(struct flow_count *f)
{
	uint64_t in, out;

	conn_count_look(&f->bytes);
	in = f->bytes.in;
	out = f->bytes.out;
	count_bytes(f, f->meter->in, f->meter->received, in - f->in);
	count_bytes(f, f->meter->out, f->meter->sent, out - f->out);
	f->still = out == f->out && f->bytes.conn && conn_backlog(f->bytes.conn)
			   ? f->still + 1
			   : 0;
	f->in = in;
	f->out = out;
}

void flow_end(struct flow_count *f, const struct err *why)
{
	struct transport_meter *m = f->meter;
	int sys = why && why->code == ERR_SYS ? why->sys : 0;
	struct series *closed;

	if (!m)
		return;
	flow_tick(f);
	conn_count_end(&f->bytes);
	list_remove(&f->node);
	f->meter = NULL;
	closed = close_series(m, sys);
	if (closed)
		series_add(closed, f->worker->index, 1);
	series_add(m->open, f->worker->index, -1);
	series_observe(m->duration, f->worker->index,
		(loop_now(f->worker->loop) - f->since) / NS_PER_MS);
	transport_meter_put(m);
}

#define METER_IDLE (60 * NS_PER_S) /* the series themselves are kept longer */

void meters_sweep(struct pworker *w)
{
	uint64_t now = loop_now(w->loop);
	struct transport_meter *t;
	struct meter *m;

	map_each(m, &w->meters,
		node) if (m->refs == 0 && now - m->unused_since > METER_IDLE)
		meter_free(m);
	map_each(t, &w->transports,
		node) if (t->refs == 0 && now - t->unused_since > METER_IDLE)
		transport_free(t);
}
