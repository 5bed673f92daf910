/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIRE_JSON_NODE_H
#define WIRE_JSON_NODE_H

/*
 * Private to json*.c: a `struct json` is a cJSON node.
 *
 * cJSON gives the tree and its editing.  Its parser and printer are not used: they hold
 * numbers as doubles (a resourceVersion or a 64-bit counter would be rounded), accept
 * what RFC 8259 forbids, and say no line.  A whole number that fits int64_t is a
 * cJSON_Number with JSON_WHOLE set, whose eight bytes of `valuedouble` are the integer.
 */
#include <cjson/cJSON.h>
#include <string.h>

#include "base/obj.h"
#include "wire/json.h"

#define JSON_DEPTH 100
#define JSON_WHOLE (1 << 16) /* in cJSON.type; the library uses the lowest ten bits */

static inline cJSON *node_of(const struct json *j)
{
	return (cJSON *)(void *)j;
}

static inline struct json *json_of(const cJSON *n)
{
	return (struct json *)(void *)n;
}

static inline int node_type(const cJSON *n)
{
	return n ? n->type & 0xff : cJSON_Invalid;
}

static inline bool node_is_whole(const cJSON *n)
{
	return n && (n->type & JSON_WHOLE);
}

static inline int64_t node_whole(const cJSON *n)
{
	int64_t v;

	_Static_assert(sizeof v == sizeof n->valuedouble, "an integer fits a double");
	memcpy(&v, &n->valuedouble, sizeof v);
	return v;
}

/* What cJSON returned, unless memory is out. */
static inline cJSON *node_must(cJSON *n)
{
	must(n);
	return n;
}

cJSON *node_integer(int64_t v);

/* Appends to a list, or to an object under `key` (copied); no look for duplicates. */
void node_append(cJSON *parent, cJSON *child);
void node_append_key(cJSON *parent, struct slice key, cJSON *child);

/* A key that `obj` has twice, borrowed from it, or NULL. */
const char *node_repeated_key(const cJSON *obj);
enum node_keep { KEEP_FIRST, KEEP_LAST };
void node_drop_repeated(cJSON *obj, enum node_keep keep);

#endif
