/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/obj.h"
#include "http/client.h"
#include "net/pipe.h"
#include "t.h"

/*
 * HTTP/2 ends against frames made by hand (RFC 9113), for what a well-behaved peer of
 * our own would never send.
 */
enum {
	DATA,
	HEADERS,
	PRIORITY,
	RST,
	SETTINGS,
	PUSH,
	PING,
	GOAWAY,
	WINDOW,
	CONTINUATION
};
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4 };

static struct loop *loop;
static struct conn *raw;
static struct buf sent, got; /* frames to and from the end under test */
static bool raw_gone, end_gone;
static struct err end_why;

static void put32(struct buf *b, uint32_t v)
{
	char be[4] = {(char)(v >> 24), (char)(v >> 16), (char)(v >> 8), (char)v};

	buf_add(b, be, 4);
}

static void frame(int type, int flags, uint32_t id, const void *p, size_t n)
{
	buf_char(&sent, (char)(n >> 16));
	buf_char(&sent, (char)(n >> 8));
	buf_char(&sent, (char)n);
	buf_char(&sent, (char)type);
	buf_char(&sent, (char)flags);
	put32(&sent, id);
	buf_add(&sent, p, n);
}

static void frame32(int type, uint32_t id, uint32_t v)
{
	struct buf b = BUF_INIT;

	put32(&b, v);
	frame(type, 0, id, b.p, 4);
	buf_fini(&b);
}

/* Literal fields without indexing: "name: value" lines. */
static void headers(int flags, uint32_t id, const char *lines)
{
	struct slice all = slice_of(lines), line;
	struct buf b = BUF_INIT;

	while (slice_cut(&all, '\n', &line)) {
		const char *colon = memchr(line.p + 1, ':', line.n - 1);
		size_t name = (size_t)(colon - line.p), value = line.n - name - 2;

		buf_char(&b, 0);
		buf_char(&b, (char)name);
		buf_add(&b, line.p, name);
		buf_char(&b, (char)value);
		buf_add(&b, colon + 2, value);
	}
	frame(HEADERS, flags | END_HEADERS, id, b.p, buf_len(&b));
	buf_fini(&b);
}

static size_t raw_in(struct conn *c, void *arg, const uint8_t *p, size_t n)
{
	(void)c, (void)arg;
	buf_add(&got, p, n);
	return n;
}

static void on_raw_gone(struct conn *c, void *arg, const struct err *e)
{
	(void)c, (void)arg, (void)e;
	raw_gone = true;
}

static void raw_eof(struct conn *c, void *arg)
{
	(void)arg;
	raw_gone = true;
	conn_end(c);
}

static const struct conn_user raw_user = {
	.on_in = raw_in, .on_eof = raw_eof, .on_gone = on_raw_gone};

static void settle(void)
{
	for (int i = 0; i < 3; i++) {
		loop_post(loop, (void (*)(void *))loop_stop, loop);
		loop_run(loop, NULL);
	}
}

static void flush(void)
{
	if (!raw_gone)
		conn_write(raw, sent.p, buf_len(&sent));
	buf_clear(&sent);
	settle();
}

/* The n-th frame of that type and stream in what came; its payload. */
static bool find(int type, uint32_t id, int nth, struct slice *payload, int *flags)
{
	struct slice s = buf_slice(&got);

	if (slice_starts(s, SLICE("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")))
		s = slice_bytes(s.p + 24, s.n - 24);
	while (s.n >= 9) {
		const unsigned char *h = (const unsigned char *)s.p;
		size_t n = (size_t)h[0] << 16 | (size_t)h[1] << 8 | h[2];
		uint32_t at = (uint32_t)h[5] << 24 | (uint32_t)h[6] << 16 |
			      (uint32_t)h[7] << 8 | h[8];

		OK(s.n >= n + 9);
		if (h[3] == type && at == id && nth-- == 0) {
			*payload = slice_bytes(h + 9, n);
			*flags = h[4];
			return true;
		}
		s = slice_bytes(s.p + 9 + n, s.n - 9 - n);
	}
	return false;
}

static bool came(int type, uint32_t id)
{
	struct slice p;
	int flags;

	return find(type, id, 0, &p, &flags);
}

/* The code of the RST_STREAM (or GOAWAY, id 0) that came; -1: none did. */
static int code(int type, uint32_t id)
{
	struct slice p;
	int flags;

	if (!find(type, id, 0, &p, &flags))
		return -1;
	return p.p[p.n - 1];
}

/* ---- a server under test ---- */

static struct http_server *server;
static struct exch *asked;
static int asks, overs;
static struct exch last;

static void svc_begin(struct exch *x, void *shared)
{
	(void)shared;
	asked = x;
	asks++;
}

static void svc_data(struct exch *x, void *shared, const uint8_t *p, size_t n)
{
	(void)x, (void)shared, (void)p, (void)n;
}

static const struct service service = {.begin = svc_begin, .data = svc_data};

static void on_done(struct exch *x, void *shared, void *state)
{
	(void)shared, (void)state;
	overs++;
	last = *x;
	asked = NULL;
}

static const struct filter watch = {.name = "watch", .on_done = on_done};
static const struct stack stack = {
	.count = 1, .layer = {{&watch, NULL}}, .service = &service};

static void on_exch(void *arg, struct exch *x)
{
	(void)arg;
	exch_begin(x, &stack);
}

static void server_gone(void *arg, const struct err *e)
{
	(void)arg;
	end_gone = true;
	end_why = *e;
}

static const char *fault;
static int faults;

static void on_fault(void *arg, const char *what)
{
	(void)arg;
	fault = what;
	faults++;
}

static const struct http_server_user server_user = {
	.on_exch = on_exch, .on_gone = server_gone, .on_fault = on_fault};
static struct http_server_config server_cfg = {.head_max = 2000, .max_streams = 3};

static void ends_make(struct conn *ends[2])
{
	loop = loop_new(NULL);
	EQ_INT(pipe_new(loop, 0, ends, NULL), 0);
	raw = ends[0];
	conn_use(raw, &raw_user, NULL);
}

static void server_make(void)
{
	struct conn *ends[2];

	ends_make(ends);
	server = http_server_new(
		ends[1], HTTP_KIND_2, &server_cfg, &server_user, NULL, NULL);
	buf_text(&sent, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
	frame(SETTINGS, 0, 0, NULL, 0);
}

#define GET  ":method: GET\n:scheme: http\n:path: /\n:authority: a"
#define POST ":method: POST\n:scheme: http\n:path: /\n:authority: a"

static void respond(struct exch *x, int status)
{
	x->rsp = (struct rsp_head){.status = status, .length = BODY_UNKNOWN};
	exch_response(x);
}

static void server_end(void)
{
	if (!raw_gone)
		conn_end(raw);
	settle();
	OK(end_gone);
	loop_free(loop);
	buf_fini(&sent);
	buf_fini(&got);
}

TEST(a_reset_reaches_the_exchange_with_its_code)
{
	server_make();
	headers(END_STREAM, 1, GET);
	flush();
	EQ_INT(asks, 1);
	OK(asked->req_ended);
	frame32(RST, 1, 8);
	flush();
	EQ_INT(overs, 1);
	EQ_INT(last.reset_code, 8);
	EQ_INT(last.err.code, ERR_CLOSED);
	server_end();
}

TEST(an_exchange_that_fails_resets_its_stream_with_its_code)
{
	struct err e;

	server_make();
	headers(END_STREAM, 1, GET);
	headers(END_STREAM, 3, GET);
	flush();
	EQ_INT(asks, 2);
	asked->reset_code = 7;
	err_set(&e, ERR_CLOSED, "upstream refused");
	exch_fail(asked, &e);
	settle();
	EQ_INT(code(RST, 3), 7);
	EQ_INT(code(RST, 1), -1);
	server_end();
	EQ_INT(overs, 2);
}

TEST(an_answer_before_the_end_of_a_request_resets_without_error)
{
	struct slice p;
	int flags;

	server_make();
	headers(0, 1, POST);
	flush();
	respond(asked, 200);
	exch_rsp_end(asked, NULL);
	settle();
	OK(find(HEADERS, 1, 0, &p, &flags) && (flags & END_STREAM));
	EQ_INT(code(RST, 1), 0);
	EQ_INT(overs, 1);
	EQ_INT(last.err.code, ERR_NONE);
	server_end();
}

TEST(a_response_that_is_all_head_ends_with_it)
{
	struct slice p;
	int flags;

	server_make();
	headers(END_STREAM, 1, GET);
	flush();
	respond(asked, 200);
	exch_rsp_end(asked, NULL);
	settle();
	OK(find(HEADERS, 1, 0, &p, &flags) && (flags & END_STREAM));
	OK(!came(DATA, 1));
	server_end();
}

TEST(trailers_come_behind_the_body)
{
	static struct field f = {.name = SLICE("grpc-status"), .value = SLICE("0")};
	static const struct fields trailers = {.v = &f, .n = 1, .cap = 1};
	struct slice p;
	int flags;

	server_make();
	headers(END_STREAM, 1, GET);
	flush();
	respond(asked, 200);
	exch_rsp_data(asked, (const uint8_t *)"abc", 3);
	exch_rsp_end(asked, &trailers);
	settle();
	OK(find(HEADERS, 1, 0, &p, &flags) && !(flags & END_STREAM));
	OK(find(DATA, 1, 0, &p, &flags) && !(flags & END_STREAM));
	OK(slice_is(p, "abc"));
	OK(find(HEADERS, 1, 1, &p, &flags) && (flags & END_STREAM));
	OK(!came(RST, 1));
	server_end();
}

TEST(streams_beyond_the_limit_are_refused)
{
	server_make();
	for (uint32_t id = 1; id < 9; id += 2)
		headers(END_STREAM, id, GET);
	flush();
	EQ_INT(asks, 3);
	EQ_INT(code(RST, 7), 7); /* REFUSED_STREAM */
	server_end();
}

TEST(a_head_beyond_the_limit_is_answered_431)
{
	char lines[3000];
	size_t n = (size_t)snprintf(lines, sizeof lines, "%s", GET);

	for (int i = 0; i < 20; i++)
		n += (size_t)snprintf(
			lines + n, sizeof lines - n, "\nx-%02d: %0100d", i, i);
	server_make();
	headers(END_STREAM, 1, lines);
	flush();
	EQ_INT(asks, 0);
	OK(came(HEADERS, 1));
	headers(END_STREAM, 3, GET); /* and the connection goes on */
	flush();
	EQ_INT(asks, 1);
	server_end();
}

TEST(malformed_requests_reset_their_stream_alone)
{
	static const char *const bad[] = {
		":method: GET\n:scheme: http",
		":method: GET\n:scheme: http\n:path: /\n:authority: a\nconnection: x",
		":method: GET\n:scheme: http\n:path: /\n:authority: a\nUpper: x",
		":method: GET\n:scheme: http\n:path: /\n:authority: a\nte: gzip",
		":method: GET\n:scheme: http\n:path: /\n:path: /2\n:authority: a",
		":method: GET\n:scheme: http\n:path: /\nx: y\n:authority: a",
	};
	uint32_t id = 1;

	server_make();
	for (size_t i = 0; i < countof(bad); i++, id += 2) {
		headers(END_STREAM, id, bad[i]);
		flush();
	}
	headers(END_STREAM, id, GET);
	flush();
	EQ_INT(asks, 1);
	for (uint32_t at = 1; at < id; at += 2)
		EQ_INT(code(RST, at), 1);
	server_end();
}

TEST(a_body_that_belies_its_length_is_reset)
{
	server_make();
	headers(0, 1, POST "\ncontent-length: 5");
	frame(DATA, END_STREAM, 1, "abc", 3);
	flush();
	EQ_INT(code(RST, 1), 1);
	EQ_INT(overs, 1);
	OK(last.err.code != ERR_NONE);
	server_end();
}

TEST(a_body_without_credit_is_held_within_the_window)
{
	static char block[16384];
	size_t got_bytes;

	server_make();
	headers(0, 1, POST);
	for (int i = 0; i < 3; i++)
		frame(DATA, 0, 1, block, sizeof block);
	flush();
	EQ_INT(asked->req_bytes, 0);
	OK(!came(WINDOW, 1)); /* the stream's window is not given back */
	exch_req_credit(asked, 40000);
	settle();
	got_bytes = asked->req_bytes;
	EQ_INT(got_bytes, 40000);
	OK(came(WINDOW, 1));
	for (int i = 0; i < 5; i++) /* beyond what was granted */
		frame(DATA, 0, 1, block, sizeof block);
	flush();
	EQ_INT(code(RST, 1), 3); /* FLOW_CONTROL_ERROR */
	server_end();
}

TEST(a_flood_of_resets_ends_the_connection)
{
	server_make();
	for (uint32_t id = 1; id < 40000; id += 2) {
		headers(END_STREAM, id, GET);
		frame32(RST, id, 8);
	}
	flush();
	OK(end_gone);
	EQ_INT(code(GOAWAY, 0), 11); /* ENHANCE_YOUR_CALM */
	EQ_STR(fault, "rapid reset");
	EQ_INT(faults, 1);
	OK(asks < 1500);
	server_end();
}

/* Its end comes with the turn's; until then more of it is read. */
TEST(what_follows_a_flood_in_the_same_turn_does_not_change_the_verdict)
{
	server_make();
	headers(0, 1, POST);
	for (int i = 0; i < 3000; i++)
		frame(DATA, 0, 1, "", 0);
	conn_write(raw, sent.p, buf_len(&sent) - 5);
	conn_write(raw, sent.p + buf_len(&sent) - 5, 5);
	flush();
	OK(end_gone);
	EQ_INT(code(GOAWAY, 0), 11); /* ENHANCE_YOUR_CALM */
	EQ_STR(fault, "empty data flood");
	server_end();
}

TEST(resets_of_a_client_that_is_served_too_are_no_flood)
{
	server_make();
	flush();
	for (uint32_t id = 1; id < 20000; id += 4) {
		headers(END_STREAM, id, GET);
		flush();
		respond(asked, 204);
		exch_rsp_end(asked, NULL);
		headers(END_STREAM, id + 2, GET);
		frame32(RST, id + 2, 8);
		flush();
		buf_clear(&got);
	}
	OK(!end_gone && !faults);
	server_end();
}

TEST(frames_behind_the_end_of_a_stream_are_an_error_of_the_connection)
{
	server_make();
	headers(END_STREAM, 1, GET);
	frame32(RST, 1, 8);
	frame(DATA, 0, 1, "late", 4);
	flush();
	EQ_INT(code(GOAWAY, 0), 5); /* STREAM_CLOSED */
	EQ_STR(fault, "protocol error");
	server_end();
}

/* The same bytes hold the end that the late frame is behind, and other streams. */
TEST(frames_behind_an_end_are_found_in_the_bytes_that_bring_it)
{
	server_make();
	headers(0, 1, GET);
	headers(END_STREAM, 3, GET);
	frame(DATA, 0, 1, "in time", 7);
	frame32(RST, 1, 8);
	frame(DATA, 0, 1, "late", 4);
	headers(END_STREAM, 5, GET);
	flush();
	EQ_INT(code(GOAWAY, 0), 5); /* STREAM_CLOSED */
	EQ_INT(asks, 2);
	server_end();
}

/* Bodies that nobody takes, on one stream after the other, as far as the windows go;
 * how much it was. */
static size_t fill(int streams)
{
	static char block[16384];
	size_t window = 65535, total = 0;
	struct slice p;
	int flags;

	for (int i = 0; i < streams; i++) {
		uint32_t id = (uint32_t)(2 * i + 1);

		headers(0, id, POST);
		for (int k = 0; k < 3 && window >= sizeof block; k++) {
			frame(DATA, 0, id, block, sizeof block);
			window -= sizeof block;
			total += sizeof block;
		}
		flush();
		for (int n = 0; find(WINDOW, 0, n, &p, &flags); n++)
			window += (size_t)(unsigned char)p.p[1] << 16 |
				  (size_t)(unsigned char)p.p[2] << 8 |
				  (unsigned char)p.p[3];
		buf_clear(&got);
	}
	return total;
}

TEST(bodies_that_nobody_takes_are_held_up_to_a_limit_for_all_of_them)
{
	struct http_server_config was = server_cfg;
	size_t total;

	server_cfg.max_streams = 2000;
	server_make();
	total = fill(1000);
	OK(total > (size_t)31 << 20 && total < (size_t)35 << 20);
	exch_req_credit(asked, 100000);
	settle();
	OK(!end_gone && !faults);
	server_end();
	server_cfg = was;
}

TEST(streams_that_stall_are_reset_while_memory_is_short)
{
	struct http_server_config was = server_cfg;

	server_cfg.max_streams = 2000;
	server_cfg.stall = 400 * NS_PER_MS; /* longer than to fill takes */
	server_make();
	fill(1000);
	for (int i = 0; i < 2000 && !came(RST, 1); i++) {
		usleep(1000);
		settle();
	}
	EQ_INT(code(RST, 1), 11);
	EQ_STR(fault, "stalled stream");
	server_end();
	server_cfg = was;
}

TEST(a_stream_that_stalls_alone_lives)
{
	struct http_server_config was = server_cfg;

	server_cfg.stall = 5 * NS_PER_MS;
	server_make();
	fill(1);
	for (int i = 0; i < 50; i++) {
		usleep(1000);
		settle();
	}
	OK(!came(RST, 1) && !faults && !overs);
	server_end();
	server_cfg = was;
}

TEST(a_head_that_unpacks_without_end_ends_the_connection)
{
	struct buf b = BUF_INIT;
	char value[2000];

	memset(value, 'v', sizeof value);
	server_make();
	buf_add(&b, "\x82\x86\x84\x41\x01w\x40\x01x\x7f\xd1\x0e", 12);
	buf_add(&b, value, sizeof value);
	for (int i = 0; i < 4000; i++)
		buf_char(&b, (char)0xbe);
	frame(HEADERS, END_STREAM | END_HEADERS, 1, b.p, buf_len(&b));
	buf_fini(&b);
	flush();
	OK(end_gone);
	EQ_STR(fault, "head too large");
	EQ_INT(asks, 0);
	server_end();
}

/* Half a second with a stream open and a PING each 20 ms; says something or nothing. */
static void keep_alive(bool speaks)
{
	struct http_server_config was = server_cfg;

	server_cfg.keepalive_every = server_cfg.keepalive_timeout = 20 * NS_PER_MS;
	server_make();
	headers(0, 1, GET);
	flush();
	for (int i = 0; i < 100 && !end_gone; i++) {
		if (speaks)
			frame(WINDOW, 0, 0, "\0\0\0\1", 4);
		usleep(5000);
		flush();
	}
	OK(came(PING, 0));
	server_cfg = was;
}

TEST(who_does_not_answer_a_ping_is_gone)
{
	keep_alive(false);
	OK(end_gone && came(GOAWAY, 0));
	EQ_STR(fault, "ping timeout");
	server_end();
}

TEST(who_says_anything_is_alive)
{
	keep_alive(true);
	OK(!end_gone && !came(GOAWAY, 0));
	server_end();
}

TEST(a_flood_of_pings_that_nobody_reads_ends_the_connection)
{
	server_make();
	conn_pause(raw);
	for (int i = 0; i < 40000; i++)
		frame(PING, 0, 0, "12345678", 8);
	flush();
	OK(end_gone);
	server_end();
}

TEST(garbage_ends_the_connection)
{
	struct conn *ends[2];

	ends_make(ends);
	server = http_server_new(
		ends[1], HTTP_KIND_2, &server_cfg, &server_user, NULL, NULL);
	buf_text(&sent, "GET / HTTP/1.1\r\nHost: not-http2\r\n\r\n");
	flush();
	OK(end_gone);
	EQ_INT(end_why.code, ERR_SYNTAX);
	server_end();
}

TEST(draining_lets_streams_end_and_takes_no_more)
{
	server_make();
	headers(END_STREAM, 1, GET);
	flush();
	http_server_drain(server);
	for (int i = 0; i < 200; i++) { /* the notice, and later the last word */
		usleep(1000);
		settle();
	}
	headers(END_STREAM, 3, GET);
	flush();
	EQ_INT(asks, 1);
	OK(!end_gone && came(GOAWAY, 0));
	respond(asked, 200);
	exch_rsp_end(asked, NULL);
	settle();
	OK(end_gone);
	EQ_INT(end_why.code, ERR_NONE);
	server_end();
}

/* ---- a client under test ---- */

static struct http_client *client;
static bool closing;

struct call {
	struct exch x;
	struct arena arena;
	bool over, ended;
	int status;
};

static void call_head(struct exch *x)
{
	((struct call *)x->source_arg)->status = x->rsp.status;
	exch_rsp_credit(x, 1000);
}

static void call_data(struct exch *x, const uint8_t *p, size_t n)
{
	(void)p;
	exch_rsp_credit(x, n);
}

static void call_end(struct exch *x, const struct fields *trailers)
{
	(void)trailers;
	((struct call *)x->source_arg)->ended = true;
}

static void call_credit(struct exch *x, size_t n)
{
	(void)x, (void)n;
}

static void call_over(struct exch *x)
{
	((struct call *)x->source_arg)->over = true;
}

static const struct source call_source = {.head = call_head,
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
static const struct stack via_stack = {.service = &via};

static void call_start(struct call *c, bool body)
{
	*c = (struct call){.status = 0};
	arena_init(&c->arena, 1 << 20);
	c->x = (struct exch){.arena = &c->arena,
		.loop = loop,
		.source = &call_source,
		.source_arg = c};
	c->x.req = (struct req_head){.method = SLICE("GET"),
		.scheme = SLICE("http"),
		.authority = SLICE("a"),
		.path = SLICE("/"),
		.length = body ? BODY_UNKNOWN : 0};
	exch_begin(&c->x, &via_stack);
	if (!body)
		exch_req_end(&c->x, NULL);
}

static void client_gone(void *arg, struct http_client *c, const struct err *e)
{
	(void)arg, (void)c;
	end_gone = true;
	end_why = *e;
}

static void client_closing(void *arg, struct http_client *c)
{
	(void)arg, (void)c;
	closing = true;
}

static const struct http_client_user client_user = {
	.on_closing = client_closing, .on_gone = client_gone};
static const struct http_client_config client_cfg;

static void client_make(void)
{
	struct conn *ends[2];

	ends_make(ends);
	client = http_client_new(
		ends[1], HTTP_KIND_2, &client_cfg, &client_user, NULL, NULL);
	frame(SETTINGS, 0, 0, NULL, 0);
	flush();
}

static void goaway(uint32_t last_id, uint32_t why)
{
	struct buf b = BUF_INIT;

	put32(&b, last_id);
	put32(&b, why);
	frame(GOAWAY, 0, 0, b.p, 8);
	buf_fini(&b);
}

TEST(streams_above_a_goaway_are_untouched_and_others_go_on)
{
	struct call a, b;

	client_make();
	call_start(&a, false);
	call_start(&b, false);
	settle();
	goaway(1, 0);
	flush();
	OK(closing && !http_client_has_room(client));
	OK(b.over && !a.over);
	OK(!b.x.touched);
	EQ_INT(b.x.err.code, ERR_CLOSED);
	headers(END_STREAM, 1, ":status: 204");
	flush();
	OK(a.over && a.ended);
	EQ_INT(a.status, 204);
	EQ_INT(a.x.err.code, ERR_NONE);
	OK(end_gone);
	server_end();
	arena_fini(&a.arena);
	arena_fini(&b.arena);
}

TEST(a_refused_stream_is_untouched_and_another_reset_is_not)
{
	struct call a, b;

	client_make();
	call_start(&a, false);
	call_start(&b, false);
	settle();
	frame32(RST, 1, 7);
	frame32(RST, 3, 2);
	flush();
	OK(a.over && b.over);
	OK(!a.x.touched && b.x.touched);
	EQ_INT(a.x.reset_code, 7);
	EQ_INT(b.x.reset_code, 2);
	OK(http_client_has_room(client));
	server_end();
	arena_fini(&a.arena);
	arena_fini(&b.arena);
}

TEST(a_connection_that_dies_has_touched_what_it_sent)
{
	struct call a;

	client_make();
	call_start(&a, false);
	settle();
	conn_end(raw);
	raw_gone = true;
	settle();
	OK(a.over && a.x.touched);
	EQ_INT(a.x.err.code, ERR_CLOSED);
	server_end();
	arena_fini(&a.arena);
}

TEST(a_cancelled_call_is_reset_and_the_rest_of_its_response_ignored)
{
	struct err why;
	struct call a;

	client_make();
	call_start(&a, false);
	settle();
	err_set(&why, ERR_CLOSED, "left");
	exch_cancel(&a.x, &why);
	settle();
	EQ_INT(code(RST, 1), 8);
	headers(0, 1, ":status: 200");
	frame(DATA, END_STREAM, 1, "abc", 3);
	flush();
	OK(!end_gone && http_client_has_room(client));
	EQ_INT(http_client_open(client), 0);
	server_end();
	arena_fini(&a.arena);
}

TEST(a_response_that_ends_before_the_request_resets_the_stream)
{
	struct call a;

	client_make();
	call_start(&a, true);
	settle();
	headers(END_STREAM, 1, ":status: 200");
	flush();
	OK(a.over && a.ended);
	EQ_INT(a.x.err.code, ERR_NONE);
	OK(came(RST, 1));
	EQ_INT(http_client_open(client), 0);
	server_end();
	arena_fini(&a.arena);
}

TEST(before_the_server_has_spoken_one_call_is_all)
{
	struct conn *ends[2];
	struct call a;

	ends_make(ends);
	client = http_client_new(
		ends[1], HTTP_KIND_2, &client_cfg, &client_user, NULL, NULL);
	EQ_INT(http_client_takes_connect(client), -1);
	OK(http_client_has_room(client));
	call_start(&a, false);
	settle();
	OK(came(HEADERS, 1) && !http_client_has_room(client));
	frame(SETTINGS, 0, 0, "\0\10\0\0\0\1", 6); /* ENABLE_CONNECT_PROTOCOL */
	flush();
	OK(http_client_has_room(client));
	EQ_INT(http_client_takes_connect(client), 1);
	OK(http_client_limit(client) >= 100);
	server_end();
	arena_fini(&a.arena);
}

TEST(the_peer_says_how_many_streams)
{
	struct call a, b;

	client_make();
	frame(SETTINGS, 0, 0, "\0\3\0\0\0\1", 6);
	flush();
	call_start(&a, false);
	OK(!http_client_has_room(client));
	settle();
	headers(END_STREAM, 1, ":status: 200");
	flush();
	OK(a.over && http_client_has_room(client));
	call_start(&b, false);
	settle();
	OK(came(HEADERS, 3));
	server_end();
	OK(b.over);
	arena_fini(&a.arena);
	arena_fini(&b.arena);
}

TEST(informational_responses_come_before_the_final_one)
{
	struct call a;

	client_make();
	call_start(&a, false);
	settle();
	headers(0, 1, ":status: 103");
	headers(0, 1, ":status: 100");
	headers(END_STREAM, 1, ":status: 200");
	flush();
	OK(a.over);
	EQ_INT(a.status, 200);
	server_end();
	arena_fini(&a.arena);
}
