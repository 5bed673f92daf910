/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_VIA_H
#define NET_VIA_H

/*
 * A connection to `host`:`port` that a proxy makes for us: HTTP's CONNECT (RFC 9110,
 * section 9.3.6) or SOCKS 5 (RFC 1928, passwords RFC 1929).  The proxy resolves the
 * name.  What comes back is a byte transport like any other.
 */
#include "base/slice.h"
#include "net/conn.h"

enum via_kind { VIA_HTTP, VIA_SOCKS5 };

struct via {
	enum via_kind kind;
	const char *user, *password; /* NULL: none */
	const char *host;            /* name or literal address, at most 255 bytes */
	uint16_t port;
};

/* Takes `below`, to the proxy; copies what `v` has.  on_gone says why the proxy did not
 * connect, as it told. */
struct conn *via_new(
	struct conn *below, const struct via *v, uint64_t timeout, struct err *e);

#endif
