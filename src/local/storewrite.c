/* SPDX-License-Identifier: Apache-2.0 */
/* Changes: each is logged, then made, then told. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/obj.h"
#include "local/meta.h"
#include "local/storeint.h"

static void set_version(struct json *obj, uint64_t version)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)version);
	json_set_text(json_need_object(obj, "metadata"), "resourceVersion", text);
}

/* Takes `obj`.  Logs it under the next version, puts it, tells. */
static enum store_result commit(struct store *s, const char *res, enum store_what what,
	struct json *obj, struct object **out, struct err *e)
{
	struct bucket *b = store_bucket(s, res, true);
	struct object *old = store_find(s, res, meta_ns(obj), meta_name(obj));
	struct object *now;
	bool gone = what == STORE_DELETED;

	set_version(obj, s->version + 1);
	if (store_log_write(
		    s, res, meta_ns(obj), meta_name(obj), gone ? NULL : obj, e) < 0) {
		json_free(obj);
		return STORE_FAILED;
	}
	s->version++;
	now = object_new(obj, s->version);
	if (old)
		object_ref(old);
	if (gone)
		bucket_drop(b, now->ns, now->name);
	else
		bucket_put(b, object_ref(now));
	store_publish(s, what, b->res, now, old);
	object_unref(old);
	object_unref(now); /* the bucket or the history holds it */
	if (out)
		*out = gone ? NULL : now;
	return STORE_OK;
}

static void set_generated_name(struct store *s, const char *res, struct json *obj)
{
	static const char letters[] = "bcdfghjklmnpqrstvwxz2456789";
	struct json *meta = json_need_object(obj, "metadata");
	const char *base = json_text_or(meta, "generateName", "");
	char name[300], tail[6];

	do {
		for (int i = 0; i < 5; i++)
			tail[i] = letters[random_u64() % (sizeof(letters) - 1)];
		tail[5] = 0;
		snprintf(name, sizeof(name), "%.58s%s", base, tail);
	} while (store_find(s, res, meta_ns(obj), name));
	json_set_text(meta, "name", name);
}

static void set_uid(struct json *meta)
{
	uint64_t a = random_u64(), b = random_u64();
	char text[40];

	snprintf(text, sizeof(text), "%08x-%04x-4%03x-%04x-%04x%08x",
		(unsigned)(a >> 32), (unsigned)(a >> 16) & 0xffff, (unsigned)a & 0xfff,
		(unsigned)((b >> 48) & 0x3fff) | 0x8000, (unsigned)(b >> 32) & 0xffff,
		(unsigned)b);
	json_set_text(meta, "uid", text);
}

enum store_result store_create(struct store *s, const char *res, struct json *obj,
	struct object **out, struct err *e)
{
	struct json *meta = json_need_object(obj, "metadata");
	char when[CLOCK_TEXT];

	if (!*meta_name(obj) && *json_text_or(meta, "generateName", ""))
		set_generated_name(s, res, obj);
	if (!*meta_name(obj)) {
		json_free(obj);
		err_set(e, ERR_SYNTAX, "metadata.name: Required value");
		return STORE_INVALID;
	}
	if (store_find(s, res, meta_ns(obj), meta_name(obj))) {
		err_set(e, ERR_BUSY, "%s \"%s\" already exists", res, meta_name(obj));
		json_free(obj);
		return STORE_EXISTS;
	}
	clock_rfc3339(store_now(s), false, when);
	json_set_text(meta, "creationTimestamp", when);
	set_uid(meta);
	json_set_int(meta, "generation", 1);
	json_remove(meta, "deletionTimestamp");
	json_remove(meta, "deletionGracePeriodSeconds");
	return commit(s, res, STORE_ADDED, obj, out, e);
}

/* Only the store writes these. */
static const char *const kept_meta[] = {"uid", "creationTimestamp", "generation",
	"deletionTimestamp", "deletionGracePeriodSeconds", "generateName",
	"resourceVersion", "selfLink"};

static void keep_member(struct json *to, const struct json *from, const char *key)
{
	const struct json *value = json_get(from, key);

	if (value)
		json_set(to, key, json_copy(value));
	else
		json_remove(to, key);
}

static void keep_meta(struct json *to, const struct json *from)
{
	struct json *meta = json_need_object(to, "metadata");

	for (size_t i = 0; i < countof(kept_meta); i++)
		keep_member(meta, json_get(from, "metadata"), kept_meta[i]);
}

/* What an update makes of the old object and the given one.  Takes `obj`. */
static struct json *merge_part(
	const struct json *old, struct json *obj, enum store_part part)
{
	struct json *whole;

	if (part == STORE_STATUS) {
		whole = json_copy(old);
		keep_member(whole, obj, "status");
		json_free(obj);
		return whole;
	}
	keep_meta(obj, old);
	if (part == STORE_NO_STATUS)
		keep_member(obj, old, "status");
	return obj;
}

static bool is_same_but(const struct json *a, const struct json *b)
{
	json_each(m, a)
	{
		const char *key = json_key(m);

		if (strcmp(key, "metadata") == 0 || strcmp(key, "status") == 0)
			continue;
		if (!json_equal(m, json_get(b, key)))
			return false;
	}
	return true;
}

static bool has_same_spec(const struct json *a, const struct json *b)
{
	return is_same_but(a, b) && is_same_but(b, a);
}

/* A namespace is held by what it says itself, too: its objects must go first. */
static bool is_held(const struct json *obj)
{
	if (json_count(json_path(obj, "metadata.finalizers")))
		return true;
	return strcmp(json_text_or(obj, "kind", ""), "Namespace") == 0 &&
	       json_count(json_path(obj, "spec.finalizers"));
}

static bool is_ended(const struct json *obj)
{
	return meta_is_deleted(obj) && !is_held(obj) &&
	       json_int_at(obj, "metadata.deletionGracePeriodSeconds", 0) == 0;
}

static enum store_result check_current(
	const struct object *o, const char *uid, const char *version, struct err *e)
{
	char now[24];

	snprintf(now, sizeof(now), "%llu", (unsigned long long)o->version);
	if (uid && *uid && strcmp(uid, o->uid) != 0) {
		err_set(e, ERR_BUSY,
			"Precondition failed: UID in precondition: %s, UID in object "
			"meta: %s",
			uid, o->uid);
		return STORE_CONFLICT;
	}
	if (version && *version && strcmp(version, now) != 0) {
		err_set(e, ERR_BUSY,
			"the object has been modified; please apply your changes to "
			"the latest version and try again");
		return STORE_CONFLICT;
	}
	return STORE_OK;
}

static enum store_result missing(const char *res, const char *name, struct err *e)
{
	err_set(e, ERR_MISSING, "%s \"%s\" not found", res, name);
	return STORE_MISSING;
}

struct json *store_updated(
	const struct json *old, struct json *obj, enum store_part part)
{
	obj = merge_part(old, obj, part);
	if (!has_same_spec(obj, old))
		json_set_int(json_get(obj, "metadata"), "generation",
			json_int_at(obj, "metadata.generation", 0) + 1);
	return obj;
}

enum store_result store_update(struct store *s, const char *res, struct json *obj,
	enum store_part part, struct object **out, struct err *e)
{
	struct object *old = store_find(s, res, meta_ns(obj), meta_name(obj));
	enum store_result r;

	if (!old) {
		r = missing(res, meta_name(obj), e);
		json_free(obj);
		return r;
	}
	r = check_current(
		old, meta_uid(obj), json_text_at(obj, "metadata.resourceVersion"), e);
	if (r != STORE_OK) {
		json_free(obj);
		return r;
	}
	obj = store_updated(old->json, obj, part);
	if (json_equal(obj, old->json)) {
		json_free(obj);
		if (out)
			*out = old;
		return STORE_OK;
	}
	return commit(
		s, res, is_ended(obj) ? STORE_DELETED : STORE_MODIFIED, obj, out, e);
}

enum store_result store_set_status(struct store *s, const char *res, const char *ns,
	const char *name, struct json *status, struct err *e)
{
	struct json *obj = json_object();
	struct json *meta = json_need_object(obj, "metadata");

	json_set_text(meta, "namespace", ns ? ns : "");
	json_set_text(meta, "name", name);
	json_set(obj, "status", status);
	return store_update(s, res, obj, STORE_STATUS, NULL, e);
}

/* Seconds the object may take to end before it is removed. */
static int64_t grace_of(const char *res, const struct json *obj, int64_t asked)
{
	const char *phase = json_text_or(obj, "status.phase", "");

	if (strcmp(res, "pods") != 0 || !*json_text_or(obj, "spec.nodeName", ""))
		return 0;
	if (strcmp(phase, "Succeeded") == 0 || strcmp(phase, "Failed") == 0)
		return 0;
	if (asked >= 0)
		return asked;
	return json_int_at(obj, "spec.terminationGracePeriodSeconds", 30);
}

static void add_finalizer(struct json *obj, const char *name)
{
	struct json *all =
		json_need_list(json_need_object(obj, "metadata"), "finalizers");

	json_each(f, all)
	{
		if (json_text(f) && strcmp(json_text(f), name) == 0)
			return;
	}
	json_push(all, json_string(name));
}

/* Marks `obj`; true when that changed it. */
static bool mark(struct store *s, struct json *obj, int64_t grace)
{
	struct json *meta = json_get(obj, "metadata");
	int64_t had = json_int_at(meta, "deletionGracePeriodSeconds", -1);
	char when[CLOCK_TEXT];

	if (meta_is_deleted(obj) && had >= 0 && grace >= had)
		return false;
	clock_rfc3339(store_now(s) + (uint64_t)grace * NS_PER_S, false, when);
	json_set_text(meta, "deletionTimestamp", when);
	json_set_int(meta, "deletionGracePeriodSeconds", grace);
	if (had < 0)
		json_set_int(
			meta, "generation", json_int_at(meta, "generation", 1) + 1);
	return true;
}

enum store_result store_delete(struct store *s, const char *res, const char *ns,
	const char *name, const struct store_delete *how, struct object **out,
	struct err *e)
{
	static const struct store_delete plain = {.grace = -1};
	struct object *old = store_find(s, res, ns, name);
	struct json *obj;
	enum store_result r;
	int64_t grace;

	if (!how)
		how = &plain;
	if (!old)
		return missing(res, name, e);
	r = check_current(old, how->uid, how->version, e);
	if (r != STORE_OK)
		return r;
	obj = json_copy(old->json);
	grace = grace_of(res, obj, how->grace);
	if (how->foreground)
		add_finalizer(obj, "foregroundDeletion");
	if (!mark(s, obj, grace)) {
		json_free(obj);
		if (out)
			*out = old;
		return STORE_OK;
	}
	return commit(
		s, res, is_ended(obj) ? STORE_DELETED : STORE_MODIFIED, obj, out, e);
}
