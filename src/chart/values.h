/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CHART_VALUES_H
#define CHART_VALUES_H

/*
 * Values of a chart: layers over its own, as helm puts them, and the check against its
 * schema.
 *
 * Layers are first put over each other: maps member by member, everything else whole; a
 * null stays, for it takes the chart's own value away at the end.
 */
#include "wire/json.h"

#define VALUES_SET_MAX   ((size_t)64 * 1024) /* bytes of one --set */
#define VALUES_INDEX_MAX 1024                /* places of a list that --set makes */

/* Puts a copy of `over` over `into`; both are maps. */
void values_put(struct json *into, const struct json *over);

enum values_set {
	VALUES_TYPED, /* --set: true, null, 12 are what they look like */
	VALUES_TEXT,  /* --set-string */
	VALUES_FILE,  /* --set-file: the value names a file, `read` has its text */
};
/* -1 when it cannot be read. */
typedef int values_read(const char *path, struct buf *out, struct err *e);

/*
 * Puts what "a.b=c,d[0]=e,f={x,y}" says into `into`.  Behind a backslash a comma, dot,
 * … is a part of the text.
 */
int values_set(struct json *into, const char *text, enum values_set how,
	values_read *read, struct err *e);

/*
 * Does `value` fit the JSON Schema?  The error names the path, and what is wrong there.
 * Of JSON Schema: type, enum, properties, additionalProperties, required, items,
 * minimum, maximum, pattern (POSIX), $ref to #/$defs/…; another keyword is an error of
 * the schema.
 */
int values_check(const struct json *schema, const struct json *value, struct err *e);

#endif
