/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_SLICE_H
#define BASE_SLICE_H

/*
 * Bytes somebody else owns: a pointer and a length, passed by value.
 *
 * A slice is never NUL-terminated by promise; print it with "%.*s" and SLICE_FMT().
 * Whoever makes one says how long the bytes live.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
	const char *p;
	size_t n;
};

#define SLICE(lit)   ((struct slice){(lit), sizeof(lit) - 1})
#define SLICE_NONE   ((struct slice){NULL, 0})
#define SLICE_FMT(s) (int)(s).n, (s).p /* for "%.*s" */

static inline struct slice slice_of(const char *text)
{
	return (struct slice){text, text ? strlen(text) : 0};
}

static inline struct slice slice_bytes(const void *p, size_t n)
{
	return (struct slice){p, n};
}

static inline bool slice_eq(struct slice a, struct slice b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool slice_is(struct slice a, const char *text)
{
	return slice_eq(a, slice_of(text));
}

/* ASCII case is ignored, as in field names and host names. */
bool slice_ieq(struct slice a, struct slice b);
bool slice_starts(struct slice s, struct slice head);
bool slice_ends(struct slice s, struct slice tail);

/* Without blanks and tabs at both ends. */
struct slice slice_trim(struct slice s);

/*
 * Takes the part before `sep` off the front of *rest.  False when *rest was empty
 * of parts.  "a,,b" yields "a", "" and "b"; an empty *rest with p == NULL yields none.
 */
bool slice_cut(struct slice *rest, char sep, struct slice *part);

/* The whole slice is a decimal number no larger than `max`. */
bool slice_u64(struct slice s, uint64_t max, uint64_t *out);

/* `v` in decimal, written into `out`, which the result borrows. */
struct slice slice_decimal(uint64_t v, char out[20]);

/* A zero-terminated copy from malloc; NULL when memory is out. */
char *slice_dup(struct slice s);

#endif
