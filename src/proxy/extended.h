/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_EXTENDED_H
#define PROXY_EXTENDED_H

/*
 * Extended CONNECT (RFC 8441): a WebSocket on an HTTP/2 stream.  It goes on as one to a
 * server whose SETTINGS allow it; to any other as an HTTP/1.1 upgrade on a connection
 * of its own (§5).
 */
#include "proxy/px.h"

/* It came as one, and is still one. */
bool extended_is(const struct px *p);
/* Makes the request that of an HTTP/1.1 client.  -1: no memory. */
int extended_to_upgrade(struct px *p);
/* Its server answered as to any GET: for the client a 2xx would mean that it agrees. */
bool extended_was_ignored(const struct px *p);

#endif
