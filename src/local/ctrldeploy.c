/* SPDX-License-Identifier: Apache-2.0 */
/* Deployments: a ReplicaSet for each template they have had; the newest gets the pods.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/obj.h"
#include "local/ctrlint.h"
#include "local/meta.h"
#include "tls/key.h"

#define HASH_LABEL "pod-template-hash"
#define REVISION   "deployment.kubernetes.io/revision"

struct rollout {
	struct ctrls *c;
	const struct object *d;
	struct store_list sets;
	struct object *now; /* of the present template, among `sets`; NULL: none yet */
	int64_t want, surge, unavailable;
};

/* ---- templates ---- */

static struct json *bare_template(const struct json *of)
{
	struct json *t = json_copy(json_path(of, "spec.template"));
	struct json *labels = json_path(t, "metadata.labels");

	if (labels)
		json_remove(labels, HASH_LABEL);
	return t;
}

static bool has_template(const struct json *rs, const struct json *template)
{
	struct json *t = bare_template(rs);
	bool same = t && json_equal(t, template);

	json_free(t);
	return same;
}

static void hash_of(const struct json *template, int64_t salt, char out[11])
{
	static const char letters[] = "bcdfghjklmnpqrstvwxz2456789";
	uint8_t digest[SHA256_SIZE];
	struct buf b = BUF_INIT;

	json_write(template, 0, &b);
	if (salt)
		buf_printf(&b, "#%lld", (long long)salt);
	sha256(buf_slice(&b), digest);
	buf_fini(&b);
	for (int i = 0; i < 10; i++)
		out[i] = letters[digest[i] % (sizeof(letters) - 1)];
	out[10] = 0;
}

static int64_t revision_of(const struct json *obj)
{
	const char *text = meta_annotation(obj, REVISION);

	return text ? strtoll(text, NULL, 10) : 0;
}

static int64_t last_revision(const struct rollout *r)
{
	int64_t last = 0;

	for (size_t i = 0; i < r->sets.n; i++)
		if (revision_of(r->sets.v[i]->json) > last)
			last = revision_of(r->sets.v[i]->json);
	return last;
}

static void set_revision(struct json *obj, int64_t revision)
{
	char text[24];

	snprintf(text, sizeof(text), "%lld", (long long)revision);
	json_set_text(
		json_need_object(json_need_object(obj, "metadata"), "annotations"),
		REVISION, text);
}

/* ---- the new set ---- */

static struct json *new_set(const struct rollout *r, const char *hash)
{
	const struct json *d = r->d->json;
	struct json *rs, *spec, *labels;
	char name[300];

	snprintf(name, sizeof(name), "%.240s-%s", r->d->name, hash);
	rs = meta_new("apps/v1", "ReplicaSet", r->d->ns, name);
	meta_set_controller(rs, d);
	spec = json_need_object(rs, "spec");
	json_set_int(spec, "replicas", 0);
	if (json_path(d, "spec.minReadySeconds"))
		json_set_int(spec, "minReadySeconds",
			json_int_at(d, "spec.minReadySeconds", 0));
	json_set(spec, "selector", json_copy(json_path(d, "spec.selector")));
	json_set_text(json_need_object(json_get(spec, "selector"), "matchLabels"),
		HASH_LABEL, hash);
	json_set(spec, "template", json_copy(json_path(d, "spec.template")));
	labels = json_need_object(
		json_need_object(json_get(spec, "template"), "metadata"), "labels");
	json_set_text(labels, HASH_LABEL, hash);
	json_set(json_need_object(rs, "metadata"), "labels", json_copy(labels));
	set_revision(rs, last_revision(r) + 1);
	return rs;
}

/* By the template, or by the name made of it (should defaults have changed since). */
static void find_set(struct rollout *r)
{
	struct json *template = bare_template(r->d->json);
	char hash[11], name[300];

	hash_of(template, 0, hash);
	snprintf(name, sizeof(name), "%.240s-%s", r->d->name, hash);
	for (size_t i = 0; i < r->sets.n && !r->now; i++)
		if (strcmp(r->sets.v[i]->name, name) == 0 ||
			has_template(r->sets.v[i]->json, template))
			r->now = r->sets.v[i];
	json_free(template);
}

static void make_set(struct rollout *r)
{
	struct json *template = bare_template(r->d->json);
	char hash[11], name[300];
	int64_t salt = 0;

	do {
		hash_of(template, salt++, hash);
		snprintf(name, sizeof(name), "%.240s-%s", r->d->name, hash);
	} while (store_find(r->c->store, "replicasets.apps", r->d->ns, name));
	json_free(template);
	ctrl_create(
		r->c, CTRL_DEPLOY, r->d->json, "replicasets.apps", new_set(r, hash));
}

/* The newest set has the highest revision (an undo makes an old one the newest). */
static void keep_revision(struct rollout *r)
{
	struct store *s = r->c->store;
	int64_t last = last_revision(r);
	struct json *obj;

	if (revision_of(r->now->json) < last) {
		obj = json_copy(r->now->json);
		json_remove(json_get(obj, "metadata"), "resourceVersion");
		set_revision(obj, ++last);
		(void)store_update(
			s, "replicasets.apps", obj, STORE_NO_STATUS, NULL, NULL);
	}
	if (revision_of(r->d->json) != last) {
		obj = json_copy(r->d->json);
		json_remove(json_get(obj, "metadata"), "resourceVersion");
		set_revision(obj, last);
		(void)store_update(
			s, "deployments.apps", obj, STORE_NO_STATUS, NULL, NULL);
	}
}

/* ---- scaling ---- */

static int64_t replicas_of(const struct object *rs)
{
	return json_int_at(rs->json, "spec.replicas", 0);
}

static int64_t available_of(const struct object *rs)
{
	return json_int_at(rs->json, "status.availableReplicas", 0);
}

static void scale(struct rollout *r, struct object *rs, int64_t to)
{
	struct json *obj;
	char text[300];

	if (to < 0)
		to = 0;
	if (replicas_of(rs) == to)
		return;
	obj = json_copy(rs->json);
	json_remove(json_get(obj, "metadata"), "resourceVersion");
	json_set_int(json_get(obj, "spec"), "replicas", to);
	if (store_update(r->c->store, "replicasets.apps", obj, STORE_NO_STATUS, NULL,
		    NULL) != STORE_OK)
		return;
	snprintf(text, sizeof(text), "Scaled %s replica set %.200s from %lld to %lld",
		to > replicas_of(rs) ? "up" : "down", rs->name,
		(long long)replicas_of(rs), (long long)to);
	store_tell(r->c->store, "deployment-controller", r->d->json, "Normal",
		"ScalingReplicaSet", text);
}

/* "25%" of `n`, or a number. */
static int64_t portion(const struct json *j, int64_t n, bool up, int64_t other)
{
	const char *text = json_text(j);
	int64_t percent;

	if (!text)
		return json_int(j, other);
	percent = strtoll(text, NULL, 10);
	return (n * percent + (up ? 99 : 0)) / 100;
}

static void read_limits(struct rollout *r)
{
	const struct json *how = json_path(r->d->json, "spec.strategy.rollingUpdate");

	r->want = json_int_at(r->d->json, "spec.replicas", 1);
	r->surge = portion(json_get(how, "maxSurge"), r->want, true, 1);
	r->unavailable = portion(json_get(how, "maxUnavailable"), r->want, false, 0);
	if (r->surge <= 0 && r->unavailable <= 0)
		r->unavailable = 1;
}

static int64_t sum(const struct rollout *r, int64_t (*of)(const struct object *rs))
{
	int64_t n = 0;

	for (size_t i = 0; i < r->sets.n; i++)
		n += of(r->sets.v[i]);
	return n;
}

static int64_t min_of(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static void scale_new(struct rollout *r)
{
	int64_t have = replicas_of(r->now), total = sum(r, replicas_of);
	int64_t room = r->want + r->surge - total;

	if (have > r->want)
		scale(r, r->now, r->want);
	else if (have < r->want && room > 0)
		scale(r, r->now, have + min_of(room, r->want - have));
}

/* Pods that are not available go first: they cost nothing. */
static void scale_old(struct rollout *r)
{
	int64_t total = sum(r, replicas_of), floor_ = r->want - r->unavailable;
	int64_t missing = replicas_of(r->now) - available_of(r->now);
	int64_t budget = total - floor_ - missing;
	int64_t spare = sum(r, available_of) - floor_;

	for (size_t i = 0; i < r->sets.n && budget > 0; i++) {
		struct object *rs = r->sets.v[i];
		int64_t have = replicas_of(rs), dead, cut;

		if (rs == r->now || !have)
			continue;
		dead = have - available_of(rs);
		cut = min_of(dead, budget);
		if (spare > 0 && budget > cut) {
			int64_t more = min_of(min_of(have - cut, spare), budget - cut);

			cut += more;
			spare -= more;
		}
		if (cut > 0)
			scale(r, rs, have - cut);
		budget -= cut;
	}
}

static bool has_pods(const struct rollout *r, const struct object *rs)
{
	struct store_list pods;
	bool any;

	ctrl_owned(r->c, "pods", rs->ns, rs->uid, &pods);
	any = pods.n > 0;
	store_list_end(&pods);
	return any;
}

static void recreate(struct rollout *r)
{
	bool busy = false;

	for (size_t i = 0; i < r->sets.n; i++) {
		if (r->sets.v[i] == r->now)
			continue;
		scale(r, r->sets.v[i], 0);
		busy |= has_pods(r, r->sets.v[i]);
	}
	if (!busy)
		scale(r, r->now, r->want);
	else
		ctrl_queue(r->c, CTRL_DEPLOY, r->d->ns, r->d->name, NS_PER_S);
}

static void roll(struct rollout *r)
{
	const char *how = json_text_or(r->d->json, "spec.strategy.type", "");

	if (strcmp(how, "Recreate") == 0) {
		recreate(r);
		return;
	}
	scale_new(r);
	scale_old(r);
}

static void drop_old_sets(struct rollout *r)
{
	int64_t keep = json_int_at(r->d->json, "spec.revisionHistoryLimit", 10);
	int64_t last = last_revision(r);

	for (size_t i = 0; i < r->sets.n; i++) {
		const struct object *rs = r->sets.v[i];

		if (rs == r->now || replicas_of(rs) ||
			json_int_at(rs->json, "status.replicas", 0) ||
			revision_of(rs->json) >= last - keep)
			continue;
		(void)store_delete(r->c->store, "replicasets.apps", rs->ns, rs->name,
			NULL, NULL, NULL);
	}
}

/* ---- status ---- */

static int64_t status_sum(const struct rollout *r, const char *path)
{
	int64_t n = 0;

	for (size_t i = 0; i < r->sets.n; i++)
		n += json_int_at(r->sets.v[i]->json, path, 0);
	return n;
}

static void set_progress(struct rollout *r, struct json *status, bool done, bool moved)
{
	uint64_t now = store_now(r->c->store), since, limit;
	const struct json *c = condition_get(r->d->json, "Progressing");
	char when[CLOCK_TEXT], text[400];
	struct json *made;

	snprintf(text, sizeof(text), "ReplicaSet \"%.240s\" %s",
		r->now ? r->now->name : "",
		done ? "has successfully progressed." : "is progressing.");
	since = meta_time(c, "lastUpdateTime");
	limit = (uint64_t)json_int_at(r->d->json, "spec.progressDeadlineSeconds", 600) *
		NS_PER_S;
	if (moved || !since)
		since = now;
	if (!done && now >= since + limit)
		condition_set(status, "Progressing", "False",
			"ProgressDeadlineExceeded",
			"the ReplicaSet has timed out progressing.", now);
	else
		condition_set(status, "Progressing", "True",
			done ? "NewReplicaSetAvailable" : "ReplicaSetUpdated", text,
			now);
	if (!done && now < since + limit)
		ctrl_queue(
			r->c, CTRL_DEPLOY, r->d->ns, r->d->name, since + limit - now);
	clock_rfc3339(since, false, when);
	made = (struct json *)json_at(json_get(status, "conditions"), 0);
	for (; made; made = json_next(made))
		if (strcmp(json_text_or(made, "type", ""), "Progressing") == 0)
			json_set_text(made, "lastUpdateTime", when);
}

static void set_status(struct rollout *r)
{
	const struct json *was = json_get(r->d->json, "status");
	struct json *s = was ? json_copy(was) : json_object();
	int64_t total = status_sum(r, "status.replicas"),
		available = sum(r, available_of);
	int64_t updated = r->now ? json_int_at(r->now->json, "status.replicas", 0) : 0;
	uint64_t now = store_now(r->c->store);
	bool enough = available >= r->want - r->unavailable, done, moved;

	json_set_int(s, "observedGeneration",
		json_int_at(r->d->json, "metadata.generation", 1));
	json_set_int(s, "replicas", total);
	json_set_int(s, "updatedReplicas", updated);
	json_set_int(s, "readyReplicas", status_sum(r, "status.readyReplicas"));
	json_set_int(s, "availableReplicas", available);
	json_set_int(s, "unavailableReplicas",
		r->want > available ? r->want - available : 0);
	done = r->now && updated == r->want && total == updated && available >= r->want;
	moved = json_int_at(was, "updatedReplicas", -1) != updated ||
		json_int_at(was, "availableReplicas", -1) != available ||
		json_int_at(was, "replicas", -1) != total;
	condition_set(s, "Available", enough ? "True" : "False",
		enough ? "MinimumReplicasAvailable" : "MinimumReplicasUnavailable",
		enough ? "Deployment has minimum availability."
		       : "Deployment does not have minimum availability.",
		now);
	set_progress(r, s, done, moved);
	(void)store_set_status(
		r->c->store, "deployments.apps", r->d->ns, r->d->name, s, NULL);
}

static void step(struct rollout *r)
{
	bool paused = json_bool_at(r->d->json, "spec.paused", false);

	ctrl_owned(r->c, "replicasets.apps", r->d->ns, r->d->uid, &r->sets);
	read_limits(r);
	find_set(r);
	if (!r->now && !paused && !ctrl_pending(r->c, r->d->uid))
		make_set(r);
	if (r->now) {
		keep_revision(r);
		if (paused && r->sets.n == 1)
			scale(r, r->now, r->want);
		else if (!paused)
			roll(r);
		drop_old_sets(r);
	}
	set_status(r);
	store_list_end(&r->sets);
}

void ctrl_deploy(struct ctrls *c, const char *ns, const char *name)
{
	struct object *d = store_find(c->store, "deployments.apps", ns, name);
	struct rollout r = {.c = c, .d = d};

	if (!d || meta_is_deleted(d->json))
		return;
	object_ref(d);
	step(&r);
	object_unref(d);
}
