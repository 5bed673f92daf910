/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIRE_GZIP_H
#define WIRE_GZIP_H

/* Appends `in` to `out` as one gzip member (RFC 1952), for answers that a client takes
 * compressed.  -1 when memory is out; `out` is as it was then. */
#include "base/buf.h"

int gzip(struct slice in, struct buf *out);

#endif
