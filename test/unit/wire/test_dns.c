/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/dns.h"

#include <stdlib.h>

#include "base/obj.h"
#include "t.h"

/* An answer as servers send it: names compressed, a CNAME, an SOA, an OPT. */
static const char answer[] =
	"\x12\x34\x81\x80\0\1\0\3\0\1\0\1"
	"\3www\7example\3com\0\0\1\0\1"
	"\xc0\x0c\0\5\0\1\0\0\1\x2c\0\6\3web\xc0\x10"
	"\xc0\x2d\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\1"
	"\xc0\x2d\0\x1c\0\1\0\0\0\x3c\0\x10\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1"
	"\xc0\x10\0\6\0\1\0\0\0\x10\0\x20\2ns\xc0\x10\4mail\xc0\x10"
	"\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0\x11"
	"\0\0\x29\4\xd0\0\0\0\0\0\0";
#define ANSWER slice_bytes(answer, sizeof answer - 1)

static int read_all(struct slice msg, struct dns_record *records, unsigned max)
{
	const uint8_t *p = (const uint8_t *)msg.p;
	struct dns_head h;
	unsigned n;
	size_t at;

	if (dns_read_head(p, msg.n, &h, &at, NULL) < 0)
		return -1;
	for (n = 0; n < max && n < (unsigned)h.answers + h.authorities + h.additionals;
		n++)
		if (dns_read_record(p, msg.n, &at, &records[n], NULL) < 0)
			return -1;
	return (int)n;
}

TEST(a_compressed_answer_is_read)
{
	struct dns_record r[8];
	char text[ADDR_TEXT];

	EQ_INT(read_all(ANSWER, r, 8), 5);
	EQ_STR(r[0].name, "www.example.com");
	EQ_INT(r[0].type, DNS_CNAME);
	EQ_STR(r[0].target, "web.example.com");
	EQ_INT(r[0].ttl, 300);
	EQ_STR(r[1].name, "web.example.com");
	EQ_STR(ip_text(&r[1].ip, text), "192.0.2.1");
	EQ_STR(ip_text(&r[2].ip, text), "fd00::1");
	EQ_INT(r[3].type, DNS_SOA);
	EQ_STR(r[3].target, "ns.example.com");
	EQ_INT(r[3].negative_ttl, 17);
	EQ_INT(r[4].type, DNS_OPT);
	EQ_STR(r[4].name, "");
	EQ_INT(r[4].class, 1232);
}

TEST(an_answer_cut_at_any_byte_is_malformed)
{
	struct dns_record r[8];

	for (size_t n = 0; n < sizeof answer - 1; n++) {
		char *copy = malloc(n + 1); /* so that reading past the end is seen */

		memcpy(copy, answer, n);
		EQ_INT(read_all((struct slice){copy, n}, r, 8), -1);
		free(copy);
	}
}

TEST(any_damage_to_an_answer_ends_in_order)
{
	struct dns_record r[64];

	srandom(7);
	for (int i = 0; i < 100000; i++) {
		size_t n = sizeof answer - 1;
		char *copy = malloc(n);

		memcpy(copy, answer, n);
		for (long k = random() % 4; k >= 0; k--)
			copy[(size_t)random() % n] = (char)random();
		(void)read_all((struct slice){copy, n}, r, 64);
		free(copy);
	}
}

static bool name_is_read(struct slice name_bytes)
{
	uint8_t msg[600] = "\0\1\x80\0\0\1\0\0\0\0\0\0";
	struct dns_head h;
	size_t at;

	memcpy(msg + 12, name_bytes.p, name_bytes.n);
	return dns_read_head(msg, 12 + name_bytes.n + 4, &h, &at, NULL) == 0;
}

TEST(names_that_would_never_end_or_lie_are_malformed)
{
	char longest[300];
	static const struct slice bad[] = {
		SLICE("\xc0\x0c"),         /* points at itself */
		SLICE("\1a\xc0\x0c"),      /* at its own beginning */
		SLICE("\xc0\x0e\xc0\x0c"), /* forward, then back */
		SLICE("\xc0\xff"),         /* past the end */
		SLICE("\x40xxxx"),
		SLICE("\x80"),    /* no such label types */
		SLICE("\3a.b\0"), /* a dot inside a label */
		SLICE("\3a\0b\0"),
		SLICE("\2\n\r\0"),
	};

	for (size_t i = 0; i < countof(bad); i++)
		if (name_is_read(bad[i]))
			T_FAIL("case %zu is read", i);
	OK(name_is_read(SLICE("\3a-b\0")));
	/* 127 labels of one byte are 253 bytes of text; one more is too many */
	for (size_t i = 0; i < 128; i++)
		memcpy(longest + 2 * i, "\1x", 3);
	OK(!name_is_read((struct slice){longest, 257}));
	longest[254] = '\0';
	OK(name_is_read((struct slice){longest, 255}));
}

static int write_one(struct buf *b, const struct dns_record *r)
{
	struct dns_head q = {.id = 7, .type = (uint16_t)r->type};

	memcpy(q.name, r->name, sizeof q.name);
	if (dns_write_response(b, &q, DNS_OK, false, 1, 0) < 0)
		return -1;
	return dns_write_record(b, r);
}

static void check_round_trip(const struct dns_record *want)
{
	struct dns_record got;
	struct buf b = BUF_INIT;

	EQ_INT(write_one(&b, want), 0);
	EQ_INT(read_all(buf_slice(&b), &got, 1), 1);
	EQ_STR(got.name, want->name);
	EQ_INT(got.type, want->type);
	EQ_INT(got.ttl, want->ttl);
	EQ_STR(got.target, want->target);
	OK(ip_eq(&got.ip, &want->ip));
	EQ_INT(got.priority, want->priority);
	EQ_INT(got.weight, want->weight);
	EQ_INT(got.port, want->port);
	EQ_INT(got.negative_ttl, want->negative_ttl);
	buf_fini(&b);
}

TEST(what_is_written_is_read_back)
{
	static const struct dns_record cases[] = {
		{.name = "a.b", .type = DNS_A, .ttl = 5, .ip = {4, {10, 1, 2, 3}}},
		{.name = "a.b",
			.type = DNS_AAAA,
			.ttl = 5,
			.ip = {6, {0xfd, [15] = 9}}},
		{.name = "x", .type = DNS_CNAME, .ttl = 86400, .target = "y.z"},
		{.name = "x", .type = DNS_PTR, .target = "y.z"},
		{.name = "s",
			.type = DNS_SRV,
			.target = "10-1-2-3.s",
			.priority = 1,
			.weight = 2,
			.port = 8086},
		{.name = "", .type = DNS_SOA, .target = "ns", .negative_ttl = 77},
	};

	for (size_t i = 0; i < countof(cases); i++)
		check_round_trip(&cases[i]);
}

static bool is_written(const char *name)
{
	struct buf b = BUF_INIT;
	bool ok = dns_write_query(&b, 1, name, DNS_A) == 0;

	buf_fini(&b);
	return ok;
}

TEST(a_query_is_one_question)
{
	static const char plain[] =
		"\xab\xcd\1\0\0\1\0\0\0\0\0\0\3foo\3bar\0\0\x1c\0\1";
	struct dns_record opt;
	struct buf b = BUF_INIT;

	EQ_INT(dns_write_query(&b, 0xabcd, "foo.bar", DNS_AAAA), 0);
	OK(slice_eq(buf_slice(&b), SLICE(plain)));
	EQ_INT(dns_add_edns(&b), 0);
	EQ_INT(read_all(buf_slice(&b), &opt, 1), 1);
	EQ_INT(opt.type, DNS_OPT);
	EQ_INT(opt.class, DNS_UDP_MAX);
	buf_fini(&b);
}

TEST(what_is_no_name_is_not_written)
{
	char label[300];

	OK(is_written("foo.bar") && is_written("foo.bar.") && is_written("."));
	OK(!is_written("foo..bar") && !is_written(".foo") && !is_written("foo.."));
	OK(!is_written("foo bar") && !is_written("foo\n"));
	memset(label, 'x', sizeof label);
	label[64] = '\0';
	OK(!is_written(label) && is_written(label + 1));
	for (size_t i = 1; i < 256; i += 2)
		memcpy(label + i - 1, "x.", 3);
	OK(!is_written(label));
	label[253] = '\0';
	OK(is_written(label));
}

TEST(addresses_with_dashes_are_read_from_names)
{
	char text[ADDR_TEXT];
	struct ip ip;

	OK(dns_dashed_ip("10-1-2-3.dst.mesh.svc", &ip));
	EQ_STR(ip_text(&ip, text), "10.1.2.3");
	OK(dns_dashed_ip("fd00-0-0--2.dst", &ip));
	EQ_STR(ip_text(&ip, text), "fd00::2");
	OK(!dns_dashed_ip("pod-1.dst", &ip));
	OK(!dns_dashed_ip("", &ip));
	OK(!dns_dashed_ip(".x", &ip));
}
