/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIRE_UNZIP_H
#define WIRE_UNZIP_H

/*
 * A zlib stream (RFC 1950) that a peer sends in blocks, each flushed at its end: what
 * one block becomes is limited; a block that does not unpack ends the stream.
 */
#include "base/buf.h"

struct unzip;

/* `dictionary` appends what both sides know, when the stream asks for it.  NULL: no
 * memory. */
struct unzip *unzip_new(size_t block_max, void (*dictionary)(struct buf *out));
void unzip_free(struct unzip *u); /* NULL is fine */
/* The next block; *out is valid until the next call. */
int unzip_block(struct unzip *u, struct slice in, struct slice *out, struct err *e);

#endif
