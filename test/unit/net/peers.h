/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_UNIT_NET_PEERS_H
#define TEST_UNIT_NET_PEERS_H

#include <stdlib.h>

#include "base/clock.h"
#include "net/conn.h"
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

static void stop_now(void *arg)
{
	loop_stop(arg);
}

/* A few turns more, for what is freed at the end of one. */
static void end_loop(void)
{
	for (int i = 0; i < 4; i++) {
		loop_post(loop, stop_now, loop);
		loop_run(loop, NULL);
	}
	loop_free(loop);
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
	end_loop();
}

/* ---- one who only waits for the end ---- */

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

/* ---- accepting ---- */

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

#endif
