/* SPDX-License-Identifier: Apache-2.0 */
#include "net/tcpint.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

/* Writes of this size leave at once, from the caller's memory. */
#define WRITE_NOW ((size_t)16 * 1024)

static struct tcp *tcp_of(struct conn *c)
{
	must(c && c->magic == CONN_MAGIC);
	return (struct tcp *)c;
}

/* It lingers and has bytes to send, or not any more. */
static void count_leaving(struct tcp *t, bool leaves)
{
	if (!t->leaving || t->is_leaving == leaves)
		return;
	t->is_leaving = leaves;
	*t->leaving += leaves ? 1 : -1u;
}

void tcp_close(struct tcp *t)
{
	if (t->at == TCP_DEAD)
		return;
	count_leaving(t, false);
	t->at = TCP_DEAD;
	timer_clear(&t->timer);
	loop_backlog_clear(t->conn.loop, &t->backlog);
	watch_end(&t->watch);
	if (t->fd >= 0)
		close(t->fd);
	t->fd = -1;
	loop_later(t->conn.loop, &t->later);
}

void tcp_gone(struct tcp *t, const struct err *e)
{
	struct err ok = {.code = ERR_NONE};
	const struct conn_user *user = t->conn.user;

	if (t->at == TCP_DEAD)
		return;
	tcp_close(t);
	t->conn.user = &conn_nobody;
	if (user && user->on_gone)
		user->on_gone(&t->conn, t->conn.arg, e ? e : &ok);
}

void tcp_gone_errno(struct tcp *t, const char *doing)
{
	char text[ADDR_TEXT];
	struct err e;

	err_sys(&e, "%s %s", doing,
		addr_text(t->to.port ? &t->to : &t->conn.peer, text));
	tcp_gone(t, &e);
}

/*
 * As tcp_gone_errno() at the end of the turn: who writes, pauses or resumes does not
 * expect to be ended by that.
 */
static void break_off(struct tcp *t)
{
	if (t->broken || t->at == TCP_DEAD)
		return;
	t->broken = errno;
	loop_later(t->conn.loop, &t->later);
}

/* ---- what to wait for ---- */

void tcp_rewatch(struct tcp *t)
{
	int what = tcp_wants_in(t) && !t->is_muted ? WATCH_IN : 0;

	if (t->at == TCP_DEAD)
		return;
	if (t->blocked || t->at == TCP_CONNECTING)
		what |= WATCH_OUT;
	if (!what && (t->conn.is_eof || t->conn.owes_eof))
		what = WATCH_HUP; /* nothing will be read that could tell of a reset */
	if (watch_set(&t->watch, what) < 0)
		break_off(t);
}

/* ---- out ---- */

static void told_room(struct tcp *t)
{
	if (!t->conn.owes_room || buf_len(&t->out) > CONN_LOW)
		return;
	t->conn.owes_room = false;
	if (t->conn.user && t->conn.user->on_room)
		t->conn.user->on_room(&t->conn, t->conn.arg);
}

void tcp_ended_both_ways(struct tcp *t)
{
	if (t->fin_sent && t->conn.is_eof && t->at != TCP_DEAD)
		tcp_gone(t, NULL);
}

static void send_fin(struct tcp *t)
{
	if (t->fin_sent || buf_len(&t->out) || t->at == TCP_CONNECTING)
		return;
	t->fin_sent = true;
	count_leaving(t, false);
	if (t->at == TCP_LINGER)
		timer_set(&t->timer, CONN_LINGER);
	/* after the peer's end it is closed at once, which sends it */
	if (!t->conn.is_eof && shutdown(t->fd, SHUT_WR) < 0 && errno != ENOTCONN) {
		tcp_gone_errno(t, "shut down");
		return;
	}
	tcp_ended_both_ways(t);
}

/*
 * A server may answer and close before it has read all.  What it said lies in the
 * socket and is read first; then the end says why.
 */
static ssize_t send_failed(struct tcp *t, size_t n)
{
	if ((errno != EPIPE && errno != ECONNRESET) || !tcp_wants_in(t)) {
		break_off(t);
		return -1;
	}
	t->deaf = errno;
	return (ssize_t)n;
}

/* Writes now what the socket takes; returns how much, or -1 after break_off(). */
static ssize_t send_now(struct tcp *t, const uint8_t *p, size_t n)
{
	ssize_t sent;

	if (t->deaf)
		return (ssize_t)n;
	do
		sent = send(t->fd, p, n, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		sent = 0;
	if (sent < 0)
		return send_failed(t, n);
	t->conn.bytes_out += (size_t)sent;
	t->blocked = (size_t)sent < n;
	return sent;
}

static void tcp_flush(struct conn *c)
{
	struct tcp *t = tcp_of(c);
	struct slice s = buf_slice(&t->out);
	ssize_t sent;

	if (t->at == TCP_DEAD || t->at == TCP_CONNECTING || t->blocked || t->broken)
		return;
	if (s.n) {
		sent = send_now(t, (const uint8_t *)s.p, s.n);
		if (sent < 0)
			return;
		buf_take(&t->out, (size_t)sent);
		if (sent && t->at == TCP_LINGER)
			timer_set(&t->timer, CONN_STALL);
	}
	if (t->conn.is_shut)
		send_fin(t);
	if (t->at == TCP_DEAD)
		return;
	tcp_rewatch(t);
	told_room(t);
}

static void tcp_write(struct conn *c, const uint8_t *p, size_t n)
{
	struct tcp *t = tcp_of(c);
	ssize_t sent = 0;

	if (t->at == TCP_DEAD || t->conn.is_shut || t->broken || n == 0)
		return;
	if (n >= WRITE_NOW && !buf_len(&t->out) && t->at == TCP_OPEN && !t->blocked) {
		sent = send_now(t, p, n);
		if (sent < 0)
			return;
		if (t->blocked)
			tcp_rewatch(t);
	}
	if ((size_t)sent == n)
		return;
	if (buf_add(&t->out, p + sent, n - (size_t)sent) < 0) {
		errno = ENOMEM;
		break_off(t);
		return;
	}
	if (buf_len(&t->out) > CONN_HIGH)
		t->conn.owes_room = true;
	if (!t->blocked)
		loop_later(c->loop, &t->later);
}

static size_t tcp_backlog(const struct conn *c)
{
	return buf_len(&((const struct tcp *)c)->out);
}

/* ---- events ---- */

static void tcp_finish(struct tcp *t);

static void tcp_opened(struct tcp *t)
{
	t->at = TCP_OPEN;
	timer_clear(&t->timer);
	t->conn.is_open = true;
	if (t->conn.user && t->conn.user->on_open)
		t->conn.user->on_open(&t->conn, t->conn.arg);
	if (t->at != TCP_OPEN)
		return;
	if (conn_is_left(&t->conn)) { /* finished before it was open */
		tcp_finish(t);
		return;
	}
	loop_later(t->conn.loop, &t->later);
	tcp_rewatch(t);
}

void tcp_local_addr(struct tcp *t)
{
	struct sockaddr_storage ss;
	socklen_t n = sizeof ss;

	if (getsockname(t->fd, (struct sockaddr *)&ss, &n) == 0)
		addr_from_sock((struct sockaddr *)&ss, &t->conn.local);
}

static int socket_error(const struct tcp *t)
{
	int sys = 0;
	socklen_t n = sizeof sys;

	return getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &sys, &n) < 0 ? errno : sys;
}

static void connected(struct tcp *t)
{
	errno = socket_error(t);
	if (errno) {
		tcp_gone_errno(t, "connect");
		return;
	}
	tcp_local_addr(t);
	tcp_opened(t);
}

static void on_watch(struct watch *w, int what)
{
	struct tcp *t = container_of(w, struct tcp, watch);

	if (t->at == TCP_CONNECTING) {
		connected(t);
		return;
	}
	if (what & WATCH_HUP) {
		errno = socket_error(t);
		if (errno)
			tcp_gone_errno(t, "read from");
		return;
	}
	if (what & WATCH_OUT) {
		t->blocked = false;
		tcp_flush(&t->conn);
	}
	if ((what & WATCH_IN) && t->at != TCP_DEAD)
		tcp_readable(t);
}

/* The answer may be there: a process that was held up sees its timers first. */
static bool is_answered(const struct tcp *t)
{
	struct pollfd p = {.fd = t->fd, .events = POLLOUT};

	return t->at == TCP_CONNECTING && poll(&p, 1, 0) > 0;
}

static void on_timer(struct timer *timer)
{
	struct tcp *t = container_of(timer, struct tcp, timer);
	char text[ADDR_TEXT];
	struct err e;

	if (is_answered(t)) {
		connected(t);
		return;
	}
	if (t->at == TCP_LINGER) {
		tcp_close(t);
		return;
	}
	err_set(&e, ERR_TIMEOUT, "connect %s: no answer within %llu ms",
		addr_text(&t->to, text),
		(unsigned long long)(t->connect_timeout / NS_PER_MS));
	tcp_gone(t, &e);
}

static void tcp_free(struct tcp *t)
{
	later_clear(&t->later);
	kept_fini(&t->in);
	buf_fini(&t->out);
	conn_fini(&t->conn);
	free(t);
}

static void on_later(struct later *d)
{
	struct tcp *t = container_of(d, struct tcp, later);

	if (t->at == TCP_DEAD) {
		tcp_free(t);
		return;
	}
	if (t->broken) {
		errno = t->broken;
		tcp_gone_errno(t, "write to");
		return;
	}
	if (t->show_kept) {
		t->show_kept = false;
		if (t->conn.user && t->conn.is_open)
			kept_again(&t->in, &t->conn);
		if (t->conn.owes_eof && t->at == TCP_OPEN && !t->conn.is_paused &&
			!t->show_kept)
			tcp_tell_eof(t);
	}
	if (t->at != TCP_DEAD)
		tcp_flush(&t->conn);
	if (t->at != TCP_DEAD)
		tcp_rewatch(t);
}

/* ---- the rest of the operations ---- */

static void tcp_read(struct conn *c, bool on)
{
	struct tcp *t = tcp_of(c);

	if (t->at == TCP_DEAD)
		return;
	if (on) {
		t->show_kept = true;
		loop_later(c->loop, &t->later);
	}
	if (t->at == TCP_OPEN)
		tcp_rewatch(t);
}

static void tcp_shutdown(struct conn *c)
{
	loop_later(c->loop, &tcp_of(c)->later);
}

static void tcp_finish(struct tcp *t)
{
	t->at = TCP_LINGER;
	kept_fini(&t->in);
	t->conn.is_shut = true;
	count_leaving(t, !t->fin_sent);
	timer_set(&t->timer, buf_len(&t->out) ? CONN_STALL : CONN_LINGER);
	loop_later(t->conn.loop, &t->later);
	if (t->conn.owes_eof)
		t->conn.is_eof = true;
	tcp_ended_both_ways(t);
	tcp_rewatch(t);
}

static void tcp_end(struct conn *c, int how)
{
	static const struct linger hard = {.l_onoff = 1};
	struct tcp *t = tcp_of(c);

	if (t->at == TCP_DEAD)
		return;
	if (how == CONN_CLOSE_FINISH && t->at == TCP_OPEN) {
		tcp_finish(t);
		return;
	}
	if (how == CONN_CLOSE_FINISH && t->at == TCP_CONNECTING && buf_len(&t->out)) {
		t->conn.is_shut = true; /* tcp_opened() goes on with it */
		return;
	}
	if (how == CONN_CLOSE_ABORT)
		(void)setsockopt(t->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
	tcp_close(t);
}

static bool tcp_ended(const struct conn *c)
{
	const struct tcp *t = (const struct tcp *)c;
	char byte;
	ssize_t n;

	if (t->at != TCP_OPEN)
		return t->at == TCP_DEAD;
	n = recv(t->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

const struct conn_ops tcp_ops = {.write = tcp_write,
	.flush = tcp_flush,
	.backlog = tcp_backlog,
	.read = tcp_read,
	.shutdown = tcp_shutdown,
	.close = tcp_end,
	.ended = tcp_ended};

struct tcp *tcp_new(struct loop *l, int fd, struct err *e)
{
	struct tcp *t = calloc(1, sizeof *t);

	if (!t) {
		err_set(e, ERR_LIMIT, "no memory for a connection");
		return NULL;
	}
	conn_init(&t->conn, l, &tcp_ops);
	t->fd = fd;
	t->bite = TCP_BITE_MAX;
	watch_init(&t->watch, l, fd, on_watch);
	later_init(&t->later, on_later);
	later_init(&t->backlog, tcp_read_on);
	timer_init(&t->timer, l, on_timer);
	return t;
}
