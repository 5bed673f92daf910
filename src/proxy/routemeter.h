/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_ROUTEMETER_H
#define PROXY_ROUTEMETER_H

/*
 * Handles to the series of a route, or of a backend of one (spec proxy.md §13.2): found
 * once for a set of labels, counted with a few relaxed additions a request.  Cached per
 * worker by labels and dropped some time after the last user, as meters are.
 */
#include "http/exch.h"
#include "proxy/worker.h"

struct route_meter;

enum route_side {
	ROUTE_OUT,     /* labels: PARENT ROUTE hostname */
	ROUTE_BACKEND, /* labels: PARENT ROUTE BACKEND */
	ROUTE_IN,      /* labels: INROUTE */
};

/* Returns a new reference; NULL when memory is out (then nothing is counted). */
struct route_meter *route_meter_get(
	struct pworker *w, enum route_side side, bool grpc, struct slice labels);
struct route_meter *route_meter_ref(struct route_meter *m);
void route_meter_put(struct route_meter *m); /* NULL is fine, here and below */

void route_meter_request(struct route_meter *m);
void route_meter_frame(struct route_meter *m, enum dir d, size_t n);

struct route_outcome {
	int status, grpc_status; /* 0, -1: none came */
	const char *error; /* "" or a static text: label `error`; then no status */
	uint64_t since_head, since_end; /* ns from the request's head, and its end */
};
void route_meter_response(struct route_meter *m, const struct route_outcome *o);

void route_meters_sweep(struct pworker *w);

/* ---- labels ---- */
/* parent_group, parent_kind, parent_namespace, parent_name, parent_port, …section_name
 */
void labels_parent(struct buf *b, const struct meta *parent);
void labels_route(struct buf *b, const struct meta *route);
void labels_backend(struct buf *b, const struct meta *backend);
/* parent_group, parent_kind, parent_name, parent_port, route_group, route_kind, … */
void labels_inbound_route(
	struct buf *b, const struct meta *server, const struct meta *route);

#endif
