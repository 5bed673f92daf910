/* SPDX-License-Identifier: Apache-2.0 */
#include "local/meta.h"

#include "base/clock.h"

const char *meta_ns(const struct json *obj)
{
	return json_text_or(json_get(obj, "metadata"), "namespace", "");
}

const char *meta_name(const struct json *obj)
{
	return json_text_or(json_get(obj, "metadata"), "name", "");
}

const char *meta_uid(const struct json *obj)
{
	return json_text_or(json_get(obj, "metadata"), "uid", "");
}

bool meta_is_deleted(const struct json *obj)
{
	return json_text(json_path(obj, "metadata.deletionTimestamp")) != NULL;
}

const char *meta_label(const struct json *obj, const char *key)
{
	return json_text(json_get(json_path(obj, "metadata.labels"), key));
}

const char *meta_annotation(const struct json *obj, const char *key)
{
	return json_text(json_get(json_path(obj, "metadata.annotations"), key));
}

uint64_t meta_time(const struct json *obj, const char *path)
{
	const char *text = json_text_at(obj, path);
	uint64_t ns;

	return text && clock_parse(slice_of(text), &ns) ? ns : 0;
}

const struct json *meta_controller(const struct json *obj)
{
	json_each(o, json_path(obj, "metadata.ownerReferences"))
	{
		if (json_bool_at(o, "controller", false))
			return o;
	}
	return NULL;
}

bool meta_is_owned_by(const struct json *obj, const char *uid)
{
	json_each(o, json_path(obj, "metadata.ownerReferences"))
	{
		if (strcmp(json_text_or(o, "uid", ""), uid) == 0)
			return true;
	}
	return false;
}

void meta_set_controller(struct json *obj, const struct json *owner)
{
	struct json *meta = json_need_object(obj, "metadata");
	struct json *ref =
		json_push(json_need_list(meta, "ownerReferences"), json_object());

	json_set_text(ref, "apiVersion", json_text_or(owner, "apiVersion", ""));
	json_set_text(ref, "kind", json_text_or(owner, "kind", ""));
	json_set_text(ref, "name", meta_name(owner));
	json_set_text(ref, "uid", meta_uid(owner));
	json_set_bool(ref, "controller", true);
	json_set_bool(ref, "blockOwnerDeletion", true);
}

struct json *meta_new(
	const char *api_version, const char *kind, const char *ns, const char *name)
{
	struct json *obj = json_object();
	struct json *meta;

	json_set_text(obj, "apiVersion", api_version);
	json_set_text(obj, "kind", kind);
	meta = json_need_object(obj, "metadata");
	json_set_text(meta, "name", name);
	if (ns && *ns)
		json_set_text(meta, "namespace", ns);
	return obj;
}

static struct json *find_condition(struct json *list, const char *type)
{
	json_each(c, list)
	{
		if (strcmp(json_text_or(c, "type", ""), type) == 0)
			return c;
	}
	return NULL;
}

const struct json *condition_get(const struct json *obj, const char *type)
{
	return find_condition(json_path(obj, "status.conditions"), type);
}

bool condition_is(const struct json *obj, const char *type, const char *status)
{
	return strcmp(json_text_or(condition_get(obj, type), "status", ""), status) ==
	       0;
}

void condition_set(struct json *status, const char *type, const char *value,
	const char *reason, const char *message, uint64_t now)
{
	struct json *list = json_need_list(status, "conditions");
	struct json *c = find_condition(list, type);
	char when[CLOCK_TEXT];

	clock_rfc3339(now, false, when);
	if (!c) {
		c = json_push(list, json_object());
		json_set_text(c, "type", type);
	}
	if (strcmp(json_text_or(c, "status", ""), value) != 0)
		json_set_text(c, "lastTransitionTime", when);
	json_set_text(c, "status", value);
	json_set_text(c, "reason", reason);
	json_set_text(c, "message", message);
}

bool pod_is_ready(const struct json *pod)
{
	return condition_is(pod, "Ready", "True");
}

bool pod_is_over(const struct json *pod)
{
	const char *phase = json_text_or(pod, "status.phase", "");

	return strcmp(phase, "Succeeded") == 0 || strcmp(phase, "Failed") == 0;
}
