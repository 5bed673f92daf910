/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTP_GRPCFRAME_H
#define HTTP_GRPCFRAME_H

/*
 * gRPC's length-prefixed messages: a flag byte, four bytes of length, the message.
 * Gathers messages from pieces of a body; the same for both sides.
 */
#include "base/buf.h"

struct grpc_reader {
	struct buf part; /* a message that is not complete */
};

/* Calls fn for each message complete in the bytes.  -1: ERR_LIMIT (too large) or
 * ERR_SYNTAX (compressed).  fn returning false ends it (the call is over): 1. */
int grpc_read(struct grpc_reader *r, const uint8_t *p, size_t n,
	bool (*fn)(void *arg, struct slice message), void *arg, struct err *e);
void grpc_reader_fini(struct grpc_reader *r);
int grpc_frame(struct buf *out, struct slice message);

#endif
