/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/hello.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/obj.h"
#include "t.h"

static void add_int(struct buf *b, size_t bytes, size_t v)
{
	while (bytes-- > 0)
		buf_char(b, (char)(v >> 8 * bytes & 0xff));
}

static void add_vector(struct buf *b, size_t bytes, struct slice s)
{
	add_int(b, bytes, s.n);
	buf_adds(b, s);
}

static struct buf server_name(struct slice name)
{
	struct buf list = BUF_INIT, ext = BUF_INIT;

	buf_char(&list, 0);
	add_vector(&list, 2, name);
	add_vector(&ext, 2, buf_slice(&list));
	buf_fini(&list);
	return ext;
}

/* A hello with these extensions, in records of `piece` bytes. */
static struct buf hello(struct slice extensions, size_t piece)
{
	struct buf body = BUF_INIT, msg = BUF_INIT, out = BUF_INIT;

	add_int(&body, 2, 0x0303);
	for (int i = 0; i < 32; i++)
		buf_char(&body, (char)i);
	add_vector(&body, 1, SLICE("session"));
	add_vector(&body, 2, SLICE("\x13\x01"));
	add_vector(&body, 1, SLICE("\0"));
	if (extensions.p)
		add_vector(&body, 2, extensions);
	buf_char(&msg, 1);
	add_vector(&msg, 3, buf_slice(&body));
	while (buf_len(&msg)) {
		struct slice s = buf_slice(&msg);

		s.n = s.n < piece ? s.n : piece;
		buf_add(&out, "\x16\x03\x01", 3);
		add_vector(&out, 2, s);
		buf_take(&msg, s.n);
	}
	buf_fini(&body);
	return out;
}

static struct buf named(const char *name, size_t piece)
{
	struct buf ext = BUF_INIT, sn = server_name(slice_of(name)), out;

	add_int(&ext, 2, 10); /* supported groups, not looked at */
	add_vector(&ext, 2, SLICE("\0\2\0\x1d"));
	add_int(&ext, 2, 0);
	add_vector(&ext, 2, buf_slice(&sn));
	add_int(&ext, 2, 16);
	add_vector(&ext, 2, SLICE("\0\x0c\2h2\x08http/1.1"));
	out = hello(buf_slice(&ext), piece);
	buf_fini(&ext);
	buf_fini(&sn);
	return out;
}

static enum hello_verdict parse(struct slice s, struct hello *h)
{
	return hello_parse((const uint8_t *)s.p, s.n, h);
}

static void check_name(const char *sent, const char *want)
{
	struct buf b = named(sent, 16384);
	struct hello h;

	EQ_INT(parse(buf_slice(&b), &h), HELLO_DONE);
	EQ_STR(h.sni, want);
	buf_fini(&b);
}

TEST(the_server_name_is_found)
{
	check_name("web.example.org", "web.example.org");
	check_name("WEB.Example.org.", "web.example.org");
	check_name("a_b-1", "a_b-1");
}

TEST(what_is_no_name_counts_as_none)
{
	static const char *const bad[] = {
		"10.0.0.1", "a..b", ".a", "a b", "::1", "a/b", "\xc3\xa9", "."};

	for (size_t i = 0; i < countof(bad); i++)
		check_name(bad[i], "");
}

TEST(offered_protocols_are_found)
{
	struct buf b = named("a", 16384);
	struct hello h;

	EQ_INT(parse(buf_slice(&b), &h), HELLO_DONE);
	OK(hello_offers(&h, "h2") && hello_offers(&h, "http/1.1"));
	OK(!hello_offers(&h, "h") && !hello_offers(&h, "h3"));
	buf_fini(&b);
}

TEST(a_hello_without_extensions_has_no_name)
{
	struct buf b = hello(SLICE_NONE, 16384);
	struct hello h;

	EQ_INT(parse(buf_slice(&b), &h), HELLO_DONE);
	EQ_STR(h.sni, "");
	OK(!hello_offers(&h, "h2"));
	buf_fini(&b);
}

/* However it is cut into records, and wherever the bytes end. */
TEST(any_cut_gives_more_until_all_is_there)
{
	static const size_t pieces[] = {1, 2, 3, 7, 50, 16384};

	for (size_t i = 0; i < countof(pieces); i++) {
		struct buf b = named("web", pieces[i]);
		struct hello h;

		for (size_t n = 0; n < buf_len(&b); n++)
			EQ_INT(parse(slice_bytes(b.p + b.at, n), &h), HELLO_MORE);
		EQ_INT(parse(buf_slice(&b), &h), HELLO_DONE);
		EQ_STR(h.sni, "web");
		buf_add(&b, "more", 4);
		EQ_INT(parse(buf_slice(&b), &h), HELLO_DONE);
		buf_fini(&b);
	}
}

TEST(what_is_no_hello_is_refused)
{
	static const struct slice bad[] = {
		SLICE("G"),
		SLICE("\x17"),
		SLICE("\x16\x02"),
		SLICE("\x16\x03\x01\0\0"),
		SLICE("\x16\x03\x01\x50\0"),
		SLICE("\x16\x03\x01\0\5\2"),
		SLICE("\x16\x03\x01\0\4\1\0\0\0"),
		SLICE("\x16\x03\x01\0\4\1\xff\xff\xff"),
	};
	struct hello h;

	for (size_t i = 0; i < countof(bad); i++)
		if (parse(bad[i], &h) != HELLO_NOT)
			T_FAIL("sample %zu", i);
}

TEST(malformed_extensions_are_refused)
{
	static const struct slice bad[] = {
		SLICE("\0"), SLICE("\0\0\0\5\0"),
		SLICE("\0\0\0\2\0\0"),        /* an empty list of names */
		SLICE("\0\0\0\6\0\3\0\0\1a"), /* a list that is too short */
		SLICE("\0\x10\0\3\0\1\0"),    /* an empty protocol */
		SLICE("\0\x10\0\5\0\3\1x\1"), /* a protocol that is cut */
		SLICE("\0\x10\0\4\0\2\1x\0\x10\0\4\0\2\1x"), /* twice */
	};
	struct hello h;

	for (size_t i = 0; i < countof(bad); i++) {
		struct buf b = hello(bad[i], 16384);

		if (parse(buf_slice(&b), &h) != HELLO_NOT)
			T_FAIL("sample %zu", i);
		buf_fini(&b);
	}
}

TEST(a_hello_has_a_limit)
{
	static uint8_t bytes[HELLO_LIMIT + 16] = {
		22, 3, 1, 0x3f, 0xff, 1, 0, 0x3f, 0xf8};
	struct hello h;

	EQ_INT(hello_parse(bytes, HELLO_LIMIT - 1, &h), HELLO_MORE);
	EQ_INT(hello_parse(bytes, HELLO_LIMIT, &h), HELLO_NOT);
	EQ_INT(hello_parse(bytes, sizeof bytes, &h), HELLO_NOT);
}
