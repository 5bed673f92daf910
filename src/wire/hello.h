/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIRE_HELLO_H
#define WIRE_HELLO_H

/*
 * What a TLS ClientHello says in the clear: the server name and the protocols it offers
 * (RFC 8446, 4.1.2; RFC 6066, 3; RFC 7301).  Pure: no I/O, no allocation.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A hello that is not complete within so many bytes is not looked at any longer. */
#define HELLO_LIMIT 16384

enum hello_verdict {
	HELLO_MORE, /* ask again with a longer prefix */
	HELLO_DONE, /* a whole hello */
	HELLO_NOT,  /* no TLS, malformed, or longer than HELLO_LIMIT */
};

struct hello {
	char sni[256];     /* lower case, without the last dot; "" when there is none */
	uint8_t alpn[128]; /* names with their lengths before them, as sent */
	size_t alpn_len;   /* 0: none, or more than fit */
};

/*
 * Reads the first `n` bytes of a connection, in any number of records.  A verdict other
 * than HELLO_MORE is final; *h is filled on HELLO_DONE only.  A name that no
 * certificate can have (an address, an empty label, other characters) counts as none.
 */
enum hello_verdict hello_parse(const uint8_t *p, size_t n, struct hello *h);

/* The client offers the ALPN protocol `name`. */
bool hello_offers(const struct hello *h, const char *name);

#endif
