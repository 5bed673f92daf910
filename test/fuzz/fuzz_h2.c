/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/obj.h"
#include "http/server.h"
#include "net/pipe.h"

/*
 * Frames into an HTTP/2 server whose service echoes: whatever comes, every exchange
 * begun is over once, and the connection ends.  The first byte says how it is cut.
 */
static struct loop *loop;
static int begun, over;
static bool gone;

static void echo_begin(struct exch *x, void *shared)
{
	(void)shared;
	exch_req_credit(x, 1000);
	x->rsp = (struct rsp_head){.status = 200, .length = BODY_UNKNOWN};
	exch_response(x);
}

static void echo_data(struct exch *x, void *shared, const uint8_t *p, size_t n)
{
	size_t give = n < x->rsp_credit ? n : x->rsp_credit;

	(void)shared;
	exch_rsp_data(x, p, give);
	exch_req_credit(x, n);
}

static void echo_end(struct exch *x, void *shared, const struct fields *trailers)
{
	(void)shared;
	exch_rsp_end(x, trailers);
}

static const struct service echo = {
	.begin = echo_begin, .data = echo_data, .end = echo_end};

static void on_done(struct exch *x, void *shared, void *state)
{
	(void)x, (void)shared, (void)state;
	over++;
}

static const struct filter watch = {.name = "watch", .on_done = on_done};
static const struct stack stack = {
	.count = 1, .layer = {{&watch, NULL}}, .service = &echo};

static void on_exch(void *arg, struct exch *x)
{
	(void)arg;
	begun++;
	exch_begin(x, &stack);
}

static void on_gone(void *arg, const struct err *e)
{
	(void)arg, (void)e;
	gone = true;
}

static size_t raw_in(struct conn *c, void *arg, const uint8_t *p, size_t n)
{
	(void)c, (void)arg, (void)p;
	return n;
}

static void raw_gone(struct conn *c, void *arg, const struct err *e)
{
	(void)c, (void)e;
	*(bool *)arg = true;
}

static void settle(void)
{
	loop_post(loop, (void (*)(void *))loop_stop, loop);
	loop_run(loop, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char preface[] =
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
	static const struct http_server_config cfg = {
		.max_streams = 10, .head_max = 4096};
	static const struct http_server_user user = {
		.on_exch = on_exch, .on_gone = on_gone};
	static const struct conn_user raw_user = {.on_in = raw_in, .on_gone = raw_gone};
	struct conn *ends[2];
	bool left = false;

	if (size < 1 || size > 20000)
		return 0;
	if (!loop)
		loop = loop_new(NULL);
	begun = over = 0;
	gone = false;
	must(pipe_new(loop, data[0], ends, NULL) == 0);
	must(http_server_new(ends[1], HTTP_KIND_2, &cfg, &user, NULL, NULL));
	conn_use(ends[0], &raw_user, &left);
	conn_write(ends[0], preface, sizeof preface - 1);
	conn_write(ends[0], data + 1, size - 1);
	settle();
	if (!left)
		conn_end(ends[0]);
	settle();
	settle();
	must(gone && begun == over);
	return 0;
}
