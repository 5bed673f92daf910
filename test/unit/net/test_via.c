/* SPDX-License-Identifier: Apache-2.0 */
/* Ways through proxies, over a pipe, the bytes cut in every place. */
#include "net/via.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/obj.h"
#include "net/pipe.h"
#include "t.h"

struct way {
	struct via via;
	struct {
		const char *hears, *says; /* says with \x00 as it stands: n bytes */
		size_t n_hears, n_says;
	} step[3];
	const char *fails; /* NULL: it opens */
};

#define STEP(h, s)                                                                     \
	{                                                                              \
		h, s, sizeof(h) - 1, sizeof(s) - 1                                     \
	}
#define CONNECT "CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n"

static const struct way ways[] = {
	{{VIA_HTTP, NULL, NULL, "h", 1},
		{STEP(CONNECT "\r\n", "HTTP/1.1 200 OK\r\nX: y\r\n\r\nhello")}, NULL},
	{{VIA_HTTP, "u", NULL, "h", 1},
		{STEP(CONNECT "Proxy-Authorization: Basic dTo=\r\n\r\n",
			"HTTP/1.0 201 \r\n\r\nhello")},
		NULL},
	{{VIA_HTTP, NULL, NULL, "::1", 1},
		{STEP("CONNECT [::1]:1 HTTP/1.1\r\nHost: [::1]:1\r\n\r\n",
			"HTTP/1.1 502 Bad Gateway\r\n\r\n")},
		"the proxy does not connect to [::1]:1: 502 Bad Gateway"},
	{{VIA_HTTP, NULL, NULL, "h", 1},
		{STEP(CONNECT "\r\n", "HTTP/1.1 407 Who?\r\n\r\n")},
		"407 Who? (user and password belong in the proxy's URL"},
	{{VIA_HTTP, NULL, NULL, "h", 1}, {STEP(CONNECT "\r\n", "SSH-2.0-x\r\n\r\n")},
		"does not speak HTTP/1"},
	{{VIA_SOCKS5, NULL, NULL, "h", 258},
		{STEP("\5\1\0", "\5\0"),
			STEP("\5\1\0\3\1h\1\2", "\5\0\0\1\1\2\3\4\5\6hello")},
		NULL},
	{{VIA_SOCKS5, NULL, NULL, "10.0.0.1", 1},
		{STEP("\5\1\0", "\5\0"),
			STEP("\5\1\0\1\12\0\0\1\0\1", "\5\0\0\3\2ab\5\6hello")},
		NULL},
	{{VIA_SOCKS5, "me", "pw", "h", 1},
		{STEP("\5\2\0\2", "\5\2"), STEP("\1\2me\2pw", "\1\0"),
			STEP("\5\1\0\3\1h\0\1", "\5\0\0\1\1\2\3\4\5\6hello")},
		NULL},
	{{VIA_SOCKS5, "me", "pw", "h", 1},
		{STEP("\5\2\0\2", "\5\2"), STEP("\1\2me\2pw", "\1\1")},
		"refuses the login"},
	{{VIA_SOCKS5, NULL, NULL, "h", 1}, {STEP("\5\1\0", "\5\2")}, "wants a login"},
	{{VIA_SOCKS5, NULL, NULL, "h", 1},
		{STEP("\5\1\0", "\5\0"),
			STEP("\5\1\0\3\1h\0\1", "\5\5\0\1\1\2\3\4\5\6")},
		"does not connect to h:1: the connection was refused"},
	{{VIA_SOCKS5, NULL, NULL, "h", 1}, {STEP("\5\1\0", "HTTP/1.1 400")},
		"does not speak SOCKS 5"},
};

static const struct way *way;
static struct loop *loop;
static struct conn *far;
static size_t step, heard;
static struct buf got, echoed;
static struct err failure;
static bool opened;

/* ---- the proxy, and whom it connects to: it says hello and hears "bye" ---- */

static size_t far_in(struct conn *c, void *arg, const uint8_t *p, size_t n)
{
	(void)arg;
	for (size_t i = 0; i < n; i++) {
		if (step == countof(way->step) || !way->step[step].hears) {
			buf_char(&echoed, (char)p[i]);
			continue;
		}
		if ((char)p[i] != way->step[step].hears[heard])
			T_FAIL("step %zu: byte %zu is %d", step, heard, p[i]);
		if (++heard < way->step[step].n_hears)
			continue;
		conn_write(c, way->step[step].says, way->step[step].n_says);
		step++;
		heard = 0;
	}
	if (slice_is(buf_slice(&echoed), "early bye"))
		loop_stop(loop);
	return n;
}

static void far_gone(struct conn *c, void *arg, const struct err *e)
{
	(void)c, (void)arg, (void)e;
	far = NULL;
}

static const struct conn_user far_user = {.on_in = far_in, .on_gone = far_gone};

/* ---- us ---- */

static void on_open(struct conn *c, void *arg)
{
	(void)c, (void)arg;
	opened = true;
}

static size_t on_in(struct conn *c, void *arg, const uint8_t *p, size_t n)
{
	(void)arg;
	OK(opened);
	buf_add(&got, p, n);
	if (slice_is(buf_slice(&got), "hello"))
		conn_write(c, " bye", 4);
	return n;
}

static void on_gone(struct conn *c, void *arg, const struct err *e)
{
	(void)c;
	*(struct conn **)arg = NULL;
	failure = *e;
	loop_stop(loop);
}

static const struct conn_user user = {
	.on_open = on_open, .on_in = on_in, .on_gone = on_gone};

static void turn_over(void *arg)
{
	(void)arg;
	loop_stop(loop);
}

static void try(const struct way *w, size_t cut)
{
	struct conn *ends[2], *c;

	way = w;
	step = heard = 0;
	opened = false;
	failure = (struct err){0};
	got = echoed = BUF_INIT;
	loop = loop_new(NULL);
	OK(pipe_new(loop, cut, ends, NULL) == 0);
	far = ends[1];
	conn_use(far, &far_user, NULL);
	c = via_new(ends[0], &w->via, 5 * NS_PER_S, NULL);
	OK(c);
	conn_use(c, &user, &c);
	conn_write(c, "early", 5); /* what is written before it is open waits */
	OK(loop_run(loop, NULL) == 0);
	if (w->fails && !strstr(failure.msg, w->fails))
		T_FAIL("%zu: want %s, got %s", (size_t)(w - ways), w->fails,
			failure.msg);
	OK(opened == !w->fails);
	if (c)
		conn_end(c);
	if (far)
		conn_end(far);
	loop_post(loop, turn_over, NULL);
	OK(loop_run(loop, NULL) == 0);
	loop_free(loop);
	buf_fini(&got);
	buf_fini(&echoed);
}

TEST(a_proxy_is_asked_in_its_protocol_and_what_it_refuses_is_told)
{
	for (size_t i = 0; i < countof(ways); i++)
		for (size_t cut = 0; cut < 8; cut++)
			try(&ways[i], cut);
}

TEST(names_that_are_too_long_are_refused)
{
	struct conn *ends[2];
	char host[300];
	struct via v = {VIA_HTTP, NULL, NULL, host, 1};
	struct err e = {0};

	memset(host, 'a', sizeof host);
	host[299] = '\0';
	loop = loop_new(NULL);
	OK(pipe_new(loop, 0, ends, NULL) == 0);
	OK(!via_new(ends[0], &v, 0, &e));
	EQ_INT(e.code, ERR_LIMIT);
	conn_end(ends[1]);
	loop_post(loop, turn_over, NULL);
	OK(loop_run(loop, NULL) == 0);
	loop_free(loop);
}
