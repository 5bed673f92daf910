/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/obj.h"
#include "http/server.h"
#include "net/pipe.h"
#include "t.h"

/*
 * Bytes to an HTTP/1 server and bytes from it.  The service writes down what it was
 * asked, and answers as the path says.
 */
static struct loop *loop;
static struct http_server *server;
static struct conn *client;
static struct buf got, heard;
static bool server_gone, client_eof, client_gone;
static int overs, pieces;
static enum errc last_code;
static struct exch *held;

/* ---- the service ---- */

static void hear(struct slice s)
{
	buf_adds(&heard, s);
}

static void finish(struct exch *x)
{
	if (x->rsp_credit >= 3)
		exch_rsp_data(x, (const uint8_t *)"abc", 3);
	exch_rsp_end(x, NULL);
}

static void svc_begin(struct exch *x, void *shared)
{
	struct rsp_head info = {.status = 100};

	(void)shared;
	hear(x->req.method);
	hear(SLICE(" "));
	hear(x->req.authority);
	hear(x->req.path);
	for (size_t i = 0; i < x->req.fields.n; i++) {
		hear(SLICE(" "));
		hear(x->req.fields.v[i].name);
		hear(SLICE("="));
		hear(x->req.fields.v[i].value);
	}
	hear(SLICE(";"));
	exch_req_credit(x, 100);
	x->rsp = (struct rsp_head){.status = 200, .length = 3};
	if (slice_is(x->req.path, "/stream"))
		x->rsp.length = BODY_UNKNOWN;
	if (slice_is(x->req.path, "/none"))
		x->rsp = (struct rsp_head){.status = 204};
	if (slice_is(x->req.path, "/close"))
		x->rsp.close = true;
	if (slice_is(x->req.path, "/hold")) {
		held = x;
		return;
	}
	if (slice_is(x->req.path, "/fail")) {
		struct err e;

		err_set(&e, ERR_TIMEOUT, "too slow");
		exch_fail(x, &e);
		return;
	}
	if (slice_is(x->req.path, "/tunnel")) {
		x->rsp = (struct rsp_head){.status = 101,
			.upgrade = x->req.upgrade,
			.length = BODY_UNKNOWN};
		exch_response(x);
		return;
	}
	if (slice_is(x->req.path, "/early")) {
		exch_response(x);
		finish(x);
		return;
	}
	if (x->req.expects_100)
		exch_info(x, &info);
	if (slice_is(x->req.path, "/cut")) {
		struct err e;

		x->rsp.length = 10;
		exch_response(x);
		exch_rsp_data(x, (const uint8_t *)"abc", 3);
		err_set(&e, ERR_CLOSED, "upstream died");
		exch_fail(x, &e);
	}
}

static void svc_data(struct exch *x, void *shared, const uint8_t *p, size_t n)
{
	(void)shared;
	pieces++;
	hear(slice_bytes(p, n));
	exch_req_credit(x, n);
	if (x->tunnel) /* an echo */
		exch_rsp_data(x, p, n);
}

static void svc_end(struct exch *x, void *shared, const struct fields *trailers)
{
	(void)shared;
	if (trailers)
		hear(fields_get(trailers, SLICE("sum")));
	hear(SLICE("."));
	if (x == held)
		return;
	if (x->tunnel) {
		exch_rsp_end(x, NULL);
		return;
	}
	exch_response(x);
	if (x->rsp.length == 0)
		exch_rsp_end(x, NULL);
	else
		finish(x);
}

static const struct service service = {
	.begin = svc_begin, .data = svc_data, .end = svc_end};

static void on_done(struct exch *x, void *shared, void *state)
{
	(void)shared, (void)state;
	overs++;
	last_code = x->err.code;
	if (x == held)
		held = NULL;
}

static const struct filter watch = {.name = "watch", .on_done = on_done};
static const struct stack stack = {
	.count = 1, .layer = {{&watch, NULL}}, .service = &service};

static void on_exch(void *arg, struct exch *x)
{
	(void)arg;
	exch_begin(x, &stack);
}

static void on_server_gone(void *arg, const struct err *e)
{
	(void)arg, (void)e;
	server_gone = true;
}

static char refused[256];
static void on_refused(
	void *arg, struct rsp_head *rsp, struct arena *a, const struct err *why)
{
	(void)arg;
	snprintf(refused, sizeof refused, "%d %s", rsp->status, why->msg);
	fields_add(&rsp->fields, a, SLICE("why"), SLICE("told"));
}

static const struct http_server_user server_user = {
	.on_exch = on_exch, .on_gone = on_server_gone};
static const struct http_server_user told_user = {
	.on_exch = on_exch, .on_refused = on_refused, .on_gone = on_server_gone};

/* ---- the client ---- */

static size_t client_in(struct conn *c, void *arg, const uint8_t *p, size_t n)
{
	(void)c, (void)arg;
	buf_add(&got, p, n);
	return n;
}

static void on_client_eof(struct conn *c, void *arg)
{
	(void)c, (void)arg;
	client_eof = true;
}

static void on_client_gone(struct conn *c, void *arg, const struct err *e)
{
	(void)c, (void)arg, (void)e;
	client_gone = true;
}

static const struct conn_user client_user = {
	.on_in = client_in, .on_eof = on_client_eof, .on_gone = on_client_gone};

static struct http_server_config cfg;
static const struct http_server_user *user = &server_user;

static void start(size_t cut)
{
	struct conn *ends[2];

	loop = loop_new(NULL);
	EQ_INT(pipe_new(loop, cut, ends, NULL), 0);
	client = ends[0];
	conn_use(client, &client_user, NULL);
	server = http_server_new(ends[1], HTTP_KIND_1, &cfg, user, NULL, NULL);
	got = heard = BUF_INIT;
	server_gone = client_eof = client_gone = false;
	overs = pieces = 0;
	held = NULL;
}

static void settle(void)
{
	for (int i = 0; i < 3; i++) {
		loop_post(loop, (void (*)(void *))loop_stop, loop);
		loop_run(loop, NULL);
	}
}

static void say(const char *text)
{
	conn_write(client, text, strlen(text));
	settle();
}

static const char *text_of(struct buf *b)
{
	buf_char(b, '\0');
	return b->p + b->at;
}

static void stop(void)
{
	if (!client_gone)
		conn_end(client);
	settle();
	OK(server_gone);
	loop_free(loop);
	buf_fini(&got);
	buf_fini(&heard);
}

#define H    "Host: h\r\n"
#define OK3  "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc"
#define OKC  "HTTP/1.1 200 OK\r\ncontent-length: 3\r\nconnection: close\r\n\r\nabc"
#define SHUT "content-length: 0\r\nconnection: close\r\n\r\n"

TEST(what_is_said_and_heard_does_not_depend_on_cuts)
{
	static const struct {
		const char *say, *heard, *got;
		bool closes;
	} rows[] = {
		{"GET /a HTTP/1.1\r\n" H "\r\n", "GET h/a;.", OK3, false},
		{"GET /a HTTP/1.1\r\n" H "\r\nGET /b HTTP/1.1\r\n" H "\r\n\r\n",
			"GET h/a;.GET h/b;.", OK3 OK3, false},
		{"GET /a HTTP/1.1\r\n" H "X-One: 1\r\nCookie: c\r\nX-One: 2\r\n\r\n",
			"GET h/a x-one=1 cookie=c x-one=2;.", OK3, false},
		{"HEAD /a HTTP/1.1\r\n" H "\r\n", "HEAD h/a;.",
			"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n", false},
		{"GET /a HTTP/1.0\r\n\r\n", "GET /a;.", OKC, true},
		{"GET /a HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "GET /a;.",
			"HTTP/1.1 200 OK\r\ncontent-length: 3\r\nconnection: "
			"keep-alive\r\n\r\nabc",
			false},
		{"GET /stream HTTP/1.0\r\n\r\n", "GET /stream;.",
			"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nabc", true},
		{"GET /stream HTTP/1.1\r\n" H "\r\n", "GET h/stream;.",
			"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
			"3\r\nabc\r\n0\r\n\r\n",
			false},
		{"GET /a HTTP/1.1\r\n" H "Connection: close\r\n\r\nGET /b HTTP/1.1\r\n",
			"GET h/a;.", OKC, true},
		{"GET /close HTTP/1.1\r\n" H "\r\n", "GET h/close;.", OKC, true},
		{"GET /none HTTP/1.1\r\n" H "\r\n", "GET h/none;.",
			"HTTP/1.1 204 No Content\r\n\r\n", false},
		{"GET /a HTTP/1.1\r\n" H "Connection: x-hop, keep-alive\r\nX-Hop: 1\r\n"
		 "Keep-Alive: 5\r\nProxy-Connection: a\r\nTE: gzip\r\nA: b\r\n\r\n",
			"GET h/a a=b;.", OK3, false},
		{"GET http://other/p?q HTTP/1.1\r\n" H "\r\n", "GET other/p?q;.", OK3,
			false},
		{"GET http://other?q HTTP/1.1\r\n" H "\r\n", "GET other/?q;.", OK3,
			false},
		{"OPTIONS * HTTP/1.1\r\n" H "\r\n", "OPTIONS h*;.", OK3, false},
		{"POST /a HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\n12345",
			"POST h/a;12345.", OK3, false},
		{"POST /a HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n"
		 "2\r\n12\r\n3\r\n345\r\n0\r\nSum: 9\r\n\r\nGET /b HTTP/1.1\r\n" H
		 "\r\n",
			"POST h/a;123459.GET h/b;.", OK3 OK3, false},
		{"POST /a HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: "
		 "2\r\n\r\n12",
			"POST h/a expect=100-continue;12.",
			"HTTP/1.1 100 Continue\r\n\r\n" OK3, false},
		{"POST /early HTTP/1.1\r\n" H "Content-Length: 4\r\n\r\n1234"
		 "GET /b HTTP/1.1\r\n" H "\r\n",
			"POST h/early;GET h/b;.", OK3 OK3, false},
		{"POST /early HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: "
		 "4\r\n\r\n",
			"POST h/early expect=100-continue;", OKC, true},
		{"POST /early HTTP/1.1\r\n" H
		 "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
			"POST h/early;", OK3, true},
		{"GET /fail HTTP/1.1\r\n" H "\r\n", "GET h/fail;",
			"HTTP/1.1 504 Gateway Timeout\r\n" SHUT, true},
		{"GET /tunnel HTTP/1.1\r\n" H
		 "Connection: upgrade\r\nUpgrade: w\r\n\r\nping",
			"GET h/tunnel;ping",
			"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\n"
			"upgrade: w\r\n\r\nping",
			false},
		{"GET /a HTTP/1.1\r\n" H "Connection: upgrade\r\nUpgrade: w\r\n\r\n"
		 "GET /b HTTP/1.1\r\n" H "\r\n",
			"", "", false},
		/* refused */
		{"GET /a HTTP/1.1\r\n\r\n", "", "HTTP/1.1 400 Bad Request\r\n" SHUT,
			true},
		{"GET /a HTTP/1.1\r\n" H H "\r\n", "",
			"HTTP/1.1 400 Bad Request\r\n" SHUT, true},
		{"GET /a HTTP/1.1\r\nHost: a/b\r\n\r\n", "",
			"HTTP/1.1 400 Bad Request\r\n" SHUT, true},
		{"GET a HTTP/1.1\r\n" H "\r\n", "", "HTTP/1.1 400 Bad Request\r\n" SHUT,
			true},
		{"nonsense\r\n\r\n", "", "HTTP/1.1 400 Bad Request\r\n" SHUT, true},
		{"GET /a HTTP/3.0\r\n" H "\r\n", "",
			"HTTP/1.1 505 HTTP Version Not Supported\r\n" SHUT, true},
		{"GET /a HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n", "",
			"HTTP/1.1 501 Not Implemented\r\n" SHUT, true},
		{"POST /a HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
			"POST h/a;", "HTTP/1.1 400 Bad Request\r\n" SHUT, true},
	};

	for (size_t cut = 0; cut < 20; cut = cut < 4 ? cut + 1 : cut + 5)
		for (size_t i = 0; i < countof(rows); i++) {
			if (!rows[i].got[0])
				continue;
			start(cut);
			say(rows[i].say);
			if (strcmp(text_of(&got), rows[i].got) != 0)
				T_FAIL("cut %zu of %s\n got  %s\n want %s", cut,
					rows[i].say, text_of(&got), rows[i].got);
			if (strcmp(text_of(&heard), rows[i].heard) != 0)
				T_FAIL("cut %zu of %s\n heard %s\n want  %s", cut,
					rows[i].say, text_of(&heard), rows[i].heard);
			if (client_eof != rows[i].closes)
				T_FAIL("cut %zu of %s: eof is %d", cut, rows[i].say,
					client_eof);
			stop();
		}
}

TEST(a_client_may_half_close_and_is_answered)
{
	start(0);
	conn_write(client, "GET /a HTTP/1.1\r\n" H "\r\n", 28);
	conn_shutdown(client);
	settle();
	EQ_STR(text_of(&got), OK3);
	OK(client_eof && server_gone);
	stop();
}

TEST(pipelined_requests_are_answered_after_a_half_close)
{
	start(0);
	conn_write(
		client, "GET /a HTTP/1.1\r\n" H "\r\nGET /b HTTP/1.1\r\n" H "\r\n", 56);
	conn_shutdown(client);
	settle();
	EQ_STR(text_of(&got), OK3 OK3);
	stop();
}

TEST(a_client_that_leaves_cancels_its_exchange)
{
	start(0);
	say("GET /hold HTTP/1.1\r\n" H "\r\n");
	OK(held != NULL);
	conn_end(client);
	client_gone = true;
	settle();
	EQ_INT(overs, 1);
	EQ_INT(last_code, ERR_CLOSED);
	stop();
}

TEST(a_request_cut_short_is_cancelled)
{
	start(0);
	say("POST /a HTTP/1.1\r\n" H "Content-Length: 9\r\n\r\n123");
	conn_shutdown(client);
	settle();
	EQ_INT(overs, 1);
	EQ_INT(last_code, ERR_CLOSED);
	stop();
}

TEST(chunks_of_a_byte_go_on_in_larger_pieces)
{
	enum { N = 20000 };
	struct buf text = BUF_INIT;

	start(0);
	buf_text(&text, "POST /a HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n");
	for (int i = 0; i < N; i++)
		buf_printf(&text, "1\r\n%c\r\n", 'a' + i % 26);
	buf_text(&text, "400\r\n");
	for (int i = 0; i < 1024; i++)
		buf_char(&text, 'X');
	buf_text(&text, "\r\n2\r\nyz\r\n0\r\n\r\n");
	say(text_of(&text));
	OK(pieces < N / 50); /* there is credit for a hundred at a time */
	EQ_STR(text_of(&got), OK3);
	OK(buf_len(&heard) > N + 1024);
	for (int i = 0; i < N; i++)
		if (heard.p[heard.end - N - 1024 - 3 + (size_t)i] != 'a' + i % 26)
			T_FAIL("byte %d is another", i);
	OK(memcmp(heard.p + heard.end - 4, "Xyz.", 4) == 0);
	buf_fini(&text);
	stop();
}

TEST(a_response_that_fails_midway_is_cut)
{
	start(0);
	say("GET /cut HTTP/1.1\r\n" H "\r\n");
	EQ_STR(text_of(&got), "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc");
	OK(client_eof);
	stop();
}

TEST(draining_says_close_and_waits_for_the_response)
{
	start(0);
	say("GET /hold HTTP/1.1\r\n" H "\r\n");
	http_server_drain(server);
	settle();
	OK(!client_eof);
	EQ_INT(http_server_open(server), 1);
	exch_response(held);
	finish(held);
	settle();
	EQ_STR(text_of(&got), OKC);
	OK(client_eof && server_gone);
	stop();
}

TEST(ending_a_server_fails_its_exchange_and_says_no_more)
{
	start(0);
	say("GET /hold HTTP/1.1\r\n" H "\r\n");
	http_server_end(server);
	EQ_INT(overs, 1);
	settle();
	OK(!server_gone && client_gone);
	server_gone = true;
	stop();
}

TEST(a_tunnel_half_closes_both_ways)
{
	start(0);
	say("GET /tunnel HTTP/1.1\r\n" H
	    "Connection: upgrade\r\nUpgrade: w\r\n\r\nping");
	buf_clear(&got);
	conn_shutdown(client);
	settle();
	OK(client_eof);
	EQ_INT(overs, 1);
	EQ_INT(last_code, ERR_NONE);
	stop();
}

TEST(a_request_that_asks_for_an_upgrade_and_gets_none_goes_on)
{
	start(0);
	say("GET /early HTTP/1.1\r\n" H "Connection: upgrade\r\nUpgrade: w\r\n\r\n"
	    "GET /b HTTP/1.1\r\n" H "\r\n");
	EQ_STR(text_of(&got), OK3 OK3);
	stop();
}

static void wait_for_end(void)
{
	for (int i = 0; i < 5000 && !client_eof; i++) {
		usleep(1000);
		settle();
	}
	OK(client_eof);
}

TEST(a_head_that_is_slow_is_refused_and_an_idle_connection_is_not)
{
	cfg.head_timeout = 5 * NS_PER_MS;
	user = &told_user;
	start(0);
	say("GET /a HTTP/1.1\r\n" H "\r\n");
	usleep(10000);
	settle();
	OK(!client_eof);
	say("GET /a HTTP/1.1\r\nHo");
	wait_for_end();
	EQ_STR(text_of(&got), OK3 "HTTP/1.1 408 Request Timeout\r\nwhy: told\r\n" SHUT);
	EQ_STR(refused, "408 the request's head was not whole within 5 ms");
	stop();
}

TEST(a_refusal_says_why)
{
	static const struct {
		const char *say, *why;
	} rows[] = {
		{"GET / HTTP/1.1\r\n\r\n", "400 malformed request: no Host"},
		{"GET / HTTP/1.1\r\n" H H "\r\n",
			"400 malformed request: more than one Host"},
		{"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
			"400 malformed request: a malformed Host"},
		{"GET * HTTP/1.1\r\n" H "\r\n",
			"400 malformed request: a malformed target"},
		{"GET / HTTP/1.1\r\n" H "A: 0123456789012345678901234567890\r\n\r\n",
			"431 malformed request: field \"A\": the head is too large "
			"(the limit is 50 bytes)"},
		{"POST / HTTP/1.1\r\n" H "Content-Length: +1\r\n\r\n",
			"400 malformed request: Invalid character in Content-Length"},
		{"GET /fail HTTP/1.1\r\n" H "\r\n", "504 too slow"},
	};

	cfg.head_max = 50;
	user = &told_user;
	for (size_t i = 0; i < countof(rows); i++) {
		start(0);
		say(rows[i].say);
		EQ_STR(refused, rows[i].why);
		OK(strstr(text_of(&got), "why: told\r\n"));
		OK(client_eof);
		stop();
	}
}

TEST(an_idle_connection_is_closed)
{
	cfg.idle_timeout = 5 * NS_PER_MS;
	start(0);
	say("GET /a HTTP/1.1\r\n" H "\r\n");
	OK(!client_eof);
	wait_for_end();
	stop();
}

TEST(a_body_beyond_its_credit_waits)
{
	static char body[5000];
	char head[100];

	start(0);
	snprintf(head, sizeof head,
		"POST /hold HTTP/1.1\r\n" H "Content-Length: %zu\r\n\r\n", sizeof body);
	say(head);
	memset(body, 'x', sizeof body);
	held->req_credit = 0; /* as a service that grants nothing */
	conn_write(client, body, sizeof body);
	settle();
	EQ_INT(held->req_bytes, 0);
	exch_req_credit(held, 7);
	settle();
	OK(held->req_bytes >= 7);
	stop();
}
