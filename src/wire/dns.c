/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/dns.h"

#include "base/obj.h"

/* ---- reading ---- */

static int get16(const uint8_t *p, size_t n, size_t at, uint16_t *out)
{
	if (n < 2 || at > n - 2)
		return -1;
	*out = (uint16_t)(p[at] << 8 | p[at + 1]);
	return 0;
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static char lower(uint8_t c)
{
	return (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
}

/* Printable, and not the dot, which would make two labels of one. */
static bool is_plain(uint8_t c)
{
	return c > ' ' && c < 0x7f && c != '.';
}

/* One label behind out[*len]; false when the name is too long or has odd bytes. */
static bool label(const uint8_t *p, size_t size, char *out, size_t *len)
{
	if (*len + (*len > 0) + size > DNS_TEXT_MAX)
		return false;
	if (*len)
		out[(*len)++] = '.';
	for (size_t i = 0; i < size; i++) {
		if (!is_plain(p[i]))
			return false;
		out[(*len)++] = lower(p[i]);
	}
	return true;
}

/* A pointer must point before where it stands, so that a name ends. */
static int read_name(const uint8_t *p, size_t n, size_t *at, char out[DNS_NAME_MAX])
{
	size_t here = *at, limit = *at, len = 0;
	bool jumped = false;

	while (here < n) {
		uint8_t size = p[here];

		if (size == 0) {
			out[len] = '\0';
			if (!jumped)
				*at = here + 1;
			return 0;
		}
		if ((size & 0xc0) == 0xc0) {
			size_t to;

			if (here + 1 >= n)
				return -1;
			to = (size_t)(size & 0x3f) << 8 | p[here + 1];
			if (to >= limit)
				return -1;
			if (!jumped)
				*at = here + 2;
			jumped = true;
			here = limit = to;
			continue;
		}
		if (size > 63 || size > n - here - 1 ||
			!label(p + here + 1, size, out, &len))
			return -1;
		here += size + 1u;
	}
	return -1;
}

int dns_read_head(
	const uint8_t *p, size_t n, struct dns_head *h, size_t *at, struct err *e)
{
	uint16_t flags;

	*h = (struct dns_head){0};
	if (n < 12)
		return err_set(e, ERR_SYNTAX, "DNS message of %zu bytes", n);
	get16(p, n, 0, &h->id);
	get16(p, n, 2, &flags);
	get16(p, n, 4, &h->questions);
	get16(p, n, 6, &h->answers);
	get16(p, n, 8, &h->authorities);
	get16(p, n, 10, &h->additionals);
	h->response = flags >> 15;
	h->truncated = flags >> 9 & 1;
	h->recursion = flags >> 8 & 1;
	h->code = (enum dns_code)(flags & 15);
	*at = 12;
	if (h->questions != 1)
		return err_set(
			e, ERR_SYNTAX, "%u questions in a DNS message", h->questions);
	if (read_name(p, n, at, h->name) < 0 || get16(p, n, *at, &h->type) < 0 ||
		get16(p, n, *at + 2, &h->class) < 0)
		return err_set(e, ERR_SYNTAX, "malformed question in a DNS message");
	*at += 4;
	return 0;
}

/* Two names and five numbers, of which the last is wanted (RFC 2308 §4). */
static int read_soa(
	const uint8_t *p, size_t n, size_t at, size_t end, struct dns_record *r)
{
	char mailbox[DNS_NAME_MAX];

	if (read_name(p, n, &at, r->target) < 0 || read_name(p, n, &at, mailbox) < 0 ||
		at + 20 != end)
		return -1;
	r->negative_ttl = get32(p + at + 16);
	return 0;
}

static int read_data(
	const uint8_t *p, size_t n, size_t at, uint16_t len, struct dns_record *r)
{
	const size_t end = at + len;

	switch (r->type) {
	case DNS_A:
		if (len != 4)
			return -1;
		r->ip.family = 4;
		memcpy(r->ip.b, p + at, 4);
		return 0;
	case DNS_AAAA:
		if (len != 16)
			return -1;
		r->ip.family = 6;
		memcpy(r->ip.b, p + at, 16);
		return 0;
	case DNS_SRV:
		if (len < 7)
			return -1;
		get16(p, n, at, &r->priority);
		get16(p, n, at + 2, &r->weight);
		get16(p, n, at + 4, &r->port);
		at += 6;
		return read_name(p, n, &at, r->target) < 0 || at != end ? -1 : 0;
	case DNS_CNAME:
	case DNS_PTR:
		return read_name(p, n, &at, r->target) < 0 || at != end ? -1 : 0;
	case DNS_SOA:
		return read_soa(p, n, at, end, r);
	case DNS_OPT:
	default:
		return 0;
	}
}

int dns_read_record(
	const uint8_t *p, size_t n, size_t *at, struct dns_record *r, struct err *e)
{
	uint16_t type, len;
	size_t here = *at;

	*r = (struct dns_record){.ttl = 0};
	if (read_name(p, n, &here, r->name) < 0 || get16(p, n, here, &type) < 0 ||
		get16(p, n, here + 2, &r->class) < 0 ||
		get16(p, n, here + 8, &len) < 0 || len > n - here - 10)
		return err_set(e, ERR_SYNTAX, "malformed DNS record");
	r->type = (enum dns_type)type;
	r->ttl = get32(p + here + 4);
	if (r->ttl > INT32_MAX) /* RFC 2181 §8 */
		r->ttl = 0;
	here += 10;
	if (read_data(p, n, here, len, r) < 0)
		return err_set(e, ERR_SYNTAX, "malformed DNS record");
	*at = here + len;
	return 0;
}

/* ---- writing ---- */

static int put16(struct buf *b, unsigned v)
{
	const char two[2] = {(char)(v >> 8), (char)v};

	return buf_add(b, two, 2);
}

static int put_label(struct buf *b, struct slice part)
{
	if (part.n == 0 || part.n > 63)
		return -1;
	for (size_t i = 0; i < part.n; i++)
		if (!is_plain((uint8_t)part.p[i]))
			return -1;
	return buf_char(b, (char)part.n) < 0 ? -1 : buf_adds(b, part);
}

static int put_name(struct buf *b, const char *name)
{
	struct slice rest = slice_of(name), part;

	if (rest.n && rest.p[rest.n - 1] == '.')
		rest.n--;
	if (rest.n > DNS_TEXT_MAX)
		return -1;
	while (rest.n && slice_cut(&rest, '.', &part)) {
		bool is_last = rest.p == NULL;

		if (put_label(b, part) < 0 || (!is_last && rest.n == 0))
			return -1;
	}
	return buf_char(b, '\0');
}

static int put_head(struct buf *b, uint16_t id, unsigned flags, unsigned answers,
	unsigned authorities, const char *name, unsigned type)
{
	put16(b, id);
	put16(b, flags);
	put16(b, 1);
	put16(b, answers);
	put16(b, authorities);
	put16(b, 0);
	if (put_name(b, name) < 0)
		return -1;
	put16(b, type);
	return put16(b, 1);
}

int dns_write_query(struct buf *b, uint16_t id, const char *name, enum dns_type type)
{
	return put_head(b, id, 0x0100, 0, 0, name, type);
}

int dns_add_edns(struct buf *b)
{
	static const char opt[] = {0, 0, DNS_OPT, DNS_UDP_MAX >> 8,
		(char)(DNS_UDP_MAX & 0xff), 0, 0, 0, 0, 0, 0};

	if (buf_len(b) < 12 || buf_add(b, opt, sizeof opt) < 0)
		return -1;
	b->p[b->at + 11] = 1; /* one additional record */
	return 0;
}

int dns_write_response(struct buf *b, const struct dns_head *q, enum dns_code code,
	bool truncated, uint16_t answers, uint16_t authorities)
{
	unsigned flags = 0x8400u | (q->recursion ? 0x100u : 0) | 0x80u |
			 (truncated ? 0x200u : 0) | (unsigned)code;

	return put_head(b, q->id, flags, answers, authorities, q->name, q->type);
}

static int put_data(struct buf *b, const struct dns_record *r)
{
	const uint32_t soa_times[5] = {
		1, 7200, 1800, 86400, r->negative_ttl ? r->negative_ttl : 5};

	switch (r->type) {
	case DNS_A:
		return buf_add(b, r->ip.b, 4);
	case DNS_AAAA:
		return buf_add(b, r->ip.b, 16);
	case DNS_SRV:
		put16(b, r->priority);
		put16(b, r->weight);
		put16(b, r->port);
		return put_name(b, r->target);
	case DNS_SOA:
		if (put_name(b, r->target) < 0 || put_name(b, r->target) < 0)
			return -1;
		for (size_t i = 0; i < countof(soa_times); i++) {
			put16(b, soa_times[i] >> 16);
			put16(b, soa_times[i]);
		}
		return 0;
	case DNS_CNAME:
	case DNS_PTR:
		return put_name(b, r->target);
	case DNS_OPT:
		break;
	}
	return -1;
}

int dns_write_record(struct buf *b, const struct dns_record *r)
{
	struct buf data = BUF_INIT;
	bool bad;

	if (put_name(b, r->name) < 0)
		return -1;
	put16(b, r->type);
	put16(b, 1);
	put16(b, r->ttl >> 16);
	put16(b, r->ttl);
	bad = put_data(&data, r) < 0;
	put16(b, (unsigned)buf_len(&data));
	bad |= buf_adds(b, buf_slice(&data)) < 0;
	buf_fini(&data);
	return bad ? -1 : 0;
}

bool dns_dashed_ip(const char *name, struct ip *out)
{
	char text[2][64];
	size_t n = strcspn(name, ".");

	if (n == 0 || n >= sizeof text[0])
		return false;
	for (size_t i = 0; i < n; i++) {
		text[0][i] = name[i] == '-' ? '.' : name[i];
		text[1][i] = name[i] == '-' ? ':' : name[i];
	}
	return ip_parse((struct slice){text[0], n}, out) ||
	       ip_parse((struct slice){text[1], n}, out);
}
