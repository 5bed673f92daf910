/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/worker.h"

#include <stdatomic.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/pieces.h"
#include "proxy/access.h"
#include "proxy/balancer.h"
#include "proxy/inbound.h"
#include "proxy/meter.h"
#include "proxy/outbound.h"
#include "proxy/routemeter.h"

#define TICK NS_PER_S
#define LEFT (5 * NS_PER_MS) /* how often a drain looks whether all is sent */

void worker_tick(struct pworker *w)
{
	if (!timer_is_set(&w->tick))
		timer_set(&w->tick, TICK);
}

bool worker_has_ip(const struct pworker *w, const struct ip *ip)
{
	for (size_t i = 0; i < w->cfg->ninbound_ips; i++)
		if (ip_eq(&w->cfg->inbound_ips[i], ip))
			return true;
	return false;
}

static bool has_work(const struct pworker *w)
{
	return !list_is_empty(&w->flows) || w->ports.count || w->targets.count ||
	       w->balancers.count || w->meters.count || w->transports.count ||
	       w->route_meters.count;
}

/* Whichever worker sees it first: another may have nothing to do. */
static void tell_memory(bool is_short)
{
	static atomic_bool told;

	if (atomic_exchange(&told, is_short) == is_short)
		return;
	log_warn("proxy",
		is_short ? "memory is short: requests are refused, clients that take "
			   "nothing are ended"
			 : "memory suffices again",
		LI("used_mb", memory_used() >> 20),
		LI("limit_mb", memory_limit() >> 20));
}

static void look_at_memory(struct pworker *w)
{
	bool is_short = memory_is_short(loop_now(w->loop));
	struct client *c;

	tell_memory(is_short);
	if (is_short)
		list_each(c, &w->conns, node) c->shed(c);
}

static void tick(struct timer *t)
{
	struct pworker *w = container_of(t, struct pworker, tick);
	struct flow_count *f;

	list_each(f, &w->flows, node) flow_tick(f);
	look_at_memory(w);
	inbound_sweep(w);
	outbound_sweep(w);
	balancers_sweep(w, false);
	meters_sweep(w);
	arena_give_back();
	pieces_give_back();
	heap_give_back(&w->heap);
	route_meters_sweep(w);
	log_tick();
	if (has_work(w))
		worker_tick(w);
}

static struct http_server_config http_config(
	const struct proxy_config *cfg, const struct side_config *side)
{
	return (struct http_server_config){.head_max = cfg->head_max,
		.head_timeout = cfg->head_timeout,
		.max_streams = side->h2_server.max_streams,
		.stall = cfg->h2_stall,
		.stream_window = side->h2_server.stream_window,
		.conn_window = side->h2_server.conn_window,
		.keepalive_every = side->h2_server.ping_every,
		.keepalive_timeout = side->h2_server.ping_timeout};
}

static void drain_check(struct pworker *w)
{
	void (*drained)(struct pworker * w) = w->drained;

	if (!w->draining || !list_is_empty(&w->conns) || !drained)
		return;
	if (w->leaving) {
		timer_set(&w->left, LEFT);
		return;
	}
	w->drained = NULL;
	drained(w);
}

static void on_left(struct timer *t)
{
	drain_check(container_of(t, struct pworker, left));
}

void worker_init(struct pworker *w, struct loop *l)
{
	w->in_http = http_config(w->cfg, &w->cfg->in);
	w->out_http = http_config(w->cfg, &w->cfg->out);
	w->loop = l;
	if (*w->cfg->access_log)
		w->access = access_log_new(w, strcmp(w->cfg->access_log, "json") == 0);
	list_init(&w->flows);
	list_init(&w->conns);
	shakes_init(&w->shakes);
	timer_init(&w->tick, l, tick);
	timer_init(&w->left, l, on_left);
}

void client_add(struct pworker *w, struct client *c)
{
	c->worker = w;
	list_push(&w->conns, &c->node);
}

void client_remove(struct client *c)
{
	struct pworker *w = c->worker;

	list_remove(&c->node);
	drain_check(w);
}

void worker_drain(struct pworker *w, void (*drained)(struct pworker *w))
{
	struct client *c;

	w->draining = true;
	w->drained = drained;
	list_each(c, &w->conns, node) c->drain(c);
	drain_check(w);
}

void worker_stop_all(struct pworker *w)
{
	struct client *c;

	while ((c = list_first(&w->conns, struct client, node))) {
		list_remove(&c->node);
		c->stop(c);
	}
	timer_clear(&w->tick);
}
