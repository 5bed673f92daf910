/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOCAL_SPDYINT_H
#define LOCAL_SPDYINT_H

/* SPDY's header blocks: one zlib stream for each direction of a session, which begins
 * with a dictionary that both sides know. */
#include <zlib.h>

#include "local/spdy.h"

struct spdy_unpack {
	z_stream z;
	struct buf plain;
};

int spdy_unpack_init(struct spdy_unpack *u);
void spdy_unpack_fini(struct spdy_unpack *u);
/* The next block; *out is valid until the next call. */
int spdy_unpack(
	struct spdy_unpack *u, struct slice in, struct slice *out, struct err *e);

/* The dictionary, appended. */
void spdy_dictionary(struct buf *out);

#endif
