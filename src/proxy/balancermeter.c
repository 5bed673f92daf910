/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/balancermeter.h"

#include <stdlib.h>

#include "base/clock.h"

/* What there is to count, in the order of families.def. */
enum figure {
	F_READY,
	F_PENDING,
	F_P2C_ENDPOINTS,
	F_RESET,
	F_ADD,
	F_REMOVE,
	F_LENGTH,
	F_REQUESTS,
	F_LATENCY,
	F_OPEN,
	F_SHUT,
	F_OPEN_TIME,
	F_SHUT_TIME,
	F_TIMEOUT,
	FIGURES
};

static const struct {
	enum family family[BALANCED_KINDS];
	const char *key, *value; /* a label that comes first, or last */
	bool last;
} figures[FIGURES] = {
#define BOTH(name)                                                                     \
	{                                                                              \
		M_HTTP_BALANCER_##name, M_TCP_BALANCER_##name                          \
	}
	[F_READY] = {BOTH(ENDPOINTS), "endpoint_state", "ready", false},
	[F_PENDING] = {BOTH(ENDPOINTS), "endpoint_state", "pending", false},
	[F_P2C_ENDPOINTS] = {BOTH(P2C_ENDPOINTS), NULL, NULL, false},
	[F_RESET] = {BOTH(P2C_UPDATES), "op", "Reset", true},
	[F_ADD] = {BOTH(P2C_UPDATES), "op", "Add", true},
	[F_REMOVE] = {BOTH(P2C_UPDATES), "op", "Remove", true},
	[F_LENGTH] = {BOTH(QUEUE_LENGTH), NULL, NULL, false},
	[F_REQUESTS] = {BOTH(QUEUE_REQUESTS), NULL, NULL, false},
	[F_LATENCY] = {BOTH(QUEUE_LATENCY), NULL, NULL, false},
	[F_OPEN] = {BOTH(GATE_OPEN), NULL, NULL, false},
	[F_SHUT] = {BOTH(GATE_SHUT), NULL, NULL, false},
	[F_OPEN_TIME] = {BOTH(GATE_OPEN_TIME), NULL, NULL, false},
	[F_SHUT_TIME] = {BOTH(GATE_SHUT_TIME), NULL, NULL, false},
	[F_TIMEOUT] = {BOTH(GATE_TIMEOUT), NULL, NULL, false},
};

struct balancer_meter {
	struct pworker *worker;
	bool is_open; /* somebody is ready */
	struct series *v[FIGURES];
};

static struct series *series_of(
	struct pworker *w, enum balanced kind, enum figure i, const char *labels)
{
	struct buf b = BUF_INIT;
	struct series *s;

	if (figures[i].key && !figures[i].last) {
		labels_add(&b, figures[i].key, slice_of(figures[i].value));
		buf_char(&b, ',');
	}
	buf_text(&b, labels);
	if (figures[i].key && figures[i].last)
		labels_add(&b, figures[i].key, slice_of(figures[i].value));
	s = metrics_series(w->metrics, figures[i].family[kind], buf_slice(&b));
	buf_fini(&b);
	return s;
}

static void add(struct balancer_meter *m, enum figure i, int64_t n)
{
	series_add(m->v[i], m->worker->index, n);
}

static void set(struct balancer_meter *m, enum figure i, uint64_t n)
{
	series_set(m->v[i], m->worker->index, (int64_t)n);
}

static void gate(struct balancer_meter *m, bool is_open)
{
	m->is_open = is_open;
	add(m, is_open ? F_OPEN : F_SHUT, 1);
	set(m, is_open ? F_OPEN_TIME : F_SHUT_TIME, clock_wall() / NS_PER_S);
}

static void look(struct balancer_meter *m, const struct balancer_figures *now)
{
	set(m, F_READY, now->ready);
	set(m, F_PENDING, now->endpoints - now->ready);
	set(m, F_P2C_ENDPOINTS, now->endpoints);
}

struct balancer_meter *balancer_meter_new(struct pworker *w, enum balanced kind,
	const char *labels, uint64_t timeout, const struct balancer_figures *now)
{
	struct balancer_meter *m = calloc(1, sizeof *m);

	if (!m)
		return NULL;
	m->worker = w;
	for (int i = 0; i < FIGURES; i++)
		m->v[i] = series_of(w, kind, (enum figure)i, labels);
	set(m, F_TIMEOUT, timeout / NS_PER_S);
	if (now->endpoints)
		add(m, F_RESET, 1);
	look(m, now);
	gate(m, now->ready > 0);
	return m;
}

void balancer_meter_free(struct balancer_meter *m)
{
	if (!m)
		return;
	look(m, &(struct balancer_figures){0, 0});
	for (int i = 0; i < FIGURES; i++)
		series_put(m->v[i]);
	free(m);
}

void balancer_meter_endpoints(
	struct balancer_meter *m, const struct balancer_figures *now)
{
	if (!m)
		return;
	look(m, now);
	if ((now->ready > 0) != m->is_open)
		gate(m, now->ready > 0);
}

void balancer_meter_update(struct balancer_meter *m, enum p2c_update what, size_t n)
{
	if (m && n)
		add(m, what == P2C_ADD ? F_ADD : F_REMOVE, (int64_t)n);
}

void balancer_meter_asked(struct balancer_meter *m)
{
	if (m)
		add(m, F_REQUESTS, 1);
}

void balancer_meter_queue(struct balancer_meter *m, int change)
{
	if (m)
		add(m, F_LENGTH, change);
}

void balancer_meter_waited(struct balancer_meter *m, uint64_t ns)
{
	if (m)
		series_observe(m->v[F_LATENCY], m->worker->index, ns / NS_PER_US);
}
