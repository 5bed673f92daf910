/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/routemeter.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "http/grpc.h"

#define METER_IDLE (60 * NS_PER_S) /* the series themselves are kept longer */
#define NO_FAMILY  M_FAMILIES

/* What each kind of route counts. */
struct route_families {
	enum family requests, since_head, since_end, statuses, frames[2];
};

static const struct route_families families_of[][2] = {
#define OUT(ID)                                                                        \
	{                                                                              \
		NO_FAMILY, M_OUT_##ID##_DURATION, NO_FAMILY, M_OUT_##ID##_STATUSES,    \
		{                                                                      \
			M_OUT_##ID##_FRAMES, NO_FAMILY                                 \
		}                                                                      \
	}
#define BACKEND(ID)                                                                    \
	{                                                                              \
		M_BACKEND_##ID##_REQUESTS, NO_FAMILY, M_BACKEND_##ID##_DURATION,       \
			M_BACKEND_##ID##_STATUSES,                                     \
		{                                                                      \
			NO_FAMILY, M_BACKEND_##ID##_FRAMES                             \
		}                                                                      \
	}
#define IN(ID)                                                                         \
	{                                                                              \
		M_IN_##ID##_REQUESTS, M_IN_##ID##_REQUEST_DURATION,                    \
			M_IN_##ID##_RESPONSE_DURATION, M_IN_##ID##_STATUSES,           \
		{                                                                      \
			M_IN_##ID##_REQUEST_FRAMES, M_IN_##ID##_RESPONSE_FRAMES        \
		}                                                                      \
	}
	[ROUTE_OUT] = {OUT(HTTP), OUT(GRPC)},
	[ROUTE_BACKEND] = {BACKEND(HTTP), BACKEND(GRPC)},
	[ROUTE_IN] = {IN(HTTP), IN(GRPC)},
};

struct status_series {
	struct status_series *next;
	int status;
	const char *error;
	struct series *total;
};

struct route_meter {
	struct map_node node;
	struct pworker *worker;
	enum route_side side;
	bool grpc;
	unsigned refs;
	uint64_t unused_since;
	char *key; /* "0 " and the labels */
	struct series *requests, *since_head, *since_end, *frames[2];
	struct status_series *statuses;
};

#define KEY_LABELS 2

static struct series *series_of(
	struct pworker *w, enum family f, const struct route_meter *m)
{
	return f == NO_FAMILY
		       ? NULL
		       : metrics_series(w->metrics, f, slice_of(m->key + KEY_LABELS));
}

static struct route_meter *meter_new(
	struct pworker *w, enum route_side side, bool grpc, struct slice key)
{
	const struct route_families *f = &families_of[side][grpc];
	struct route_meter *m = calloc(1, sizeof *m);

	if (!m)
		return NULL;
	m->worker = w;
	m->side = side;
	m->grpc = grpc;
	m->key = slice_dup(key);
	if (!m->key || map_insert(&w->route_meters, &m->node, slice_of(m->key)) < 0) {
		free(m->key);
		free(m);
		return NULL;
	}
	m->requests = series_of(w, f->requests, m);
	m->since_head = series_of(w, f->since_head, m);
	m->since_end = series_of(w, f->since_end, m);
	m->frames[DIR_REQUEST] = series_of(w, f->frames[DIR_REQUEST], m);
	m->frames[DIR_RESPONSE] = series_of(w, f->frames[DIR_RESPONSE], m);
	return m;
}

struct route_meter *route_meter_get(
	struct pworker *w, enum route_side side, bool grpc, struct slice labels)
{
	struct buf key = BUF_INIT;
	struct route_meter *m;

	buf_char(&key, (char)('0' + 2 * (int)side + grpc));
	buf_char(&key, ' ');
	buf_adds(&key, labels);
	m = map_get(&w->route_meters, buf_slice(&key), struct route_meter, node);
	if (!m && !key.failed)
		m = meter_new(w, side, grpc, buf_slice(&key));
	buf_fini(&key);
	return route_meter_ref(m);
}

struct route_meter *route_meter_ref(struct route_meter *m)
{
	if (m)
		m->refs++;
	return m;
}

void route_meter_put(struct route_meter *m)
{
	if (m && --m->refs == 0) {
		m->unused_since = loop_now(m->worker->loop);
		worker_tick(m->worker);
	}
}

static void meter_free(struct route_meter *m)
{
	map_remove(&m->worker->route_meters, &m->node);
	for (struct status_series *s = m->statuses, *next; s; s = next) {
		next = s->next;
		series_put(s->total);
		free(s);
	}
	series_put(m->requests);
	series_put(m->since_head);
	series_put(m->since_end);
	series_put(m->frames[0]);
	series_put(m->frames[1]);
	free(m->key);
	free(m);
}

void route_meters_sweep(struct pworker *w)
{
	uint64_t now = loop_now(w->loop);
	struct route_meter *m;

	map_each(m, &w->route_meters,
		node) if (m->refs == 0 && now - m->unused_since > METER_IDLE)
		meter_free(m);
}

/* ---- counting ---- */

void route_meter_request(struct route_meter *m)
{
	if (m)
		series_add(m->requests, m->worker->index, 1);
}

void route_meter_frame(struct route_meter *m, enum dir d, size_t n)
{
	if (m && m->frames[d])
		series_observe(m->frames[d], m->worker->index, n);
}

/* Outbound a status is named by what it is of, inbound not; only outbound says why
 * there is none. */
static void status_labels(
	struct buf *b, const struct route_meter *m, int status, const char *error)
{
	char num[16] = "";
	struct slice text;

	if (status >= 0)
		snprintf(num, sizeof num, "%d", status);
	text = slice_of(num);
	buf_text(b, m->key + KEY_LABELS);
	if (m->side == ROUTE_IN) {
		labels_add(b, "status", text);
		return;
	}
	if (m->grpc && status >= 0)
		text = slice_of(grpc_status_name(status));
	labels_add(b, m->grpc ? "grpc_status" : "http_status", text);
	labels_add(b, "error", slice_of(error));
}

static struct series *status_series(
	struct route_meter *m, int status, const char *error)
{
	enum family f = families_of[m->side][m->grpc].statuses;
	struct status_series *s;
	struct buf b = BUF_INIT;

	for (s = m->statuses; s; s = s->next)
		if (s->status == status && s->error == error)
			return s->total;
	s = calloc(1, sizeof *s);
	if (!s)
		return NULL;
	status_labels(&b, m, status, error);
	*s = (struct status_series){m->statuses, status, error,
		metrics_series(m->worker->metrics, f, buf_slice(&b))};
	m->statuses = s;
	buf_fini(&b);
	return s->total;
}

static int status_of(const struct route_meter *m, const struct route_outcome *o)
{
	if (*o->error)
		return -1;
	if (m->grpc)
		return o->grpc_status;
	return o->status ? o->status : -1;
}

void route_meter_response(struct route_meter *m, const struct route_outcome *o)
{
	unsigned w;

	if (!m)
		return;
	w = m->worker->index;
	series_observe(m->since_head, w, o->since_head / NS_PER_US);
	series_observe(m->since_end, w, o->since_end / NS_PER_US);
	series_add(status_series(m, status_of(m, o), o->error), w, 1);
}

/* ---- labels ---- */

static void with_namespace(struct buf *b, const char *prefix, const struct meta *m)
{
	const struct {
		const char *key, *value;
	} v[] = {{"group", m->group}, {"kind", m->kind}, {"namespace", m->ns},
		{"name", m->name}};
	char key[32];

	for (size_t i = 0; i < countof(v); i++) {
		snprintf(key, sizeof key, "%s%s", prefix, v[i].key);
		labels_add(b, key, slice_of(v[i].value));
	}
}

static void with_port(struct buf *b, const char *prefix, const struct meta *m)
{
	char key[32], port[8] = "";

	with_namespace(b, prefix, m);
	if (m->port)
		snprintf(port, sizeof port, "%u", m->port);
	snprintf(key, sizeof key, "%sport", prefix);
	labels_add(b, key, slice_of(port));
	snprintf(key, sizeof key, "%ssection_name", prefix);
	labels_add(b, key, slice_of(m->section));
}

void labels_parent(struct buf *b, const struct meta *parent)
{
	with_port(b, "parent_", parent);
}

void labels_route(struct buf *b, const struct meta *route)
{
	with_namespace(b, "route_", route);
}

void labels_backend(struct buf *b, const struct meta *backend)
{
	with_port(b, "backend_", backend);
}

void labels_inbound_route(
	struct buf *b, const struct meta *server, const struct meta *route)
{
	char port[8] = "";

	if (server->port)
		snprintf(port, sizeof port, "%u", server->port);
	labels_meta(b, "parent_", server);
	labels_add(b, "parent_port", slice_of(port));
	labels_meta(b, "route_", route);
}
