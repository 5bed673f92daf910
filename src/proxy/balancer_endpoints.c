/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/balancer_int.h"

#include <stdlib.h>

#include "base/clock.h"
#include "proxy/endpoint.h"

void balancer_find_ready(struct balancer *b)
{
	struct endpoint *ep;

	b->nready = 0;
	if (b->count > b->ready_cap) {
		struct endpoint **v = realloc(b->ready, b->count * sizeof *v);

		if (!v)
			return;
		b->ready = v;
		b->ready_cap = b->count;
	}
	list_each(ep, &b->endpoints,
		node) if (ep->at == ENDPOINT_READY && b->nready < b->ready_cap)
		b->ready[b->nready++] = ep;
	if (b->nready > 0)
		b->is_shut = false;
	balancer_count_endpoints(b);
}

/* An address that keeps refusing may be stale: discovery is asked again, once. */
#define DISTRUST_AFTER 3

void balancer_ready_changed(struct balancer *b, struct endpoint *ep)
{
	if (ep->at == ENDPOINT_BACKOFF)
		b->last = ep->last;
	if (b->name && ep->failures >= DISTRUST_AFTER &&
		b->distrusted != b->generation) {
		b->distrusted = b->generation;
		disco_distrust(b->worker->disco, b->name);
	}
	balancer_find_ready(b);
	if (ep->at == ENDPOINT_READY)
		balancer_queue_serve(b);
}

struct endpoint *balancer_pick(struct balancer *b, const struct endpoint *left)
{
	uint64_t now = loop_now(b->worker->loop);
	size_t i, j;

	if (b->nready <= 1)
		return b->nready ? b->ready[0] : NULL;
	i = random_u64() % b->nready;
	j = random_u64() % (b->nready - 1);
	j += j >= i;
	if (b->ready[i] == left || b->ready[j] == left)
		return b->ready[b->ready[i] == left ? j : i];
	return endpoint_cost(b->ready[j], now, b->decay) <
			       endpoint_cost(b->ready[i], now, b->decay)
		       ? b->ready[j]
		       : b->ready[i];
}

static struct endpoint *endpoint_at(struct balancer *b, const struct addr *a)
{
	struct endpoint *ep;

	list_each(ep, &b->endpoints, node) if (addr_eq(&ep->info->addr, a)) return ep;
	return NULL;
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

/* What may change without new connections: labels, weight. */
static bool same_peer(const struct endpoint_info *a, const struct endpoint_info *b)
{
	return a->hint == b->hint && same_text(a->identity, b->identity) &&
	       same_text(a->server_name, b->server_name) &&
	       same_text(a->authority, b->authority) &&
	       a->tunnel_port == b->tunnel_port;
}

void balancer_add(
	struct balancer *b, const struct endpoint_info *info, struct ref *owner)
{
	struct endpoint *ep = endpoint_new(b, b->side, b->worker, info, owner);

	if (!ep)
		return;
	ep->rtt = (double)b->default_rtt;
	ep->mark = UINT64_C(1) << (b->marks++ % 64);
	list_push(&b->endpoints, &ep->node);
	b->count++;
	balancer_count_update(b, P2C_ADD);
}

void balancer_drop(struct balancer *b, struct endpoint *ep)
{
	b->count--;
	balancer_count_update(b, P2C_REMOVE);
	list_remove(&ep->node);
	balancer_find_ready(b);
	endpoint_remove(ep);
}

static bool still_there(const struct endpoints *now, const struct endpoint *ep)
{
	for (size_t i = 0; i < now->n; i++)
		if (addr_eq(&now->v[i].addr, &ep->info->addr))
			return same_peer(&now->v[i], ep->info);
	return false;
}

void balancer_endpoints_told(void *arg, struct ref *value)
{
	struct endpoints *now = container_of(value, struct endpoints, ref);
	struct balancer *b = arg;
	struct endpoint *ep;

	b->state = now->state;
	b->generation = now->generation;
	for (size_t i = 0; i < now->n; i++) {
		ep = endpoint_at(b, &now->v[i].addr);
		if (ep && !same_peer(&now->v[i], ep->info)) {
			balancer_drop(b, ep);
			ep = NULL;
		}
		if (!ep)
			balancer_add(b, &now->v[i], &now->ref);
	}
	balancer_find_ready(b);
	list_each(ep, &b->endpoints, node) if (!still_there(now, ep))
		balancer_drop(b, ep);
	balancer_queue_serve(b);
	if (b->state == ENDPOINTS_NO_SUCH && timer_is_set(&b->failfast))
		timer_set(&b->failfast, 0);
}
