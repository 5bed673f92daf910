/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/obj.h"
#include "http/client.h"
#include "net/pipe.h"
#include "t.h"

/*
 * Our client against our server over a pipe: bodies of many sizes, both framings,
 * random credit, every kind of cut.  The server echoes.
 */
static struct loop *loop;
static struct http_client *client;
static struct http_server *server;
static bool client_gone, server_gone;
static int idles;

static uint8_t pattern(size_t i)
{
	return (uint8_t)(i * 7 + (i >> 8) + (i >> 16));
}

static size_t some(size_t max)
{
	return 1 + (size_t)random() % max;
}

/* ---- the echo service ---- */

struct echo {
	struct buf kept;
	struct fields trailers;
	bool ended, has_trailers;
};

static void echo_pump(struct exch *x)
{
	struct echo *e = x->service_arg;

	while (buf_len(&e->kept) && x->rsp_credit) {
		struct slice s = buf_slice(&e->kept);
		uint8_t piece[3000];
		size_t n = s.n < x->rsp_credit ? s.n : x->rsp_credit;

		n = n < sizeof piece ? n : some(sizeof piece);
		memcpy(piece, s.p, n);
		buf_take(&e->kept, n);
		exch_rsp_data(x, piece, n);
		exch_req_credit(x, n);
		if (!x->service_arg)
			return;
	}
	if (e->ended && !buf_len(&e->kept)) {
		x->service_arg = NULL;
		buf_fini(&e->kept);
		exch_rsp_end(x, e->has_trailers ? &e->trailers : NULL);
	}
}

static void echo_begin(struct exch *x, void *shared)
{
	struct echo *e = arena_alloc(x->arena, sizeof *e);
	size_t window = some(20000);

	(void)shared;
	x->service_arg = e;
	x->rsp = (struct rsp_head){.status = 200, .length = x->req.length};
	EQ_INT(fields_add(&x->rsp.fields, x->arena, SLICE("path"), x->req.path), 0);
	exch_req_credit(x, window);
	exch_response(x);
}

static void echo_data(struct exch *x, void *shared, const uint8_t *p, size_t n)
{
	struct echo *e = x->service_arg;

	(void)shared;
	buf_add(&e->kept, p, n);
	echo_pump(x);
}

static void echo_end(struct exch *x, void *shared, const struct fields *trailers)
{
	struct echo *e = x->service_arg;

	(void)shared;
	e->ended = true;
	if (trailers) {
		e->has_trailers = true;
		e->trailers = *trailers;
	}
	echo_pump(x);
}

static void echo_credit(struct exch *x, void *shared, size_t n)
{
	(void)shared, (void)n;
	if (x->service_arg)
		echo_pump(x);
}

static void echo_cancel(struct exch *x, void *shared)
{
	struct echo *e = x->service_arg;

	(void)shared;
	x->service_arg = NULL;
	if (e)
		buf_fini(&e->kept);
}

static const struct service echo = {.begin = echo_begin,
	.data = echo_data,
	.end = echo_end,
	.credit = echo_credit,
	.cancel = echo_cancel};
static const struct stack echo_stack = {.service = &echo};

/* ---- calls ---- */

struct call {
	struct exch x;
	struct arena arena;
	size_t size, sent, got;
	bool trailers, ended, over, got_trailers, leave;
	struct later pump, credit;
	size_t owed;
	int status;
	enum errc code;
};

static size_t calls_open;

static void call_pump(struct later *d)
{
	struct call *c = container_of(d, struct call, pump);
	static struct field f = {.name = SLICE("sum"), .value = SLICE("42")};
	static const struct fields trailers = {.v = &f, .n = 1, .cap = 1};
	uint8_t piece[5000];

	while (c->sent < c->size && c->x.req_credit && !c->over) {
		size_t n = some(sizeof piece);

		n = n < c->x.req_credit ? n : c->x.req_credit;
		n = n < c->size - c->sent ? n : c->size - c->sent;
		for (size_t i = 0; i < n; i++)
			piece[i] = pattern(c->sent + i);
		c->sent += n;
		exch_req_data(&c->x, piece, n);
	}
	if (c->sent == c->size && !c->ended && !c->over) {
		c->ended = true;
		exch_req_end(&c->x, c->trailers ? &trailers : NULL);
	}
}

static void call_credit(struct later *d)
{
	struct call *c = container_of(d, struct call, credit);
	size_t n = c->owed;

	c->owed = 0;
	if (!c->over)
		exch_rsp_credit(&c->x, n);
}

static struct call *call_of(struct exch *x)
{
	return x->source_arg;
}

static void call_head(struct exch *x)
{
	call_of(x)->status = x->rsp.status;
	EQ_INT(fields_get(&x->rsp.fields, SLICE("path")).n, x->req.path.n);
	exch_rsp_credit(x, some(30000));
}

static void call_data(struct exch *x, const uint8_t *p, size_t n)
{
	struct call *c = call_of(x);

	for (size_t i = 0; i < n; i++)
		if (p[i] != pattern(c->got + i))
			T_FAIL("byte %zu is wrong", c->got + i);
	c->got += n;
	c->owed += n;
	loop_later(loop, &c->credit);
}

static void call_end_(struct exch *x, const struct fields *trailers)
{
	struct call *c = call_of(x);

	c->got_trailers =
		trailers && slice_is(fields_get(trailers, SLICE("sum")), "42");
}

static void call_more(struct exch *x, size_t n)
{
	(void)n;
	loop_later(loop, &call_of(x)->pump);
}

static void call_over(struct exch *x)
{
	struct call *c = call_of(x);

	c->over = true;
	c->code = x->err.code;
	later_clear(&c->pump);
	later_clear(&c->credit);
	if (--calls_open == 0)
		loop_stop(loop);
}

static const struct source call_source = {.head = call_head,
	.data = call_data,
	.end = call_end_,
	.credit = call_more,
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

static void call_start(struct call *c, size_t size, bool chunked, bool trailers)
{
	*c = (struct call){.size = size, .trailers = trailers};
	arena_init(&c->arena, 1 << 20);
	later_init(&c->pump, call_pump);
	later_init(&c->credit, call_credit);
	c->x = (struct exch){.arena = &c->arena,
		.loop = loop,
		.source = &call_source,
		.source_arg = c};
	c->x.req = (struct req_head){.method = SLICE("POST"),
		.scheme = SLICE("http"),
		.authority = SLICE("a.test"),
		.path = SLICE("/echo?x=1"),
		.length = chunked ? BODY_UNKNOWN : (int64_t)size};
	calls_open++;
	exch_begin(&c->x, &via_stack);
	if (!c->over)
		loop_later(loop, &c->pump);
}

/* ---- both ends ---- */

static void on_exch(void *arg, struct exch *x)
{
	(void)arg;
	exch_begin(x, &echo_stack);
}

static void on_server_gone(void *arg, const struct err *e)
{
	(void)arg, (void)e;
	server_gone = true;
	if (client_gone)
		loop_stop(loop);
}

static void on_client_gone(void *arg, struct http_client *c, const struct err *e)
{
	(void)arg, (void)c, (void)e;
	client_gone = true;
	if (server_gone)
		loop_stop(loop);
}

static void on_idle(void *arg, struct http_client *c)
{
	(void)arg, (void)c;
	idles++;
}

static const struct http_server_user server_user = {
	.on_exch = on_exch, .on_gone = on_server_gone};
static const struct http_client_user client_user = {
	.on_idle = on_idle, .on_gone = on_client_gone};

static const struct http_server_config server_cfg;
static const struct http_client_config client_cfg;

static void pair_make(enum http_kind kind, size_t cut)
{
	struct conn *ends[2];

	loop = loop_new(NULL);
	EQ_INT(pipe_new(loop, cut, ends, NULL), 0);
	server = http_server_new(ends[1], kind, &server_cfg, &server_user, NULL, NULL);
	client = http_client_new(ends[0], kind, &client_cfg, &client_user, NULL, NULL);
	OK(server && client);
}

/* Everything closes in order when the server drains. */
static void pair_end(void)
{
	http_server_drain(server);
	loop_run(loop, NULL);
	OK(client_gone && server_gone);
	loop_free(loop);
	client_gone = server_gone = false;
}

static void check_call(struct call *c)
{
	EQ_INT(c->code, ERR_NONE);
	EQ_INT(c->status, 200);
	EQ_INT(c->got, c->size);
	OK(c->got_trailers == c->trailers);
	arena_fini(&c->arena);
}

static void bodies(enum http_kind kind, size_t cut, size_t max)
{
	static const size_t sizes[] = {
		0, 1, 2, 100, 4095, 16384, 16385, 65535, 65536, 300000, 1048576};
	struct call c;

	pair_make(kind, cut);
	for (size_t i = 0; i < countof(sizes) && sizes[i] <= max; i++)
		for (int how = 0; how < 3; how++) {
			call_start(&c, sizes[i], how > 0, how == 2);
			loop_run(loop, NULL);
			check_call(&c);
		}
	OK(idles > 0);
	pair_end();
}

static void every_body(enum http_kind kind)
{
	bodies(kind, 0, SIZE_MAX);
	bodies(kind, 1, 5000);
	bodies(kind, 7, 70000);
	bodies(kind, 1000, SIZE_MAX);
}

TEST(h1_bodies_of_every_size_come_back)
{
	every_body(HTTP_KIND_1);
}

TEST(h2_bodies_of_every_size_come_back)
{
	every_body(HTTP_KIND_2);
}

TEST(h2_carries_bodies_side_by_side)
{
	static struct call c[90];

	pair_make(HTTP_KIND_2, 3000);
	for (size_t i = 0; i < countof(c); i++)
		call_start(&c[i], i * i * 17, i % 3, i % 3 == 2);
	while (calls_open)
		loop_run(loop, NULL);
	for (size_t i = 0; i < countof(c); i++)
		check_call(&c[i]);
	pair_end();
}

TEST(h2_a_cancelled_call_leaves_the_others_alone)
{
	struct call a, b;
	struct err why;

	pair_make(HTTP_KIND_2, 0);
	call_start(&a, 200000, true, false);
	call_start(&b, 200000, true, true);
	err_set(&why, ERR_CLOSED, "left");
	exch_cancel(&a.x, &why);
	while (calls_open)
		loop_run(loop, NULL);
	check_call(&b);
	arena_fini(&a.arena);
	pair_end();
}

TEST(h1_a_cancelled_call_closes_the_connection)
{
	struct err why;
	struct call c;

	pair_make(HTTP_KIND_1, 0);
	call_start(&c, 100000, true, false);
	err_set(&why, ERR_CLOSED, "left");
	exch_cancel(&c.x, &why);
	OK(!http_client_has_room(client));
	loop_run(loop, NULL);
	OK(client_gone && server_gone);
	arena_fini(&c.arena);
}
