/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/obj.h"
#include "wire/patch.h"

/*
 * Lists that are merged, by field; all others are replaced.  `in`: only below that
 * field. `also` tells elements apart that have it (a port may be there for TCP and
 * UDP).
 */
struct merged {
	const char *field, *in, *key, *also;
};

#define PRIMITIVE "" /* the elements are values, merged as a set */

static const struct merged table[] = {
	{"containers", NULL, "name", NULL},
	{"initContainers", NULL, "name", NULL},
	{"ephemeralContainers", NULL, "name", NULL},
	{"volumes", NULL, "name", NULL},
	{"env", NULL, "name", NULL},
	{"volumeMounts", NULL, "mountPath", NULL},
	{"volumeDevices", NULL, "devicePath", NULL},
	{"imagePullSecrets", NULL, "name", NULL},
	{"hostAliases", NULL, "ip", NULL},
	{"topologySpreadConstraints", NULL, "topologyKey", NULL},
	{"resourceClaims", NULL, "name", NULL},
	{"schedulingGates", NULL, "name", NULL},
	{"ports", "containers", "containerPort", "protocol"},
	{"ports", "initContainers", "containerPort", "protocol"},
	{"ports", "ephemeralContainers", "containerPort", "protocol"},
	{"ports", "spec", "port", "protocol"},
	{"ownerReferences", NULL, "uid", NULL},
	{"finalizers", NULL, PRIMITIVE, NULL},
	{"podCIDRs", NULL, PRIMITIVE, NULL},
	{"secrets", NULL, "name", NULL},
	{"conditions", NULL, "type", NULL},
	{"addresses", "status", "type", NULL},
	{"podIPs", NULL, "ip", NULL},
	{"hostIPs", NULL, "ip", NULL},
	{"webhooks", NULL, "name", NULL},
};

static int merge_object(
	struct json *into, const struct json *patch, const char *below, struct err *e);

static const struct merged *merged_by(const char *field, const char *below)
{
	for (size_t i = 0; i < countof(table); i++) {
		const struct merged *m = &table[i];

		if (strcmp(m->field, field) == 0 &&
			(!m->in || (below && strcmp(m->in, below) == 0)))
			return m;
	}
	return NULL;
}

static const char *directive(const struct json *j)
{
	return json_text_or(j, "$patch", "");
}

/* ---- elements ---- */

static bool same_member(
	const struct json *a, const struct json *b, const char *key, const char *preset)
{
	struct json *x = json_get(a, key), *y = json_get(b, key);

	if (preset && (!x || !y)) /* an absent protocol is TCP */
		return strcmp(json_text_or(a, key, preset),
			       json_text_or(b, key, preset)) == 0;
	return x && y && json_equal(x, y);
}

static bool same_element(
	const struct merged *m, const struct json *a, const struct json *b)
{
	if (*m->key == '\0')
		return json_equal(a, b);
	return same_member(a, b, m->key, NULL) &&
	       (!m->also || same_member(a, b, m->also, "TCP"));
}

static struct json *find_element(
	const struct merged *m, const struct json *list, const struct json *like)
{
	json_each(it, list)
	{
		if (same_element(m, it, like))
			return it;
	}
	return NULL;
}

/* A copy of what a patch brings, without the words that steer it. */
static struct json *plain_copy(const struct json *patch)
{
	struct json *j = json_copy(patch), *next;

	for (struct json *it = json_first(j); it; it = next) {
		next = json_next(it);
		if (json_kind(j) == JSON_OBJECT &&
			(json_key(it)[0] == '$' || json_kind(it) == JSON_NULL)) {
			json_free(json_detach(j, it));
		} else if (json_first(it)) {
			json_replace(j, it, plain_copy(it));
		}
	}
	return j;
}

static int merge_element(
	struct json *list, const struct json *it, const struct merged *m, struct err *e)
{
	struct json *have;

	if (*m->key && !json_get(it, m->key))
		return err_set(
			e, ERR_SYNTAX, "an element of %s has no %s", m->field, m->key);
	have = find_element(m, list, it);
	if (strcmp(directive(it), "delete") == 0) {
		for (; have; have = find_element(m, list, it))
			json_free(json_detach(list, have));
	} else if (*m->key == '\0') {
		if (!have)
			json_push(list, plain_copy(it));
	} else {
		if (!have)
			have = json_push(list, json_object());
		return merge_object(have, it, m->field, e);
	}
	return 0;
}

/* An element {"$patch": "replace"} speaks for the whole list. */
static bool replaces_list(const struct json *patch)
{
	json_each(it, patch)
	{
		if (strcmp(directive(it), "replace") == 0 && json_count(it) == 1)
			return true;
	}
	return false;
}

static int merge_list(struct json *list, const struct json *patch,
	const struct merged *m, struct err *e)
{
	bool replace = replaces_list(patch);

	while (replace && json_first(list))
		json_free(json_detach(list, json_first(list)));
	json_each(it, patch)
	{
		if (replace && *directive(it))
			continue;
		if (merge_element(list, it, m, e))
			return -1;
	}
	return 0;
}

/* ---- directives beside a field ---- */

static void delete_values(struct json *list, const struct json *values)
{
	static const struct merged by_value = {.key = PRIMITIVE};

	json_each(it, values)
	{
		struct json *have = find_element(&by_value, list, it);

		for (; have; have = find_element(&by_value, list, it))
			json_free(json_detach(list, have));
	}
}

static long place_of(
	const struct merged *m, const struct json *list, const struct json *like)
{
	long i = 0;

	json_each(it, list)
	{
		if (same_element(m, it, like))
			return i;
		i++;
	}
	return -1;
}

/*
 * Elements that `order` names come in its order; the others keep their places among
 * them as the list had them before (`was`).
 */
static void set_order(struct json *list, const struct json *order,
	const struct json *was, const struct merged *m)
{
	struct json *ordered = json_list(), *a, *b;

	json_each(it, order)
	{
		struct json *have = find_element(m, list, it);

		if (have)
			json_push(ordered, json_detach(list, have));
	}
	a = json_first(list);
	while ((b = json_first(ordered))) {
		long place = place_of(m, was, b);

		while (a && (place < 0 || place_of(m, was, a) < place))
			a = json_next(a);
		b = json_detach(ordered, b);
		if (a)
			json_insert(list, (size_t)place_of(m, list, a), b);
		else
			json_push(list, b);
	}
	json_free(ordered);
}

static void retain_keys(struct json *into, const struct json *keys)
{
	struct json *next;

	for (struct json *it = json_first(into); it; it = next) {
		bool keep = false;

		next = json_next(it);
		json_each(key, keys)
		{
			const char *text = json_text(key);

			keep |= text && strcmp(text, json_key(it)) == 0;
		}
		if (!keep)
			json_free(json_detach(into, it));
	}
}

#define ORDER  "$setElementOrder/"
#define DELETE "$deleteFromPrimitiveList/"

static bool starts(const char *text, const char *head)
{
	return strncmp(text, head, strlen(head)) == 0;
}

/* "$…/field" once the fields are merged. */
static void after_merge(struct json *into, const struct json *was,
	const struct json *patch, const char *below)
{
	json_each(it, patch)
	{
		const char *key = json_key(it), *field = strchr(key, '/');
		const struct merged *m = field ? merged_by(field + 1, below) : NULL;

		if (starts(key, DELETE))
			delete_values(json_get(into, field + 1), it);
		else if (starts(key, ORDER) && m && json_get(into, field + 1))
			set_order(json_get(into, field + 1), it,
				json_get(was, field + 1), m);
	}
}

/* ---- objects ---- */

static int merge_field(struct json *into, const char *key, const struct json *value,
	const char *below, struct err *e)
{
	const struct merged *m = merged_by(key, below);

	if (json_kind(value) == JSON_NULL) {
		json_remove(into, key);
	} else if (json_kind(value) == JSON_OBJECT &&
		   strcmp(directive(value), "delete") == 0) {
		json_remove(into, key);
	} else if (json_kind(value) == JSON_OBJECT) {
		return merge_object(json_need_object(into, key), value, key, e);
	} else if (json_kind(value) == JSON_LIST && m) {
		return merge_list(json_need_list(into, key), value, m, e);
	} else {
		json_set(into, key, plain_copy(value));
	}
	return 0;
}

static void clear(struct json *obj)
{
	while (json_first(obj))
		json_free(json_detach(obj, json_first(obj)));
}

static bool has_order(const struct json *patch)
{
	json_each(it, patch)
	{
		if (starts(json_key(it), ORDER))
			return true;
	}
	return false;
}

static int merge_object(
	struct json *into, const struct json *patch, const char *below, struct err *e)
{
	const char *word = directive(patch);
	struct json *was = has_order(patch) ? json_copy(into) : NULL;
	int rc = 0;

	if (*word && strcmp(word, "merge") != 0 && strcmp(word, "replace") != 0 &&
		strcmp(word, "delete") != 0)
		rc = err_set(e, ERR_SYNTAX, "$patch: \"%s\" is no directive", word);
	if (strcmp(word, "replace") == 0 || strcmp(word, "delete") == 0)
		clear(into);
	if (json_get(patch, "$retainKeys"))
		retain_keys(into, json_get(patch, "$retainKeys"));
	json_each(it, patch)
	{
		if (rc == 0 && json_key(it)[0] != '$')
			rc = merge_field(into, json_key(it), it, below, e);
	}
	if (rc == 0)
		after_merge(into, was, patch, below);
	json_free(was);
	return rc;
}

int patch_strategic(struct json **doc, const struct json *patch, struct err *e)
{
	struct json *out;

	if (json_kind(patch) != JSON_OBJECT || json_kind(*doc) != JSON_OBJECT)
		return err_set(e, ERR_SYNTAX, "a strategic merge patch is an object");
	out = json_copy(*doc);
	if (merge_object(out, patch, NULL, e)) {
		json_free(out);
		return err_wrap(e, "strategic merge patch");
	}
	json_free(*doc);
	*doc = out;
	return 0;
}
