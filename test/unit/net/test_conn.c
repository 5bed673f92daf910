/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "net/pipe.h"
#include "net/relay.h"
#include "net/tcp.h"
#include "t.h"

/*
 * Two peers that send each other a pattern through whatever lies between, and check
 * what comes.  Used over pipes with every cut, over TCP, and through relays.
 */
struct peer {
	struct conn *c;
	size_t to_send, sent, got, want;
	size_t pause_every;
	unsigned char next_out, next_in;
	bool eof, gone, shut;
	struct err why;
	struct timer resume;
};

static struct loop *loop;
static struct peer peers[2];

static void check_over(void)
{
	if (peers[0].gone && peers[1].gone)
		loop_stop(loop);
}

static void fill(struct peer *p)
{
	unsigned char block[5000];

	while (p->sent < p->to_send && conn_backlog(p->c) <= CONN_HIGH) {
		size_t n = p->to_send - p->sent;

		n = n < sizeof block ? n : sizeof block;
		for (size_t i = 0; i < n; i++)
			block[i] = p->next_out++;
		p->sent += n;
		conn_write(p->c, block, n);
		if (p->gone)
			return;
	}
	if (p->sent == p->to_send && !p->shut) {
		p->shut = true;
		conn_shutdown(p->c);
	}
}

static size_t peer_in(struct conn *c, void *arg, const uint8_t *b, size_t n)
{
	struct peer *p = arg;
	size_t take = n > 3 ? n - random() % 3 : n;

	for (size_t i = 0; i < take; i++)
		if (b[i] != p->next_in++)
			T_FAIL("byte %zu is wrong", p->got + i);
	if (p->pause_every &&
		(p->got + take) / p->pause_every > p->got / p->pause_every) {
		conn_pause(c);
		timer_set(&p->resume, NS_PER_MS / 4);
	}
	p->got += take;
	if (take < n && !c->is_paused)
		conn_resume(
			c); /* to be shown the rest, though nothing may come any more */
	return take;
}

static void peer_resume(struct timer *t)
{
	struct peer *p = container_of(t, struct peer, resume);

	if (!p->gone)
		conn_resume(p->c);
}

static void peer_room(struct conn *c, void *arg)
{
	(void)c;
	fill(arg);
}

static void peer_eof(struct conn *c, void *arg)
{
	struct peer *p = arg;

	(void)c;
	EQ_INT(p->got, p->want);
	p->eof = true;
}

static void peer_gone(struct conn *c, void *arg, const struct err *e)
{
	struct peer *p = arg;

	(void)c;
	p->gone = true;
	p->why = *e;
	check_over();
}

static void peer_open(struct conn *c, void *arg)
{
	(void)c;
	fill(arg);
}

static const struct conn_user peer_user = {.on_open = peer_open,
	.on_in = peer_in,
	.on_room = peer_room,
	.on_eof = peer_eof,
	.on_gone = peer_gone};

static void start(int i, struct conn *c, size_t send, size_t want)
{
	struct peer *p = &peers[i];
	size_t pause = p->pause_every;

	*p = (struct peer){.c = c, .to_send = send, .want = want, .pause_every = pause};
	timer_init(&p->resume, loop, peer_resume);
	conn_use(c, &peer_user, p);
	if (c->is_open)
		fill(p);
}

static void run_until_over(void)
{
	struct err e;

	if (loop_run(loop, &e) < 0)
		T_FAIL("%s", e.msg);
	for (int i = 0; i < 2; i++) {
		if (peers[i].why.code != ERR_NONE)
			T_FAIL("peer %d: %s", i, peers[i].why.msg);
		EQ_INT(peers[i].got, peers[i].want);
		OK(peers[i].eof);
	}
	for (int i = 0; i < 3; i++) /* what ended is freed at the turn's end */
		loop_post(loop, (void (*)(void *))loop_stop, loop),
			loop_run(loop, NULL);
	loop_free(loop);
}

TEST(a_pipe_carries_bytes_however_they_are_cut)
{
	static const size_t cuts[] = {1, 2, 3, 7, 0};

	for (size_t i = 0; i < countof(cuts); i++) {
		struct conn *ends[2];

		loop = loop_new(NULL);
		EQ_INT(pipe_new(loop, cuts[i], ends, NULL), 0);
		start(0, ends[0], 20000, 3000);
		start(1, ends[1], 3000, 20000);
		run_until_over();
	}
}

/* ---- tcp ---- */

static struct conn *accepted;
static void (*on_accepted)(void);
static void accept_fd(void *arg, int fd, const struct addr *peer)
{
	struct err e;

	(void)arg, (void)peer;
	accepted = tcp_adopt(loop, fd, NULL, &e);
	on_accepted();
}

static struct listener *listen_any(struct err *e)
{
	struct addr at = {0};

	ip_parse(SLICE("127.0.0.1"), &at.ip);
	return listener_new(loop, &at, NULL, accept_fd, NULL, e);
}

#define BIG (20 * 1024 * 1024)

static void start_accepted(void)
{
	start(1, accepted, BIG, BIG);
}

static void tcp_both_ways(size_t pause_every)
{
	struct listener *ln;
	struct err e;

	loop = loop_new(NULL);
	on_accepted = start_accepted;
	ln = listen_any(&e);
	OK(ln != NULL);
	peers[1].pause_every = pause_every;
	start(0, tcp_dial(loop, listener_addr(ln), NULL, &e), BIG, BIG);
	alarm(60);
	if (loop_run(loop, &e) < 0)
		T_FAIL("%s", e.msg);
	listener_free(ln);
	EQ_INT(peers[0].got, BIG);
	EQ_INT(peers[1].got, BIG);
	EQ_INT(peers[0].why.code, ERR_NONE);
	loop_post(loop, (void (*)(void *))loop_stop, loop);
	loop_run(loop, NULL);
	loop_free(loop);
}

TEST(tcp_carries_twenty_megabytes_both_ways)
{
	tcp_both_ways(0);
}

TEST(tcp_waits_for_a_slow_reader)
{
	tcp_both_ways(300000);
}

static void nothing(void)
{
}

static size_t ignore_in(struct conn *c, void *arg, const uint8_t *p, size_t n)
{
	(void)c, (void)arg, (void)p;
	return n;
}

static void stop_gone(struct conn *c, void *arg, const struct err *e)
{
	(void)c;
	*(struct err *)arg = *e;
	loop_stop(loop);
}

static const struct conn_user waiter = {.on_in = ignore_in, .on_gone = stop_gone};

TEST(a_refused_dial_says_where_and_why)
{
	struct err e, why = {0};
	struct listener *ln;
	struct addr at;
	struct conn *c;

	loop = loop_new(NULL);
	on_accepted = nothing;
	ln = listen_any(&e);
	at = *listener_addr(ln);
	listener_free(ln);
	c = tcp_dial(loop, &at, NULL, &e);
	OK(c != NULL);
	conn_use(c, &waiter, &why);
	loop_run(loop, NULL);
	EQ_INT(why.code, ERR_SYS);
	EQ_INT(why.sys, ECONNREFUSED);
	OK(strstr(why.msg, "connect 127.0.0.1:") == why.msg);
	loop_post(loop, (void (*)(void *))loop_stop, loop);
	loop_run(loop, NULL);
	loop_free(loop);
}

/* ---- relay ---- */

static int relays_over;
static void relay_over(void *arg, const struct err *e, uint64_t a, uint64_t b)
{
	(void)arg;
	EQ_INT(e->code, ERR_NONE);
	EQ_INT(a, 3000000);
	EQ_INT(b, 500);
	relays_over++;
}

TEST(a_relay_carries_bytes_and_half_closes)
{
	static const size_t cuts[] = {3, 4096, 0};

	for (size_t i = 0; i < countof(cuts); i++) {
		struct conn *left[2], *right[2];

		loop = loop_new(NULL);
		relays_over = 0;
		EQ_INT(pipe_new(loop, cuts[i], left, NULL), 0);
		EQ_INT(pipe_new(loop, cuts[i] * 3, right, NULL), 0);
		OK(relay_new(left[1], right[0], relay_over, NULL, NULL) != NULL);
		start(0, left[0], 3000000, 500);
		start(1, right[1], 500, 3000000);
		run_until_over();
		EQ_INT(relays_over, 1);
	}
}

static void relay_broken(void *arg, const struct err *e, uint64_t a, uint64_t b)
{
	(void)a, (void)b;
	*(int *)arg = (int)e->code;
}

TEST(a_reset_on_one_side_of_a_relay_ends_the_other)
{
	struct conn *left[2], *right[2];
	struct err why = {0};
	int code = -1;

	loop = loop_new(NULL);
	pipe_new(loop, 0, left, NULL);
	pipe_new(loop, 0, right, NULL);
	relay_new(left[1], right[0], relay_broken, &code, NULL);
	conn_use(right[1], &waiter, &why);
	conn_use(left[0], &waiter, &why);
	conn_abort(left[0]);
	loop_run(loop, NULL);
	EQ_INT(why.code, ERR_CLOSED);
	EQ_INT(code, ERR_CLOSED);
}
