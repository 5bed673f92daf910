/* SPDX-License-Identifier: Apache-2.0 */
#include "base/addr.h"

#include <arpa/inet.h>
#include <stdio.h>

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static void ip_from6(const uint8_t b[16], struct ip *out)
{
	*out = (struct ip){.family = 6};
	if (memcmp(b, mapped, sizeof mapped) == 0) {
		out->family = 4;
		memcpy(out->b, b + 12, 4);
		return;
	}
	memcpy(out->b, b, 16);
}

bool ip_parse(struct slice s, struct ip *out)
{
	char text[64];
	uint8_t six[16];

	if (s.n == 0 || s.n >= sizeof text || memchr(s.p, '\0', s.n))
		return false;
	memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	*out = (struct ip){.family = 4};
	if (inet_pton(AF_INET, text, out->b) == 1)
		return true;
	if (inet_pton(AF_INET6, text, six) != 1)
		return false;
	ip_from6(six, out);
	return true;
}

bool addr_parse(struct slice s, struct addr *out)
{
	struct slice host = s;
	uint64_t port;
	size_t colon = s.n;

	while (colon > 0 && s.p[colon - 1] != ':')
		colon--;
	if (colon == 0)
		return false;
	if (!slice_u64((struct slice){s.p + colon, s.n - colon}, 65535, &port))
		return false;
	host.n = colon - 1;
	if (host.n >= 2 && host.p[0] == '[' && host.p[host.n - 1] == ']') {
		host.p++;
		host.n -= 2;
	} else if (memchr(host.p, ':', host.n)) {
		return false;
	}
	out->port = (uint16_t)port;
	return ip_parse(host, &out->ip);
}

bool cidr_parse(struct slice s, struct cidr *out)
{
	struct slice host;
	uint64_t bits;

	if (!slice_cut(&s, '/', &host) || !ip_parse(host, &out->ip))
		return false;
	bits = out->ip.family == 4 ? 32 : 128;
	if (s.p && !slice_u64(s, bits, &bits))
		return false;
	out->bits = (uint8_t)bits;
	return true;
}

bool cidr_has(const struct cidr *c, const struct ip *ip)
{
	size_t whole = c->bits / 8, rest = c->bits % 8;
	uint8_t mask = (uint8_t)(0xff00 >> rest);

	if (c->ip.family != ip->family)
		return false;
	if (memcmp(c->ip.b, ip->b, whole) != 0)
		return false;
	return rest == 0 || ((c->ip.b[whole] ^ ip->b[whole]) & mask) == 0;
}

bool ip_eq(const struct ip *a, const struct ip *b)
{
	return a->family == b->family && memcmp(a->b, b->b, sizeof a->b) == 0;
}

bool addr_eq(const struct addr *a, const struct addr *b)
{
	return a->port == b->port && ip_eq(&a->ip, &b->ip);
}

bool ip_is_loopback(const struct ip *ip)
{
	static const struct ip one6 = {6, {[15] = 1}};

	return (ip->family == 4 && ip->b[0] == 127) || ip_eq(ip, &one6);
}

const char *ip_text(const struct ip *ip, char out[ADDR_TEXT])
{
	if (!inet_ntop(ip->family == 6 ? AF_INET6 : AF_INET, ip->b, out, ADDR_TEXT))
		out[0] = '\0';
	return out;
}

const char *addr_text(const struct addr *a, char out[ADDR_TEXT])
{
	char ip[ADDR_TEXT];

	ip_text(&a->ip, ip);
	snprintf(out, ADDR_TEXT, a->ip.family == 6 ? "[%.46s]:%u" : "%.46s:%u", ip,
		a->port);
	return out;
}

socklen_t addr_to_sock(const struct addr *a, struct sockaddr_storage *out)
{
	memset(out, 0, sizeof *out);
	if (a->ip.family == 6) {
		struct sockaddr_in6 *s = (struct sockaddr_in6 *)out;

		s->sin6_family = AF_INET6;
		s->sin6_port = htons(a->port);
		memcpy(&s->sin6_addr, a->ip.b, 16);
		return sizeof *s;
	}
	struct sockaddr_in *s = (struct sockaddr_in *)out;

	s->sin_family = AF_INET;
	s->sin_port = htons(a->port);
	memcpy(&s->sin_addr, a->ip.b, 4);
	return sizeof *s;
}

bool addr_from_sock(const struct sockaddr *sa, struct addr *out)
{
	if (sa->sa_family == AF_INET) {
		const struct sockaddr_in *s = (const struct sockaddr_in *)sa;

		*out = (struct addr){.ip.family = 4, .port = ntohs(s->sin_port)};
		memcpy(out->ip.b, &s->sin_addr, 4);
		return true;
	}
	if (sa->sa_family == AF_INET6) {
		const struct sockaddr_in6 *s = (const struct sockaddr_in6 *)sa;

		out->port = ntohs(s->sin6_port);
		ip_from6(s->sin6_addr.s6_addr, &out->ip);
		return true;
	}
	return false;
}

static bool port_range(struct slice s, struct portset *out)
{
	struct slice from;
	uint64_t a, b;

	if (!slice_cut(&s, '-', &from) || !slice_u64(slice_trim(from), 65535, &a))
		return false;
	b = a;
	if (s.p && !slice_u64(slice_trim(s), 65535, &b))
		return false;
	if (b < a)
		return false;
	for (uint64_t p = a; p <= b; p++)
		out->bits[p >> 6] |= UINT64_C(1) << (p & 63);
	return true;
}

bool portset_parse(struct slice s, struct portset *out)
{
	struct slice part;

	while (slice_cut(&s, ',', &part)) {
		part = slice_trim(part);
		if (part.n && !port_range(part, out))
			return false;
	}
	return true;
}
