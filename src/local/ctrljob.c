/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs: pods that run to their end, so many times, so many at once, so many failures.
 */
#include "base/clock.h"
#include "local/ctrlint.h"
#include "local/meta.h"

#define INDEX "batch.kubernetes.io/job-completion-index"

struct tally {
	int64_t active, ready, succeeded, failed, restarts;
	uint64_t last_failure; /* wall ns */
};

static bool is_phase(const struct json *pod, const char *phase)
{
	return strcmp(json_text_or(pod, "status.phase", ""), phase) == 0;
}

static int64_t restarts_of(const struct json *pod)
{
	int64_t n = 0;

	json_each(c, json_path(pod, "status.containerStatuses"))
	{
		n += json_int_at(c, "restartCount", 0);
	}
	return n;
}

static uint64_t finished_at(const struct json *pod)
{
	uint64_t last = meta_time(pod, "metadata.creationTimestamp");

	json_each(c, json_path(pod, "status.containerStatuses"))
	{
		uint64_t at = meta_time(c, "state.terminated.finishedAt");

		if (at > last)
			last = at;
	}
	return last;
}

static struct tally count(const struct store_list *pods)
{
	struct tally t = {0};

	for (size_t i = 0; i < pods->n; i++) {
		const struct json *pod = pods->v[i]->json;

		if (is_phase(pod, "Succeeded")) {
			t.succeeded++;
		} else if (is_phase(pod, "Failed")) {
			t.failed++;
			if (finished_at(pod) > t.last_failure)
				t.last_failure = finished_at(pod);
		} else if (!meta_is_deleted(pod)) {
			t.active++;
			t.ready += pod_is_ready(pod);
			t.restarts += restarts_of(pod);
		}
	}
	return t;
}

static bool is_indexed(const struct json *job)
{
	return strcmp(json_text_or(job, "spec.completionMode", ""), "Indexed") == 0;
}

/* The lowest index that has neither succeeded nor runs. */
static int64_t free_index(const struct store_list *pods, int64_t made)
{
	for (int64_t i = 0;; i++) {
		bool taken = false;
		char text[24];

		snprintf(text, sizeof(text), "%lld", (long long)i);
		for (size_t k = 0; k < pods->n; k++) {
			const struct json *pod = pods->v[k]->json;
			const char *has = meta_annotation(pod, INDEX);

			taken |= has && strcmp(has, text) == 0 &&
				 !is_phase(pod, "Failed");
		}
		if (!taken && made-- == 0)
			return i;
	}
}

static void set_index(struct json *pod, int64_t index)
{
	struct json *meta = json_get(pod, "metadata");
	char text[24];

	snprintf(text, sizeof(text), "%lld", (long long)index);
	json_set_text(json_need_object(meta, "annotations"), INDEX, text);
	json_set_text(json_need_object(meta, "labels"), INDEX, text);
	json_each(c, json_path(pod, "spec.containers"))
	{
		struct json *env = json_push(json_need_list(c, "env"), json_object());

		json_set_text(env, "name", "JOB_COMPLETION_INDEX");
		json_set_text(env, "value", text);
	}
}

static void make_pods(struct ctrls *c, const struct object *job,
	const struct store_list *pods, int64_t n)
{
	for (int64_t i = 0; i < n; i++) {
		struct json *pod =
			ctrl_pod_of(job->json, json_path(job->json, "spec.template"));

		if (is_indexed(job->json))
			set_index(pod, free_index(pods, i));
		ctrl_create(c, CTRL_JOB, job->json, "pods", pod);
	}
}

static void end_pods(struct ctrls *c, const struct object *job,
	const struct store_list *pods, int64_t keep)
{
	for (size_t i = 0; i < pods->n; i++)
		if (ctrl_pod_is_active(pods->v[i]->json) && keep-- <= 0)
			ctrl_delete_pod(c, job->json, pods->v[i]);
}

/* What is wanted now, and when to look again when it must wait. */
static int64_t wanted(const struct ctrls *c, const struct json *job,
	const struct tally *t, uint64_t *wait)
{
	int64_t parallel = json_int_at(job, "spec.parallelism", 1);
	int64_t completions = json_int_at(job, "spec.completions", -1);
	int64_t left = completions >= 0 ? completions - t->succeeded : parallel;
	uint64_t now = store_now(c->store), delay;

	if (completions < 0 && t->succeeded)
		left = t->active;
	if (left > parallel)
		left = parallel;
	if (!t->failed || left <= t->active)
		return left;
	/* Ten seconds after the first failure, then twice as long each time. */
	delay = 10 * NS_PER_S << (t->failed > 5 ? 5 : t->failed - 1);
	if (now >= t->last_failure + delay)
		return left;
	*wait = t->last_failure + delay - now;
	return t->active;
}

enum verdict { JOB_GOES_ON, JOB_COMPLETE, JOB_BACKOFF, JOB_LATE };

static enum verdict judge(
	const struct ctrls *c, const struct json *job, const struct tally *t)
{
	int64_t completions = json_int_at(job, "spec.completions", -1);
	int64_t limit = json_int_at(job, "spec.activeDeadlineSeconds", 0);
	uint64_t start = meta_time(job, "status.startTime");

	if (completions >= 0 ? t->succeeded >= completions : t->succeeded && !t->active)
		return JOB_COMPLETE;
	if (t->failed + t->restarts > json_int_at(job, "spec.backoffLimit", 6))
		return JOB_BACKOFF;
	if (limit > 0 && start &&
		store_now(c->store) >= start + (uint64_t)limit * NS_PER_S)
		return JOB_LATE;
	return JOB_GOES_ON;
}

static void set_verdict(
	struct ctrls *c, const struct object *job, struct json *status, enum verdict v)
{
	static const struct {
		const char *type, *reason, *message;
	} what[] = {
		[JOB_COMPLETE] = {"Complete", "CompletionsReached",
			"Reached expected number of succeeded pods"},
		[JOB_BACKOFF] = {"Failed", "BackoffLimitExceeded",
			"Job has reached the specified backoff limit"},
		[JOB_LATE] = {"Failed", "DeadlineExceeded",
			"Job was active longer than specified deadline"},
	};
	uint64_t now = store_now(c->store);
	char when[CLOCK_TEXT];

	if (v == JOB_GOES_ON)
		return;
	clock_rfc3339(now, false, when);
	if (v == JOB_COMPLETE) {
		json_set_text(status, "completionTime", when);
		condition_set(status, "SuccessCriteriaMet", "True", what[v].reason,
			what[v].message, now);
	}
	condition_set(
		status, what[v].type, "True", what[v].reason, what[v].message, now);
	store_tell(c->store, "job-controller", job->json,
		v == JOB_COMPLETE ? "Normal" : "Warning",
		v == JOB_COMPLETE ? "Completed" : what[v].reason,
		v == JOB_COMPLETE ? "Job completed" : what[v].message);
}

static int64_t at_least(const struct json *job, const char *path, int64_t n)
{
	int64_t was = json_int_at(job, path, 0);

	return was > n ? was : n;
}

static void set_status(struct ctrls *c, const struct object *job, const struct tally *t,
	enum verdict v)
{
	const struct json *was = json_get(job->json, "status");
	struct json *s = was ? json_copy(was) : json_object();
	char when[CLOCK_TEXT];

	clock_rfc3339(store_now(c->store), false, when);
	if (!json_text_at(s, "startTime") &&
		!json_bool_at(job->json, "spec.suspend", false))
		json_set_text(s, "startTime", when);
	json_set_int(s, "active", v == JOB_GOES_ON ? t->active : 0);
	json_set_int(s, "ready", v == JOB_GOES_ON ? t->ready : 0);
	json_set_int(s, "succeeded", t->succeeded);
	json_set_int(s, "failed", t->failed);
	set_verdict(c, job, s, v);
	(void)store_set_status(c->store, "jobs.batch", job->ns, job->name, s, NULL);
}

static bool is_finished(const struct json *job)
{
	return condition_is(job, "Complete", "True") ||
	       condition_is(job, "Failed", "True");
}

static void expire(struct ctrls *c, const struct object *job)
{
	const struct json *ttl = json_path(job->json, "spec.ttlSecondsAfterFinished");
	uint64_t end, now = store_now(c->store);
	const char *type =
		condition_is(job->json, "Complete", "True") ? "Complete" : "Failed";

	if (json_kind(ttl) != JSON_INT)
		return;
	end = meta_time(condition_get(job->json, type), "lastTransitionTime") +
	      (uint64_t)json_int(ttl, 0) * NS_PER_S;
	if (now >= end)
		(void)store_delete(
			c->store, "jobs.batch", job->ns, job->name, NULL, NULL, NULL);
	else
		ctrl_queue(c, CTRL_JOB, job->ns, job->name, end - now);
}

static void run(
	struct ctrls *c, const struct object *job, const struct store_list *pods)
{
	struct tally t = count(pods);
	bool suspended = json_bool_at(job->json, "spec.suspend", false);
	int64_t pending = (int64_t)ctrl_pending(c, job->uid), want;
	int64_t limit = json_int_at(job->json, "spec.activeDeadlineSeconds", 0);
	enum verdict v;
	uint64_t wait = 0;

	t.succeeded = at_least(job->json, "status.succeeded", t.succeeded);
	t.failed = at_least(job->json, "status.failed", t.failed);
	v = judge(c, job->json, &t);
	if (v != JOB_GOES_ON || suspended) {
		end_pods(c, job, pods, 0);
	} else {
		want = wanted(c, job->json, &t, &wait);
		if (want > t.active + pending)
			make_pods(c, job, pods, want - t.active - pending);
		else if (want < t.active)
			end_pods(c, job, pods, want);
	}
	set_status(c, job, &t, v);
	if (wait)
		ctrl_queue(c, CTRL_JOB, job->ns, job->name, wait);
	if (v == JOB_GOES_ON && limit > 0)
		ctrl_queue(c, CTRL_JOB, job->ns, job->name, (uint64_t)limit * NS_PER_S);
}

void ctrl_job(struct ctrls *c, const char *ns, const char *name)
{
	struct object *job = store_find(c->store, "jobs.batch", ns, name);
	struct store_list pods;

	if (!job || meta_is_deleted(job->json))
		return;
	object_ref(job);
	ctrl_owned(c, "pods", ns, job->uid, &pods);
	if (is_finished(job->json)) {
		end_pods(c, job, &pods, 0);
		expire(c, job);
	} else
		run(c, job, &pods);
	store_list_end(&pods);
	object_unref(job);
}
