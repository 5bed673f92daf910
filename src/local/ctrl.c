/* SPDX-License-Identifier: Apache-2.0 */
#include "local/ctrl.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/obj.h"
#include "kube/selector.h"
#include "local/ctrlint.h"
#include "local/meta.h"

#if defined(__GNUC__) && !defined(__clang__)
/* It does not see that an item in the queue is held by the queue. */
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"
#endif

#define RETRY     (5 * NS_PER_S)
#define STEPS_MAX 2000 /* in one run: the loop must breathe */

/* ---- the queue ---- */

struct item {
	struct list node;
	enum ctrl_which which;
	uint64_t due;
	char *ns, *name;
};

static void item_free(struct item *it)
{
	list_remove(&it->node);
	free(it->ns);
	free(it->name);
	free(it);
}

static struct item *item_new(const char *ns, const char *name)
{
	struct item *it = calloc(1, sizeof(*it));

	must(it);
	it->ns = slice_dup(slice_of(ns));
	it->name = slice_dup(slice_of(name));
	must(it->ns && it->name);
	return it;
}

void ctrl_queue(struct ctrls *c, enum ctrl_which which, const char *ns,
	const char *name, uint64_t in_ns)
{
	uint64_t due = in_ns ? store_now(c->store) + in_ns : 0;
	struct item *it;

	list_each(it, &c->queue, node)
	{
		if (it->which != which || strcmp(it->name, name) != 0 ||
			strcmp(it->ns, ns) != 0)
			continue;
		if (due < it->due)
			it->due = due;
		return;
	}
	it = item_new(ns, name);
	it->which = which;
	it->due = due;
	list_push(&c->queue, &it->node);
}

/* ---- what a change concerns ---- */

static void queue_owner(struct ctrls *c, const struct json *obj)
{
	static const struct {
		const char *kind;
		enum ctrl_which which;
	} owners[] = {
		{"Deployment", CTRL_DEPLOY},
		{"ReplicaSet", CTRL_REPLICAS},
		{"ReplicationController", CTRL_RC},
		{"Job", CTRL_JOB},
		{"Service", CTRL_SLICE},
	};
	const struct json *owner = meta_controller(obj);

	for (size_t i = 0; owner && i < countof(owners); i++)
		if (strcmp(json_text_or(owner, "kind", ""), owners[i].kind) == 0)
			ctrl_queue(c, owners[i].which, meta_ns(obj),
				json_text_or(owner, "name", ""), 0);
}

static void queue_services(struct ctrls *c, const struct json *pod)
{
	const struct json *labels = json_path(pod, "metadata.labels");
	struct store_list all;

	store_list(c->store, "services", meta_ns(pod), &all);
	for (size_t i = 0; i < all.n; i++)
		if (selector_map(json_path(all.v[i]->json, "spec.selector"), labels))
			ctrl_queue(c, CTRL_SLICE, all.v[i]->ns, all.v[i]->name, 0);
	store_list_end(&all);
}

static void on_pod(struct ctrls *c, const struct store_event *ev)
{
	queue_services(c, ev->now->json);
	if (ev->old)
		queue_services(c, ev->old->json);
	if (ev->what != STORE_DELETED &&
		!*json_text_or(ev->now->json, "spec.nodeName", ""))
		ctrl_queue(c, CTRL_BIND, ev->now->ns, ev->now->name, 0);
}

static void on_node(struct ctrls *c, const struct store_event *ev)
{
	struct store_list all;

	(void)ev;
	store_list(c->store, "pods", NULL, &all);
	for (size_t i = 0; i < all.n; i++)
		if (!*json_text_or(all.v[i]->json, "spec.nodeName", ""))
			ctrl_queue(c, CTRL_BIND, all.v[i]->ns, all.v[i]->name, 0);
	store_list_end(&all);
}

/* The account and the bundle of a namespace come again when they are removed; the
 * namespace itself goes when its last object has gone. */
static void on_any(struct ctrls *c, const struct store_event *ev)
{
	if (ev->what == STORE_DELETED && *ev->now->ns)
		ctrl_queue(c, CTRL_NS, "", ev->now->ns, 0);
	if (ev->what == STORE_DELETED)
		ctrl_queue(c, CTRL_GC, "", ev->now->uid, 0);
	if (ev->what == STORE_ADDED && *ev->now->ns) {
		const struct json *ns =
			store_get(c->store, "namespaces", "", ev->now->ns);

		if (ns && meta_is_deleted(ns))
			ctrl_queue(c, CTRL_NS, "", ev->now->ns, 0);
	}
	json_each(owner, json_path(ev->now->json, "metadata.ownerReferences"))
	{
		if (ev->what != STORE_MODIFIED)
			ctrl_queue(c, CTRL_GC, "", json_text_or(owner, "uid", ""), 0);
	}
	if (json_count(json_path(ev->now->json, "metadata.finalizers")))
		ctrl_queue(c, CTRL_GC, "", ev->now->uid, 0);
	queue_owner(c, ev->now->json);
	if (ev->old)
		queue_owner(c, ev->old->json);
}

static const struct {
	const char *res;
	enum ctrl_which which;
} selves[] = {
	{"deployments.apps", CTRL_DEPLOY},
	{"replicasets.apps", CTRL_REPLICAS},
	{"replicationcontrollers", CTRL_RC},
	{"jobs.batch", CTRL_JOB},
	{"services", CTRL_SLICE},
	{"namespaces", CTRL_NS},
};

static const char *const unserved[] = {
	"statefulsets.apps", "daemonsets.apps", "cronjobs.batch"};

static void on_event(struct ctrls *c, const struct store_event *ev)
{
	if (strcmp(ev->res, "events") == 0)
		return;
	on_any(c, ev);
	if (strcmp(ev->res, "pods") == 0)
		on_pod(c, ev);
	if (strcmp(ev->res, "nodes") == 0 && ev->what == STORE_ADDED)
		on_node(c, ev);
	for (size_t i = 0; i < countof(selves); i++)
		if (strcmp(ev->res, selves[i].res) == 0)
			ctrl_queue(c, selves[i].which, ev->now->ns, ev->now->name, 0);
	for (size_t i = 0; i < countof(unserved); i++)
		if (strcmp(ev->res, unserved[i]) == 0 && ev->what == STORE_ADDED) {
			struct object *o = ev->now;
			char key[300];

			snprintf(key, sizeof(key), "%s/%s", o->ns, o->name);
			ctrl_queue(c, CTRL_UNSERVED, unserved[i], key, 0);
		}
}

static void resync_one(void *arg, const char *res)
{
	struct ctrls *c = arg;
	struct store_list all;

	store_list(c->store, res, NULL, &all);
	for (size_t i = 0; i < all.n; i++) {
		struct store_event ev = {
			.what = STORE_ADDED, .res = res, .now = all.v[i]};

		on_event(c, &ev);
	}
	store_list_end(&all);
}

static void resync(struct ctrls *c)
{
	store_each_resource(c->store, resync_one, c);
}

/* ---- running ---- */

static void (*const steps[CTRL_COUNT])(
	struct ctrls *c, const char *ns, const char *name) = {
	[CTRL_DEPLOY] = ctrl_deploy,
	[CTRL_REPLICAS] = ctrl_replicas,
	[CTRL_RC] = ctrl_rc,
	[CTRL_JOB] = ctrl_job,
	[CTRL_SLICE] = ctrl_slice,
	[CTRL_NS] = ctrl_ns,
	[CTRL_BIND] = ctrl_bind,
	[CTRL_GC] = ctrl_gc,
	[CTRL_UNSERVED] = ctrl_unserved,
};

static void read_events(struct ctrls *c)
{
	struct store_event ev;

	for (;;) {
		switch (store_watch_next(&c->watch, &ev)) {
		case STORE_NO_MORE:
			return;
		case STORE_MORE:
			on_event(c, &ev);
			break;
		case STORE_EXPIRED:
			c->watch.at = store_version(c->store);
			resync(c);
			break;
		}
	}
}

static struct item *take_due(struct ctrls *c, uint64_t now)
{
	struct item *it;

	list_each(it, &c->queue, node)
	{
		if (it->due <= now)
			return it;
	}
	return NULL;
}

uint64_t ctrls_run(struct ctrls *c)
{
	uint64_t now = store_now(c->store), next = 0;
	struct item *it;

	for (int i = 0; i < STEPS_MAX; i++) {
		read_events(c);
		it = take_due(c, now);
		if (!it)
			break;
		/* Out of the queue first: what the step changes may put it in again. */
		list_remove(&it->node);
		steps[it->which](c, it->ns, it->name);
		item_free(it);
	}
	list_each(it, &c->queue, node)
	{
		uint64_t due = it->due > now ? it->due : now + 1;

		if (!next || due < next)
			next = due;
	}
	return next;
}

static void wake(struct store_watch *w)
{
	struct ctrls *c = container_of(w, struct ctrls, watch);

	c->cfg.wake(c->cfg.arg);
}

struct ctrls *ctrls_new(const struct ctrls_config *cfg)
{
	struct ctrls *c = calloc(1, sizeof(*c));

	must(c);
	c->cfg = *cfg;
	c->store = cfg->store;
	list_init(&c->queue);
	list_init(&c->pending);
	store_watch_begin(&c->watch, c->store, NULL, store_version(c->store), wake);
	resync(c);
	return c;
}

/* ---- creating ---- */

struct pending {
	struct list node;
	struct ctrls *c; /* NULL: the controllers have gone */
	enum ctrl_which which;
	struct object *owner;
};

static void pending_done(void *ctx, const struct err *e)
{
	struct pending *p = ctx;
	struct ctrls *c = p->c;

	list_remove(&p->node);
	if (c && e) {
		store_tell(c->store, "controller-manager", p->owner->json, "Warning",
			"FailedCreate", e->msg);
		ctrl_queue(c, p->which, p->owner->ns, p->owner->name, RETRY);
	} else if (c)
		ctrl_queue(c, p->which, p->owner->ns, p->owner->name, 0);
	if (c)
		c->cfg.wake(c->cfg.arg);
	object_unref(p->owner);
	free(p);
}

void ctrl_create(struct ctrls *c, enum ctrl_which which, const struct json *owner,
	const char *res, struct json *obj)
{
	static const char *const homes[CTRL_COUNT] = {
		[CTRL_DEPLOY] = "deployments.apps",
		[CTRL_REPLICAS] = "replicasets.apps",
		[CTRL_RC] = "replicationcontrollers",
		[CTRL_JOB] = "jobs.batch",
		[CTRL_SLICE] = "services",
	};
	struct object *o =
		store_find(c->store, homes[which], meta_ns(owner), meta_name(owner));
	struct pending *p;

	if (!o) {
		json_free(obj);
		return;
	}
	p = calloc(1, sizeof(*p));
	must(p);
	p->c = c;
	p->which = which;
	p->owner = object_ref(o);
	list_push(&c->pending, &p->node);
	c->cfg.create(c->cfg.arg, res, obj, pending_done, p);
}

size_t ctrl_pending(const struct ctrls *c, const char *owner_uid)
{
	struct pending *p;
	size_t n = 0;

	list_each(p, (struct list *)&c->pending, node)
	{
		n += strcmp(p->owner->uid, owner_uid) == 0;
	}
	return n;
}

void ctrls_free(struct ctrls *c)
{
	struct item *it;
	struct pending *p;

	if (!c)
		return;
	store_watch_end(&c->watch);
	list_each(it, &c->queue, node)
	{
		item_free(it);
	}
	list_each(p, &c->pending, node)
	{
		list_remove(&p->node);
		p->c = NULL;
	}
	free(c);
}
