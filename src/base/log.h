/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

/*
 * Log lines: a level, the floor that speaks, a constant event text, then keys.
 *
 *	log_warn("proxy", "connect failed", LS("addr", addr), LE(&e));
 *
 * gives  [ts] WARN proxy: connect failed addr=10.0.0.1:80 error="refused"   or JSON.
 * Thread-safe; a line is one write(2) to stderr (or log_to()), never longer than a pipe
 * takes at once: values are cut after 1 KB, keys that do not fit are left out.  A log
 * that cannot be written (full or closed pipe, full disk) loses lines, and counts them;
 * nothing waits for it.
 *
 * A line that is the same as one of the last few, within a second, is counted instead
 * of printed; it is told once more, with how often it came (repeated=9), when that
 * second is over.  Durations are of the monotonic clock: a wall clock that jumps
 * changes only what the lines are stamped with.
 */
#include <stdint.h>

#include "base/logfilter.h"

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

/* Tells of lines whose repetition is over; call it now and then. */
void log_tick(void);

/* Writes whole lines of another log to the same place, as they are; at most LOG_ATOM
 * bytes.  False when they are lost (the reader is slow, or gone). */
#define LOG_ATOM 4096
bool log_raw(struct slice lines);
uint64_t log_lost(void); /* lines of log_line() that could not be written */

/*
 * Followers: other readers, each with its own filter.  `fn` gets each line as JSON, in
 * whatever thread logs, with the log locked: it must not wait, nor log.
 */
struct log_tap {
	struct log_tap *next; /* private */
	struct log_filter filter;
	void (*fn)(struct log_tap *t, struct slice line);
};
void log_tap_begin(struct log_tap *t); /* filter and fn are set */
void log_tap_end(struct log_tap *t);   /* fn is not called any more */

#endif
