/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/clock.h"
#include "proxy/outbound.h"
#include "proxy/outbound_int.h"

/* ---- backends ---- */

static struct balancer *balancer_of(struct out_target *t, const struct backend *b)
{
	struct pworker *w = t->worker;
	struct balancer *found;

	switch (b->kind) {
	case BACKEND_BALANCE:
		found = balancer_for_name(w, b);
		if (found)
			balancer_for(found, &t->policy->parent, &b->meta);
		return found;
	case BACKEND_FORWARD:
		return balancer_for_addr(w, SIDE_OUT, &b->forward);
	case BACKEND_NONE:
		break;
	}
	return NULL;
}

struct backend_fn_arg {
	struct out_target *target;
	struct out_backend *v; /* NULL: only count */
	size_t n;
};

static void each_of(struct backend_fn_arg *a, const struct policy_route *route,
	const struct distribution *d)
{
	for (size_t i = 0; d && i < d->n; i++) {
		if (a->v)
			a->v[a->n] = (struct out_backend){.of = &d->v[i],
				.balancer = balancer_of(a->target, &d->v[i]),
				.route = route};
		a->n++;
	}
}

static void each_route(struct backend_fn_arg *a, const struct policy_route *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < v[i].nrules; j++)
			each_of(a, &v[i], v[i].rules[j].backends);
}

static void each_backend(struct backend_fn_arg *a, const struct outbound_policy *p)
{
	each_route(a, p->http, p->nhttp);
	if (p->h2 != p->http)
		each_route(a, p->h2, p->nh2);
	each_of(a, NULL, p->opaque);
}

static void backends_drop(struct out_backend *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		balancer_unref(v[i].balancer);
		route_meter_put(v[i].route_meter);
		route_meter_put(v[i].meter);
	}
	free(v);
}

/* The new ones are taken before the old go, so that what stays keeps its connections.
 */
static void backends_renew(struct out_target *t)
{
	struct backend_fn_arg a = {.target = t};
	struct out_backend *old = t->backends;
	size_t nold = t->nbackends;

	each_backend(&a, t->policy);
	a.v = calloc(a.n + 1, sizeof *a.v);
	a.n = 0;
	if (a.v)
		each_backend(&a, t->policy);
	t->backends = a.v;
	t->nbackends = a.v ? a.n : 0;
	backends_drop(old, nold);
}

static struct out_backend *find(const struct out_target *t, const struct backend *b)
{
	for (size_t i = 0; i < t->nbackends; i++)
		if (t->backends[i].of == b)
			return &t->backends[i];
	return NULL;
}

static const struct backend *by_weight(const struct distribution *d)
{
	uint64_t total = 0, at;

	for (size_t i = 0; i < d->n; i++)
		total += d->v[i].weight;
	if (total == 0)
		return NULL;
	at = random_u64() % total;
	for (size_t i = 0; i < d->n; i++) {
		if (at < d->v[i].weight)
			return &d->v[i];
		at -= d->v[i].weight;
	}
	return NULL;
}

struct out_backend *out_target_pick(struct out_target *t, const struct distribution *d)
{
	const struct backend *b = NULL;

	if (!d || d->n == 0)
		return NULL;
	if (d->kind == DIST_RANDOM)
		b = by_weight(d);
	else if (d->kind == DIST_FIRST)
		b = &d->v[0];
	return b ? find(t, b) : NULL;
}

/* ---- life ---- */

static void told(void *arg, struct ref *value)
{
	struct out_target *t = arg;
	struct out_conn *c;
	struct ref *old = t->policy ? &t->policy->ref : NULL;

	ref_get(value);
	t->policy = container_of(value, struct outbound_policy, ref);
	t->refs++;
	seen_outbound(t->seen, t->policy);
	backends_renew(t);
	ref_put(old);
	while ((c = list_first(&t->waiting, struct out_conn, node))) {
		list_remove(&c->node);
		out_conn_policy(c);
	}
	out_target_put(t);
}

static struct out_target *target_new(
	struct pworker *w, const struct addr *dst, const char *key)
{
	struct out_target *t = calloc(1, sizeof *t);

	if (!t)
		return NULL;
	t->worker = w;
	t->dst = *dst;
	memcpy(t->key, key, sizeof t->key);
	list_init(&t->waiting);
	if (map_insert(&w->targets, &t->node, slice_of(t->key)) < 0) {
		free(t);
		return NULL;
	}
	t->seen = seen_new(w, SIDE_OUT, t->key);
	t->sub = disco_outbound(w->disco, w->loop, dst, told, t);
	return t;
}

struct out_target *out_target_get(struct pworker *w, const struct addr *dst)
{
	char key[ADDR_TEXT] = "";
	struct out_target *t;

	addr_text(dst, key);
	t = map_get(&w->targets, slice_of(key), struct out_target, node);
	if (!t)
		t = target_new(w, dst, key);
	if (t)
		t->refs++;
	return t;
}

void out_target_put(struct out_target *t)
{
	if (--t->refs > 0)
		return;
	t->unused_since = loop_now(t->worker->loop);
	worker_tick(t->worker);
}

static void target_free(struct out_target *t)
{
	map_remove(&t->worker->targets, &t->node);
	if (t->sub)
		sub_end(t->sub);
	seen_free(t->seen);
	backends_drop(t->backends, t->nbackends);
	if (t->policy)
		ref_put(&t->policy->ref);
	free(t);
}

void outbound_sweep(struct pworker *w)
{
	uint64_t now = loop_now(w->loop);
	struct out_target *t;

	map_each(t, &w->targets,
		node) if (t->refs == 0 &&
			  now - t->unused_since > w->cfg->out.discovery_idle)
		target_free(t);
}
