/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_BALANCERMETER_H
#define PROXY_BALANCERMETER_H

/*
 * The series of a balancer over a name (spec proxy.md §13.2, outbound_*_balancer_*):
 * one set for the requests it serves and one for byte streams, each made when the first
 * comes.  Each worker has a balancer of its own over the same endpoints; so counts of
 * endpoints are not added up over workers, all else is.
 *
 * Labels: PARENT BACKEND of whom the balancer was first made for.
 */
#include "proxy/worker.h"

struct balancer_meter;

enum balanced { BALANCED_HTTP, BALANCED_TCP, BALANCED_KINDS };

struct balancer_figures {
	size_t endpoints, ready;
};

/* `labels` is copied; `timeout`: how long the queue waits.  NULL when memory is out:
 * nothing is counted then. */
struct balancer_meter *balancer_meter_new(struct pworker *w, enum balanced kind,
	const char *labels, uint64_t timeout, const struct balancer_figures *now);
void balancer_meter_free(struct balancer_meter *m);

/* Endpoints came, went, became ready or not. */
void balancer_meter_endpoints(
	struct balancer_meter *m, const struct balancer_figures *now);
enum p2c_update { P2C_ADD, P2C_REMOVE };
void balancer_meter_update(struct balancer_meter *m, enum p2c_update what, size_t n);

/* One asked for an endpoint; one began to wait (+1) or ended (-1); how long it had. */
void balancer_meter_asked(struct balancer_meter *m);
void balancer_meter_queue(struct balancer_meter *m, int change);
void balancer_meter_waited(struct balancer_meter *m, uint64_t ns);

#endif
