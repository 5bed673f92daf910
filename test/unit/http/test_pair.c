/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client and a server codec, back to back over a pipe, with every cut: an exchange's
 * bodies, trailers and heads come out as they went in.  The client is driven by a
 * source of the test's, the server by a service of the test's that echoes.
 */
#include <stdlib.h>

#include "base/buf.h"
#include "http/client.h"
#include "http/server.h"
#include "net/pipe.h"
#include "t.h"

static struct loop *loop;

/* ---- the echoing service ---- */

struct echo {
	struct buf held;
	bool ended, pumping;
	const struct fields *trailers;
};

static void echo_pump(struct exch *x)
{
	struct echo *e = x->service_arg;
	size_t n;

	if (e->pumping)
		return;
	e->pumping = true;
	while ((n = buf_len(&e->held)) && x->rsp_credit) {
		n = n < x->rsp_credit ? n : x->rsp_credit;
		exch_rsp_data(x, (const uint8_t *)buf_slice(&e->held).p, n);
		buf_take(&e->held, n);
		exch_req_credit(x, n);
	}
	e->pumping = false;
	if (e->ended && !buf_len(&e->held) && x->at != EXCH_OVER)
		exch_rsp_end(x, e->trailers);
}

static void echo_begin(struct exch *x, void *shared)
{
	struct echo *e = arena_alloc(x->arena, sizeof *e);

	(void)shared;
	x->service_arg = e;
	x->rsp = (struct rsp_head){
		.version = HTTP_1_1, .status = 200, .length = x->req.length};
	fields_add(&x->rsp.fields, x->arena, SLICE("x-path"), x->req.path);
	exch_req_credit(x, 5000);
	exch_response(x);
}

static void echo_data(struct exch *x, void *shared, const uint8_t *p, size_t n)
{
	struct echo *e = x->service_arg;

	(void)shared;
	buf_add(&e->held, p, n);
	echo_pump(x);
}

static void echo_end(struct exch *x, void *shared, const struct fields *trailers)
{
	struct echo *e = x->service_arg;

	(void)shared;
	e->ended = true;
	e->trailers = trailers;
	echo_pump(x);
}

static void echo_credit(struct exch *x, void *shared, size_t n)
{
	(void)shared, (void)n;
	echo_pump(x);
}

static const struct service echo_service = {
	.begin = echo_begin, .data = echo_data, .end = echo_end, .credit = echo_credit};
static const struct filter nothing = {.name = "nothing"};
static const struct stack echo_stack = {
	.count = 1, .layer = {{&nothing, NULL}}, .service = &echo_service};

static void on_exch(void *arg, struct exch *x)
{
	(void)arg;
	exch_begin(x, &echo_stack);
}

static void server_gone(void *arg, const struct err *e)
{
	(void)e;
	*(bool *)arg = true;
}

static const struct http_server_user server_user = {
	.on_exch = on_exch, .on_gone = server_gone};

/* ---- the calling source ---- */

struct caller {
	struct exch x;
	struct arena arena;
	struct http_client *client;
	size_t size, sent, got;
	bool chunked, trailers, over, got_trailers;
	unsigned char in, out;
};

static size_t calls_over, calls_total;

static struct caller *caller_of(struct exch *x)
{
	return container_of(x, struct caller, x);
}

static void send_some(struct caller *c)
{
	uint8_t block[3000];

	while (c->sent < c->size && c->x.req_credit && c->x.at != EXCH_OVER) {
		size_t n = c->size - c->sent;

		n = n < sizeof block ? n : sizeof block;
		n = n < c->x.req_credit ? n : c->x.req_credit;
		for (size_t i = 0; i < n; i++)
			block[i] = c->out++;
		c->sent += n;
		exch_req_data(&c->x, block, n);
	}
	if (c->sent == c->size && !c->x.req_ended && c->size) {
		struct fields *f = NULL;

		if (c->trailers) {
			f = arena_alloc(&c->arena, sizeof *f);
			fields_add(f, &c->arena, SLICE("x-sum"), SLICE("42"));
		}
		exch_req_end(&c->x, f);
	}
}

static void call_head(struct exch *x)
{
	EQ_INT(x->rsp.status, 200);
	OK(slice_eq(fields_get(&x->rsp.fields, SLICE("x-path")), x->req.path));
	exch_rsp_credit(x, 7000);
}

static void call_data(struct exch *x, const uint8_t *p, size_t n)
{
	struct caller *c = caller_of(x);

	for (size_t i = 0; i < n; i++)
		if (p[i] != c->in++)
			T_FAIL("byte %zu of the response is wrong", c->got + i);
	c->got += n;
	exch_rsp_credit(x, n);
}

static void call_end(struct exch *x, const struct fields *trailers)
{
	struct caller *c = caller_of(x);

	if (trailers)
		c->got_trailers = slice_is(fields_get(trailers, SLICE("x-sum")), "42");
}

static void call_credit(struct exch *x, size_t n)
{
	(void)n;
	send_some(caller_of(x));
}

static void call_over(struct exch *x)
{
	struct caller *c = caller_of(x);

	if (x->err.code != ERR_NONE)
		T_FAIL("the exchange failed: %s", x->err.msg);
	EQ_INT(c->got, c->size);
	EQ_INT(c->got_trailers, c->trailers && c->size);
	c->over = true;
	if (++calls_over == calls_total)
		loop_stop(loop);
}

static const struct source call_source = {.head = call_head,
	.data = call_data,
	.end = call_end,
	.credit = call_credit,
	.over = call_over};

static void carry_begin(struct exch *x, void *shared)
{
	http_client_begin(shared, x);
}
static void carry_data(struct exch *x, void *shared, const uint8_t *p, size_t n)
{
	(void)shared;
	http_client_data(x, p, n);
}
static void carry_end(struct exch *x, void *shared, const struct fields *t)
{
	(void)shared;
	http_client_end_body(x, t);
}
static void carry_credit(struct exch *x, void *shared, size_t n)
{
	(void)shared;
	http_client_credit(x, n);
}
static const struct service carry = {.begin = carry_begin,
	.data = carry_data,
	.end = carry_end,
	.credit = carry_credit};
static struct stack carry_stack = {
	.count = 1, .layer = {{&nothing, NULL}}, .service = &carry};

static void call_begin(struct caller *c, struct http_client *client, size_t size,
	bool chunked, bool trailers)
{
	*c = (struct caller){.client = client,
		.size = size,
		.chunked = chunked,
		.trailers = trailers};
	arena_init(&c->arena, 1 << 20);
	c->x.arena = &c->arena;
	c->x.loop = loop;
	c->x.source = &call_source;
	c->x.req = (struct req_head){.version = HTTP_1_1,
		.method = size ? SLICE("POST") : SLICE("GET"),
		.scheme = SLICE("http"),
		.authority = SLICE("echo.test"),
		.path = SLICE("/some/path?x=1"),
		.length = size == 0 ? 0
			  : chunked ? BODY_UNKNOWN
				    : (int64_t)size};
	carry_stack.service_shared = client;
	exch_begin(&c->x, &carry_stack);
	if (!size)
		exch_req_end(&c->x, NULL);
}

static void client_gone(void *arg, struct http_client *c, const struct err *e)
{
	(void)c;
	if (e->code != ERR_NONE)
		T_FAIL("the client's connection broke: %s", e->msg);
	*(bool *)arg = true;
}

/* Calls that wait for room begin when it is announced. */
static struct caller *waiting;
static size_t nwaiting, next_waiting;

static void client_room(void *arg, struct http_client *c)
{
	(void)arg;
	OK(http_client_has_room(c));
	while (next_waiting < nwaiting && http_client_has_room(c)) {
		call_begin(&waiting[next_waiting], c, 100, false, false);
		next_waiting++;
	}
}

static const struct http_client_user client_user = {
	.on_room = client_room, .on_gone = client_gone};

static const struct http_server_config server_cfg;
static const struct http_client_config client_cfg;

static void finish(struct http_client *client, bool *client_over, bool *server_over)
{
	http_client_drain(client);
	for (int i = 0; i < 200 && !(*client_over && *server_over); i++) {
		loop_post(loop, (void (*)(void *))loop_stop, loop);
		loop_run(loop, NULL);
	}
	OK(*client_over);
	OK(*server_over);
	for (int i = 0; i < 3; i++) {
		loop_post(loop, (void (*)(void *))loop_stop, loop);
		loop_run(loop, NULL);
	}
	loop_free(loop);
}

static void one_by_one(enum http_kind kind, size_t cut)
{
	static const size_t sizes[] = {0, 1, 10, 5000, 70000, 300000, 0};
	bool server_over = false, client_over = false;
	struct http_client *client;
	static struct caller c;
	struct conn *ends[2];
	struct err e;

	loop = loop_new(NULL);
	pipe_new(loop, cut, ends, NULL);
	OK(http_server_new(
		   ends[1], kind, &server_cfg, &server_user, &server_over, &e) != NULL);
	client = http_client_new(
		ends[0], kind, &client_cfg, &client_user, &client_over, &e);
	for (size_t i = 0; i < countof(sizes); i++) {
		if (cut && cut < 50 && sizes[i] > 10000)
			continue;
		for (int form = 0; form < 3; form++) {
			calls_over = 0;
			calls_total = 1;
			OK(http_client_has_room(client));
			call_begin(&c, client, sizes[i], form > 0, form > 1);
			if (loop_run(loop, &e) < 0)
				T_FAIL("%s", e.msg);
			loop_post(loop, (void (*)(void *))loop_stop, loop);
			loop_run(loop, NULL);
			arena_fini(&c.arena);
		}
	}
	finish(client, &client_over, &server_over);
}

static const size_t cuts[] = {1, 2, 7, 1000, 0};

TEST(http1_bodies_come_out_as_they_went_in)
{
	for (size_t i = 0; i < countof(cuts); i++)
		one_by_one(HTTP_KIND_1, cuts[i]);
}

TEST(http2_bodies_come_out_as_they_went_in)
{
	for (size_t i = 0; i < countof(cuts); i++)
		one_by_one(HTTP_KIND_2, cuts[i]);
}

TEST(http2_carries_many_exchanges_at_once)
{
	static struct caller c[60];
	bool server_over = false, client_over = false;
	struct http_client *client;
	struct conn *ends[2];
	struct err e;

	loop = loop_new(NULL);
	pipe_new(loop, 0, ends, NULL);
	http_server_new(
		ends[1], HTTP_KIND_2, &server_cfg, &server_user, &server_over, &e);
	client = http_client_new(
		ends[0], HTTP_KIND_2, &client_cfg, &client_user, &client_over, &e);
	calls_total = countof(c);
	for (size_t i = 0; i < countof(c); i++)
		call_begin(&c[i], client, i * 3001, i % 2, i % 3 == 0);
	if (loop_run(loop, &e) < 0)
		T_FAIL("%s", e.msg);
	for (size_t i = 0; i < countof(c); i++)
		arena_fini(&c[i].arena);
	finish(client, &client_over, &server_over);
}

TEST(every_call_beyond_the_stream_limit_gets_its_turn)
{
	static const struct http_server_config few = {.max_streams = 7};
	static struct caller c[500];
	bool server_over = false, client_over = false;
	struct http_client *client;
	struct conn *ends[2];
	struct err e;

	loop = loop_new(NULL);
	pipe_new(loop, 0, ends, NULL);
	http_server_new(ends[1], HTTP_KIND_2, &few, &server_user, &server_over, &e);
	client = http_client_new(
		ends[0], HTTP_KIND_2, &client_cfg, &client_user, &client_over, &e);
	calls_total = nwaiting = countof(c);
	waiting = c;
	client_room(NULL, client);
	if (loop_run(loop, &e) < 0)
		T_FAIL("%s", e.msg);
	nwaiting = 0;
	for (size_t i = 0; i < countof(c); i++)
		arena_fini(&c[i].arena);
	finish(client, &client_over, &server_over);
}
