/* SPDX-License-Identifier: Apache-2.0 */
#include "t.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/obj.h"
#include "http/client.h"
#include "net/pipe.h"

/* An HTTP/1 client: what it writes for a request, and what it makes of the answer. */
static struct loop *loop;
static struct http_client *client;
static struct conn *raw;
static struct buf got;
static bool raw_eof, raw_gone, client_over, closing;
static int idles;

/* ---- a call that writes down its response ---- */

struct call {
	struct exch x;
	struct arena arena;
	struct buf text;
	bool over, withhold;
};

static struct call *call_of(struct exch *x)
{
	return x->source_arg;
}

static void call_info(struct exch *x, const struct rsp_head *head)
{
	buf_printf(&call_of(x)->text, "(%d)", head->status);
}

static void call_head(struct exch *x)
{
	struct call *c = call_of(x);

	buf_printf(&c->text, "%d %lld", x->rsp.status, (long long)x->rsp.length);
	for (size_t i = 0; i < x->rsp.fields.n; i++)
		buf_printf(&c->text, " %.*s=%.*s", SLICE_FMT(x->rsp.fields.v[i].name),
			SLICE_FMT(x->rsp.fields.v[i].value));
	buf_text(&c->text, ";");
	if (!c->withhold)
		exch_rsp_credit(x, 1000);
}

static void call_data(struct exch *x, const uint8_t *p, size_t n)
{
	buf_add(&call_of(x)->text, p, n);
	exch_rsp_credit(x, n);
}

static void call_end(struct exch *x, const struct fields *trailers)
{
	buf_printf(&call_of(x)->text, "%s.", trailers ? "+" : "");
}

static void call_credit(struct exch *x, size_t n)
{
	(void)x, (void)n;
}

static void call_over(struct exch *x)
{
	struct call *c = call_of(x);

	c->over = true;
	if (x->err.code != ERR_NONE)
		buf_printf(&c->text, "!%s%s%s", errc_name(x->err.code),
			x->touched ? "" : " untouched", x->raced ? " raced" : "");
}

static const struct source call_source = {.info = call_info,
	.head = call_head,
	.data = call_data,
	.end = call_end,
	.credit = call_credit,
	.over = call_over};

static void via_begin(struct exch *x, void *shared)
{
	(void)shared;
	http_client_begin(client, x);
}

static void via_data(struct exch *x, void *shared, const uint8_t *p, size_t n)
{
	(void)shared;
	http_client_data(x, p, n);
}

static void via_end(struct exch *x, void *shared, const struct fields *trailers)
{
	(void)shared;
	http_client_end_body(x, trailers);
}

static void via_credit(struct exch *x, void *shared, size_t n)
{
	(void)shared;
	http_client_credit(x, n);
}

static void via_cancel(struct exch *x, void *shared)
{
	(void)shared;
	http_client_cancel(x);
}

static const struct service via = {.begin = via_begin,
	.data = via_data,
	.end = via_end,
	.credit = via_credit,
	.cancel = via_cancel};
static const struct stack stack = {.service = &via};

static void call_make(struct call *c, const char *method, const char *path)
{
	*c = (struct call){.over = false};
	arena_init(&c->arena, 1 << 20);
	c->x = (struct exch){.arena = &c->arena,
		.loop = loop,
		.source = &call_source,
		.source_arg = c};
	c->x.req = (struct req_head){.version = HTTP_1_1,
		.method = slice_of(method),
		.scheme = SLICE("http"),
		.authority = SLICE("h"),
		.path = slice_of(path)};
}

static void call_fini(struct call *c)
{
	OK(c->over);
	buf_fini(&c->text);
	arena_fini(&c->arena);
}

/* ---- the other end ---- */

static size_t raw_in(struct conn *c, void *arg, const uint8_t *p, size_t n)
{
	(void)c, (void)arg;
	buf_add(&got, p, n);
	return n;
}

static void on_raw_eof(struct conn *c, void *arg)
{
	(void)c, (void)arg;
	raw_eof = true;
}

static void on_raw_gone(struct conn *c, void *arg, const struct err *e)
{
	(void)c, (void)arg, (void)e;
	raw_gone = true;
}

static const struct conn_user raw_user = {
	.on_in = raw_in, .on_eof = on_raw_eof, .on_gone = on_raw_gone};

static void on_idle(void *arg, struct http_client *c)
{
	(void)arg, (void)c;
	idles++;
}

static void on_closing(void *arg, struct http_client *c)
{
	(void)arg, (void)c;
	closing = true;
}

static void on_gone(void *arg, struct http_client *c, const struct err *e)
{
	(void)arg, (void)c, (void)e;
	client_over = true;
}

static const struct http_client_user user = {
	.on_idle = on_idle, .on_closing = on_closing, .on_gone = on_gone};
static const struct http_client_config cfg;

static void settle(void)
{
	for (int i = 0; i < 3; i++) {
		loop_post(loop, (void (*)(void *))loop_stop, loop);
		loop_run(loop, NULL);
	}
}

static void start(size_t cut)
{
	struct conn *ends[2];

	loop = loop_new(NULL);
	EQ_INT(pipe_new(loop, cut, ends, NULL), 0);
	raw = ends[0];
	conn_use(raw, &raw_user, NULL);
	client = http_client_new(ends[1], HTTP_KIND_1, &cfg, &user, NULL, NULL);
	got = BUF_INIT;
	raw_eof = raw_gone = client_over = closing = false;
	idles = 0;
	settle();
}

static void say(const char *text)
{
	conn_write(raw, text, strlen(text));
	settle();
}

static void stop(void)
{
	if (!raw_gone)
		conn_end(raw);
	settle();
	OK(client_over);
	loop_free(loop);
	buf_fini(&got);
}

static const char *text_of(struct buf *b)
{
	buf_char(b, '\0');
	b->end--;
	return b->p + b->at;
}

TEST(answers_do_not_depend_on_cuts)
{
	static const struct {
		const char *method, *answer;
		bool eof; /* the server closes behind it */
		const char *want;
		bool reused;
	} rows[] = {
		{"GET", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nA: b\r\n\r\nabc",
			false, "200 3 a=b;abc.", true},
		{"GET",
			"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
			"2\r\nab\r\n1\r\nc\r\n0\r\nT: v\r\n\r\n",
			false, "200 -1;abc+.", true},
		{"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", false,
			"200 3;.", true},
		{"GET", "HTTP/1.1 304 Not\r\nContent-Length: 3\r\n\r\n", false,
			"304 3;.", true},
		{"GET", "HTTP/1.1 204 None\r\n\r\n", false, "204 0;.", true},
		{"GET",
			"HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
			"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
			false, "(103)(100)200 0;.", true},
		{"GET",
			"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: "
			"1\r\n\r\na",
			false, "200 1;a.", false},
		{"GET", "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na", false,
			"200 1;a.", false},
		{"GET",
			"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: "
			"1\r\n\r\na",
			false, "200 1;a.", true},
		{"GET", "HTTP/1.1 200 OK\r\n\r\nall of it", true, "200 -1;all of it.",
			false},
		/* broken answers */
		{"GET", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", true,
			"200 9;abc!closed", false},
		{"GET", "", true, "!closed", false},
		{"GET",
			"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: "
			"2\r\n\r\na",
			false, "!syntax", false},
		{"GET", "HTTP/1.1 101 Up\r\nUpgrade: w\r\n\r\n", false, "!syntax",
			false},
		{"GET", "SSH-2.0-x\r\n\r\n", false, "!syntax", false},
	};

	for (size_t cut = 0; cut < 12; cut = cut < 3 ? cut + 1 : cut + 4)
		for (size_t i = 0; i < countof(rows); i++) {
			struct call c;

			start(cut);
			call_make(&c, rows[i].method, "/");
			exch_req_end(&c.x, NULL);
			exch_begin(&c.x, &stack);
			settle();
			say(rows[i].answer);
			if (rows[i].eof)
				conn_shutdown(raw);
			settle();
			if (strcmp(text_of(&c.text), rows[i].want) != 0)
				T_FAIL("cut %zu row %zu: %s", cut, i, text_of(&c.text));
			EQ_INT(!client_over && http_client_has_room(client),
				rows[i].reused);
			EQ_INT(closing, !rows[i].reused);
			EQ_INT(idles, rows[i].reused);
			call_fini(&c);
			stop();
		}
}

TEST(requests_are_written_as_they_were_asked)
{
	struct call c;

	start(0);
	call_make(&c, "POST", "/p?q");
	fields_add(&c.x.req.fields, &c.arena, SLICE("cookie"), SLICE("a=1"));
	fields_add(&c.x.req.fields, &c.arena, SLICE("x"), SLICE("y"));
	fields_add(&c.x.req.fields, &c.arena, SLICE("cookie"), SLICE("b=2"));
	c.x.req.length = BODY_UNKNOWN;
	c.x.req.te_trailers = true;
	exch_begin(&c.x, &stack);
	OK(c.x.req_credit >= 3);
	exch_req_data(&c.x, (const uint8_t *)"abc", 3);
	exch_req_end(&c.x, NULL);
	settle();
	EQ_STR(text_of(&got),
		"POST /p?q HTTP/1.1\r\nhost: h\r\ncookie: a=1; b=2\r\nx: y\r\n"
		"transfer-encoding: chunked\r\nconnection: te\r\nte: trailers\r\n\r\n"
		"3\r\nabc\r\n0\r\n\r\n");
	say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	call_fini(&c);
	buf_clear(&got);
	call_make(&c, "PUT", "/");
	exch_req_end(&c.x, NULL);
	exch_begin(&c.x, &stack);
	settle();
	EQ_STR(text_of(&got), "PUT / HTTP/1.1\r\nhost: h\r\ncontent-length: 0\r\n\r\n");
	stop();
	call_fini(&c);
}

TEST(a_body_without_credit_waits_and_then_comes)
{
	struct call c;

	start(0);
	call_make(&c, "GET", "/");
	c.withhold = true;
	exch_req_end(&c.x, NULL);
	exch_begin(&c.x, &stack);
	settle();
	say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde");
	EQ_STR(text_of(&c.text), "200 5;");
	exch_rsp_credit(&c.x, 2);
	settle();
	EQ_STR(text_of(&c.text), "200 5;abcde."); /* it grants again as it reads */
	call_fini(&c);
	stop();
}

TEST(a_connection_that_ends_before_a_byte_left_has_touched_nothing)
{
	struct call c;

	start(0);
	call_make(&c, "GET", "/");
	exch_req_end(&c.x, NULL);
	conn_end(raw); /* in the same turn: what is written does not leave */
	raw_gone = true;
	exch_begin(&c.x, &stack);
	settle();
	EQ_STR(text_of(&c.text), "!closed untouched");
	call_fini(&c);
	stop();
}

/* One exchange in order, so that the connection is a kept one. */
static void use_once(const char *answer)
{
	struct call c;

	call_make(&c, "GET", "/");
	exch_req_end(&c.x, NULL);
	exch_begin(&c.x, &stack);
	settle();
	say(answer);
	OK(c.over && c.x.err.code == ERR_NONE);
	call_fini(&c);
}

#define NONE "HTTP/1.1 204 None\r\n\r\n"

TEST(a_race_with_the_closing_of_a_kept_connection_is_told)
{
	static const struct {
		const char *method;
		bool kept;
		const char *answer; /* before the server ends it */
		void (*how)(struct conn *);
		const char *want;
	} rows[] = {
		{"GET", true, "", conn_shutdown, "!closed raced"},
		{"GET", true, "", conn_abort, "!closed raced"},
		{"PUT", true, "", conn_shutdown, "!closed raced"},
		{"DELETE", true, "", conn_shutdown, "!closed raced"},
		{"POST", true, "", conn_shutdown, "!closed"},
		{"PATCH", true, "", conn_shutdown, "!closed"},
		{"BREW", true, "", conn_shutdown, "!closed"},
		{"GET", false, "", conn_shutdown, "!closed"},
		{"GET", true, "H", conn_shutdown, "!closed"},
		{"GET", true, "HTTP/1.1 100 Go on\r\n\r\n", conn_shutdown,
			"(100)!closed"},
	};

	for (size_t i = 0; i < countof(rows); i++) {
		struct call c;

		start(0);
		if (rows[i].kept)
			use_once(NONE);
		call_make(&c, rows[i].method, "/");
		exch_req_end(&c.x, NULL);
		exch_begin(&c.x, &stack);
		settle();
		say(rows[i].answer);
		raw_gone = rows[i].how == conn_abort;
		rows[i].how(raw);
		settle();
		if (strcmp(text_of(&c.text), rows[i].want) != 0)
			T_FAIL("row %zu: %s", i, text_of(&c.text));
		call_fini(&c);
		stop();
	}
}

TEST(how_long_a_server_keeps_a_connection_is_heard)
{
	static const struct {
		const char *said;
		uint64_t seconds;
	} rows[] = {{"timeout=5", 5}, {"max=9, timeout=15", 15}, {"timeout=x", 0},
		{"timeout=99999999", 0}, {"timeout=-1", 0}, {"", 0}};

	for (size_t i = 0; i < countof(rows); i++) {
		char answer[128];

		start(0);
		snprintf(answer, sizeof answer,
			"HTTP/1.1 204 None\r\nKeep-Alive: %s\r\n\r\n", rows[i].said);
		use_once(answer);
		EQ_INT(http_client_idle_limit(client), rows[i].seconds * NS_PER_S);
		stop();
	}
}

TEST(names_are_written_as_they_were_spelt)
{
	struct call c;
	struct fields trailers = {0};
	struct field *f;

	start(0);
	call_make(&c, "POST", "/");
	fields_add(&c.x.req.fields, &c.arena, SLICE("x-id"), SLICE("1"));
	fields_add(&c.x.req.fields, &c.arena, SLICE("cookie"), SLICE("a=1"));
	fields_add(&c.x.req.fields, &c.arena, SLICE("soap"), SLICE("2"));
	f = c.x.req.fields.v;
	f[0].spelt = "X-ID";
	f[1].spelt = "Cookie";
	c.x.req.titled = c.x.req.te_trailers = true;
	c.x.req.length = BODY_UNKNOWN;
	exch_begin(&c.x, &stack);
	fields_add(&trailers, &c.arena, SLICE("sum"), SLICE("9"));
	fields_add(&trailers, &c.arena, SLICE("content-length"), SLICE("9"));
	fields_add(&trailers, &c.arena, SLICE("host"), SLICE("other"));
	trailers.v[0].spelt = "Sum";
	exch_req_end(&c.x, &trailers);
	settle();
	EQ_STR(text_of(&got),
		"POST / HTTP/1.1\r\nHost: h\r\nX-ID: 1\r\nCookie: a=1\r\nsoap: 2\r\n"
		"Transfer-Encoding: chunked\r\nConnection: te\r\nTE: trailers\r\n\r\n"
		"0\r\nSum: 9\r\n\r\n");
	stop();
	call_fini(&c);
}

TEST(an_idle_server_that_speaks_or_closes_is_left)
{
	start(0);
	say("HTTP/1.1 408 Timeout\r\n\r\n");
	OK(closing && client_over);
	stop();
	start(0);
	conn_shutdown(raw);
	settle();
	OK(closing && client_over);
	stop();
}

TEST(a_tunnel_carries_bytes_and_half_closes)
{
	struct call c;

	start(0);
	call_make(&c, "GET", "/");
	c.x.req.upgrade = SLICE("w");
	exch_begin(&c.x, &stack);
	settle();
	EQ_STR(text_of(&got), "GET / HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\n"
			      "upgrade: w\r\n\r\n");
	buf_clear(&got);
	say("HTTP/1.1 101 Up\r\nUpgrade: w\r\nConnection: upgrade\r\n\r\nhello");
	EQ_STR(text_of(&c.text), "101 -1;hello");
	exch_req_data(&c.x, (const uint8_t *)"abc", 3);
	conn_shutdown(raw);
	settle();
	EQ_STR(text_of(&c.text), "101 -1;hello.");
	EQ_STR(text_of(&got), "abc");
	OK(!c.over);
	exch_req_end(&c.x, NULL);
	settle();
	OK(c.over && raw_eof);
	stop();
	call_fini(&c);
}

TEST(ending_a_client_fails_its_exchange_and_says_no_more)
{
	struct call c;

	start(0);
	call_make(&c, "GET", "/");
	exch_req_end(&c.x, NULL);
	exch_begin(&c.x, &stack);
	settle();
	http_client_end(client);
	EQ_STR(text_of(&c.text), "!closed");
	settle();
	OK(!client_over && !closing && raw_gone);
	client_over = true;
	stop();
	call_fini(&c);
}
