/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_LOGFILTER_H
#define BASE_LOGFILTER_H

/*
 * Which lines of the log are wanted: "warn,linkerd=info,proxy=debug".  A bare level is
 * the default; target=level sets one floor; `linkerd` and `mesh` mean every floor of
 * ours, in front of the default.  A filter is a value: no memory, no lock.
 */
#include <stdbool.h>

#include "base/err.h"
#include "base/slice.h"

enum log_level { LOG_OFF, LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG, LOG_TRACE };

#define LOG_FILTER_MAX 16

struct log_filter {
	struct log_filter_entry {
		char floor[32];
		enum log_level level;
	} v[LOG_FILTER_MAX];
	size_t n;
	enum log_level fallback;
};

/* -1 when `text` is malformed, and *f is as it was. */
int log_filter_parse(struct slice text, struct log_filter *f, struct err *e);
/* As text that log_filter_parse() takes, cut to `size`. */
void log_filter_print(const struct log_filter *f, char *out, size_t size);
bool log_filter_wants(const struct log_filter *f, enum log_level lv, const char *floor);
/* The most talkative level of all. */
enum log_level log_filter_most(const struct log_filter *f);

const char *log_level_name(enum log_level lv); /* "WARN" */

#endif
