/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

/*
 * A growing run of bytes with a front and a back: text being built, bytes waiting
 * to be sent, a message being gathered.
 *
 * Empty, it holds no memory.  It grows by doubling up to `limit` (0: no limit but
 * memory) and gives its memory back when buf_take() has emptied it.  Not thread-safe.
 */
#include <stdarg.h>

#include "base/err.h"
#include "base/slice.h"

struct buf {
	char *p; /* the first byte not yet taken is p[at] */
	size_t at;
	size_t end; /* one past the last byte */
	size_t cap;
	size_t limit;
	bool failed; /* an append did not fit; the contents are cut short */
};

#define BUF_INIT         ((struct buf){0})
#define BUF_LIMIT(bytes) ((struct buf){.limit = (bytes)})

void buf_fini(struct buf *b);

static inline size_t buf_len(const struct buf *b)
{
	return b->end - b->at;
}

/* The contents; valid until the next call on `b`. */
static inline struct slice buf_slice(const struct buf *b)
{
	return (struct slice){b->p ? b->p + b->at : NULL, b->end - b->at};
}

/*
 * Room for at least `n` more bytes at the returned address; then buf_added().
 * NULL (and b->failed) when over the limit or out of memory.
 */
char *buf_room(struct buf *b, size_t n);
void buf_added(struct buf *b, size_t n);

/* Append.  -1 and b->failed when it does not fit; nothing is appended then. */
int buf_add(struct buf *b, const void *p, size_t n);
int buf_adds(struct buf *b, struct slice s);
int buf_text(struct buf *b, const char *text);
int buf_char(struct buf *b, char c);
int buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
int buf_vprintf(struct buf *b, const char *fmt, va_list ap) PRINTF_LIKE(2, 0);
/* Appends `s` as the inside of a JSON string (no quotes round it); bytes that are not
 * UTF-8 become U+FFFD. */
int buf_json(struct buf *b, struct slice s);
/* Base64, standard alphabet with padding. */
int buf_base64(struct buf *b, struct slice s);
int buf_unbase64(struct buf *b, struct slice s); /* -1 when malformed */

/* Its contents are these bytes. */
bool buf_is(const struct buf *b, struct slice s);

/* Drops `n` bytes from the front; frees the memory when that empties it. */
void buf_take(struct buf *b, size_t n);

/* Empties it, keeping the memory. */
void buf_clear(struct buf *b);

/* Zero-terminates and hands over the memory; `b` is empty after.  NULL on failure. */
char *buf_steal(struct buf *b);

#endif
