/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/obj.h"
#include "ctl/inject.h"
#include "ctl/reconcileint.h"
#include "kube/selector.h"

#define MIRROR     "kubernetes.io/config.mirror" /* the kubelet's own pods */
#define PINNED     "cluster-autoscaler.kubernetes.io/safe-to-evict"
#define CREATED_BY "linkerd.io/created-by"

static const char *annotation(const struct json *object, const char *key)
{
	const char *text =
		json_text(json_get(json_path(object, "metadata.annotations"), key));

	return text ? text : "";
}

/* ---- when ---- */

static uint64_t time_at(const struct json *j, const char *path)
{
	uint64_t t = 0;

	return clock_parse(slice_of(json_text_or(j, path, "")), &t) ? t : 0;
}

uint64_t reconcile_made(const struct json *object)
{
	return time_at(object, "metadata.creationTimestamp");
}

/* It has had the annotation as it is at least since then; 0: nobody knows.  Who else
 * has written in the same name since makes it later, never earlier. */
static uint64_t asked_since(const struct json *object)
{
	uint64_t latest = 0;

	json_each(m, json_path(object, "metadata.managedFields"))
	{
		const struct json *fields =
			json_path(m, "fieldsV1.f:metadata.f:annotations");
		uint64_t t = time_at(m, "time");

		if (!json_get(fields, "f:" INJECT_ANNOTATION))
			continue;
		if (!t)
			return 0;
		latest = t > latest ? t : latest;
	}
	return latest;
}

/* ---- the webhook's configuration ---- */

bool reconcile_hook_take(struct reconcile_hook *h, const struct json *object)
{
	const struct json *spaces = json_path(object, "webhooks.0.namespaceSelector");
	const struct json *objects = json_path(object, "webhooks.0.objectSelector");
	struct json *old_spaces = h->spaces, *old_objects = h->objects;
	uint64_t made = reconcile_made(object);
	bool changed;

	h->spaces = spaces ? json_copy(spaces) : json_object();
	h->objects = objects ? json_copy(objects) : json_object();
	changed = !old_spaces || !json_equal(old_spaces, h->spaces) ||
		  !json_equal(old_objects, h->objects);
	if (made > h->since)
		h->since = made;
	json_free(old_spaces);
	json_free(old_objects);
	return changed;
}

void reconcile_hook_drop(struct reconcile_hook *h)
{
	json_free(h->spaces);
	json_free(h->objects);
	*h = (struct reconcile_hook){0};
}

/* ---- what the webhook would say ---- */

static bool is_asked(const struct json *pod, const struct json *ns_annotations,
	const struct json *values)
{
	struct inject_in in = {.origin = INJECT_BY_WEBHOOK,
		.values = values,
		.object = pod,
		.kind = "Pod",
		.ns_annotations = ns_annotations};

	return inject_is_asked(&in);
}

/* A pod of which nothing else is known than whether it asks. */
static struct json *some_pod(bool asks)
{
	struct json *pod = json_object();
	struct json *notes =
		json_need_object(json_need_object(pod, "metadata"), "annotations");

	if (asks)
		json_set_text(notes, INJECT_ANNOTATION, "enabled");
	return pod;
}

void reconcile_view_space(struct reconcile_space *s, const struct json *object,
	const struct reconcile_hook *hook, const struct json *values)
{
	const struct json *notes = json_path(object, "metadata.annotations");
	struct json *silent = some_pod(false), *asking = some_pod(true);

	s->served =
		selector_matches(hook->spaces, json_path(object, "metadata.labels"));
	s->hands_down = is_asked(silent, notes, values);
	s->allows = is_asked(asking, notes, values);
	s->since = asked_since(object);
	s->from_birth = s->since && s->since == reconcile_made(object);
	json_free(silent);
	json_free(asking);
}

static bool is_over(const struct json *pod)
{
	const char *phase = json_text_or(pod, "status.phase", "");

	return strcmp(phase, "Succeeded") == 0 || strcmp(phase, "Failed") == 0 ||
	       json_path(pod, "metadata.deletionTimestamp");
}

bool reconcile_is_bare(const struct json *pod, const struct reconcile_hook *hook,
	const struct json *values)
{
	struct json *yes;
	bool bare;

	if (is_over(pod) || *annotation(pod, MIRROR) ||
		!selector_matches(hook->objects, json_path(pod, "metadata.labels")))
		return false;
	yes = json_object();
	json_set_text(yes, INJECT_ANNOTATION, "enabled");
	bare = is_asked(pod, yes, values);
	json_free(yes);
	return bare;
}

bool reconcile_is_injected(const struct json *pod)
{
	return strncmp(annotation(pod, CREATED_BY), "mesh/injector ", 14) == 0;
}

/* ---- who makes it ---- */

/* Kinds of apps/ whose pods come again, and what of them kubectl restarts. */
static const struct {
	const char *kind, *as;
} makers[] = {
	{"StatefulSet", "statefulset"}, {"DaemonSet", "daemonset"},
	{"ReplicaSet", NULL}, /* its Deployment */
};

/* web-5d4f: the ReplicaSet of the Deployment web for the template 5d4f. */
static char *deployment_of(const struct json *pod, const char *replicaset)
{
	const char *hash = json_text(
		json_get(json_path(pod, "metadata.labels"), "pod-template-hash"));
	size_t n = strlen(replicaset), h = hash ? strlen(hash) : 0;
	struct buf b = BUF_INIT;

	if (!h || n < h + 2 || replicaset[n - h - 1] != '-' ||
		strcmp(replicaset + n - h, hash) != 0)
		return NULL;
	buf_printf(&b, "deployment/%.*s", (int)(n - h - 1), replicaset);
	return buf_steal(&b);
}

static void view_maker(struct reconcile_pod *p, const struct json *pod)
{
	const struct json *ref = inject_controller(pod);
	const char *kind = json_text_or(ref, "kind", "");
	const char *name = json_text_or(ref, "name", "");
	bool is_apps = strncmp(json_text_or(ref, "apiVersion", ""), "apps/", 5) == 0;
	struct buf b = BUF_INIT;

	for (size_t i = 0; is_apps && i < countof(makers); i++) {
		if (strcmp(makers[i].kind, kind) != 0)
			continue;
		p->owner = slice_dup(slice_of(json_text_or(ref, "uid", "")));
		if (!makers[i].as) {
			p->workload = deployment_of(pod, name);
			return;
		}
		buf_printf(&b, "%s/%s", makers[i].as, name);
		p->workload = buf_steal(&b);
	}
}

void reconcile_view_asks(
	struct reconcile_pod *p, const struct json *pod, const struct json *values)
{
	uint64_t since = asked_since(pod);

	p->own = is_asked(pod, NULL, values);
	p->own_from_birth = since && since <= p->made;
	p->pinned = strcmp(annotation(pod, PINNED), "false") == 0;
}

void reconcile_view_pod(
	struct reconcile_pod *p, const struct json *pod, const struct json *values)
{
	p->uid = slice_dup(slice_of(json_text_or(pod, "metadata.uid", "")));
	must(p->uid);
	p->made = reconcile_made(pod);
	reconcile_view_asks(p, pod, values);
	view_maker(p, pod);
}

bool reconcile_is_same(const struct reconcile_pod *p, const struct json *pod)
{
	return strcmp(p->uid, json_text_or(pod, "metadata.uid", "")) == 0;
}

/* ---- questions ---- */

bool reconcile_is_unmeshed(const struct reconcile_pod *p)
{
	const struct reconcile_space *s = p->space;

	return s && s->served && s->allows && (p->own || s->hands_down);
}

/* A second is as fine as these times are: what is of the same one is in doubt, but for
 * a pod in a namespace that was never without its annotation. */
bool reconcile_was_asked_first(const struct reconcile_pod *p, uint64_t hook_since)
{
	const struct reconcile_space *s = p->space;

	if (!hook_since || p->made <= hook_since || !s || p->made <= s->changed)
		return false;
	if (p->own)
		return p->own_from_birth;
	return s->since && (s->from_birth || p->made > s->since);
}
