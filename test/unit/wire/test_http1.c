/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/http1.h"

#include <stdarg.h>
#include <stdlib.h>

#include "base/obj.h"
#include "t.h"

/* Events as text: "GET /x 1.1 [a=b]len=3 {abc}END" */
static char trace[8192];
static size_t traced;
static bool in_data;

static void note(const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(trace + traced, sizeof trace - traced, fmt, ap);
	va_end(ap);
	OK(n >= 0 && (size_t)n < sizeof trace - traced);
	traced += (size_t)n;
}

static void note_fields(const struct http1_head *h)
{
	for (size_t i = 0; i < h->nfields; i++)
		note("[%.*s=%.*s]", SLICE_FMT(h->field[i].name),
			SLICE_FMT(h->field[i].value));
}

static void note_event(struct http1 *h, enum http1_got got, struct http1_out *out)
{
	if (in_data && got != HTTP1_DATA && got != HTTP1_MORE) {
		note("}");
		in_data = false;
	}
	switch (got) {
	case HTTP1_HEAD:
		if (h->kind == HTTP1_REQUEST)
			note("%.*s %.*s", SLICE_FMT(out->head.method),
				SLICE_FMT(out->head.target));
		else
			note("%d %.*s", out->head.status, SLICE_FMT(out->head.reason));
		note(" 1.%d ", out->head.minor);
		note_fields(&out->head);
		note("len=%lld%s ", (long long)out->head.length,
			out->head.chunked ? "c" : "");
		return;
	case HTTP1_DATA:
		if (!in_data)
			note("{");
		in_data = true;
		note("%.*s", SLICE_FMT(out->data));
		return;
	case HTTP1_END:
		note_fields(&out->head);
		note("END ");
		return;
	case HTTP1_BAD:
		note("BAD %d", h->status);
		return;
	case HTTP1_MORE:
	case HTTP1_HELD:
		return;
	}
}

/* Feeds `text` in pieces of `cut`, keeping what is not consumed as a conn does. */
static void run(
	struct http1 *h, const char *text, size_t cut, size_t data_max, bool eof)
{
	size_t n = strlen(text), at = 0, shown = 0;
	enum http1_got got = HTTP1_MORE;
	struct http1_out out;

	traced = 0;
	trace[0] = 0;
	in_data = false;
	while (shown < n) {
		char *copy;

		shown = shown + cut < n ? shown + cut : n;
		do { /* a copy each time: nothing may be remembered by address */
			copy = malloc(shown - at + 1);
			memcpy(copy, text + at, shown - at);
			got = http1_next(
				h, (uint8_t *)copy, shown - at, data_max, &out);
			note_event(h, got, &out);
			at += out.used;
			free(copy);
			if (got == HTTP1_BAD)
				return;
		} while (got != HTTP1_MORE);
	}
	if (!eof)
		return;
	out.head.nfields = 0;
	got = http1_eof(h);
	note_event(h, got, &out);
}

struct row {
	const char *in, *want;
};

static void check(enum http1_kind kind, const struct row *r, bool head, bool eof)
{
	size_t n = strlen(r->in);

	for (size_t cut = 1; cut <= n; cut++) {
		struct http1 h;

		http1_init(&h, kind, 65536);
		http1_answers(&h, head, false);
		run(&h, r->in, cut, cut % 3 ? SIZE_MAX : 2, eof);
		if (strcmp(trace, r->want) != 0)
			T_FAIL("cut %zu of \"%.60s\":\n# got  %s\n# want %s", cut,
				r->in, trace, r->want);
	}
}

#define H "Host: a\r\n"

TEST(requests_give_the_same_events_at_every_cut)
{
	static const struct row rows[] = {
		{"GET / HTTP/1.1\r\n" H "\r\n", "GET / 1.1 [Host=a]len=0 END "},
		{"\r\nGET / HTTP/1.0\r\n\r\n", "GET / 1.0 len=0 END "},
		{"\r\n\r\n\r\nGET / HTTP/1.0\r\n\r\n\r\n", "GET / 1.0 len=0 END "},
		{"BREW /pot HTTP/1.1\r\n" H "X-A:  b c \t\r\n\r\n",
			"BREW /pot 1.1 [Host=a][X-A=b c]len=0 END "},
		{"GET / HTTP/1.1\r\nE:\r\nF: \r\n\r\n", "GET / 1.1 [E=][F=]len=0 END "},
		{"POST /x HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
			"POST /x 1.1 [Content-Length=3]len=3 {abc}END "},
		{"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
		 "3;a;b=\"c\\\";d\"\r\nabc\r\nA;q=1\r\n0123456789\r\n0\r\n\r\n",
			"POST /x 1.1 [Transfer-Encoding=chunked]len=-1c "
			"{abc0123456789}END "},
		{"POST /x HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n"
		 "1\r\nz\r\n0\r\nSum: 9\r\nT: u\r\n\r\nGET / HTTP/1.1\r\n\r\n",
			"POST /x 1.1 [Transfer-Encoding=Chunked]len=-1c "
			"{z}[Sum=9][T=u]END GET / 1.1 len=0 END "},
		{"GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n",
			"GET /1 1.1 len=0 END GET /2 1.1 len=0 END "},
		{"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n",
			"CONNECT a:1 1.1 [Host=a:1]len=0 END "},
		{"GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: w\r\n\r\n"
		 "GET /2 HTTP/1.1\r\n\r\n",
			"GET / 1.1 [Connection=upgrade][Upgrade=w]len=0 END "
			"GET /2 1.1 len=0 END "},
		{"GET http://h/p?q HTTP/1.1\r\n\r\n",
			"GET http://h/p?q 1.1 len=0 END "},
		{"OPTIONS * HTTP/1.1\r\n\r\n", "OPTIONS * 1.1 len=0 END "},
	};

	for (size_t i = 0; i < countof(rows); i++)
		check(HTTP1_REQUEST, &rows[i], false, false);
}

TEST(shapes_that_smuggle_are_refused)
{
	static const struct {
		const char *in;
		int status;
	} rows[] = {
		{"GET / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: "
		 "chunked\r\n\r\n",
			400},
		{"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: "
		 "3\r\n\r\n",
			400},
		{"GET / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n",
			400},
		{"GET / HTTP/1.1\r\nContent-Length: 3, 3\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nContent-Length: +3\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nContent-Length: 0x3\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nContent-Length: 9999999999999999999\r\n\r\n", 413},
		{"GET / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501},
		{"GET / HTTP/1.1\r\nTransfer-Encoding: chunked, identity\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: "
		 "chunked\r\n\r\n",
			400},
		{"GET / HTTP/1.1\r\nTransfer-Encoding : chunked\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nTransfer-Encoding: chunkedx\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nTransfer-Encoding: chunked;q=1\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: "
		 "chunked\r\n\r\n",
			501},
		{"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: "
		 "identity\r\n\r\n",
			400},
		{"GET / HTTP/1.1\r\nTransfer-Encoding:\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nTransfer\xe2-Encoding: chunked\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nContent-Length:\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nContent-Length: 3 3\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nContent-Length: 3;a\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nContent-Length : 3\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nContent-Length\t: 3\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nContent_Length\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\n\tA: b\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nA: b\x08\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nA: b\x1b[m\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nA(b): c\r\n\r\n", 400},
		{"GET /\x01 HTTP/1.1\r\n\r\n", 400},
		{"GET /\x7f HTTP/1.1\r\n\r\n", 400},
		{"GET /\t HTTP/1.1\r\n\r\n", 400},
		{"GET\t/ HTTP/1.1\r\n\r\n", 400},
		{"GET / HTTP/1.1\rA: b\r\n\r\n", 400},
		{"GET / http/1.1\r\n\r\n", 400},
		{"GET / HTTP/11.1\r\n\r\n", 400},
		{"GET / HTTP/1.01\r\n\r\n", 400},
		{" GET / HTTP/1.1\r\n\r\n", 400},
		{"G\x01T / HTTP/1.1\r\n\r\n", 400},
		{"G:T / HTTP/1.1\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nTransfer-Encoding: \x0b"
		 "chunked\r\n\r\n",
			400},
		{"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
		{"GET / HTTP/1.1\nHost: a\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nHost: a\n\r\n", 400},
		{"GET / HTTP/1.1\r\nHost: a\r\n\n", 400},
		{"GET / HTTP/1.1\r\nA: b\rc\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nA: b\r\n\tc\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\n A: b\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nA b\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\n: b\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nA\x01: b\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nA: \x7f\r\n\r\n", 400},
		{"GET /a b HTTP/1.1\r\n\r\n", 400},
		{"GET  / HTTP/1.1\r\n\r\n", 400},
		{"GET /  HTTP/1.1\r\n\r\n", 400},
		{"GET / HTTP/1.1 \r\n\r\n", 400},
		{"GE@T / HTTP/1.1\r\n\r\n", 400},
		{"GET / HTTP/1.2\r\n\r\n", 505},
		{"GET / HTTP/2.0\r\n\r\n", 505},
		{"GET / HTTP/0.9\r\n\r\n", 505},
		{"GET /\r\n\r\n", 400},
		{"X\r\n\r\n", 400},
	};
	static const char *const chunks[] = {
		"g\r\n",
		"-1\r\n",
		"0x1\r\n",
		" 1\r\n",
		"1 \r\nz\r\n0\r\n\r\n",
		"1\nz\r\n",
		"1\r\nzz\r\n",
		"1\r\nz\n0\r\n\r\n",
		"1\r\nz0\r\n\r\n",
		"\r\n",
		"ffffffffffffffff1\r\n",
		"1;\r\r\nz\r\n0\r\n\r\n",
		"1;a\nb\r\nz\r\n",
		"0\r\nA : b\r\n\r\n",
		"0\r\nA: b\r\n c\r\n\r\n",
		"0\r\nA: b\n\r\n",
		"0\r\n\n",
		"+1\r\nz\r\n",
		"1_0\r\nz\r\n",
		"1\t\r\nz\r\n",
		"1\r\r\nz\r\n",
		"1;a\rb\r\nz\r\n",
		"1;a=\"b\nc\"\r\nz\r\n",
		"1;a\x01\r\nz\r\n",
		"1;\r\nz\r\n",
		"1; a=b\r\nz\r\n",
		"1;a b\r\nz\r\n",
		"1;a=\r\nz\r\n",
		"1;=b\r\nz\r\n",
		"1;a=\"b\r\nz\r\n",
		"1;a=\"b\\\r\nz\r\n",
		"1;a=\"b\"c\r\nz\r\n",
		"1;a=b=c\r\nz\r\n",
		"1;\x80\r\nz\r\n",
		"10000000000000000\r\n",
		"8000000000000000\r\n",
		"0\r\nContent-Length: 3\r\n\r\n",
		"0\r\nTransfer-Encoding: chunked\r\n\r\n",
		"0\r\nHost: b\r\n\r\n",
	};

	for (size_t i = 0; i < countof(rows); i++) {
		char want[16];
		struct row r = {rows[i].in, want};

		snprintf(want, sizeof want, "BAD %d", rows[i].status);
		check(HTTP1_REQUEST, &r, false, false);
	}
	for (size_t i = 0; i < countof(chunks); i++) {
		char text[256];
		struct http1 h;

		snprintf(text, sizeof text,
			"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n%s"
			"0\r\n\r\n",
			chunks[i]);
		for (size_t cut = 1; cut < strlen(text); cut++) {
			http1_init(&h, HTTP1_REQUEST, 65536);
			run(&h, text, cut, SIZE_MAX, false);
			if (!strstr(trace, "BAD 400"))
				T_FAIL("chunk row %zu at cut %zu: %s", i, cut, trace);
		}
	}
}

TEST(a_zero_byte_is_refused)
{
	static const char text[] = "GET / HTTP/1.1\r\nA: b\0c\r\n\r\n";
	struct http1_out out;
	struct http1 h;

	http1_init(&h, HTTP1_REQUEST, 65536);
	EQ_INT(http1_next(&h, (const uint8_t *)text, sizeof text - 1, 9, &out),
		HTTP1_BAD);
}

TEST(responses_give_the_same_events_at_every_cut)
{
	static const struct row rows[] = {
		{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
			"200 OK 1.1 [Content-Length=2]len=2 {hi}END "},
		{"HTTP/1.1 204 \r\n\r\n", "204  1.1 len=0 END "},
		{"HTTP/1.1 304 Not\r\nContent-Length: 7\r\n\r\n",
			"304 Not 1.1 [Content-Length=7]len=7 END "},
		{"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: "
		 "0\r\n\r\n",
			"100 Continue 1.1 len=0 200 OK 1.1 [Content-Length=0]len=0 "
			"END "},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
		 "2\r\nhi\r\n0\r\nA: b\r\n\r\n",
			"200 OK 1.1 [Transfer-Encoding=chunked]len=-1c {hi}[A=b]END "},
	};
	static const struct row until_eof[] = {
		{"HTTP/1.0 200 OK\r\n\r\nall of it",
			"200 OK 1.0 len=-1 {all of it}END "},
		{"HTTP/1.1 101 Up\r\nUpgrade: w\r\n\r\nxyz",
			"101 Up 1.1 [Upgrade=w]len=-1 {xyz}END "},
	};
	static const struct row to_head[] = {
		{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
			"200 OK 1.1 [Content-Length=5]len=5 END "},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
			"200 OK 1.1 [Transfer-Encoding=chunked]len=-1 END "},
	};

	for (size_t i = 0; i < countof(rows); i++)
		check(HTTP1_RESPONSE, &rows[i], false, false);
	for (size_t i = 0; i < countof(until_eof); i++)
		check(HTTP1_RESPONSE, &until_eof[i], false, true);
	for (size_t i = 0; i < countof(to_head); i++)
		check(HTTP1_RESPONSE, &to_head[i], true, false);
}

TEST(responses_of_two_meanings_are_refused)
{
#define R "HTTP/1.1 200 OK\r\n"
	static const char *const rows[] = {
		R "Content-Length: 3\r\nContent-Length: 3\r\n\r\n",
		R "Content-Length: 3, 3\r\n\r\n",
		R "Content-Length: +3\r\n\r\n",
		R "Content-Length : 3\r\n\r\n",
		R "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
		R "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
		R "Transfer-Encoding: gzip, chunked\r\n\r\n",
		R "Transfer-Encoding: chunked, identity\r\n\r\n",
		R "Transfer-Encoding: xchunked\r\n\r\n",
		"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
		R "A: b\r\n c\r\n\r\n",
		R " A: b\r\n\r\n",
		R "A: b\rc\r\n\r\n",
		R "A: b\nc: d\r\n\r\n",
		R "A b\r\n\r\n",
		R "A\x01: b\r\n\r\n",
		R "A: \x01\r\n\r\n",
		"HTTP/1.1 20 OK\r\n\r\n",
		"HTTP/1.1 099 Low\r\n\r\n",
		"HTTP/1.1 1000 High\r\n\r\n",
		"HTTP/1.1 600 High\r\n\r\n",
		"HTTP/2.0 200 OK\r\n\r\n",
		"http/1.1 200 OK\r\n\r\n",
		"HTTP/1.1 200 OK\r\r\n\r\n",
		"HTTP/1.1  200 OK\r\n\r\n",
		"HTTP/1.1\r\n\r\n",
		R "Transfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 1\r\n\r\n",
	};

	for (size_t i = 0; i < countof(rows); i++)
		for (size_t cut = 1; cut <= strlen(rows[i]); cut++) {
			struct http1 h;

			http1_init(&h, HTTP1_RESPONSE, 65536);
			run(&h, rows[i], cut, SIZE_MAX, false);
			if (!strstr(trace, "BAD"))
				T_FAIL("row %zu at cut %zu: %s", i, cut, trace);
		}
}

TEST(a_message_cut_short_is_bad)
{
	static const struct row rows[] = {
		{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhi",
			"200 OK 1.1 [Content-Length=5]len=5 {hi}BAD 400"},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n",
			"200 OK 1.1 [Transfer-Encoding=chunked]len=-1c {hi}BAD 400"},
	};

	for (size_t i = 0; i < countof(rows); i++)
		check(HTTP1_RESPONSE, &rows[i], false, true);
}

TEST(heads_have_limits)
{
	size_t n = 5000;
	char *text = malloc(n);
	struct http1 h;
	size_t at;

	at = (size_t)snprintf(text, n, "GET / HTTP/1.1\r\nA: ");
	memset(text + at, 'x', n - at - 1);
	text[n - 1] = 0;
	http1_init(&h, HTTP1_REQUEST, 4096);
	run(&h, text, 100, SIZE_MAX, false);
	EQ_STR(trace, "BAD 431");
	at = (size_t)snprintf(text, n, "GET / HTTP/1.1\r\n");
	for (int i = 0; i < 257; i++)
		at += (size_t)snprintf(text + at, n - at, "a: b\r\n");
	snprintf(text + at, n - at, "\r\n");
	http1_init(&h, HTTP1_REQUEST, 65536);
	run(&h, text, 100, SIZE_MAX, false);
	EQ_STR(trace, "BAD 431");
	at = (size_t)snprintf(
		text, n, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;");
	memset(text + at, 'x', n - at - 1);
	http1_init(&h, HTTP1_REQUEST, 65536);
	run(&h, text, 100, SIZE_MAX, false);
	OK(strstr(trace, "BAD 400"));
	free(text);
}

/* What http1_explain() says of `text`. */
static const char *explained(const char *text, size_t head_max)
{
	static struct err e;
	struct http1_out out;
	struct http1 h;
	size_t n = strlen(text), at = 0;
	enum http1_got got = HTTP1_HEAD;

	http1_init(&h, HTTP1_REQUEST, head_max);
	while (got == HTTP1_HEAD || got == HTTP1_DATA) {
		got = http1_next(&h, (const uint8_t *)text + at, n - at, 99, &out);
		at += out.used;
	}
	EQ_INT(got, HTTP1_BAD);
	http1_explain(&h, &out, &e);
	return e.msg;
}

TEST(what_is_too_large_is_named_with_its_limit)
{
	EQ_STR(explained("GET / HTTP/1.1\r\nA: b\r\nX-Long: 0123456789012345", 40),
		"field \"X-Long\": the head is too large (the limit is 40 bytes)");
	EQ_STR(explained("GET /0123456789012345678901234567890123456789", 40),
		"the head is too large (the limit is 40 bytes)");
	EQ_STR(explained(
		       "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
		       "0\r\nA: b\r\nSum: 01234567890123456789012345678901234567890\r\n"
		       "B: c\r\n\r\n",
		       50),
		"field \"Sum\": the trailers are too large (the limit is 50 bytes)");
	EQ_STR(explained("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
			 "0\r\nHost: 3\r\n\r\n",
		       50),
		"field \"Host\": no field for trailers");
}

TEST(without_credit_no_body_is_shown)
{
	static const char text[] = "POST / HTTP/1.1\r\nTransfer-Encoding: "
				   "chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
	const uint8_t *p = (const uint8_t *)text;
	struct http1_out out;
	struct http1 h;
	size_t at = 0, n = sizeof text - 1;

	http1_init(&h, HTTP1_REQUEST, 65536);
	EQ_INT(http1_next(&h, p, n, 0, &out), HTTP1_HEAD);
	at += out.used;
	EQ_INT(http1_next(&h, p + at, n - at, 0, &out), HTTP1_HELD);
	at += out.used;
	EQ_INT(http1_next(&h, p + at, n - at, 3, &out), HTTP1_DATA);
	EQ_INT(out.data.n, 3);
	at += out.used;
	/* the end costs no credit */
	EQ_INT(http1_next(&h, p + at, n - at, 0, &out), HTTP1_END);
	EQ_INT(at + out.used, n);
	OK(http1_is_idle(&h));
}
