/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/json.h"

#include <stdlib.h>

#include "wire/json_node.h"

void json_free(struct json *j)
{
	cJSON_Delete(node_of(j));
}

struct json *json_copy(const struct json *j)
{
	cJSON *n;

	if (!j)
		return NULL;
	n = node_must(cJSON_Duplicate(node_of(j), true));
	free(n->string);
	n->string = NULL;
	return json_of(n);
}

enum json_kind json_kind(const struct json *j)
{
	switch (node_type(node_of(j))) {
	case cJSON_NULL:
		return JSON_NULL;
	case cJSON_False:
	case cJSON_True:
		return JSON_BOOL;
	case cJSON_Number:
		return node_is_whole(node_of(j)) ? JSON_INT : JSON_REAL;
	case cJSON_String:
		return JSON_TEXT;
	case cJSON_Array:
		return JSON_LIST;
	case cJSON_Object:
		return JSON_OBJECT;
	default:
		return JSON_NONE;
	}
}

static bool has_members(const struct json *j)
{
	enum json_kind kind = json_kind(j);

	return kind == JSON_LIST || kind == JSON_OBJECT;
}

/* ---- reading ---- */

static struct json *get_slice(const struct json *obj, struct slice key)
{
	if (json_kind(obj) != JSON_OBJECT)
		return NULL;
	json_each(it, obj)
	{
		const char *have = node_of(it)->string;

		if (strncmp(have, key.p, key.n) == 0 && have[key.n] == '\0')
			return it;
	}
	return NULL;
}

struct json *json_get(const struct json *obj, const char *key)
{
	return get_slice(obj, slice_of(key));
}

static struct json *step(const struct json *j, struct slice name)
{
	uint64_t i = 0;

	if (json_kind(j) != JSON_LIST)
		return get_slice(j, name);
	if (name.n == 0 || name.n > 9)
		return NULL;
	for (size_t k = 0; k < name.n; k++) {
		if (name.p[k] < '0' || name.p[k] > '9')
			return NULL;
		i = i * 10 + (uint64_t)(name.p[k] - '0');
	}
	return json_at(j, i);
}

struct json *json_path(const struct json *j, const char *path)
{
	struct json *at = json_of(node_of(j));

	while (at && path) {
		const char *dot = strchr(path, '.');
		size_t n = dot ? (size_t)(dot - path) : strlen(path);

		at = step(at, slice_bytes(path, n));
		path = dot ? dot + 1 : NULL;
	}
	return at;
}

struct json *json_at(const struct json *list, size_t i)
{
	json_each(it, list)
	{
		if (i-- == 0)
			return it;
	}
	return NULL;
}

size_t json_count(const struct json *j)
{
	size_t n = 0;

	json_each(it, j)
	{
		n++;
	}
	return n;
}

const char *json_key(const struct json *member)
{
	return member ? node_of(member)->string : NULL;
}

const char *json_text(const struct json *j)
{
	return json_kind(j) == JSON_TEXT ? node_of(j)->valuestring : NULL;
}

const char *json_text_at(const struct json *j, const char *path)
{
	return json_text(json_path(j, path));
}

const char *json_text_or(const struct json *j, const char *path, const char *other)
{
	const char *text = json_text_at(j, path);

	return text ? text : other;
}

int64_t json_int(const struct json *j, int64_t other)
{
	const cJSON *n = node_of(j);

	if (node_is_whole(n))
		return node_whole(n);
	/* 1e3 and 2.0 are whole as well. */
	if (node_type(n) == cJSON_Number && n->valuedouble >= -0x1p53 &&
		n->valuedouble <= 0x1p53 &&
		(double)(int64_t)n->valuedouble == n->valuedouble)
		return (int64_t)n->valuedouble;
	return other;
}

int64_t json_int_at(const struct json *j, const char *path, int64_t other)
{
	return json_int(json_path(j, path), other);
}

double json_real(const struct json *j, double other)
{
	const cJSON *n = node_of(j);

	if (node_is_whole(n))
		return (double)node_whole(n);
	return node_type(n) == cJSON_Number ? n->valuedouble : other;
}

bool json_bool_at(const struct json *j, const char *path, bool other)
{
	int type = node_type(node_of(json_path(j, path)));

	if (type == cJSON_True)
		return true;
	return type == cJSON_False ? false : other;
}

struct json *json_first(const struct json *j)
{
	return has_members(j) ? json_of(node_of(j)->child) : NULL;
}

struct json *json_next(const struct json *member)
{
	return member ? json_of(node_of(member)->next) : NULL;
}

/* ---- comparing ---- */

static bool numbers_equal(const struct json *a, const struct json *b)
{
	if (node_is_whole(node_of(a)) && node_is_whole(node_of(b)))
		return node_whole(node_of(a)) == node_whole(node_of(b));
	return json_real(a, 0) == json_real(b, 0);
}

static bool lists_equal(const struct json *a, const struct json *b)
{
	const struct json *y = json_first(b);

	json_each(x, a)
	{
		if (!y || !json_equal(x, y))
			return false;
		y = json_next(y);
	}
	return y == NULL;
}

/* Members usually come in the same order: look there before searching. */
static bool objects_equal(const struct json *a, const struct json *b)
{
	const struct json *hint = json_first(b);
	size_t n = 0;

	json_each(x, a)
	{
		const struct json *y = hint;

		if (!y || strcmp(json_key(x), json_key(y)) != 0)
			y = json_get(b, json_key(x));
		if (!y || !json_equal(x, y))
			return false;
		hint = json_next(y);
		n++;
	}
	return json_count(b) == n;
}

static bool is_number(enum json_kind kind)
{
	return kind == JSON_INT || kind == JSON_REAL;
}

bool json_equal(const struct json *a, const struct json *b)
{
	enum json_kind kind = json_kind(a);

	if (is_number(kind) && is_number(json_kind(b)))
		return numbers_equal(a, b);
	if (kind != json_kind(b))
		return false;
	switch (kind) {
	case JSON_BOOL:
		return node_type(node_of(a)) == node_type(node_of(b));
	case JSON_TEXT:
		return strcmp(json_text(a), json_text(b)) == 0;
	case JSON_LIST:
		return lists_equal(a, b);
	case JSON_OBJECT:
		return objects_equal(a, b);
	case JSON_NONE:
	case JSON_NULL:
	case JSON_INT:
	case JSON_REAL:
		break;
	}
	return true;
}
