/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/balancer_int.h"

#include <stdlib.h>

static struct balancer_figures figures(const struct balancer *b)
{
	return (struct balancer_figures){b->count, b->nready};
}

void balancer_for(
	struct balancer *b, const struct meta *parent, const struct meta *backend)
{
	struct buf labels = BUF_INIT;

	if (b->labels || !b->name)
		return;
	labels_parent(&labels, parent);
	labels_backend(&labels, backend);
	b->labels = slice_dup(buf_slice(&labels));
	buf_fini(&labels);
}

static struct balancer_meter *meter_of(struct balancer *b, enum balanced kind)
{
	struct balancer_figures now;

	if (b->meters[kind] || !b->labels)
		return b->meters[kind];
	now = figures(b);
	b->meters[kind] = balancer_meter_new(b->worker, kind, b->labels,
		kind == BALANCED_HTTP ? balancer_request_limit(b)
				      : balancer_stream_limit(b),
		&now);
	return b->meters[kind];
}

void balancer_count_endpoints(struct balancer *b)
{
	struct balancer_figures now = figures(b);

	for (int i = 0; i < BALANCED_KINDS; i++)
		balancer_meter_endpoints(b->meters[i], &now);
}

void balancer_count_update(struct balancer *b, enum p2c_update what)
{
	for (int i = 0; i < BALANCED_KINDS; i++)
		balancer_meter_update(b->meters[i], what, 1);
}

void balancer_count_asked(struct balancer *b, enum balanced kind)
{
	struct balancer_meter *m = meter_of(b, kind);

	balancer_meter_asked(m);
	if (b->nready)
		balancer_meter_waited(m, 0);
}
