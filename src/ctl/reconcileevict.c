/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/obj.h"
#include "ctl/reconcileint.h"

#define OWNERS_MAX 256
#define BUDGET     6   /* looks until a pod is tried again that its budget keeps */
#define TROUBLE    12  /* looks until anything is tried again after an error */
#define UNHEARD    120 /* looks until a pod that nobody made anew is forgotten */

/* ---- what is to be done with it ---- */

/* Somebody whose pods were evicted. */
struct owner {
	struct map_node node;
	char *uid;
	uint64_t mark; /* the newest pod there was then */
};

static struct owner *owner_of(const struct reconcile *r, const struct reconcile_pod *p)
{
	return p->owner ? map_get(&r->owners, slice_of(p->owner), struct owner, node)
			: NULL;
}

static void owner_drop(struct reconcile *r, struct owner *o)
{
	map_remove(&r->owners, &o->node);
	free(o->uid);
	free(o);
}

static void owners_make_room(struct reconcile *r)
{
	struct owner *o, *oldest = NULL;

	if (r->owners.count < OWNERS_MAX)
		return;
	map_each(o, &r->owners, node)
	{
		if (!oldest || o->mark < oldest->mark)
			oldest = o;
	}
	owner_drop(r, oldest);
}

/* The first eviction of the hour counts: all that were made until then were made before
 * it. */
static void owner_note(struct reconcile *r, const char *uid)
{
	struct owner *o = map_get(&r->owners, slice_of(uid), struct owner, node);

	if (o) {
		if (r->mark > o->mark + RECONCILE_YOUNG)
			o->mark = r->mark;
		return;
	}
	owners_make_room(r);
	o = calloc(1, sizeof *o);
	must(o);
	o->uid = slice_dup(slice_of(uid));
	o->mark = r->mark;
	must(o->uid && map_insert(&r->owners, &o->node, slice_of(o->uid)) == 0);
}

static bool came_again(const struct reconcile *r, const struct reconcile_pod *p)
{
	const struct owner *o = owner_of(r, p);

	return o && p->made > o->mark && p->made < o->mark + RECONCILE_YOUNG;
}

enum reconcile_verdict reconcile_judge(
	const struct reconcile *r, const struct reconcile_pod *p)
{
	const struct json *values = r->cfg->values(r->cfg->arg);

	if (!reconcile_was_asked_first(p, r->hook.since))
		return RECONCILE_BEFORE;
	if (!p->owner)
		return RECONCILE_ALONE;
	if (came_again(r, p))
		return RECONCILE_AGAIN;
	if (p->pinned)
		return RECONCILE_PINNED;
	if (!json_bool_at(values, "proxyInjector.repairPods", false))
		return RECONCILE_OFF;
	return clock_wall() > p->made + RECONCILE_YOUNG ? RECONCILE_OLD
							: RECONCILE_EVICT;
}

/* ---- telling ---- */

static const char *const texts[] = {
#define X(name, text) [RECONCILE_##name] = text,
	RECONCILE_VERDICTS(X)
#undef X
};

static void event(struct reconcile *r, const struct reconcile_pod *p, const char *type,
	const char *reason, const char *text)
{
	struct json *about = json_object(), *meta;

	json_set_text(about, "apiVersion", "v1");
	json_set_text(about, "kind", "Pod");
	meta = json_need_object(about, "metadata");
	json_set_text(meta, "namespace", p->namespace);
	json_set_text(meta, "name", p->name);
	json_set_text(meta, "uid", p->uid);
	kube_event(r->kube, about, type, reason, text);
	json_free(about);
}

bool reconcile_tell(struct reconcile *r, struct reconcile_pod *p)
{
	enum reconcile_verdict v = reconcile_judge(r, p);
	struct buf text = BUF_INIT;

	if (p->told == (int)v + 1)
		return false;
	p->told = (int)v + 1;
	buf_printf(&text, "The pod asks for a proxy and has none: %s", texts[v]);
	if (v != RECONCILE_EVICT && p->workload)
		buf_printf(&text, ". To mend it: kubectl -n %s rollout restart %s",
			p->namespace, p->workload);
	else if (v != RECONCILE_EVICT)
		buf_printf(&text, ". To mend it: kubectl -n %s delete pod %s%s",
			p->namespace, p->name,
			p->owner ? "" : ", and make it again if nobody does");
	buf_char(&text, '\0');
	event(r, p, "Warning", "Unmeshed", text.p);
	buf_fini(&text);
	return true;
}

/* ---- does the webhook answer? ---- */

/* What came in place of an evicted pod came without a proxy: waiting heals nothing. */
static bool is_disproved(const struct reconcile *r)
{
	struct reconcile_pod *p;

	map_each(p, &r->pods, node)
	{
		if (came_again(r, p) && p->made > r->mark && reconcile_is_unmeshed(p))
			return true;
	}
	return false;
}

void reconcile_weigh(struct reconcile *r)
{
	if (!r->unproved)
		return;
	if (r->proved > r->mark) {
		r->unproved = false;
		r->quiet = 0;
	} else if (is_disproved(r))
		r->quiet = UINT64_MAX;
}

/* ---- evicting ---- */

static void tell_evicted(struct reconcile *r, const struct reconcile_pod *p)
{
	r->evictions++;
	r->trouble = 0;
	log_info("reconcile", "evicted a pod without its proxy",
		LS("namespace", p->namespace), LS("pod", p->name));
	event(r, p, "Normal", "UnmeshedEvicted",
		"The pod was evicted so that it is made anew, with its proxy");
}

/* An error, perhaps with whoever is evicted: not soon again, and others first when it
 * was an answer. */
static void failed(
	struct reconcile *r, struct reconcile_pod *p, int status, const char *why)
{
	r->failed++;
	if (status)
		p->not_before = loop_now(r->loop) + UNHEARD * r->pace;
	r->quiet = loop_now(r->loop) + TROUBLE * r->pace;
	if (r->trouble != status + 1)
		log_warn("reconcile", "a pod could not be evicted",
			LI("status", status), LS("error", why));
	r->trouble = status + 1;
}

static void was_evicted(struct reconcile *r, struct reconcile_pod *p)
{
	owner_note(r, p->owner);
	r->unproved = true;
	r->quiet = loop_now(r->loop) + UNHEARD * r->pace;
	p->not_before = r->quiet; /* it may take its time to end */
	tell_evicted(r, p);
}

static void on_evicted(
	void *arg, int status, const struct json *body, const struct err *e)
{
	struct reconcile *r = arg;
	struct reconcile_pod *p = r->evicted;

	r->evicting = NULL;
	r->evicted = NULL;
	p->not_before = loop_now(r->loop) + BUDGET * r->pace;
	if (status / 100 == 2)
		was_evicted(r, p);
	else if (status == 429)
		r->refused++;
	else if (status != 404 && status != 409) /* it went by itself */
		failed(r, p, status,
			status ? json_text_or(body, "message", "") : e->msg);
	if (p->gone)
		reconcile_pod_free(p);
}

static struct json *eviction_of(const struct reconcile_pod *p)
{
	struct json *j = json_object(), *part;

	json_set_text(j, "apiVersion", "policy/v1");
	json_set_text(j, "kind", "Eviction");
	part = json_need_object(j, "metadata");
	json_set_text(part, "namespace", p->namespace);
	json_set_text(part, "name", p->name);
	part = json_need_object(j, "deleteOptions");
	json_set_text(json_need_object(part, "preconditions"), "uid", p->uid);
	return j;
}

static bool may_be_evicted(const struct reconcile *r, const struct reconcile_pod *p)
{
	uint64_t now = loop_now(r->loop);

	return !r->evicting && now >= r->quiet && now >= p->not_before &&
	       reconcile_judge(r, p) == RECONCILE_EVICT;
}

void reconcile_evict(struct reconcile *r, struct reconcile_pod *p)
{
	char path[640];
	struct json *j;

	if (!may_be_evicted(r, p))
		return;
	snprintf(path, sizeof path, "/api/v1/namespaces/%s/pods/%s/eviction",
		p->namespace, p->name);
	j = eviction_of(p);
	r->mark = r->newest;
	r->evicted = p;
	r->evicting = kube_request(r->kube, "POST", path, NULL, j, on_evicted, r);
	json_free(j);
}

void reconcile_evict_end(struct reconcile *r)
{
	struct owner *o;

	if (r->evicting)
		kube_cancel(r->evicting);
	if (r->evicted && r->evicted->gone)
		reconcile_pod_free(r->evicted);
	r->evicting = NULL;
	r->evicted = NULL;
	map_each(o, &r->owners, node)
	{
		owner_drop(r, o);
	}
	map_fini(&r->owners);
	r->owners = MAP_INIT;
	r->newest = r->proved = r->mark = r->quiet = 0;
	r->unproved = false;
	r->trouble = 0;
}
