/* SPDX-License-Identifier: Apache-2.0 */
/* A pod's status, written whole from what its containers are doing. */
#include "base/clock.h"
#include "local/nodeint.h"

static struct json *running_state(const struct container *c)
{
	struct json *state = json_object();
	char at[CLOCK_TEXT];

	clock_rfc3339(c->began, false, at);
	json_set_text(json_need_object(state, "running"), "startedAt", at);
	return state;
}

static struct json *waiting_state(const char *reason, const char *message)
{
	struct json *state = json_object();
	struct json *w = json_need_object(state, "waiting");

	json_set_text(w, "reason", reason);
	if (*message)
		json_set_text(w, "message", message);
	return state;
}

static bool will_restart(const struct container *c)
{
	const char *policy = json_text_or(c->pod->spec, "restartPolicy", "Always");
	bool failed = json_int_at(c->ended, "exitCode", 0) != 0;

	if (c->pod->at != POD_UP)
		return false;
	if (c->kind == CONTAINER_SIDECAR)
		return true;
	return strcmp(policy, "Always") == 0
		       ? c->kind == CONTAINER_APP || failed
		       : strcmp(policy, "OnFailure") == 0 && failed;
}

static struct json *state_of(const struct container *c)
{
	struct json *state;
	char text[300];

	switch (c->at) {
	case CONTAINER_RUNNING:
		return running_state(c);
	case CONTAINER_WAITING:
		return waiting_state(c->reason, c->message);
	case CONTAINER_ENDED:
		break;
	}
	if (will_restart(c) && c->due > clock_mono() + NS_PER_S) {
		snprintf(text, sizeof(text),
			"back-off restarting failed container=%s pod=%s", c->name,
			c->pod->obj->name);
		return waiting_state("CrashLoopBackOff", text);
	}
	state = json_object();
	json_set(state, "terminated", json_copy(c->ended));
	return state;
}

static struct json *status_of(const struct container *c)
{
	struct json *s = json_object();
	struct json *state = state_of(c), *last = json_object();
	const char *image = json_text_or(c->spec, "image", "");
	bool back_off = json_get(state, "waiting") && c->ended;

	json_set_text(s, "name", c->name);
	json_set(s, "state", state);
	if (back_off || c->last)
		json_set(last, "terminated", json_copy(back_off ? c->ended : c->last));
	json_set(s, "lastState", last);
	json_set_bool(s, "ready",
		c->kind == CONTAINER_INIT
			? c->at == CONTAINER_ENDED &&
				  json_int_at(c->ended, "exitCode", 1) == 0
			: c->ready);
	json_set_bool(s, "started", c->started);
	json_set_int(s, "restartCount", c->restarts);
	json_set_text(s, "image", image);
	json_set_text(s, "imageID", image);
	if (c->pid) {
		char id[64];

		snprintf(id, sizeof(id), "process://%d", (int)c->pid);
		json_set_text(s, "containerID", id);
	}
	return s;
}

/* ---- the whole ---- */

static const char *phase_of(const struct pod *p)
{
	bool inits = true, begun = false, failed = false;

	for (size_t i = 0; i < p->ncontainers; i++) {
		const struct container *c = &p->containers[i];
		bool bad = c->at == CONTAINER_ENDED &&
			   json_int_at(c->ended, "exitCode", 0) != 0;

		if (c->kind == CONTAINER_INIT && (c->at != CONTAINER_ENDED || bad))
			inits = false;
		if (c->kind == CONTAINER_APP && (c->at != CONTAINER_WAITING || c->last))
			begun = true;
		if (c->kind != CONTAINER_SIDECAR && bad)
			failed = true;
	}
	if (p->at == POD_OVER || (p->at == POD_ENDING && p->deleting)) {
		bool up = false;

		for (size_t i = 0; i < p->ncontainers; i++)
			up |= p->containers[i].at == CONTAINER_RUNNING;
		if (!up)
			return failed ? "Failed" : inits ? "Succeeded" : "Failed";
	}
	return inits && begun ? "Running" : "Pending";
}

static bool all_inits_done(const struct pod *p)
{
	for (size_t i = 0; i < p->ncontainers; i++) {
		const struct container *c = &p->containers[i];

		if (c->kind == CONTAINER_INIT &&
			(c->at != CONTAINER_ENDED ||
				json_int_at(c->ended, "exitCode", 1) != 0))
			return false;
		if (c->kind == CONTAINER_SIDECAR && !c->started)
			return false;
	}
	return true;
}

static bool all_ready(const struct pod *p)
{
	for (size_t i = 0; i < p->ncontainers; i++)
		if (p->containers[i].kind != CONTAINER_INIT && !p->containers[i].ready)
			return false;
	return p->at == POD_UP;
}

static void set_conditions(struct pod *p, struct json *status, bool over)
{
	uint64_t now = store_now(p->node->store);
	bool inited = all_inits_done(p) || over, ready = all_ready(p);
	const char *why = over ? "PodCompleted" : "ContainersNotReady";

	condition_set(status, "PodReadyToStartContainers",
		p->ns.net >= 0 ? "True" : "False", "", "", now);
	condition_set(status, "Initialized", inited ? "True" : "False",
		inited ? "" : "ContainersNotInitialized", "", now);
	condition_set(status, "ContainersReady", ready ? "True" : "False",
		ready ? "" : why, "", now);
	condition_set(
		status, "Ready", ready ? "True" : "False", ready ? "" : why, "", now);
	condition_set(status, "PodScheduled", "True", "", "", now);
}

static void set_addresses(const struct pod *p, struct json *status)
{
	char text[ADDR_TEXT];
	struct json *list;

	if (!p->ip.family)
		return;
	ip_text(&p->ip, text);
	json_set_text(status, "podIP", text);
	list = json_set(status, "podIPs", json_list());
	json_set_text(json_push(list, json_object()), "ip", text);
	ip_text(&p->node->gateway, text);
	json_set_text(status, "hostIP", text);
	list = json_set(status, "hostIPs", json_list());
	json_set_text(json_push(list, json_object()), "ip", text);
}

void pod_write_status(struct pod *p)
{
	struct json *status = json_copy(json_get(p->obj->json, "status"));
	struct object *now;
	struct json *apps, *inits;
	const char *phase = phase_of(p);
	char at[CLOCK_TEXT];

	if (!status)
		status = json_object();
	json_set_text(status, "phase", phase);
	set_addresses(p, status);
	if (!json_get(status, "startTime")) {
		clock_rfc3339(store_now(p->node->store), false, at);
		json_set_text(status, "startTime", at);
	}
	json_set_text(
		status, "qosClass", json_text_or(status, "qosClass", "BestEffort"));
	set_conditions(p, status,
		strcmp(phase, "Succeeded") == 0 || strcmp(phase, "Failed") == 0);
	apps = json_list();
	inits = json_list();
	for (size_t i = 0; i < p->ncontainers; i++)
		json_push(p->containers[i].kind == CONTAINER_APP ? apps : inits,
			status_of(&p->containers[i]));
	json_set(status, "containerStatuses", apps);
	if (json_count(inits))
		json_set(status, "initContainerStatuses", inits);
	else
		json_free(inits);
	now = store_find(p->node->store, "pods", p->obj->ns, p->obj->name);
	if (!now || strcmp(now->uid, p->uid) != 0) {
		json_free(status);
		return;
	}
	(void)store_set_status(
		p->node->store, "pods", now->ns, now->name, status, NULL);
	now = store_find(p->node->store, "pods", p->obj->ns, p->obj->name);
	if (now)
		pod_changed(p, now);
}
