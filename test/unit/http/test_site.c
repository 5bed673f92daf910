/* SPDX-License-Identifier: Apache-2.0 */
#include "http/site.h"

#include <stdarg.h>
#include <stdlib.h>

#include "base/clock.h"
#include "net/pipe.h"
#include "t.h"

/*
 * A site over pipes: what a client says as text, what it gets as text.
 */
static struct loop *loop;
static struct site *site;
static int calls_gone, rooms;
static struct call *watching;
static struct timer streaming;
static int streamed;

static void on_gone(struct call *c)
{
	(void)c;
	calls_gone++;
	watching = NULL;
}

static void get_hello(struct call *c)
{
	c->on_gone = on_gone;
	call_header(c, "X-Who", c->site_arg);
	call_text(c, 200, "hello %.*s\n", SLICE_FMT(call_param(c, "name")));
}

static void any_below(struct call *c)
{
	call_text(c, 200, "%.*s %.*s?%.*s", SLICE_FMT(c->req->method),
		SLICE_FMT(c->path), SLICE_FMT(c->query));
}

static void post_echo(struct call *c)
{
	call_reply(c, 201, "application/octet-stream", c->body);
}

static void send_later(struct timer *t)
{
	if (!watching)
		return;
	call_send(watching, SLICE("tick\n"));
	if (++streamed == 3)
		call_end(watching);
	else
		timer_set(t, NS_PER_MS);
}

static void get_watch(struct call *c)
{
	c->on_gone = on_gone;
	watching = c;
	call_stream(c, 200, "text/plain");
	timer_init(&streaming, loop, send_later);
	timer_set(&streaming, NS_PER_MS);
}

static void on_room(struct call *c)
{
	(void)c;
	rooms++;
}

static void get_flood(struct call *c)
{
	static char block[1 << 20];

	c->on_gone = on_gone;
	c->on_room = on_room;
	call_stream(c, 200, "text/plain");
	for (int i = 0; i < 20; i++)
		call_send(c, slice_bytes(block, sizeof block));
}

static struct conn *taken;

static size_t taken_in(struct conn *c, void *arg, const uint8_t *p, size_t n)
{
	(void)arg;
	conn_write(c, p, n);
	return n;
}

static void taken_eof(struct conn *c, void *arg)
{
	(void)arg;
	conn_finish(c);
}

static void taken_gone(struct conn *c, void *arg, const struct err *e)
{
	(void)c, (void)arg, (void)e;
}

static const struct conn_user taken_user = {
	.on_in = taken_in, .on_eof = taken_eof, .on_gone = taken_gone};

static void get_socket(struct call *c)
{
	c->on_gone = on_gone;
	call_header(c, "Sec-WebSocket-Accept", "abc");
	taken = call_upgrade(c, "websocket");
	if (taken)
		conn_use(taken, &taken_user, NULL);
	else
		call_text(c, 400, "upgrade\n");
}

static const struct route routes[] = {
	{"GET", "/hello", get_hello},
	{"*", "/any/", any_below},
	{"PUT", "/any/put", post_echo},
	{"POST", "/echo", post_echo},
	{"GET", "/watch", get_watch},
	{"GET", "/flood", get_flood},
	{"GET", "/socket", get_socket},
};

/* ---- a client of text ---- */

struct client {
	struct conn *c;
	struct buf got;
	const char *until; /* stop when this has come; NULL: when the conn ends */
	bool gone, eof;
};

static size_t client_in(struct conn *c, void *arg, const uint8_t *p, size_t n)
{
	struct client *cl = arg;

	(void)c;
	buf_add(&cl->got, p, n);
	if (cl->until &&
		memmem(cl->got.p, buf_len(&cl->got), cl->until, strlen(cl->until)))
		loop_stop(loop);
	return n;
}

static void client_eof(struct conn *c, void *arg)
{
	struct client *cl = arg;

	(void)c;
	cl->eof = true;
	loop_stop(loop);
}

static void client_gone(struct conn *c, void *arg, const struct err *e)
{
	struct client *cl = arg;

	(void)c, (void)e;
	cl->gone = true;
	loop_stop(loop);
}

static const struct conn_user client_user = {
	.on_in = client_in, .on_eof = client_eof, .on_gone = client_gone};

static void site_make(size_t body_max)
{
	static char who[] = "site";
	struct site_config cfg = {.routes = routes,
		.nroutes = sizeof routes / sizeof *routes,
		.body_max = body_max,
		.arg = who};

	loop = loop_new(NULL);
	site = site_new(loop, &cfg, NULL);
	OK(site != NULL);
}

static void connect_site(struct client *cl, size_t cut)
{
	struct conn *ends[2];

	*cl = (struct client){.until = NULL};
	EQ_INT(pipe_new(loop, cut, ends, NULL), 0);
	cl->c = ends[0];
	conn_use(ends[0], &client_user, cl);
	site_serve(site, ends[1]);
}

static const char *ask(struct client *cl, const char *text, const char *until)
{
	buf_clear(&cl->got);
	cl->until = until;
	conn_write(cl->c, text, strlen(text));
	loop_run(loop, NULL);
	buf_char(&cl->got, '\0');
	return cl->got.p + cl->got.at;
}

static void site_end(struct client *cl)
{
	if (!cl->gone)
		conn_end(cl->c);
	buf_fini(&cl->got);
	site_free(site);
	loop_post(loop, (void (*)(void *))loop_stop, loop);
	loop_run(loop, NULL);
	loop_free(loop);
}

#define HOST " HTTP/1.1\r\nHost: h\r\n"

TEST(requests_are_routed_and_answered_at_every_cut)
{
	static const struct {
		const char *ask, *status, *has;
	} rows[] = {
		{"GET /hello?x=1&name=a%20b+c" HOST "\r\n", "200 OK", "hello a b c\n"},
		{"GET /hello" HOST "\r\n", "200 OK", "x-who: site\r\n"},
		{"GET /h%65llo" HOST "\r\n", "200 OK", "hello \n"},
		{"GET /any/thing%2Fx?q" HOST "\r\n", "200 OK", "GET /any/thing/x?q"},
		{"DELETE /any/" HOST "\r\n", "200 OK", "DELETE /any/?"},
		{"PUT /any/put" HOST "Content-Length: 2\r\n\r\nab", "201 Created",
			"\r\nab"},
		{"GET /any/put" HOST "\r\n", "200 OK", "GET /any/put?"},
		{"POST /echo" HOST "Content-Length: 5\r\n\r\n12345", "201 Created",
			"content-length: 5\r\n\r\n12345"},
		{"POST /echo" HOST "Transfer-Encoding: chunked\r\n\r\n"
		 "3\r\n123\r\n2\r\n45\r\n0\r\n\r\n",
			"201 Created", "\r\n\r\n12345"},
		{"POST /hello" HOST "Content-Length: 0\r\n\r\n", "405 ",
			"method not allowed\n"},
		{"GET /none" HOST "\r\n", "404 ", "not found\n"},
		{"GET /%zz" HOST "\r\n", "400 ", "malformed path\n"},
		{"GET /a%00b" HOST "\r\n", "400 ", "malformed path\n"},
		{"GET /socket" HOST "\r\n", "400 ", "upgrade\n"},
	};

	for (size_t cut = 0; cut < 4; cut++) {
		struct client cl;

		site_make(100);
		connect_site(&cl, cut);
		for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
			const char *got = ask(&cl, rows[i].ask, rows[i].has);

			if (strncmp(got, "HTTP/1.1 ", 9) != 0 ||
				strncmp(got + 9, rows[i].status,
					strlen(rows[i].status)) != 0 ||
				!strstr(got, rows[i].has))
				T_FAIL("row %zu: %s", i, got);
			ask(&cl, "GET /hello?name=sync" HOST "\r\n", "sync\n");
		}
		site_end(&cl);
	}
}

TEST(a_head_request_gets_the_head_alone)
{
	struct client cl;

	site_make(100);
	connect_site(&cl, 0);
	EQ_STR(ask(&cl, "HEAD /hello" HOST "\r\n", "\r\n\r\n"),
		"HTTP/1.1 200 OK\r\nx-who: site\r\n"
		"content-type: text/plain; charset=utf-8\r\ncontent-length: 7\r\n\r\n");
	site_end(&cl);
}

TEST(a_body_over_the_limit_is_refused)
{
	struct client cl;

	site_make(4);
	connect_site(&cl, 0);
	OK(strstr(
		ask(&cl, "POST /echo" HOST "Content-Length: 5\r\n\r\n12345", "bytes\n"),
		"HTTP/1.1 413 "));
	conn_end(cl.c);
	buf_fini(&cl.got);
	connect_site(&cl, 0);
	OK(strstr(ask(&cl,
			  "POST /echo" HOST "Transfer-Encoding: chunked\r\n\r\n"
			  "5\r\n12345\r\n0\r\n\r\n",
			  "bytes\n"),
		"HTTP/1.1 413 "));
	site_end(&cl);
}

TEST(a_stream_sends_as_it_comes)
{
	struct client cl;

	site_make(100);
	connect_site(&cl, 0);
	OK(strstr(ask(&cl, "GET /watch" HOST "\r\n", "0\r\n\r\n"),
		"5\r\ntick\n\r\n5\r\ntick\n\r\n5\r\ntick\n\r\n0\r\n\r\n"));
	EQ_INT(calls_gone, 1);
	/* and the connection goes on */
	OK(strstr(ask(&cl, "GET /hello" HOST "\r\n", "hello"), "200 OK"));
	site_end(&cl);
}

TEST(a_watcher_that_leaves_ends_its_call)
{
	struct client cl;

	site_make(100);
	connect_site(&cl, 0);
	ask(&cl, "GET /watch" HOST "\r\n", "tick");
	OK(watching != NULL);
	conn_end(cl.c);
	cl.gone = true;
	while (!calls_gone) {
		loop_post(loop, (void (*)(void *))loop_stop, loop);
		loop_run(loop, NULL);
	}
	OK(watching == NULL);
	site_end(&cl);
}

TEST(a_client_that_does_not_read_is_cut)
{
	struct client cl;

	site_make(100);
	connect_site(&cl, 0);
	conn_pause(cl.c);
	conn_write(cl.c, "GET /flood" HOST "\r\n", strlen("GET /flood" HOST "\r\n"));
	while (!calls_gone) {
		loop_post(loop, (void (*)(void *))loop_stop, loop);
		loop_run(loop, NULL);
	}
	EQ_INT(rooms, 0);
	site_end(&cl);
}

TEST(an_upgrade_gives_the_connection_away)
{
	struct client cl;
	const char *got;

	site_make(100);
	connect_site(&cl, 0);
	got = ask(&cl,
		"GET /socket" HOST "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
		"early",
		"early");
	EQ_STR(got, "HTTP/1.1 101 Switching Protocols\r\nsec-websocket-accept: abc\r\n"
		    "connection: upgrade\r\nupgrade: websocket\r\n\r\nearly");
	EQ_INT(calls_gone, 1);
	EQ_STR(ask(&cl, "more", "more"), "more");
	site_end(&cl);
}

static void drained(void *arg)
{
	*(bool *)arg = true;
	loop_stop(loop);
}

TEST(a_site_drains)
{
	struct client cl;
	bool done = false;

	site_make(100);
	connect_site(&cl, 0);
	ask(&cl, "GET /hello" HOST "\r\n", "hello");
	site_drain(site, drained, &done);
	while (!done)
		loop_run(loop, NULL);
	site_end(&cl);
}
