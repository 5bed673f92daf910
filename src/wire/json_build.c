/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>

#include "wire/json.h"
#include "wire/json_node.h"

struct json *json_object(void)
{
	return json_of(node_must(cJSON_CreateObject()));
}

struct json *json_list(void)
{
	return json_of(node_must(cJSON_CreateArray()));
}

struct json *json_string_n(struct slice s)
{
	cJSON *n = node_must(cJSON_CreateNull());
	char *text = malloc(s.n + 1);

	must(text);
	if (s.n)
		memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	n->type = cJSON_String;
	n->valuestring = text;
	return json_of(n);
}

struct json *json_string(const char *text)
{
	return json_string_n(slice_of(text));
}

cJSON *node_integer(int64_t v)
{
	cJSON *n = node_must(cJSON_CreateNull());

	n->type = cJSON_Number | JSON_WHOLE;
	memcpy(&n->valuedouble, &v, sizeof v);
	return n;
}

struct json *json_integer(int64_t n)
{
	return json_of(node_integer(n));
}

/* JSON has no word for NaN and infinity: null, as JavaScript writes them. */
struct json *json_number(double n)
{
	if (!isfinite(n))
		return json_null();
	return json_of(node_must(cJSON_CreateNumber(n)));
}

struct json *json_boolean(bool b)
{
	return json_of(node_must(cJSON_CreateBool(b)));
}

struct json *json_null(void)
{
	return json_of(node_must(cJSON_CreateNull()));
}

/* ---- putting together ---- */

static void drop_key(cJSON *n)
{
	free(n->string);
	n->string = NULL;
}

static void give_key(cJSON *n, struct slice key)
{
	char *copy = malloc(key.n + 1);

	must(copy);
	if (key.n)
		memcpy(copy, key.p, key.n);
	copy[key.n] = '\0';
	drop_key(n);
	n->string = copy;
}

void node_append(cJSON *parent, cJSON *child)
{
	must(cJSON_AddItemToArray(parent, child));
}

void node_append_key(cJSON *parent, struct slice key, cJSON *child)
{
	give_key(child, key);
	node_append(parent, child);
}

struct json *json_set(struct json *obj, const char *key, struct json *value)
{
	struct json *old = json_get(obj, key);

	must(json_kind(obj) == JSON_OBJECT && value);
	if (old == value)
		return value;
	if (old) {
		give_key(node_of(value), slice_of(key));
		must(cJSON_ReplaceItemViaPointer(
			node_of(obj), node_of(old), node_of(value)));
	} else {
		node_append_key(node_of(obj), slice_of(key), node_of(value));
	}
	return value;
}

struct json *json_set_text(struct json *obj, const char *key, const char *text)
{
	return json_set(obj, key, json_string(text));
}

struct json *json_set_int(struct json *obj, const char *key, int64_t n)
{
	return json_set(obj, key, json_integer(n));
}

struct json *json_set_bool(struct json *obj, const char *key, bool b)
{
	return json_set(obj, key, json_boolean(b));
}

struct json *json_push(struct json *list, struct json *value)
{
	must(json_kind(list) == JSON_LIST && value);
	drop_key(node_of(value));
	node_append(node_of(list), node_of(value));
	return value;
}

struct json *json_insert(struct json *list, size_t i, struct json *value)
{
	must(json_kind(list) == JSON_LIST && value);
	if (!json_at(list, i))
		return json_push(list, value);
	drop_key(node_of(value));
	must(cJSON_InsertItemInArray(node_of(list), (int)i, node_of(value)));
	return value;
}

struct json *json_need_object(struct json *obj, const char *key)
{
	struct json *have = json_get(obj, key);

	if (json_kind(have) == JSON_OBJECT)
		return have;
	return json_set(obj, key, json_object());
}

struct json *json_need_list(struct json *obj, const char *key)
{
	struct json *have = json_get(obj, key);

	if (json_kind(have) == JSON_LIST)
		return have;
	return json_set(obj, key, json_list());
}

/* ---- taking apart ---- */

struct json *json_detach(struct json *parent, struct json *member)
{
	cJSON *n;

	if (!parent || !member)
		return NULL;
	n = cJSON_DetachItemViaPointer(node_of(parent), node_of(member));
	if (n)
		drop_key(n);
	return json_of(n);
}

void json_remove(struct json *obj, const char *key)
{
	json_free(json_detach(obj, json_get(obj, key)));
}

void json_replace(struct json *parent, struct json *member, struct json *value)
{
	must(parent && member && value);
	if (member == value)
		return;
	if (json_key(member))
		give_key(node_of(value), slice_of(json_key(member)));
	else
		drop_key(node_of(value));
	must(cJSON_ReplaceItemViaPointer(
		node_of(parent), node_of(member), node_of(value)));
}
