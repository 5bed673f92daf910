/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_METER_H
#define PROXY_METER_H

/*
 * Handles to the series of one set of labels, found once and counted often: `struct
 * meter` for requests and responses, `struct transport_meter` for connections.  Cached
 * per worker by their labels, dropped some time after the last user.
 */
#include "net/conn.h"
#include "proxy/worker.h"

/* ---- requests ---- */
struct meter;

/* Returns a new reference; NULL when memory is out (then nothing is counted). */
struct meter *meter_get(struct pworker *w, struct slice labels);
struct meter *meter_ref(struct meter *m);
void meter_put(struct meter *m); /* NULL is fine, here and below */
void meter_request(struct meter *m);

struct outcome {
	int status;      /* 0: no response head came */
	int grpc_status; /* -1: not gRPC or none said */
	bool failure;
	const char *error; /* "" or a static text; label `error` */
	uint64_t ms;       /* request head to end of response */
};
void meter_response(struct meter *m, const struct outcome *o);

/* Status 5xx, or a gRPC status that means failure (spec proxy.md §9.2). */
bool outcome_is_failure(int status, int grpc_status);

/* ---- transports ---- */
struct transport_meter;
struct transport_meter *transport_meter_get(struct pworker *w, struct slice labels);
struct transport_meter *transport_meter_ref(struct transport_meter *m);
void transport_meter_put(struct transport_meter *m);
/* The bytes are also told as outbound_tcp_transfer_cost_bytes_total: `zone` is Local,
 * Remote or Unknown. */
void transport_meter_cost(struct transport_meter *m, const char *zone);

/* One transport being counted; lies in its owner. */
struct flow_count {
	struct list node;
	struct pworker *worker;
	struct conn_count bytes;
	struct transport_meter *meter; /* a reference */
	uint64_t in, out;              /* counted so far */
	unsigned still;                /* ticks in which nothing of a backlog left */
	uint64_t since;
};
/* Takes over a reference of `taken`.  `c` may be over before flow_end(). */
void flow_begin(struct flow_count *f, struct pworker *w, struct conn *c,
	struct transport_meter *taken);
void flow_end(struct flow_count *f,
	const struct err *why); /* why NULL: in order; repeatable */
/* The labels became known later: moves the flow there. */
void flow_tick(struct flow_count *f);

/* Eviction of unused meters, from the worker's tick. */
void meters_sweep(struct pworker *w);

#endif
