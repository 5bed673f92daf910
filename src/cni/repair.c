/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/repair.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/obj.h"
#include "cni/repairint.h"
#include "ctl/inject.h"
#include "ev/loop.h"

#define SOON       (200 * NS_PER_MS) /* after a change */
#define PENDING    NS_PER_S          /* a pod is there whose rules were not seen yet */
#define NOW_THEN   (15 * NS_PER_S)   /* somebody may have removed rules */
#define NO_RULES   95                /* the validator's exit status */
#define KUBERNETES "/api/v1/namespaces/default/services/kubernetes"

struct repair_space {
	struct map_node node;
	struct json *view; /* metadata: labels, annotations; owned */
	char name[254];
};

/* ---- namespaces ---- */

const struct json *repair_space_of(const struct repair *r, const char *name)
{
	struct repair_space *s =
		map_get(&r->spaces, slice_of(name), struct repair_space, node);

	return s ? s->view : NULL;
}

static void space_drop(struct repair *r, struct repair_space *s)
{
	map_remove(&r->spaces, &s->node);
	json_free(s->view);
	free(s);
}

static struct repair_space *space_new(const struct json *object, const char *name)
{
	static const char *const keys[] = {"labels", "annotations"};
	const struct json *meta = json_get(object, "metadata");
	struct repair_space *s = calloc(1, sizeof *s);
	struct json *to;

	must(s);
	snprintf(s->name, sizeof s->name, "%s", name);
	s->view = json_object();
	to = json_need_object(s->view, "metadata");
	for (size_t i = 0; i < countof(keys); i++)
		if (json_get(meta, keys[i]))
			json_set(to, keys[i], json_copy(json_get(meta, keys[i])));
	return s;
}

static void on_space(void *arg, enum kube_event ev, const struct json *object)
{
	const char *name = json_text_or(object, "metadata.name", "");
	struct repair *r = arg;
	struct repair_space *s =
		map_get(&r->spaces, slice_of(name), struct repair_space, node);

	if (s)
		space_drop(r, s);
	if (ev == KUBE_GONE || !*name)
		return;
	s = space_new(object, name);
	must(map_insert(&r->spaces, &s->node, slice_of(s->name)) == 0);
	timer_set(&r->sweep, SOON);
}

/* ---- pods ---- */

static void pod_drop(struct repair *r, struct repair_pod *p)
{
	map_remove(&r->pods, &p->node);
	json_free(p->view);
	free(p);
}

static bool is_over(const struct json *pod)
{
	const char *phase = json_text_or(pod, "status.phase", "");

	return strcmp(phase, "Succeeded") == 0 || strcmp(phase, "Failed") == 0 ||
	       json_path(pod, "metadata.deletionTimestamp");
}

/* The status is told by init containers that ended, the last time or now. */
static bool has_failed_validation(const struct json *pod)
{
	static const char *const states[] = {
		"state.terminated.exitCode", "lastState.terminated.exitCode"};

	json_each(c, json_path(pod, "status.initContainerStatuses"))
	{
		if (strcmp(json_text_or(c, "name", ""), INJECT_VALIDATOR) != 0)
			continue;
		for (size_t i = 0; i < countof(states); i++)
			if (json_int_at(c, states[i], 0) == NO_RULES)
				return true;
	}
	return false;
}

static struct repair_pod *pod_need(struct repair *r, const char *uid)
{
	struct repair_pod *p =
		map_get(&r->pods, slice_of(uid), struct repair_pod, node);

	if (p) {
		json_free(p->view);
		return p;
	}
	p = calloc(1, sizeof *p);
	must(p);
	snprintf(p->uid, sizeof p->uid, "%s", uid);
	must(map_insert(&r->pods, &p->node, slice_of(p->uid)) == 0);
	return p;
}

static void on_pod(void *arg, enum kube_event ev, const struct json *pod)
{
	const char *uid = json_text_or(pod, "metadata.uid", ""), *why;
	struct repair *r = arg;
	struct repair_pod *p =
		map_get(&r->pods, slice_of(uid), struct repair_pod, node);

	if (strlen(uid) != POD_UID - 1)
		return;
	if (ev == KUBE_GONE || is_over(pod) || !pod_is_ours(pod, &why)) {
		if (p)
			pod_drop(r, p);
		if (ev == KUBE_PUT && !is_over(pod))
			repair_tell_unmeshed(r, pod);
		return;
	}
	p = pod_need(r, uid);
	p->view = repair_view(pod);
	p->validated_not = has_failed_validation(pod);
	/* A validator that failed knows better than we did. */
	p->fine = p->fine && !p->validated_not;
	timer_set(&r->sweep, SOON);
}

/* ---- sweeps ---- */

static void on_process(void *arg, const char *uid, pid_t pid)
{
	struct repair *r = arg;
	struct repair_pod *p =
		map_get(&r->pods, slice_of(uid), struct repair_pod, node);

	if (p && !p->pid)
		p->pid = pid;
}

static void sweep(struct repair *r)
{
	struct repair_pod *p;
	bool pending = false;

	map_each(p, &r->pods, node)
	{
		p->pid = 0;
	}
	podproc_each(on_process, r);
	map_each(p, &r->pods, node)
	{
		if (p->pid && !p->deleting)
			repair_look(r, p);
		pending |= !p->fine && !p->failed && !p->deleting;
	}
	timer_set(&r->sweep, pending ? PENDING : NOW_THEN);
}

static void on_sweep(struct timer *t)
{
	struct repair *r = container_of(t, struct repair, sweep);

	if (repair_is_ready(r))
		sweep(r);
	else
		timer_set(t, SOON);
}

/* ---- the whole ---- */

static void on_api(void *arg, int status, const struct json *body, const struct err *e)
{
	struct repair *r = arg;

	(void)e;
	r->ask = NULL;
	if (status == 200 && body)
		r->api = json_copy(body);
}

bool repair_is_ready(void *repair)
{
	const struct repair *r = repair;

	return r->pods_watch && kube_watch_is_synced(r->pods_watch) && !r->ask;
}

static int watch_pods(struct repair *r, struct err *e)
{
	static const struct kube_watch_user user = {on_pod, NULL};
	char query[300];

	snprintf(
		query, sizeof query, "fieldSelector=spec.nodeName%%3D%s", r->cfg->node);
	r->pods_watch =
		kube_watch_new(r->cfg->kube, "/api/v1/pods", query, &user, r, e);
	return r->pods_watch ? 0 : -1;
}

/* What a pod asks for is told by its namespace, too. */
static void on_spaces(void *arg)
{
	struct repair *r = arg;
	struct err e = {0};

	if (!r->pods_watch && watch_pods(r, &e))
		log_error("cni", "pods cannot be watched", LE(&e));
}

static int watch_all(struct repair *r, struct err *e)
{
	static const struct kube_watch_user user = {on_space, on_spaces};

	r->spaces_watch =
		kube_watch_new(r->cfg->kube, "/api/v1/namespaces", NULL, &user, r, e);
	return r->spaces_watch ? 0 : -1;
}

struct repair *repair_new(
	struct loop *l, const struct repair_config *cfg, struct err *e)
{
	struct repair *r = calloc(1, sizeof *r);

	must(r);
	*r = (struct repair){
		.cfg = cfg, .loop = l, .pods = MAP_INIT, .spaces = MAP_INIT};
	timer_init(&r->sweep, l, on_sweep);
	r->values = inject_values_read(SLICE(""), e);
	if (!r->values || watch_all(r, e)) {
		repair_free(r);
		return NULL;
	}
	r->ask = kube_request(cfg->kube, "GET", KUBERNETES, NULL, NULL, on_api, r);
	timer_set(&r->sweep, SOON);
	return r;
}

void repair_metrics(void *repair, struct buf *out)
{
	const struct repair *r = repair;

#define X(name, help)                                                                  \
	buf_printf(out,                                                                \
		"# HELP mesh_cni_repair_" #name "_total " help "\n"                    \
		"# TYPE mesh_cni_repair_" #name "_total counter\n"                     \
		"mesh_cni_repair_" #name "_total %" PRIu64 "\n",                       \
		r->count.name);
	REPAIR_COUNTERS(X)
#undef X
}

void repair_free(struct repair *r)
{
	struct repair_space *s;
	struct repair_pod *p;

	if (!r)
		return;
	kube_cancel(r->ask);
	timer_clear(&r->sweep);
	if (r->pods_watch)
		kube_watch_free(r->pods_watch);
	if (r->spaces_watch)
		kube_watch_free(r->spaces_watch);
	map_each(p, &r->pods, node)
	{
		pod_drop(r, p);
	}
	map_each(s, &r->spaces, node)
	{
		space_drop(r, s);
	}
	map_fini(&r->pods);
	map_fini(&r->spaces);
	json_free(r->values);
	json_free(r->api);
	free(r);
}
