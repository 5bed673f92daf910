/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole connection: client bytes, server bytes and their timing through a server
 * codec, an exchange, a client codec and back, over pipes; one allocation may fail.
 * Every exchange is over once, no body byte is invented, and when both ends have left
 * nothing is left.
 *
 * Input: KINDS CUT NTH, then steps: a byte OP (low three bits; the rest is a length or
 * a number) and its bytes.
 */
#include <string.h>

#include "../fault/fault.h"
#include "base/obj.h"
#include "http/client.h"
#include "http/server.h"
#include "net/pipe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define UPS       4
#define STEPS_MAX 200

enum op {
	OP_CLIENT,
	OP_SERVER,
	OP_TURNS,
	OP_CLIENT_FIN,
	OP_SERVER_FIN,
	OP_CLIENT_END,
	OP_SERVER_END,
	OP_DRAIN
};

struct up { /* one connection to the server */
	struct http_client *client;
	struct conn *raw; /* the server's end */
	bool used;
};

static struct loop *loop;
static enum http_kind up_kind;
static size_t cut;
static struct up ups[UPS];
static struct up *last_up;
static struct conn *raw_client;
static struct http_server *server;
static int begun, over;
static size_t client_bytes, server_bytes, req_bytes, rsp_bytes;

/* ---- the raw ends ---- */

static size_t raw_in(struct conn *c, void *arg, const uint8_t *p, size_t n)
{
	(void)c, (void)arg, (void)p;
	return n;
}

static void raw_gone(struct conn *c, void *arg, const struct err *e)
{
	(void)c, (void)e;
	*(struct conn **)arg = NULL;
}

static const struct conn_user raw_user = {.on_in = raw_in, .on_gone = raw_gone};

static int pipe_unfailing(struct conn *ends[2])
{
	uint64_t on = fault_control->on;
	int r;

	fault_control->on = 0;
	r = pipe_new(loop, cut, ends, NULL);
	fault_control->on = on;
	return r;
}

/* ---- to the server ---- */

static void up_gone(void *arg, struct http_client *c, const struct err *e)
{
	(void)c, (void)e;
	((struct up *)arg)->client = NULL;
}

static const struct http_client_user up_user = {.on_gone = up_gone};

static struct http_client *up_new(struct up *u)
{
	static const struct http_client_config cfg = {.head_max = 4096};
	static const uint8_t settings[] = {0, 0, 0, 4, 0, 0, 0, 0, 0};
	struct conn *ends[2];

	must(pipe_unfailing(ends) == 0);
	u->used = true;
	u->raw = ends[0];
	conn_use(ends[0], &raw_user, &u->raw);
	if (up_kind == HTTP_KIND_2)
		conn_write(ends[0], settings, sizeof settings);
	u->client = http_client_new(ends[1], up_kind, &cfg, &up_user, u, NULL);
	if (!u->client)
		conn_end(ends[1]);
	last_up = u;
	return u->client;
}

static struct http_client *up_with_room(void)
{
	for (size_t i = 0; i < UPS; i++)
		if (ups[i].client && http_client_has_room(ups[i].client))
			return ups[i].client;
	for (size_t i = 0; i < UPS; i++)
		if (!ups[i].used)
			return up_new(&ups[i]);
	return NULL;
}

static void carry_begin(struct exch *x, void *shared)
{
	struct http_client *c = up_with_room();
	struct err e;

	(void)shared;
	if (c) {
		http_client_begin(c, x);
		return;
	}
	err_set(&e, ERR_BUSY, "no connection");
	exch_fail(x, &e);
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

static void carry_cancel(struct exch *x, void *shared)
{
	(void)shared;
	http_client_cancel(x);
}

static const struct service carry = {.begin = carry_begin,
	.data = carry_data,
	.end = carry_end,
	.credit = carry_credit,
	.cancel = carry_cancel};

static void on_data(struct exch *x, void *shared, void *state, enum dir d, size_t n)
{
	(void)x, (void)shared, (void)state;
	if (d == DIR_REQUEST)
		req_bytes += n;
	else
		rsp_bytes += n;
	must(req_bytes <= client_bytes && rsp_bytes <= server_bytes);
}

static void on_done(struct exch *x, void *shared, void *state)
{
	(void)x, (void)shared, (void)state;
	over++;
}

static const struct filter watch = {
	.name = "watch", .on_data = on_data, .on_done = on_done};
static const struct stack stack = {
	.count = 1, .layer = {{&watch, NULL}}, .service = &carry};

/* ---- from the client ---- */

static void on_exch(void *arg, struct exch *x)
{
	(void)arg;
	begun++;
	exch_begin(x, &stack);
}

static void on_gone(void *arg, const struct err *e)
{
	(void)arg, (void)e;
	server = NULL;
}

static void begin(enum http_kind kind)
{
	static const char preface[] =
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
	static const struct http_server_config cfg = {
		.max_streams = 10, .head_max = 4096};
	static const struct http_server_user user = {
		.on_exch = on_exch, .on_gone = on_gone};
	struct conn *ends[2];

	must(pipe_unfailing(ends) == 0);
	raw_client = ends[0];
	conn_use(ends[0], &raw_user, &raw_client);
	server = http_server_new(ends[1], kind, &cfg, &user, NULL, NULL);
	if (!server)
		conn_end(ends[1]);
	else if (kind == HTTP_KIND_2)
		conn_write(raw_client, preface, sizeof preface - 1);
}

static void turns(unsigned n)
{
	while (n--) {
		loop_stop(loop);
		loop_run(loop, NULL);
	}
}

static void end(struct conn **raw)
{
	if (*raw)
		conn_end(*raw);
	*raw = NULL;
}

/* One step; returns how many bytes of the input were its own. */
static size_t step(uint8_t op, const uint8_t *p, size_t n)
{
	size_t len = (size_t)(op >> 3) * (op >> 3) + 1;
	struct conn **up = last_up ? &last_up->raw : NULL;

	len = len < n ? len : n;
	switch ((enum op)(op & 7)) {
	case OP_CLIENT:
		client_bytes += len;
		if (raw_client)
			conn_write(raw_client, p, len);
		return len;
	case OP_SERVER:
		server_bytes += len;
		if (up && *up)
			conn_write(*up, p, len);
		return len;
	case OP_TURNS:
		turns(1 + (op >> 3));
		break;
	case OP_CLIENT_FIN:
		if (raw_client)
			conn_shutdown(raw_client);
		break;
	case OP_SERVER_FIN:
		if (up && *up)
			conn_shutdown(*up);
		break;
	case OP_CLIENT_END:
		end(&raw_client);
		break;
	case OP_SERVER_END:
		if (up)
			end(up);
		last_up = &ups[(op >> 3) % UPS];
		break;
	case OP_DRAIN:
		if (server)
			http_server_drain(server);
		break;
	}
	return 0;
}

static void finish(void)
{
	fault_control->on = 0;
	turns(3);
	end(&raw_client);
	turns(2);
	for (size_t i = 0; i < UPS; i++)
		end(&ups[i].raw);
	turns(6);
	must(!server && begun == over);
	for (size_t i = 0; i < UPS; i++)
		must(!ups[i].client);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t at = 3;

	if (size < 4 || size > 20000)
		return 0;
	if (!loop)
		loop = loop_new(NULL);
	memset(ups, 0, sizeof ups);
	last_up = NULL;
	begun = over = 0;
	client_bytes = server_bytes = req_bytes = rsp_bytes = 0;
	up_kind = data[0] & 2 ? HTTP_KIND_2 : HTTP_KIND_1;
	cut = data[1];
	fault_control->nth = data[2];
	fault_control->calls = 0;
	fault_control->on = data[2] ? FAULT_MEMORY : 0;
	begin(data[0] & 1 ? HTTP_KIND_2 : HTTP_KIND_1);
	for (int i = 0; i < STEPS_MAX && at < size; i++) {
		at++;
		at += step(data[at - 1], data + at, size - at);
	}
	finish();
	return 0;
}
