/* SPDX-License-Identifier: Apache-2.0 */
#ifndef API_TRANSPORT_HEADER_H
#define API_TRANSPORT_HEADER_H

/*
 * What a proxy says first on a connection to another proxy's own port, when both agreed
 * on it by ALPN: which port is meant, or which name, and what is spoken from here on
 * (spec proxy.md §4).  Bytes in, values out.
 */
#include "base/buf.h"

#define TRANSPORT_ALPN "transport.l5d.io/v1"

/* A longer message is refused: all of it is a port, a name and an empty message. */
#define TRANSPORT_MESSAGE_MAX 512

enum transport_session { SESSION_BYTES, SESSION_HTTP1, SESSION_HTTP2 };

struct transport_header {
	uint16_t port;
	enum transport_session session;
	char name[254]; /* lower case, without the last dot; "": this pod's own port */
};

enum transport_verdict { TRANSPORT_MORE, TRANSPORT_DONE, TRANSPORT_BAD };

/*
 * Reads the first `n` bytes.  A verdict other than TRANSPORT_MORE is final; on
 * TRANSPORT_DONE *h is filled and *used says how many bytes were the header.
 */
enum transport_verdict transport_header_read(
	const uint8_t *p, size_t n, struct transport_header *h, size_t *used);

/* Appends the header.  -1 when `out` is full. */
int transport_header_write(const struct transport_header *h, struct buf *out);

#endif
