/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/anchorcopy.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "base/obj.h"
#include "ctl/inject.h"
#include "tls/cert.h"

#define AT_ONCE     8              /* writes that are on their way */
#define RETRY       (5 * NS_PER_S) /* what was refused is tried again */
#define LABEL_PLANE "linkerd.io/control-plane-ns"
#define LABEL_WHO   "linkerd.io/managed-by"
#define WHO         "mesh-injector"
#define SERVED      "config.linkerd.io/admission-webhooks"

enum space_at {
	SPACE_BARE,    /* has no such ConfigMap */
	SPACE_OURS,    /* our copy */
	SPACE_FOREIGN, /* one that somebody else keeps */
};

/* A namespace, or what is known of its ConfigMap. */
struct space {
	struct map_node node;
	char *name;
	bool wanted; /* it is there, and pods in it are injected */
	enum space_at at;
	bool same;           /* the copy is as it should be */
	uint64_t not_before; /* of the next try, by the loop's clock */
	struct kube_call *call;
	struct anchorcopy *of;
};

struct anchorcopy {
	struct loop *loop;
	struct kube *kube;
	const char *namespace;
	struct kube_watch *spaces_watch, *maps_watch;
	struct map spaces;
	char *text; /* the anchors, or NULL */
	char *uid;  /* of the control plane's namespace, or NULL */
	bool active;
	unsigned calls;
	struct timer step;
	uint64_t written, failed;
};

static void soon(struct anchorcopy *a)
{
	if (a->active)
		timer_set(&a->step, 0);
}

/* ---- namespaces ---- */

static struct space *space_need(struct anchorcopy *a, const char *name)
{
	struct space *s = map_get(&a->spaces, slice_of(name), struct space, node);

	if (s)
		return s;
	s = calloc(1, sizeof *s);
	must(s);
	s->of = a;
	s->name = slice_dup(slice_of(name));
	must(s->name && map_insert(&a->spaces, &s->node, slice_of(s->name)) == 0);
	return s;
}

static void space_drop(struct space *s)
{
	if (s->call) {
		kube_cancel(s->call);
		s->of->calls--;
	}
	map_remove(&s->of->spaces, &s->node);
	free(s->name);
	free(s);
}

static void space_drop_if_unused(struct space *s)
{
	if (!s->wanted && s->at == SPACE_BARE)
		space_drop(s);
}

/* As the webhook selects them. */
static bool is_served(const struct anchorcopy *a, const struct json *ns)
{
	const char *name = json_text_or(ns, "metadata.name", "");
	const char *label =
		json_text(json_get(json_path(ns, "metadata.labels"), SERVED));

	if (strcmp(name, a->namespace) == 0 || strcmp(name, "kube-system") == 0 ||
		strcmp(name, "cert-manager") == 0)
		return false;
	return (!label || strcmp(label, "disabled") != 0) &&
	       !json_path(ns, "metadata.deletionTimestamp");
}

static void set_text(char **to, const char *text)
{
	free(*to);
	*to = text ? slice_dup(slice_of(text)) : NULL;
}

static void on_space(void *arg, enum kube_event ev, const struct json *object)
{
	struct anchorcopy *a = arg;
	const char *name = json_text_or(object, "metadata.name", "");
	struct space *s = space_need(a, name);

	s->wanted = ev == KUBE_PUT && is_served(a, object);
	if (strcmp(name, a->namespace) == 0)
		set_text(&a->uid,
			ev == KUBE_PUT ? json_text_at(object, "metadata.uid") : NULL);
	space_drop_if_unused(s);
	soon(a);
}

/* ---- ConfigMaps ---- */

static const char *data_of(const struct json *map)
{
	return json_text(json_get(json_get(map, "data"), INJECT_ROOTS_KEY));
}

static const char *label_of(const struct json *map, const char *key)
{
	const char *text = json_text(json_get(json_path(map, "metadata.labels"), key));

	return text ? text : "";
}

static void compare_all(struct anchorcopy *a)
{
	struct space *s;

	map_each(s, &a->spaces, node)
	{
		s->same = false; /* writing what is there already changes nothing */
	}
}

static void take_anchors(struct anchorcopy *a, const char *text)
{
	struct err e = {0};
	struct cert *c;

	if (!text || (a->text && strcmp(text, a->text) == 0))
		return;
	c = cert_read(slice_of(text), &e);
	if (!c) {
		log_error("anchors", "the new trust anchors are not handed out",
			LS("error", e.msg));
		return;
	}
	cert_free(c);
	if (a->text)
		log_info("anchors", "trust anchors changed");
	set_text(&a->text, text);
	compare_all(a);
}

static bool is_same(const struct anchorcopy *a, const struct json *map)
{
	const char *text = data_of(map);

	return text && a->text && strcmp(text, a->text) == 0;
}

static void on_map(void *arg, enum kube_event ev, const struct json *object)
{
	struct anchorcopy *a = arg;
	const char *ns = json_text_or(object, "metadata.namespace", "");
	struct space *s;

	if (strcmp(ns, a->namespace) == 0) {
		if (ev == KUBE_PUT)
			take_anchors(a, data_of(object));
		soon(a);
		return;
	}
	s = space_need(a, ns);
	s->at = SPACE_BARE;
	if (ev == KUBE_PUT)
		s->at = strcmp(label_of(object, LABEL_PLANE), a->namespace) == 0 &&
					strcmp(label_of(object, LABEL_WHO), WHO) == 0
				? SPACE_OURS
				: SPACE_FOREIGN;
	s->same = ev == KUBE_PUT && is_same(a, object);
	space_drop_if_unused(s);
	soon(a);
}

static void on_synced(void *arg)
{
	soon(arg);
}

/* ---- writing ---- */

static void on_written(
	void *arg, int status, const struct json *body, const struct err *e)
{
	struct space *s = arg;
	struct anchorcopy *a = s->of;

	s->call = NULL;
	a->calls--;
	if (status == 200 || status == 201) {
		a->written++;
		s->at = SPACE_OURS;
		s->same = is_same(a, body);
		soon(a);
		return;
	}
	a->failed++;
	log_warn("anchors", "the trust anchors could not be copied",
		LS("namespace", s->name), LI("status", status),
		LS("error", status ? json_text_or(body, "message", "") : e->msg));
	s->not_before = loop_now(a->loop) + RETRY;
	soon(a);
}

static struct json *copy_for(const struct anchorcopy *a)
{
	struct json *j = json_object(), *meta, *part;

	json_set_text(j, "apiVersion", "v1");
	json_set_text(j, "kind", "ConfigMap");
	meta = json_need_object(j, "metadata");
	json_set_text(meta, "name", INJECT_ROOTS);
	part = json_need_object(meta, "labels");
	json_set_text(part, LABEL_PLANE, a->namespace);
	json_set_text(part, LABEL_WHO, WHO);
	part = json_push(json_need_list(meta, "ownerReferences"), json_object());
	json_set_text(part, "apiVersion", "v1");
	json_set_text(part, "kind", "Namespace");
	json_set_text(part, "name", a->namespace);
	json_set_text(part, "uid", a->uid);
	json_set_text(json_need_object(j, "data"), INJECT_ROOTS_KEY, a->text);
	return j;
}

static void write_copy(struct anchorcopy *a, struct space *s)
{
	bool is_new = s->at == SPACE_BARE;
	struct json *j = copy_for(a);
	char path[400];

	snprintf(path, sizeof path, "/api/v1/namespaces/%s/configmaps%s", s->name,
		is_new ? "" : "/" INJECT_ROOTS);
	a->calls++;
	s->call = is_new ? kube_request(a->kube, "POST", path, NULL, j, on_written, s)
			 : kube_request(a->kube, "PATCH", path,
				   "application/merge-patch+json", j, on_written, s);
	json_free(j);
}

static bool is_due(const struct space *s)
{
	return s->wanted && s->at != SPACE_FOREIGN && !s->same && !s->call;
}

static void on_step(struct timer *t)
{
	struct anchorcopy *a = container_of(t, struct anchorcopy, step);
	uint64_t now = loop_now(a->loop);
	struct space *s;

	if (!a->active || !a->text || !a->uid ||
		!kube_watch_is_synced(a->spaces_watch) ||
		!kube_watch_is_synced(a->maps_watch))
		return;
	map_each(s, &a->spaces, node)
	{
		if (is_due(s) && s->not_before > now)
			timer_set(t, RETRY);
		else if (is_due(s) && a->calls < AT_ONCE)
			write_copy(a, s);
	}
}

void anchorcopy_set_active(struct anchorcopy *a, bool active)
{
	a->active = active;
	if (active)
		soon(a);
	else
		timer_clear(&a->step);
}

/* ---- life ---- */

struct anchorcopy *anchorcopy_new(
	struct loop *l, struct kube *k, const char *namespace, struct err *e)
{
	static const struct kube_watch_user spaces = {on_space, on_synced};
	static const struct kube_watch_user maps = {on_map, on_synced};
	struct anchorcopy *a = calloc(1, sizeof *a);

	must(a);
	*a = (struct anchorcopy){.loop = l, .kube = k, .namespace = namespace};
	timer_init(&a->step, l, on_step);
	a->spaces_watch = kube_watch_new(k, "/api/v1/namespaces", NULL, &spaces, a, e);
	if (a->spaces_watch)
		a->maps_watch = kube_watch_new(k, "/api/v1/configmaps",
			"fieldSelector=metadata.name%3D" INJECT_ROOTS, &maps, a, e);
	if (a->maps_watch)
		return a;
	anchorcopy_free(a);
	return NULL;
}

void anchorcopy_metrics(const struct anchorcopy *a, struct buf *out)
{
	unsigned current = 0, wanted = 0, foreign = 0;
	struct space *s;

	map_each(s, &a->spaces, node)
	{
		wanted += s->wanted;
		current += s->wanted && s->at == SPACE_OURS && s->same;
		foreign += s->at == SPACE_FOREIGN;
	}
	buf_text(out, "# TYPE trust_anchors_copies gauge\n");
	buf_printf(out, "trust_anchors_copies{state=\"wanted\"} %u\n", wanted);
	buf_printf(out, "trust_anchors_copies{state=\"current\"} %u\n", current);
	buf_printf(out, "trust_anchors_copies{state=\"foreign\"} %u\n", foreign);
	buf_text(out, "# TYPE trust_anchors_copies_written_total counter\n");
	buf_printf(out, "trust_anchors_copies_written_total{result=\"ok\"} %llu\n",
		(unsigned long long)a->written);
	buf_printf(out, "trust_anchors_copies_written_total{result=\"error\"} %llu\n",
		(unsigned long long)a->failed);
}

void anchorcopy_free(struct anchorcopy *a)
{
	struct space *s;

	if (!a)
		return;
	timer_clear(&a->step);
	kube_watch_free(a->spaces_watch);
	kube_watch_free(a->maps_watch);
	map_each(s, &a->spaces, node)
	{
		space_drop(s);
	}
	map_fini(&a->spaces);
	free(a->text);
	free(a->uid);
	free(a);
}
