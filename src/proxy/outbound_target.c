/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/clock.h"
#include "http/head.h"
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

static void each_of(struct backend_fn_arg *a, const struct distribution *d)
{
	for (size_t i = 0; d && i < d->n; i++) {
		if (a->v)
			a->v[a->n] = (struct out_backend){.of = &d->v[i],
				.balancer = balancer_of(a->target, &d->v[i])};
		a->n++;
	}
}

static void each_route(struct backend_fn_arg *a, const struct policy_route *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < v[i].nrules; j++)
			each_of(a, v[i].rules[j].backends);
}

static void each_backend(struct backend_fn_arg *a, const struct outbound_policy *p)
{
	each_route(a, p->http, p->nhttp);
	if (p->h2 != p->http)
		each_route(a, p->h2, p->nh2);
	each_route(a, p->tls, p->ntls);
	each_of(a, p->opaque);
}

static void backends_drop(struct out_backend *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		balancer_unref(v[i].balancer);
		route_meter_put(v[i].meter);
	}
	free(v);
}

static void meters_drop(struct out_target *t)
{
	for (size_t i = 0; i < t->nmeters; i++)
		route_meter_put(t->meters[i]);
	free((void *)t->meters);
	t->meters = NULL;
	t->nmeters = 0;
}

static void meters_renew(struct out_target *t)
{
	size_t n = t->policy->nhttp + t->policy->nh2;

	meters_drop(t);
	t->meters = calloc(n + 1, sizeof(struct route_meter *));
	t->nmeters = t->meters ? n : 0;
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

/* Those in failfast are passed over as long as another is not. */
static uint32_t weight_of(const struct out_backend *b, bool any)
{
	if (!b || (!any && b->balancer && balancer_is_shut(b->balancer)))
		return 0;
	return b->of->weight;
}

static struct out_backend *by_weight(
	const struct out_target *t, const struct distribution *d, bool any)
{
	uint64_t total = 0, at;

	for (size_t i = 0; i < d->n; i++)
		total += weight_of(find(t, &d->v[i]), any);
	if (total == 0)
		return any ? NULL : by_weight(t, d, true);
	at = random_u64() % total;
	for (size_t i = 0; i < d->n; i++) {
		struct out_backend *b = find(t, &d->v[i]);
		uint32_t weight = weight_of(b, any);

		if (at < weight)
			return b;
		at -= weight;
	}
	return NULL;
}

static struct out_backend *first_open(
	const struct out_target *t, const struct distribution *d)
{
	for (size_t i = 0; i < d->n; i++) {
		struct out_backend *b = find(t, &d->v[i]);

		if (b && (!b->balancer || !balancer_is_shut(b->balancer)))
			return b;
	}
	return find(t, &d->v[0]);
}

struct out_backend *out_target_pick(struct out_target *t, const struct distribution *d)
{
	if (!d || d->n == 0)
		return NULL;
	if (d->n == 1 && d->kind == DIST_FIRST)
		return find(t, &d->v[0]);
	return d->kind == DIST_RANDOM ? by_weight(t, d, false) : first_open(t, d);
}

struct balancer *out_target_stream(
	struct out_target *t, const struct policy_route *tls, struct err *e)
{
	const struct distribution *d = tls ? tls->rules->backends : t->policy->opaque;
	const struct out_backend *b;

	if (d && d->forbidden) {
		err_set(e, ERR_DENIED, "forbidden by policy");
		return NULL;
	}
	if (d && d->invalid) {
		err_set(e, ERR_SYNTAX, "the policy's route is invalid");
		return NULL;
	}
	b = out_target_pick(t, d);
	if (b && b->balancer)
		return b->balancer;
	err_set(e, ERR_MISSING, "%s",
		b && b->of->problem ? b->of->problem : "no backend");
	return NULL;
}

const struct policy_route *out_target_tls(struct out_target *t, const char *sni)
{
	const struct outbound_policy *p = t->policy;
	const struct req_head hello = {.authority = slice_of(sni)};
	const struct policy_route *route;

	return routes_match(p->tls, p->ntls, &hello, &route) ? route : NULL;
}

/* ---- life ---- */

static void told(void *arg, struct ref *value)
{
	struct out_target *t = arg;
	struct out_wait *wait;
	struct ref *old = t->policy ? &t->policy->ref : NULL;

	ref_get(value);
	t->policy = container_of(value, struct outbound_policy, ref);
	t->refs++;
	seen_outbound(t->seen, t->policy);
	backends_renew(t);
	meters_renew(t);
	ref_put(old);
	while ((wait = list_first(&t->waiting, struct out_wait, node))) {
		list_remove(&wait->node);
		wait->ready(wait);
	}
	out_target_put(t);
}

static struct out_target *target_new(struct pworker *w, const char *key)
{
	struct out_target *t = calloc(1, sizeof *t);

	if (!t)
		return NULL;
	t->worker = w;
	t->key = slice_dup(slice_of(key));
	list_init(&t->waiting);
	if (!t->key || map_insert(&w->targets, &t->node, slice_of(t->key)) < 0) {
		free(t->key);
		free(t);
		return NULL;
	}
	t->seen = seen_new(w, SIDE_OUT, t->key);
	return t;
}

struct out_target *out_target_ref(struct out_target *t)
{
	t->refs++;
	return t;
}

struct out_target *out_target_get(struct pworker *w, const struct addr *dst)
{
	char key[ADDR_TEXT] = "";
	struct out_target *t;

	addr_text(dst, key);
	t = map_get(&w->targets, slice_of(key), struct out_target, node);
	if (t)
		return out_target_ref(t);
	t = target_new(w, key);
	if (!t)
		return NULL;
	t->sub = disco_outbound(w->disco, w->loop, dst, told, t);
	return out_target_ref(t);
}

/* Whoever may choose names could have us ask for any number of them. */
#define NAMES_MAX 10000

struct out_target *out_target_named(struct pworker *w, const char *authority)
{
	struct out_target *t =
		map_get(&w->targets, slice_of(authority), struct out_target, node);

	if (t)
		return out_target_ref(t);
	t = w->targets.count < NAMES_MAX ? target_new(w, authority) : NULL;
	if (!t)
		return NULL;
	t->sub = disco_outbound_name(w->disco, w->loop, t->key, told, t);
	return out_target_ref(t);
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
	meters_drop(t);
	if (t->policy)
		ref_put(&t->policy->ref);
	free(t->key);
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
