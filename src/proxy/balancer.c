/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/balancer_int.h"

#include <stdlib.h>

#include "base/clock.h"
#include "proxy/endpoint.h"

bool balancer_has_name(const struct balancer *b)
{
	return b->name != NULL;
}

bool balancer_is_shut(const struct balancer *b)
{
	return b->is_shut || b->state == ENDPOINTS_NO_SUCH;
}

const char *balancer_text(const struct balancer *b)
{
	const struct endpoint *ep = list_first(&b->endpoints, struct endpoint, node);

	if (b->name)
		return b->name;
	return ep ? ep->text : b->key;
}

static struct balancer *balancer_new(
	struct pworker *w, enum side side, struct slice key)
{
	struct balancer *b = calloc(1, sizeof *b);

	if (!b)
		return NULL;
	b->key = slice_dup(key);
	b->worker = w;
	b->side = side;
	b->default_rtt = 30 * NS_PER_MS;
	b->decay = 10 * NS_PER_S;
	list_init(&b->endpoints);
	list_init(&b->queue);
	list_init(&b->streams);
	timer_init(&b->failfast, w->loop, balancer_queue_due);
	if (!b->key || map_insert(&w->balancers, &b->node, slice_of(b->key)) < 0) {
		free(b->key);
		free(b);
		return NULL;
	}
	return b;
}

struct balancer *balancer_ref(struct balancer *b)
{
	b->refs++;
	return b;
}

void balancer_unref(struct balancer *b)
{
	if (!b || --b->refs > 0)
		return;
	b->unused_since = loop_now(b->worker->loop);
	worker_tick(b->worker);
}

struct balancer *balancer_for_name(struct pworker *w, const struct backend *be)
{
	struct buf key = BUF_INIT;
	struct balancer *b;

	if (buf_printf(&key, "name %s", be->name) < 0)
		return NULL;
	b = map_get(&w->balancers, buf_slice(&key), struct balancer, node);
	if (!b) {
		b = balancer_new(w, SIDE_OUT, buf_slice(&key));
		if (b) {
			b->name = b->key + 5;
			b->default_rtt =
				be->default_rtt ? be->default_rtt : b->default_rtt;
			b->decay = be->rtt_decay ? be->rtt_decay : b->decay;
			b->sub = disco_endpoints(
				w->disco, w->loop, b->name, balancer_endpoints_told, b);
		}
	}
	buf_fini(&key);
	return b ? balancer_ref(b) : NULL;
}

static void add_fixed(struct balancer *b, const struct endpoint_info *info)
{
	struct fixed_endpoint *f = fixed_endpoint_new(info);

	b->state = ENDPOINTS_KNOWN;
	if (!f)
		return;
	balancer_add(b, &f->info, &f->ref);
	ref_put(&f->ref);
	balancer_find_ready(b);
}

struct balancer *balancer_for_addr(
	struct pworker *w, enum side side, const struct endpoint_info *info)
{
	struct buf key = BUF_INIT;
	char text[ADDR_TEXT];
	struct balancer *b;

	if (buf_printf(&key, "%s %s %d %u %s %s", side == SIDE_IN ? "app" : "addr",
		    info->identity ? info->identity : "-", info->hint,
		    info->tunnel_port, info->authority ? info->authority : "-",
		    addr_text(&info->addr, text)) < 0)
		return NULL;
	b = map_get(&w->balancers, buf_slice(&key), struct balancer, node);
	if (!b) {
		b = balancer_new(w, side, buf_slice(&key));
		if (b)
			add_fixed(b, info);
	}
	buf_fini(&key);
	return b ? balancer_ref(b) : NULL;
}

static void balancer_free(struct balancer *b)
{
	struct endpoint *ep;

	map_remove(&b->worker->balancers, &b->node);
	if (b->sub)
		sub_end(b->sub);
	timer_clear(&b->failfast);
	list_each(ep, &b->endpoints, node) balancer_drop(b, ep);
	for (int i = 0; i < BALANCED_KINDS; i++)
		balancer_meter_free(b->meters[i]);
	free(b->labels);
	free(b->ready);
	free(b->key);
	free(b);
}

void balancers_sweep(struct pworker *w, bool all)
{
	uint64_t now = loop_now(w->loop);
	struct endpoint *ep;
	struct balancer *b;

	map_each(b, &w->balancers, node)
	{
		uint64_t keep = worker_side(w, b->side)->discovery_idle;

		list_each(ep, &b->endpoints, node) endpoint_sweep(ep, now);
		if (b->refs == 0 && (all || now - b->unused_since > keep))
			balancer_free(b);
	}
}

void balancers_drain(struct pworker *w)
{
	struct endpoint *ep;
	struct balancer *b;

	map_each(b, &w->balancers, node) list_each(ep, &b->endpoints, node)
		endpoint_sweep(ep, UINT64_MAX);
}
