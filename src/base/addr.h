/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_ADDR_H
#define BASE_ADDR_H

/*
 * IP addresses, ports and networks as values.  An IPv4-mapped IPv6 address is always
 * stored as IPv4, so that equal peers are equal bytes.
 */
#include <netinet/in.h>
#include <sys/socket.h>

#include "base/slice.h"

struct ip {
	uint8_t family; /* 4, 6, or 0 for none */
	uint8_t b[16];  /* network order; the first 4 for IPv4, the rest zero */
};

struct addr {
	struct ip ip;
	uint16_t port; /* host order */
};

struct cidr {
	struct ip ip;
	uint8_t bits;
};

#define ADDR_TEXT 56 /* "[…]:65535" with its end */

bool ip_parse(struct slice s, struct ip *out);
bool addr_parse(struct slice s, struct addr *out); /* "1.2.3.4:80", "[::1]:80" */
bool cidr_parse(struct slice s, struct cidr *out); /* also a bare address */
bool cidr_has(const struct cidr *c, const struct ip *ip);
bool ip_eq(const struct ip *a, const struct ip *b);
bool addr_eq(const struct addr *a, const struct addr *b);
bool ip_is_loopback(const struct ip *ip);

/* Return `out`, zero-terminated. */
const char *ip_text(const struct ip *ip, char out[ADDR_TEXT]);
const char *addr_text(const struct addr *a, char out[ADDR_TEXT]);

socklen_t addr_to_sock(const struct addr *a, struct sockaddr_storage *out);
bool addr_from_sock(const struct sockaddr *sa, struct addr *out);

/* Ports and ranges: "25,587,9000-9100". */
struct portset {
	uint64_t bits[1024];
};
bool portset_parse(struct slice s, struct portset *out); /* adds to `out` */
static inline bool portset_has(const struct portset *p, uint16_t port)
{
	return p->bits[port >> 6] >> (port & 63) & 1;
}

#endif
