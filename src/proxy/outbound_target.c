/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/clock.h"
#include "http/head.h"
#include "proxy/outbound.h"
#include "proxy/outbound_int.h"

/* ---- backends ---- */

static struct balancer *balancer_of(struct pworker *w, const struct backend *b)
{
	switch (b->kind) {
	case BACKEND_BALANCE:
		return balancer_for_name(w, b);
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
			a->v[a->n] = (struct out_backend){
				&d->v[i], balancer_of(a->target->worker, &d->v[i])};
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
	for (size_t i = 0; i < n; i++)
		balancer_unref(v[i].balancer);
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

static const struct out_backend *find(
	const struct out_target *t, const struct backend *b)
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

static const struct out_backend *by_weight(
	const struct out_target *t, const struct distribution *d, bool any)
{
	uint64_t total = 0, at;

	for (size_t i = 0; i < d->n; i++)
		total += weight_of(find(t, &d->v[i]), any);
	if (total == 0)
		return any ? NULL : by_weight(t, d, true);
	at = random_u64() % total;
	for (size_t i = 0; i < d->n; i++) {
		const struct out_backend *b = find(t, &d->v[i]);
		uint32_t weight = weight_of(b, any);

		if (at < weight)
			return b;
		at -= weight;
	}
	return NULL;
}

static const struct out_backend *first_open(
	const struct out_target *t, const struct distribution *d)
{
	for (size_t i = 0; i < d->n; i++) {
		const struct out_backend *b = find(t, &d->v[i]);

		if (b && (!b->balancer || !balancer_is_shut(b->balancer)))
			return b;
	}
	return find(t, &d->v[0]);
}

const struct out_backend *out_target_pick(
	struct out_target *t, const struct distribution *d)
{
	if (!d || d->n == 0)
		return NULL;
	if (d->n == 1 && d->kind == DIST_FIRST)
		return find(t, &d->v[0]);
	return d->kind == DIST_RANDOM ? by_weight(t, d, false) : first_open(t, d);
}

static struct balancer *stream_balancer(
	struct out_target *t, const struct distribution *d, struct err *e)
{
	const struct out_backend *b;

	if (d && (d->forbidden || d->invalid)) {
		err_set(e, ERR_DENIED,
			d->forbidden ? "forbidden by policy"
				     : "the policy's route is invalid");
		return NULL;
	}
	b = out_target_pick(t, d);
	if (b && b->balancer)
		return b->balancer;
	err_set(e, ERR_MISSING, "%s",
		b && b->of->problem ? b->of->problem : "no backend");
	return NULL;
}

struct balancer *out_target_stream(struct out_target *t, struct err *e)
{
	return stream_balancer(t, t->policy->opaque, e);
}

struct balancer *out_target_tls(struct out_target *t, const char *sni, struct err *e)
{
	const struct outbound_policy *p = t->policy;
	const struct req_head hello = {.authority = slice_of(sni)};
	const struct policy_route *route;
	const struct rule *rule = routes_match(p->tls, p->ntls, &hello, &route);

	if (rule)
		return stream_balancer(t, rule->backends, e);
	err_set(e, ERR_MISSING, "no route for the server name %s", sni);
	return NULL;
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
	backends_renew(t);
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
	backends_drop(t->backends, t->nbackends);
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
