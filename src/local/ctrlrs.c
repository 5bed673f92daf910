/* SPDX-License-Identifier: Apache-2.0 */
/* ReplicaSets (and ReplicationControllers): as many pods as asked for. */
#include <stdlib.h>

#include "base/clock.h"
#include "local/ctrlint.h"
#include "local/meta.h"

#define BURST 100 /* pods made in one step */

/* Who goes first when there are too many: a higher rank. */
static int rank(const struct json *pod)
{
	int r = 0;

	if (!*json_text_or(pod, "spec.nodeName", ""))
		r += 4;
	if (strcmp(json_text_or(pod, "status.phase", ""), "Running") != 0)
		r += 2;
	return r + !pod_is_ready(pod);
}

static int by_rank(const void *a, const void *b)
{
	const struct object *x = *(struct object *const *)a,
			    *y = *(struct object *const *)b;
	int d = rank(y->json) - rank(x->json);
	uint64_t tx = meta_time(x->json, "metadata.creationTimestamp"),
		 ty = meta_time(y->json, "metadata.creationTimestamp");

	if (d)
		return d;
	return tx == ty ? strcmp(x->name, y->name) : tx < ty ? 1 : -1;
}

static uint64_t ready_since(const struct json *pod)
{
	return meta_time(condition_get(pod, "Ready"), "lastTransitionTime");
}

struct counts {
	int64_t active, ready, available;
	uint64_t recheck; /* ns until a ready pod counts as available; 0: none */
};

static struct counts count(
	const struct ctrls *c, const struct store_list *pods, uint64_t min_ready)
{
	struct counts n = {0};
	uint64_t now = store_now(c->store);

	for (size_t i = 0; i < pods->n; i++) {
		const struct json *pod = pods->v[i]->json;
		uint64_t at;

		if (!ctrl_pod_is_active(pod))
			continue;
		n.active++;
		if (!pod_is_ready(pod))
			continue;
		n.ready++;
		at = ready_since(pod) + min_ready;
		if (!min_ready || at <= now)
			n.available++;
		else if (!n.recheck || at - now < n.recheck)
			n.recheck = at - now;
	}
	return n;
}

static void set_status(struct ctrls *c, const char *res, const struct object *rs,
	const struct counts *n)
{
	struct json *status = json_copy(json_get(rs->json, "status"));

	if (!status)
		status = json_object();
	json_set_int(status, "replicas", n->active);
	json_set_int(status, "fullyLabeledReplicas", n->active);
	json_set_int(status, "readyReplicas", n->ready);
	json_set_int(status, "availableReplicas", n->available);
	json_set_int(status, "observedGeneration",
		json_int_at(rs->json, "metadata.generation", 1));
	(void)store_set_status(c->store, res, rs->ns, rs->name, status, NULL);
}

static void remove_some(
	struct ctrls *c, const struct object *rs, struct store_list *pods, int64_t n)
{
	if (pods->n)
		qsort(pods->v, pods->n, sizeof(struct object *), by_rank);
	for (size_t i = 0; i < pods->n && n > 0; i++) {
		if (!ctrl_pod_is_active(pods->v[i]->json))
			continue;
		ctrl_delete_pod(c, rs->json, pods->v[i]);
		n--;
	}
}

static void step(struct ctrls *c, enum ctrl_which which, const char *res,
	const struct object *rs)
{
	int64_t want = json_int_at(rs->json, "spec.replicas", 1);
	uint64_t min_ready =
		(uint64_t)json_int_at(rs->json, "spec.minReadySeconds", 0) * NS_PER_S;
	int64_t pending = (int64_t)ctrl_pending(c, rs->uid);
	struct store_list pods;
	struct counts n;

	ctrl_owned(c, "pods", rs->ns, rs->uid, &pods);
	n = count(c, &pods, min_ready);
	for (int64_t i = n.active + pending; i < want && pending < BURST;
		i++, pending++)
		ctrl_create(c, which, rs->json, "pods",
			ctrl_pod_of(rs->json, json_path(rs->json, "spec.template")));
	if (n.active > want)
		remove_some(c, rs, &pods, n.active - want);
	set_status(c, res, rs, &n);
	if (n.recheck)
		ctrl_queue(c, which, rs->ns, rs->name, n.recheck);
	store_list_end(&pods);
}

static void sync(struct ctrls *c, enum ctrl_which which, const char *res,
	const char *ns, const char *name)
{
	struct object *rs = store_find(c->store, res, ns, name);

	if (!rs || meta_is_deleted(rs->json))
		return;
	object_ref(rs);
	step(c, which, res, rs);
	object_unref(rs);
}

void ctrl_replicas(struct ctrls *c, const char *ns, const char *name)
{
	sync(c, CTRL_REPLICAS, "replicasets.apps", ns, name);
}

void ctrl_rc(struct ctrls *c, const char *ns, const char *name)
{
	sync(c, CTRL_RC, "replicationcontrollers", ns, name);
}
