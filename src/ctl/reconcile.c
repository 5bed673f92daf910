/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/reconcile.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/obj.h"
#include "ctl/reconcileint.h"

#define PACE       (5 * NS_PER_S)
#define ASK        12  /* looks between two at the webhook's configuration */
#define SAY        12  /* looks between two counts in the log */
#define TELL_MAX   20  /* events at one look: a namespace may have thousands */
#define SERIES_MAX 200 /* namespaces with a gauge of their own */
#define HOOKS      "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/"
/* Those that have ended are nobody's concern. */
#define RUNNING    "fieldSelector=status.phase%21%3DSucceeded%2Cstatus.phase%21%3DFailed"

static const struct json *values_of(const struct reconcile *r)
{
	return r->cfg->values(r->cfg->arg);
}

/* ---- namespaces ---- */

static struct reconcile_space *space_need(struct reconcile *r, const char *name)
{
	struct reconcile_space *s =
		map_get(&r->spaces, slice_of(name), struct reconcile_space, node);

	if (s)
		return s;
	s = calloc(1, sizeof *s);
	must(s);
	s->name = slice_dup(slice_of(name));
	must(s->name && map_insert(&r->spaces, &s->node, slice_of(s->name)) == 0);
	return s;
}

static void space_drop_if_unused(struct reconcile *r, struct reconcile_space *s)
{
	if (s->there || s->pods)
		return;
	map_remove(&r->spaces, &s->node);
	free(s->name);
	free(s);
}

/* What was asked for under our eyes was asked for after all that is there. */
static bool is_changed(
	const struct reconcile_space *s, const struct reconcile_space *before)
{
	return before->there &&
	       (before->served != s->served || before->allows != s->allows ||
		       before->hands_down != s->hands_down);
}

static void on_space(void *arg, enum kube_event ev, const struct json *object)
{
	struct reconcile *r = arg;
	struct reconcile_space *s =
		space_need(r, json_text_or(object, "metadata.name", ""));
	struct reconcile_space before = *s;

	s->there = ev == KUBE_PUT;
	s->served = false;
	if (s->there) {
		reconcile_view_space(s, object, &r->hook, values_of(r));
		if (is_changed(s, &before))
			s->changed = r->newest;
	}
	space_drop_if_unused(r, s);
}

/* ---- pods ---- */

void reconcile_pod_free(struct reconcile_pod *p)
{
	free(p->namespace); /* with its name */
	free(p->uid);
	free(p->owner);
	free(p->workload);
	free(p);
}

static void pod_drop(struct reconcile *r, struct reconcile_pod *p)
{
	struct reconcile_space *s = p->space;

	map_remove(&r->pods, &p->node);
	p->space = NULL;
	p->gone = true;
	s->pods--;
	space_drop_if_unused(r, s);
	if (p != r->evicted)
		reconcile_pod_free(p);
}

static void pod_key(const struct json *pod, struct buf *key)
{
	buf_text(key, json_text_or(pod, "metadata.namespace", ""));
	buf_char(key, '\0');
	buf_text(key, json_text_or(pod, "metadata.name", ""));
}

static void pod_add(struct reconcile *r, struct buf *key, const struct json *pod)
{
	struct reconcile_pod *p = calloc(1, sizeof *p);
	size_t n = buf_len(key);

	must(p);
	p->namespace = buf_steal(key);
	must(p->namespace);
	p->name = p->namespace + strlen(p->namespace) + 1;
	p->not_before = loop_now(r->loop) + r->pace;
	p->space = space_need(r, p->namespace);
	p->space->pods++;
	reconcile_view_pod(p, pod, values_of(r));
	must(map_insert(&r->pods, &p->node, slice_bytes(p->namespace, n)) == 0);
}

static void note_made(struct reconcile *r, const struct json *pod)
{
	uint64_t made = reconcile_made(pod);

	if (made > r->newest)
		r->newest = made;
	if (made > r->proved && reconcile_is_injected(pod))
		r->proved = made;
}

/* What is kept of a pod does not change while it has its uid, but for its annotations
 * and labels: it is read again each time, and told anew only for another reason. */
static void on_pod(void *arg, enum kube_event ev, const struct json *pod)
{
	struct reconcile *r = arg;
	struct buf key = BUF_INIT;
	struct reconcile_pod *p;
	bool bare = ev == KUBE_PUT && reconcile_is_bare(pod, &r->hook, values_of(r));

	if (ev == KUBE_PUT)
		note_made(r, pod);
	pod_key(pod, &key);
	p = map_get(&r->pods, buf_slice(&key), struct reconcile_pod, node);
	if (p && (!bare || !reconcile_is_same(p, pod))) {
		pod_drop(r, p);
		p = NULL;
	}
	if (p)
		reconcile_view_asks(p, pod, values_of(r));
	else if (bare)
		pod_add(r, &key, pod);
	buf_fini(&key);
}

/* ---- a look at all ---- */

/* That it begins and that it is over, and in between a count each minute. */
static void say(struct reconcile *r, size_t n)
{
	uint64_t now = loop_now(r->loop);

	if (n == r->said || (n && r->said && now < r->said_at + SAY * r->pace))
		return;
	if (n)
		log_warn("reconcile", "pods run without the proxy they ask for",
			LI("count", n));
	else
		log_info("reconcile", "all pods have the proxy they ask for");
	r->said = n;
	r->said_at = now;
}

static void look(struct reconcile *r)
{
	struct reconcile_pod *p;
	size_t n = 0, told = 0;

	reconcile_weigh(r);
	map_each(p, &r->pods, node)
	{
		if (!reconcile_is_unmeshed(p))
			continue;
		n++;
		if (told < TELL_MAX && loop_now(r->loop) >= p->not_before)
			told += reconcile_tell(r, p);
		if (p->told)
			reconcile_evict(r, p);
	}
	say(r, n);
}

/* ---- the webhook's configuration ---- */

static void unwatch(struct reconcile *r)
{
	struct reconcile_space *s;
	struct reconcile_pod *p;

	if (r->pods_watch)
		kube_watch_free(r->pods_watch);
	if (r->spaces_watch)
		kube_watch_free(r->spaces_watch);
	r->pods_watch = r->spaces_watch = NULL;
	map_each(p, &r->pods, node)
	{
		pod_drop(r, p);
	}
	map_each(s, &r->spaces, node)
	{
		s->there = false;
		space_drop_if_unused(r, s);
	}
	map_fini(&r->pods);
	map_fini(&r->spaces);
	r->pods = r->spaces = MAP_INIT;
}

static void watch(struct reconcile *r)
{
	static const struct kube_watch_user spaces = {on_space, NULL};
	static const struct kube_watch_user pods = {on_pod, NULL};
	struct err e = {0};

	unwatch(r);
	r->spaces_watch =
		kube_watch_new(r->kube, "/api/v1/namespaces", NULL, &spaces, r, &e);
	if (r->spaces_watch)
		r->pods_watch =
			kube_watch_new(r->kube, "/api/v1/pods", RUNNING, &pods, r, &e);
	if (!r->pods_watch)
		log_error("reconcile", "pods cannot be watched", LE(&e));
}

/* Who is served since now was not before: its pods count as older than that. */
static void on_hook(void *arg, int status, const struct json *body, const struct err *e)
{
	struct reconcile *r = arg;
	bool first = !r->hook.spaces;

	r->ask = NULL;
	if (status == 404) { /* nobody is served */
		unwatch(r);
		reconcile_hook_drop(&r->hook);
		return;
	}
	if (status != 200) {
		log_debug("reconcile", "the webhook's configuration cannot be read",
			LI("status", status),
			LS("error",
				status ? json_text_or(body, "message", "") : e->msg));
		return;
	}
	r->ask_at = loop_now(r->loop) + ASK * r->pace;
	if (!reconcile_hook_take(&r->hook, body) && r->pods_watch)
		return;
	if (!first && r->hook.since < r->newest)
		r->hook.since = r->newest;
	watch(r);
}

static void ask_hook(struct reconcile *r)
{
	char path[400];

	if (r->ask || loop_now(r->loop) < r->ask_at)
		return;
	snprintf(path, sizeof path, HOOKS "%s", r->cfg->hook);
	r->ask = kube_request(r->kube, "GET", path, NULL, NULL, on_hook, r);
}

static void on_step(struct timer *t)
{
	struct reconcile *r = container_of(t, struct reconcile, step);

	ask_hook(r);
	if (r->pods_watch && kube_watch_is_synced(r->spaces_watch) &&
		kube_watch_is_synced(r->pods_watch))
		look(r);
	timer_set(t, r->pace);
}

/* ---- life ---- */

void reconcile_set_active(struct reconcile *r, bool active)
{
	timer_clear(&r->step);
	if (r->ask)
		kube_cancel(r->ask);
	r->ask = NULL;
	r->ask_at = 0;
	r->said = 0;
	reconcile_evict_end(r);
	unwatch(r);
	reconcile_hook_drop(&r->hook);
	if (active)
		timer_set(&r->step, 0);
}

struct reconcile *reconcile_new(
	struct loop *l, struct kube *k, const struct reconcile_config *cfg)
{
	struct reconcile *r = calloc(1, sizeof *r);

	must(r);
	*r = (struct reconcile){.loop = l,
		.kube = k,
		.cfg = cfg,
		.pace = cfg->pace ? cfg->pace : PACE,
		.spaces = MAP_INIT,
		.pods = MAP_INIT,
		.owners = MAP_INIT};
	timer_init(&r->step, l, on_step);
	return r;
}

void reconcile_free(struct reconcile *r)
{
	if (!r)
		return;
	reconcile_set_active(r, false);
	free(r);
}

/* ---- metrics ---- */

/* Beyond the limit they are one: namespace="". */
static void write_gauges(const struct reconcile *r, struct buf *out)
{
	struct reconcile_space *s;
	size_t series = 0, others = 0;

	buf_text(out, "# TYPE unmeshed_pods gauge\n");
	map_each(s, &r->spaces, node)
	{
		if (s->unmeshed && series++ < SERIES_MAX)
			buf_printf(out, "unmeshed_pods{namespace=\"%s\"} %zu\n",
				s->name, s->unmeshed);
		else
			others += s->unmeshed;
	}
	if (others)
		buf_printf(out, "unmeshed_pods{namespace=\"\"} %zu\n", others);
}

void reconcile_metrics(const struct reconcile *r, struct buf *out)
{
	struct reconcile_space *s;
	struct reconcile_pod *p;

	map_each(s, &r->spaces, node)
	{
		s->unmeshed = 0;
	}
	map_each(p, &r->pods, node)
	{
		p->space->unmeshed += reconcile_is_unmeshed(p);
	}
	write_gauges(r, out);
	buf_text(out, "# TYPE unmeshed_pods_evictions_total counter\n");
	buf_printf(out,
		"unmeshed_pods_evictions_total{result=\"ok\"} %" PRIu64 "\n"
		"unmeshed_pods_evictions_total{result=\"budget\"} %" PRIu64 "\n"
		"unmeshed_pods_evictions_total{result=\"error\"} %" PRIu64 "\n",
		r->evictions, r->refused, r->failed);
}
