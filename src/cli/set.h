/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_SET_H
#define CLI_SET_H

/* `--set a.b=c,d=e`: values given as words, as Helm reads them. */
#include "wire/json.h"

/*
 * Puts what `text` says into `values`.  A comma and a dot behind a backslash are part
 * of the text.  true, false and whole numbers are what they look like, null is nothing;
 * with `plain` all is text (--set-string).  Each name must be one of `known`, or below
 * a list or an empty map of it: a name that has no effect is an error.
 */
int set_apply(struct json *values, const struct json *known, const char *text,
	bool plain, struct err *e);

#endif
