/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_PIECES_H
#define BASE_PIECES_H

/*
 * malloc() for small pieces that are allocated and freed by the dozen for each request,
 * as those of nghttp2 are.  glibc keeps seven free ones of a size for a thread, whose
 * connection has a hundred streams in flight; the rest take a lock and go through its
 * bins.  Here a thread keeps up to PIECES_KEPT bytes of each size, and takes and gives
 * with a handful of instructions.
 *
 * What they return is malloc's: realloc() and free() may have it.  Not with ASan, which
 * is to see every use after the end.
 */
#include <stddef.h>

/* The small sizes that glibc's malloc has: the least, and as much more each. */
#define PIECE_LEAST ((size_t)24)
#define PIECE_STEP  ((size_t)16)
#define PIECE_SIZES 64

#define PIECES_KEPT ((size_t)16 * 1024)

void *piece_alloc(size_t n); /* NULL: no memory */
void piece_free(void *p);    /* NULL is nothing; by another thread: that one keeps it */

/* To be called now and then by a thread that stays: frees what it has not needed since
 * the last time. */
void pieces_give_back(void);

#endif
