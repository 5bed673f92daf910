/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTL_VALIDATEINT_H
#define CTL_VALIDATEINT_H

/* Inside of validate(): policies in validate.c, routes in validateroute.c, profiles in
 * validateprofile.c.  Each check returns 0, or -1 with `e` told. */
#include "ctl/validate.h"

#define PATH_MAX_ 300
/* `path` is the field's place in the object: "spec.rules[0].matches[1]". */
typedef int validate_one(const struct json *j, const char *path, struct err *e);

/* "<path>.<what>: <text>" */
int invalid(struct err *e, const char *path, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Each of the list j.<key>. */
int validate_each(const struct json *j, const char *path, const char *key,
	validate_one *one, struct err *e);
/* A regular expression of bounded length. */
int validate_regex(const char *text, const char *path, struct err *e);
/* Absent is fine. */
int validate_duration(const struct json *j, const char *path, const char *key,
	uint64_t *ns, struct err *e);
/* Is it among the texts, of which the last is NULL? */
bool is_one_of(const char *text, const char *const *texts);

int validate_route(const struct json *object, struct err *e);
int validate_profile(const struct json *object, struct err *e);

#endif
