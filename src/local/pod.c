/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One pod: level-triggered.  pod_sync() looks at what is and takes the next step; every
 * end of a process, probe or timer asks for it again.
 */
#include <stdarg.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "local/nodeint.h"

static void sync_later(struct later *d);

void pod_tell(struct pod *p, const char *type, const char *reason, const char *fmt, ...)
{
	char text[600];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	store_tell(p->node->store, "kubelet", p->obj->json, type, reason, text);
}

void pod_sync_soon(struct pod *p)
{
	loop_later(p->node->loop, &p->sync);
}

static void on_due(struct timer *t)
{
	pod_sync_soon(container_of(t, struct pod, due));
}

static void kill_all(struct pod *p)
{
	p->doomed = true;
	for (size_t i = 0; i < p->ncontainers; i++)
		container_kill(&p->containers[i]);
}

static void on_kill(struct timer *t)
{
	kill_all(container_of(t, struct pod, kill));
}

struct container *pod_container(struct pod *p, const char *name)
{
	for (size_t i = 0; i < p->ncontainers; i++)
		if (strcmp(p->containers[i].name, name) == 0)
			return &p->containers[i];
	return NULL;
}

struct podvol pod_volumes(struct pod *p)
{
	return (struct podvol){p->node->store, p->obj->json, p->dir, &p->node->cfg};
}

/* ---- making ---- */

static int64_t restarts_before(const struct json *pod, const char *name)
{
	static const char *const lists[] = {
		"status.containerStatuses", "status.initContainerStatuses"};

	for (size_t i = 0; i < countof(lists); i++)
		json_each(s, json_path(pod, lists[i]))
		{
			if (strcmp(json_text_or(s, "name", ""), name) == 0 &&
				!json_path(s, "state.waiting"))
				return json_int_at(s, "restartCount", 0) + 1;
		}
	return 0;
}

static void add_container(struct pod *p, const struct json *spec, bool init)
{
	struct container *c = &p->containers[p->ncontainers++];
	bool always = strcmp(json_text_or(spec, "restartPolicy", ""), "Always") == 0;

	c->pod = p;
	c->spec = spec;
	c->name = json_text_or(spec, "name", "");
	c->kind = !init ? CONTAINER_APP : always ? CONTAINER_SIDECAR : CONTAINER_INIT;
	c->exit.fd = c->hook.fd = c->log_fd = c->in.fd = -1;
	list_init(&c->attached);
	c->logs[0].watch.fd = c->logs[1].watch.fd = -1;
	c->restarts = (int)restarts_before(p->obj->json, c->name);
	snprintf(c->reason, sizeof(c->reason), "%s",
		init ? "PodInitializing" : "ContainerCreating");
}

static void add_containers(struct pod *p)
{
	const struct json *inits = json_get(p->spec, "initContainers");
	const struct json *apps = json_get(p->spec, "containers");

	p->containers = calloc(
		json_count(inits) + json_count(apps) + 1, sizeof(*p->containers));
	must(p->containers);
	json_each(c, inits)
	{
		add_container(p, c, true);
	}
	json_each(c, apps)
	{
		add_container(p, c, false);
	}
}

struct pod *pod_new(struct local_node *n, struct object *o)
{
	struct pod *p = calloc(1, sizeof(*p));

	must(p);
	p->node = n;
	p->obj = object_ref(o);
	p->spec = json_copy(json_get(o->json, "spec"));
	p->ns = NS_NONE;
	snprintf(p->uid, sizeof(p->uid), "%s", o->uid);
	snprintf(p->key, sizeof(p->key), "%s/%s", o->ns, o->name);
	snprintf(p->dir, sizeof(p->dir), "%.3000s/pods/%s", n->dir, p->uid);
	later_init(&p->sync, sync_later);
	timer_init(&p->due, n->loop, on_due);
	timer_init(&p->kill, n->loop, on_kill);
	add_containers(p);
	must(map_insert(&n->pods, &p->by_name, slice_of(p->key)) == 0);
	pod_sync_soon(p);
	return p;
}

static void clean_up(struct pod *p)
{
	char shm[256];

	pod_net_down(p);
	pod_limits_down(p);
	ns_close(&p->ns);
	snprintf(shm, sizeof(shm), LOCAL_NODE_SHM "/%s", p->uid);
	tree_remove(shm);
	tree_remove(p->dir);
}

void pod_free(struct pod *p)
{
	for (size_t i = 0; i < p->ncontainers; i++)
		container_fini(&p->containers[i]);
	clean_up(p);
	timer_clear(&p->due);
	timer_clear(&p->kill);
	later_clear(&p->sync);
	map_remove(&p->node->pods, &p->by_name);
	free(p->containers);
	json_free(p->spec);
	object_unref(p->obj);
	free(p);
}

/* ---- what the containers are doing ---- */

static bool any_running(const struct pod *p, int kinds)
{
	for (size_t i = 0; i < p->ncontainers; i++)
		if (p->containers[i].at == CONTAINER_RUNNING &&
			(kinds >> p->containers[i].kind & 1))
			return true;
	return false;
}

static bool exited_well(const struct container *c)
{
	return json_int_at(c->ended, "exitCode", 1) == 0;
}

static bool wants_restart(const struct container *c)
{
	const char *policy = json_text_or(c->pod->spec, "restartPolicy", "Always");

	if (c->kind == CONTAINER_SIDECAR)
		return true;
	if (strcmp(policy, "Never") == 0)
		return false;
	if (c->kind == CONTAINER_INIT || strcmp(policy, "OnFailure") == 0)
		return !exited_well(c);
	return true;
}

/* Starts it when its time has come; else comes back then. */
static void start_when_due(struct container *c)
{
	uint64_t now = clock_mono();

	if (c->due <= now) {
		container_start(c);
		return;
	}
	if (!timer_is_set(&c->pod->due) || c->pod->due.when > c->due)
		timer_set(&c->pod->due, c->due - now);
}

static void keep_alive(struct container *c)
{
	if (c->at == CONTAINER_WAITING)
		start_when_due(c);
	else if (c->at == CONTAINER_ENDED && wants_restart(c))
		start_when_due(c);
}

/* True when every init container is done and every sidecar has started. */
static bool run_inits(struct pod *p, bool *failed)
{
	for (size_t i = 0; i < p->ncontainers; i++) {
		struct container *c = &p->containers[i];

		if (c->kind == CONTAINER_APP)
			break;
		if (c->kind == CONTAINER_INIT && c->at == CONTAINER_ENDED &&
			exited_well(c))
			continue;
		if (c->kind == CONTAINER_INIT && c->at == CONTAINER_ENDED &&
			!wants_restart(c)) {
			*failed = true;
			return false;
		}
		keep_alive(c);
		if (c->kind == CONTAINER_INIT || c->at != CONTAINER_RUNNING ||
			!c->started || !container_is_settled(c))
			return false;
	}
	return true;
}

static bool apps_are_over(const struct pod *p)
{
	for (size_t i = 0; i < p->ncontainers; i++) {
		const struct container *c = &p->containers[i];

		if (c->kind == CONTAINER_APP &&
			(c->at != CONTAINER_ENDED || wants_restart(c)))
			return false;
	}
	return true;
}

/* ---- ending ---- */

/* Sidecars end after the others, the last one first. */
static void stop_running(struct pod *p, uint64_t grace)
{
	for (size_t i = 0; i < p->ncontainers; i++)
		if (p->containers[i].kind != CONTAINER_SIDECAR)
			container_stop(&p->containers[i], grace);
	if (any_running(p, 1 << CONTAINER_APP | 1 << CONTAINER_INIT))
		return;
	for (size_t i = p->ncontainers; i-- > 0;)
		if (p->containers[i].at == CONTAINER_RUNNING) {
			container_stop(&p->containers[i], grace);
			return;
		}
}

static void delete_pod(struct pod *p)
{
	char ns[260], name[260], uid[sizeof(p->uid)];
	struct store_delete how = {.grace = 0, .uid = uid};
	struct local_node *n = p->node;

	snprintf(uid, sizeof(uid), "%s", p->uid);
	snprintf(ns, sizeof(ns), "%s", p->obj->ns);
	snprintf(name, sizeof(name), "%s", p->obj->name);
	pod_free(p);
	(void)store_delete(n->store, "pods", ns, name, &how, NULL, NULL);
}

static uint64_t grace_of(const struct pod *p)
{
	int64_t s = json_int_at(p->obj->json, "metadata.deletionGracePeriodSeconds",
		json_int_at(p->spec, "terminationGracePeriodSeconds", 30));

	return (uint64_t)(s < 0 ? 0 : s) * NS_PER_S;
}

static void sync_ending(struct pod *p)
{
	if (any_running(p, 7)) {
		stop_running(p, grace_of(p));
		pod_write_status(p);
		return;
	}
	if (p->deleting) {
		pod_write_status(p);
		delete_pod(p);
		return;
	}
	p->at = POD_OVER;
	timer_clear(&p->kill);
	pod_write_status(p);
	pod_net_down(p);
	ns_close(&p->ns);
}

static void begin_ending(struct pod *p)
{
	uint64_t grace = grace_of(p);

	p->at = POD_ENDING;
	timer_clear(&p->due);
	timer_set(&p->kill, grace ? grace : 1);
	sync_ending(p);
}

/* ---- running ---- */

static int set_up(struct pod *p, struct err *e)
{
	struct podvol v = pod_volumes(p);
	char scratch[PATH_MAX];

	snprintf(scratch, sizeof(scratch), "%s/root", p->dir);
	if (folder_make(p->dir, 0755) || folder_make(scratch, 0755))
		return err_sys(e, "make %s", p->dir);
	if (p->ns.net < 0 && pod_net_up(p, e))
		return -1;
	pod_write_status(p); /* podIP, before the environment is built */
	return podvol_fill(&v, e);
}

static void sync_new(struct pod *p)
{
	struct err e = {0};

	if (set_up(p, &e) == 0) {
		p->at = POD_UP;
		pod_sync_soon(p);
		return;
	}
	if (strcmp(p->last_failure, e.msg) != 0)
		pod_tell(p, "Warning",
			e.code == ERR_MISSING ? "FailedMount"
					      : "FailedCreatePodSandBox",
			"%s", e.msg);
	snprintf(p->last_failure, sizeof(p->last_failure), "%s", e.msg);
	timer_set(&p->due, 2 * NS_PER_S);
	pod_write_status(p);
}

/* One after the other: each waits for the postStart of those before it. */
static void run_apps(struct pod *p)
{
	for (size_t i = 0; i < p->ncontainers; i++) {
		if (p->containers[i].kind != CONTAINER_APP)
			continue;
		keep_alive(&p->containers[i]);
		if (!container_is_settled(&p->containers[i]))
			return;
	}
}

static void sync_up(struct pod *p)
{
	bool failed = false;

	if (run_inits(p, &failed))
		run_apps(p);
	if (failed || apps_are_over(p)) {
		begin_ending(p);
		return;
	}
	pod_write_status(p);
}

static void sync_later(struct later *d)
{
	struct pod *p = container_of(d, struct pod, sync);

	switch (p->at) {
	case POD_NEW:
		sync_new(p);
		break;
	case POD_UP:
		sync_up(p);
		break;
	case POD_ENDING:
		sync_ending(p);
		break;
	case POD_OVER:
		if (p->deleting)
			delete_pod(p);
		break;
	}
}

void pod_changed(struct pod *p, struct object *o)
{
	object_ref(o);
	object_unref(p->obj);
	p->obj = o;
	if (!meta_is_deleted(o->json) || p->deleting)
		return;
	p->deleting = true;
	if (p->at == POD_OVER) {
		pod_sync_soon(p);
		return;
	}
	p->at = POD_ENDING;
	timer_clear(&p->due);
	timer_set(&p->kill, grace_of(p) ? grace_of(p) : 1);
	pod_sync_soon(p);
}
