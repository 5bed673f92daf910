/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIRE_JSON_H
#define WIRE_JSON_H

/*
 * JSON values as a tree.  The library behind it stays behind it.
 *
 * A tree has one owner, who frees the root; what the getters return is borrowed from
 * it. Getters accept NULL and values of another kind and then return the "absent"
 * answer, so that paths may be followed without a check at every step.  Depth is
 * limited (100), size by the caller.  Whole numbers keep 64 bits.
 */
#include "base/buf.h"
#include "base/err.h"

struct json;

struct json *json_parse(
	struct slice text, struct err *e);    /* owned; says line and column */
void json_free(struct json *j);               /* NULL is fine */
struct json *json_copy(const struct json *j); /* owned */
bool json_equal(
	const struct json *a, const struct json *b); /* order of keys is nothing */
/* Appends the text.  `indent` 0: one line; else spaces a level. */
int json_write(const struct json *j, int indent, struct buf *out);

enum json_kind {
	JSON_NONE,
	JSON_NULL,
	JSON_BOOL,
	JSON_INT,
	JSON_REAL,
	JSON_TEXT,
	JSON_LIST,
	JSON_OBJECT
};
enum json_kind json_kind(const struct json *j); /* NULL: JSON_NONE */

/* ---- reading ---- */
struct json *json_get(const struct json *obj, const char *key);
/* Several steps: "metadata.labels" (keys without dots; "0" indexes a list). */
struct json *json_path(const struct json *j, const char *path);
struct json *json_at(const struct json *list, size_t i);
size_t json_count(const struct json *j);         /* members of a list or object */
const char *json_key(const struct json *member); /* of an object's member, else NULL */
const char *json_text(const struct json *j);     /* of a string, else NULL */
const char *json_text_at(const struct json *j, const char *path); /* NULL when absent */
const char *json_text_or(const struct json *j, const char *path, const char *other);
int64_t json_int(const struct json *j, int64_t other);
int64_t json_int_at(const struct json *j, const char *path, int64_t other);
double json_real(const struct json *j, double other);
bool json_bool_at(const struct json *j, const char *path, bool other);
struct json *json_first(
	const struct json *j); /* members of a list or object, in order */
struct json *json_next(const struct json *member);
#define json_each(it, j) for (struct json *it = json_first(j); it; it = json_next(it))

/* ---- building; each aborts the process only when memory is out ---- */
struct json *json_object(void);
struct json *json_list(void);
struct json *json_string(const char *text);
struct json *json_string_n(struct slice s);
struct json *json_integer(int64_t n);
struct json *json_number(double n);
struct json *json_boolean(bool b);
struct json *json_null(void);

/* Each takes `value`; a key that is there is replaced in place.  Return `value`. */
struct json *json_set(struct json *obj, const char *key, struct json *value);
struct json *json_set_text(struct json *obj, const char *key, const char *text);
struct json *json_set_int(struct json *obj, const char *key, int64_t n);
struct json *json_set_bool(struct json *obj, const char *key, bool b);
struct json *json_push(struct json *list, struct json *value);
struct json *json_insert(struct json *list, size_t i, struct json *value);
/* The member `key`, made as an empty object (list) when absent. */
struct json *json_need_object(struct json *obj, const char *key);
struct json *json_need_list(struct json *obj, const char *key);
void json_remove(struct json *obj, const char *key);
struct json *json_detach(struct json *parent, struct json *member); /* returns owned */
void json_replace(
	struct json *parent, struct json *member, struct json *value); /* takes */

#endif
