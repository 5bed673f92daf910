/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

/*
 * Log lines: a level, the floor that speaks, a constant event text, then keys.
 *
 *	log_warn("proxy", "connect failed", LS("addr", addr), LE(&e));
 *
 * gives  [ts] WARN proxy: connect failed addr=10.0.0.1:80 error="refused"   or JSON.
 * Thread-safe; a line is one write(2) to stderr (or log_to()).  A line that repeats
 * within a second is counted, and the count is printed with the next one
 * (previous_repeated=9).  Values are cut after 1 KB.  A log that cannot be written
 *(full or closed pipe, full disk) loses lines; nothing waits for it.
 *
 * The filter is Linkerd's: "warn,linkerd=info,proxy=debug" (a bare level is the
 *default; target=level sets one floor; `linkerd` and `mesh` mean every floor of ours,
 *in front of the default).
 */
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

enum log_level { LOG_OFF, LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG, LOG_TRACE };

enum log_kind { LOG_END, LOG_STR, LOG_INT };

struct log_key {
	const char *key;
	enum log_kind kind;
	struct slice str;
	int64_t num;
};

#define LS(k, text)  ((struct log_key){(k), LOG_STR, slice_of(text), 0})
#define LZ(k, slice) ((struct log_key){(k), LOG_STR, (slice), 0})
#define LI(k, n)     ((struct log_key){(k), LOG_INT, SLICE_NONE, (int64_t)(n)})
#define LE(err)      ((struct log_key){"error", LOG_STR, slice_of((err)->msg), 0})

void log_line(enum log_level lv, const char *floor, const char *event,
	const struct log_key *keys);
bool log_on(enum log_level lv, const char *floor);

#define LOG_AT(lv, floor, event, ...)                                                  \
	do {                                                                           \
		if (log_on(lv, floor))                                                 \
			log_line(lv, floor, event,                                     \
				(struct log_key[]){__VA_ARGS__ __VA_OPT__(, ){0}});    \
	} while (0)
#define log_error(floor, ...) LOG_AT(LOG_ERROR, floor, __VA_ARGS__)
#define log_warn(floor, ...)  LOG_AT(LOG_WARN, floor, __VA_ARGS__)
#define log_info(floor, ...)  LOG_AT(LOG_INFO, floor, __VA_ARGS__)
#define log_debug(floor, ...) LOG_AT(LOG_DEBUG, floor, __VA_ARGS__)

/* Replaces the filter; -1 and the old one stays when `text` is malformed. */
int log_filter_set(struct slice text, struct err *e);
void log_filter_get(char *out, size_t size);
void log_json(bool on);
void log_to(int fd);

#endif
