/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_UNIT_NET_ENDER_H
#define TEST_UNIT_NET_ENDER_H

/*
 * Every way to end a conn, in every callback: end_everywhere() is given how to connect
 * an `ender` to an `other`.
 */
#include "net/peers.h"

static size_t bytes_seen;
static size_t count_in(struct conn *c, void *arg, const uint8_t *p, size_t n)
{
	(void)c, (void)arg, (void)p;
	bytes_seen += n;
	return n;
}
/* ---- the user may end the conn in whatever it is called for ---- */

enum { IN_OPEN, IN_IN, IN_ROOM, IN_EOF, CALLBACKS };

static int end_in, end_how;
static bool was_ended;

static void maybe_end(struct conn *c, int where)
{
	static void (*const how[])(struct conn * c) = {
		conn_end, conn_finish, conn_abort};

	OK(!was_ended);
	if (where != end_in)
		return;
	was_ended = true;
	how[end_how](c);
}
static void ender_open(struct conn *c, void *arg)
{
	static char much[12 * 1024 * 1024]; /* more than sockets take */

	(void)arg;
	maybe_end(c, IN_OPEN);
	if (!was_ended)
		conn_write(c, much, sizeof much);
}
static size_t ender_in(struct conn *c, void *arg, const uint8_t *p, size_t n)
{
	(void)arg, (void)p;
	maybe_end(c, IN_IN);
	return n / 2 + 1;
}
static void ender_room(struct conn *c, void *arg)
{
	(void)arg;
	maybe_end(c, IN_ROOM);
}
static void ender_eof(struct conn *c, void *arg)
{
	(void)arg;
	maybe_end(c, IN_EOF);
	if (!was_ended && end_in != IN_ROOM)
		conn_shutdown(c);
}
static void ender_gone(struct conn *c, void *arg, const struct err *e)
{
	(void)c, (void)arg, (void)e;
	OK(!was_ended);
}
static const struct conn_user ender = {.on_open = ender_open,
	.on_in = ender_in,
	.on_room = ender_room,
	.on_eof = ender_eof,
	.on_gone = ender_gone};

static void other_open(struct conn *c, void *arg)
{
	static char some[100000];

	(void)arg;
	conn_write(c, some, sizeof some);
	conn_shutdown(c);
}
static const struct conn_user other = {
	.on_open = other_open, .on_in = count_in, .on_gone = stop_gone};

static struct listener *ender_listener;

static void end_everywhere(void (*connect_ender)(void))
{
	for (end_in = 0; end_in < CALLBACKS; end_in++)
		for (end_how = 0; end_how < 3; end_how++) {
			was_ended = false;
			loop = loop_new(NULL);
			connect_ender();
			loop_run(loop, NULL);
			if (!was_ended)
				T_FAIL("callback %d never came", end_in);
			listener_free(ender_listener);
			ender_listener = NULL;
			end_loop();
		}
}

/* ---- what was written before the conn was open ---- */

static size_t bytes_at_eof;
static void count_at_eof(struct conn *c, void *arg)
{
	(void)arg;
	bytes_at_eof = bytes_seen;
	conn_finish(c);
	loop_stop(loop);
}
static const struct conn_user eof_counter = {
	.on_in = count_in, .on_eof = count_at_eof, .on_gone = stop_gone};

static void write_and_finish_at_once(struct conn *c)
{
	static char some[200000];
	static struct err why;

	bytes_seen = 0;
	conn_use(c, &other, &why);
	conn_write(c, some, sizeof some);
	conn_finish(c);
	loop_run(loop, NULL);
	EQ_INT(bytes_at_eof, sizeof some);
	listener_free(ender_listener);
	end_loop();
}

#endif
