/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOCAL_SPDYINT_H
#define LOCAL_SPDYINT_H

#include "local/spdy.h"

/* Header blocks are one zlib stream for each direction of a session, which begins with
 * a dictionary that both sides know: this, appended. */
void spdy_dictionary(struct buf *out);

#endif
