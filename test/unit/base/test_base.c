/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/addr.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/map.h"
#include "base/opt.h"
#include "t.h"

#define EQ_SLICE(got, want)                                                            \
	do {                                                                           \
		struct slice s_ = (got);                                               \
		if (!slice_is(s_, want))                                               \
			T_FAIL("%s is \"%.*s\", want \"%s\"", #got, SLICE_FMT(s_),     \
				want);                                                 \
	} while (0)

TEST(cutting_yields_every_part)
{
	struct slice rest = SLICE("a,,b"), part;

	OK(slice_cut(&rest, ',', &part));
	EQ_SLICE(part, "a");
	OK(slice_cut(&rest, ',', &part));
	EQ_SLICE(part, "");
	OK(slice_cut(&rest, ',', &part));
	EQ_SLICE(part, "b");
	OK(!slice_cut(&rest, ',', &part));
}

TEST(numbers_beyond_their_limit_are_refused)
{
	uint64_t n;
	char out[20];

	OK(slice_u64(SLICE("65535"), 65535, &n) && n == 65535);
	OK(!slice_u64(SLICE("65536"), 65535, &n));
	OK(!slice_u64(SLICE("99999999999999999999"), UINT64_MAX, &n));
	OK(!slice_u64(SLICE(""), 10, &n));
	OK(!slice_u64(SLICE("1x"), 10, &n));
	OK(slice_is(slice_decimal(0, out), "0"));
	OK(slice_is(slice_decimal(1024, out), "1024"));
	OK(slice_is(slice_decimal(UINT64_MAX, out), "18446744073709551615"));
}

TEST(a_buffer_keeps_what_a_random_walk_puts_in)
{
	struct buf b = BUF_INIT;
	unsigned char in = 0, out = 0;

	srandom(1);
	for (int i = 0; i < 20000; i++) {
		if (random() % 2) {
			int n = (int)(random() % 300);

			for (int k = 0; k < n; k++)
				buf_char(&b, (char)in++);
		} else if (buf_len(&b)) {
			size_t n = (size_t)random() % (buf_len(&b) + 1);

			for (size_t k = 0; k < n; k++)
				if ((unsigned char)buf_slice(&b).p[k] != out++)
					T_FAIL("step %d", i);
			buf_take(&b, n);
		}
	}
	buf_take(&b, buf_len(&b));
	OK(b.p == NULL);
}

TEST(a_limited_buffer_refuses_what_is_too_much)
{
	struct buf b = BUF_LIMIT(4);

	EQ_INT(buf_text(&b, "abcd"), 0);
	EQ_INT(buf_char(&b, 'e'), -1);
	OK(b.failed);
	EQ_SLICE(buf_slice(&b), "abcd");
	buf_fini(&b);
}

TEST(text_becomes_json_whatever_its_bytes_are)
{
	static const struct {
		struct slice from;
		const char *to;
	} cases[] = {
		{SLICE("a\"\\\n\x01"), "a\\\"\\\\\\n\\u0001"},
		{SLICE("\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"),
			"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"},
		{SLICE("\x80|\xc3|\xe2\x82"), "\\ufffd|\\ufffd|\\ufffd\\ufffd"},
		{SLICE("\xc0\xaf"), "\\ufffd\\ufffd"},            /* too long a form */
		{SLICE("\xed\xa0\x80"), "\\ufffd\\ufffd\\ufffd"}, /* half a pair */
		{SLICE("\xf5\x80\x80\x80"), "\\ufffd\\ufffd\\ufffd\\ufffd"},
	};

	for (size_t i = 0; i < countof(cases); i++) {
		struct buf b = BUF_INIT;

		EQ_INT(buf_json(&b, cases[i].from), 0);
		EQ_SLICE(buf_slice(&b), cases[i].to);
		buf_fini(&b);
	}
}

TEST(base64_goes_there_and_back)
{
	for (size_t n = 0; n < 60; n++) {
		struct buf a = BUF_INIT, b = BUF_INIT;
		char text[60];

		for (size_t i = 0; i < n; i++)
			text[i] = (char)(i * 37 + n);
		buf_base64(&a, slice_bytes(text, n));
		EQ_INT(buf_unbase64(&b, buf_slice(&a)), 0);
		OK(slice_eq(buf_slice(&b), slice_bytes(text, n)));
		buf_fini(&a);
		buf_fini(&b);
	}
}

struct thing {
	struct map_node node;
	char key[16];
};

TEST(a_map_finds_what_was_put_and_not_what_was_taken)
{
	static struct thing v[2000];
	struct map m = MAP_INIT;
	struct thing *t;
	size_t n = 0;

	for (int i = 0; i < 2000; i++) {
		snprintf(v[i].key, sizeof v[i].key, "k%d", i);
		EQ_INT(map_insert(&m, &v[i].node, slice_of(v[i].key)), 0);
	}
	for (int i = 0; i < 2000; i += 2)
		map_remove(&m, &v[i].node);
	for (int i = 0; i < 2000; i++)
		OK((map_get(&m, slice_of(v[i].key), struct thing, node) != NULL) ==
			(i % 2 == 1));
	map_each(t, &m, node)
	{
		n++;
		map_remove(&m, &t->node);
	}
	EQ_INT(n, 1000);
	EQ_INT(m.count, 0);
	map_fini(&m);
}

TEST(addresses_are_read_and_written)
{
	static const char *const good[] = {"1.2.3.4:80", "[::1]:65535", "[fd00::a]:1"};
	static const char *const bad[] = {
		"1.2.3.4", "::1:80", "1.2.3.4:65536", "x:1", ":1"};
	char text[ADDR_TEXT];
	struct addr a;

	for (size_t i = 0; i < countof(good); i++) {
		OK(addr_parse(slice_of(good[i]), &a));
		EQ_STR(addr_text(&a, text), good[i]);
	}
	for (size_t i = 0; i < countof(bad); i++)
		OK(!addr_parse(slice_of(bad[i]), &a));
	OK(addr_parse(SLICE("[::ffff:10.0.0.1]:5"), &a));
	EQ_STR(addr_text(&a, text), "10.0.0.1:5");
}

TEST(an_address_ends_where_its_bytes_end)
{
	struct addr a;
	struct ip ip;

	OK(!ip_parse(SLICE("10.0.0.1\0x"), &ip));
	OK(!addr_parse(SLICE("10.0.0.1\0:80"), &a));
}

TEST(networks_contain_their_addresses)
{
	static const struct {
		const char *net, *ip;
		bool in;
	} v[] = {{"10.0.0.0/8", "10.255.0.1", true}, {"10.0.0.0/8", "11.0.0.1", false},
		{"192.168.4.0/22", "192.168.7.9", true},
		{"192.168.4.0/22", "192.168.8.0", false},
		{"0.0.0.0/0", "1.1.1.1", true}, {"0.0.0.0/0", "::1", false},
		{"fd00::/9", "fd7f::1", true}, {"fd00::/9", "fd80::1", false},
		{"1.2.3.4", "1.2.3.4", true}};
	struct cidr c;
	struct ip ip;

	for (size_t i = 0; i < countof(v); i++) {
		OK(cidr_parse(slice_of(v[i].net), &c));
		OK(ip_parse(slice_of(v[i].ip), &ip));
		if (cidr_has(&c, &ip) != v[i].in)
			T_FAIL("%s in %s", v[i].ip, v[i].net);
	}
}

TEST(port_sets_know_their_ranges)
{
	static struct portset p;

	OK(portset_parse(SLICE("25, 4000-4002"), &p));
	OK(portset_has(&p, 25) && portset_has(&p, 4001) && !portset_has(&p, 4003));
	OK(!portset_parse(SLICE("70000"), &p));
	OK(!portset_parse(SLICE("5-4"), &p));
}

TEST(durations_are_read_as_the_surface_writes_them)
{
	uint64_t ns;

	OK(duration_parse(SLICE(" 500ms "), &ns) && ns == 500 * NS_PER_MS);
	OK(duration_parse(SLICE("2d"), &ns) && ns == 172800 * NS_PER_S);
	OK(duration_parse(SLICE("0"), &ns) && ns == 0);
	OK(!duration_parse(SLICE("10"), &ns));
	OK(!duration_parse(SLICE("10us"), &ns));
	OK(duration_parse_go(SLICE("1h2m3.5s"), &ns) && ns == 3723500 * NS_PER_MS);
	OK(!duration_parse_go(SLICE("1"), &ns));
}

TEST(times_go_there_and_back)
{
	char text[CLOCK_TEXT];
	uint64_t ns;

	OK(clock_parse(SLICE("2026-11-23T10:20:30.250+01:00"), &ns));
	clock_rfc3339(ns, true, text);
	EQ_STR(text, "2026-11-23T09:20:30.250Z");
	OK(clock_parse(SLICE("2024-02-29t23:59:60z"), &ns));
	clock_rfc3339(ns, false, text);
	EQ_STR(text, "2024-03-01T00:00:00Z");
}

TEST(times_that_the_calendar_has_not_are_refused)
{
	static const char *const bad[] = {"yesterday", "", "2026-13-01T00:00:00Z",
		"2026-00-01T00:00:00Z", "2026-01-00T00:00:00Z", "2026-04-31T00:00:00Z",
		"2025-02-29T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z",
		"2026-01-01T00:00:61Z", "2026-01-01T00:00:00", "2026-01-01T00:00:00.Z",
		"2026-01-01T00:00:00+24:00", "2026-01-01T00:00:00+00:60",
		"2026-01-01T00:00:00Zx", "1969-12-31T23:59:59Z", "9999-01-01T00:00:00Z",
		"2026\r01-01T00:00:00Z",
		"2026-01-01T00\x1a"
		"00:00Z"};
	uint64_t ns;

	for (size_t i = 0; i < countof(bad); i++)
		if (clock_parse(slice_of(bad[i]), &ns))
			T_FAIL("\"%s\" is read", bad[i]);
}

struct options {
	const char *name;
	int64_t port;
	bool loud;
	uint64_t wait;
};
static const struct opt table[] = {
	{.flag = "name",
		.kind = OPT_TEXT,
		.offset = offsetof(struct options, name),
		.needed = true},
	{.flag = "port",
		.brief = 'p',
		.kind = OPT_INT,
		.offset = offsetof(struct options, port),
		.preset = "80",
		.min = 1,
		.max = 65535},
	{.flag = "loud", .kind = OPT_BOOL, .offset = offsetof(struct options, loud)},
	{.flag = "wait",
		.kind = OPT_DURATION,
		.offset = offsetof(struct options, wait),
		.env = "TEST_WAIT"},
};
static char complaints[512];
static void complain(void *arg, const char *what)
{
	(void)arg;
	snprintf(complaints + strlen(complaints),
		sizeof complaints - strlen(complaints), "%s\n", what);
}

TEST(options_come_from_defaults_environment_and_flags)
{
	const char *argv[] = {"x", "-name=a", "rest", "--loud", "-p", "81", NULL};
	struct options o = {0};
	int rest;

	setenv("TEST_WAIT", "3s", 1);
	EQ_INT(opt_read(table, countof(table), &o, 6, (char **)argv, &rest, complain,
		       NULL),
		0);
	EQ_STR(o.name, "a");
	EQ_INT(o.port, 81);
	OK(o.loud);
	EQ_INT(o.wait, 3 * NS_PER_S);
	EQ_INT(rest, 1);
	EQ_STR(argv[1], "rest");
}

TEST(options_may_be_written_as_go_programs_have_them)
{
	static const char *const ways[][3] = {{"-name", ":8086"}, {"--name", ":8086"},
		{"-name=:8086"}, {"--name=:8086"}};

	for (size_t i = 0; i < countof(ways); i++) {
		const char *argv[] = {"x", ways[i][0], ways[i][1], NULL};
		struct options o = {0};

		EQ_INT(opt_read(table, countof(table), &o, ways[i][1] ? 3 : 2,
			       (char **)argv, NULL, complain, NULL),
			0);
		EQ_STR(o.name, ":8086");
	}
}

TEST(every_mistake_in_options_is_told)
{
	const char *argv[] = {"x", "--port=0", "--nope", "word", NULL};
	struct options o = {0};

	setenv("TEST_WAIT", "soon", 1);
	EQ_INT(opt_read(table, countof(table), &o, 4, (char **)argv, NULL, complain,
		       NULL),
		5);
	OK(strstr(complaints, "TEST_WAIT: \"soon\" is not a duration"));
	OK(strstr(complaints, "--port: 0 is not between 1 and 65535"));
	OK(strstr(complaints, "--nope: no such option"));
	OK(strstr(complaints, "--name: must be set"));
}
