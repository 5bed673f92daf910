/* SPDX-License-Identifier: Apache-2.0 */
#include "net/tcp.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/transport.h"

enum tcp_at {
	TCP_CONNECTING,
	TCP_OPEN,
	TCP_LINGER, /* the user has finished: flush, FIN, wait for the peer's */
	TCP_DEAD,   /* closed; freed at the end of the turn */
};

struct tcp {
	struct conn conn; /* first */
	enum tcp_at at;
	int fd;
	struct watch watch;
	struct later later; /* flush, show what is kept, tell eof, free */
	struct timer timer; /* connecting, lingering */
	struct kept in;
	struct buf out;
	unsigned *leaving; /* where it is counted while it lingers with bytes */
	bool blocked;      /* the socket took no more: wait for WATCH_OUT */
	bool fin_sent, is_leaving;
	int broken; /* the errno of what failed in a call of the user's, told later */
	bool show_kept; /* the user wants to see what is kept, or eof */
	int deaf; /* errno of a write: the peer takes no more, but may have spoken */
	uint64_t connect_timeout;
	size_t dropped;       /* while it lingers */
	size_t bite;          /* how much is read at once */
	struct later backlog; /* there is more to read than one wake-up may */
	bool is_muted;        /* meanwhile: it need not be told */
	uint64_t busy;        /* until then it is one of those that have more */
	struct addr to;
};

/*
 * Who is ready is read for LOOP_SHARE_LEAST, before others have their turn.  Who has
 * more goes on in the backlog, and begins there for as long as BUSY: it does not come
 * before those that have little to say whenever it was silent for a moment.
 */
#define BUSY (20 * NS_PER_MS)

/*
 * Bytes of a peer that means well cost little: 64 KB of them some 0.1 ms.  Others are
 * all frames, chunks or fields of a byte, and 64 KB would take many times that, while
 * the rest of the worker's connections wait.  So what is read at once follows from what
 * it cost last: half as much when that was most of a share, twice as much when it was
 * less than a third.
 */
#define BITE_MIN ((size_t)1024)
#define BITE_NEW                                                                       \
	((size_t)2 * 1024) /* of one that we did not choose; many may come at once */
#define BITE_MAX  (LOOP_SCRATCH - CONN_HELD)
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

static void tcp_close(struct tcp *t)
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

static void tcp_gone(struct tcp *t, const struct err *e)
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

static void gone_errno(struct tcp *t, const char *doing)
{
	char text[ADDR_TEXT];
	struct err e;

	err_sys(&e, "%s %s", doing,
		addr_text(t->to.port ? &t->to : &t->conn.peer, text));
	tcp_gone(t, &e);
}

/*
 * As gone_errno() at the end of the turn: who writes, pauses or resumes does not expect
 * to be ended by that.
 */
static void break_off(struct tcp *t)
{
	if (t->broken || t->at == TCP_DEAD)
		return;
	t->broken = errno;
	loop_later(t->conn.loop, &t->later);
}

/* ---- what to wait for ---- */

static bool wants_in(const struct tcp *t)
{
	if (t->at == TCP_LINGER)
		return !t->conn.is_eof;
	return t->at == TCP_OPEN && !t->broken && t->conn.user && !t->conn.is_paused &&
	       !t->conn.is_eof && !t->conn.owes_eof && kept_len(&t->in) < t->conn.hold;
}

static void rewatch(struct tcp *t)
{
	int what = wants_in(t) && !t->is_muted ? WATCH_IN : 0;

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

static void ended_both_ways(struct tcp *t)
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
	if (shutdown(t->fd, SHUT_WR) < 0 && errno != ENOTCONN) {
		gone_errno(t, "shut down");
		return;
	}
	ended_both_ways(t);
}

/*
 * A server may answer and close before it has read all.  What it said lies in the
 * socket and is read first; then the end says why.
 */
static ssize_t send_failed(struct tcp *t, size_t n)
{
	if ((errno != EPIPE && errno != ECONNRESET) || !wants_in(t)) {
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
	rewatch(t);
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
			rewatch(t);
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

/* ---- in ---- */

static void tell_eof(struct tcp *t)
{
	t->conn.owes_eof = false;
	t->conn.is_eof = true;
	if (t->conn.user && t->conn.user->on_eof)
		t->conn.user->on_eof(&t->conn, t->conn.arg);
	if (t->at != TCP_DEAD)
		ended_both_ways(t);
}

static void got_eof(struct tcp *t)
{
	t->conn.owes_eof = true;
	if (t->at == TCP_LINGER ||
		(t->conn.user && !t->conn.is_paused && !t->show_kept))
		tell_eof(t);
	rewatch(t);
}

static void drop(struct tcp *t, size_t n)
{
	t->dropped += n;
	if (t->dropped > CONN_DROPPED && t->fin_sent)
		tcp_close(t);
}

/* One read; false when there is no more to read now. */
static bool read_some(struct tcp *t)
{
	uint8_t *p = loop_scratch(t->conn.loop, 0) + CONN_HELD;
	size_t max = t->bite;
	ssize_t n;

	do
		n = recv(t->fd, p, max, t->at == TCP_LINGER ? MSG_TRUNC : 0);
	while (n < 0 && errno == EINTR);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return false;
	if (n < 0) {
		gone_errno(t, "read from");
		return false;
	}
	if (n == 0 && t->deaf) {
		errno = t->deaf;
		gone_errno(t, "write to");
		return false;
	}
	if (n == 0) {
		got_eof(t);
		return false;
	}
	t->conn.bytes_in += (size_t)n;
	if (t->at == TCP_LINGER) {
		drop(t, (size_t)n);
		return false; /* others are more important */
	}
	if (kept_in(&t->in, &t->conn, p, (size_t)n, CONN_HELD) < 0) {
		errno = ENOMEM;
		gone_errno(t, "read from");
	}
	return (size_t)n == max;
}

static void fit_bite(struct tcp *t, uint64_t took, bool was_full)
{
	uint64_t share = loop_share(t->conn.loop);

	if (took > share * 3 / 5 && t->bite > BITE_MIN)
		t->bite /= 2;
	else if (was_full && took < share * 3 / 10 && t->bite < BITE_MAX)
		t->bite *= 2;
}

/* Ends before that would be over, as far as the last bite tells. */
static void read_for(struct tcp *t, uint64_t time)
{
	uint64_t begin = clock_mono(), now = begin, took = 0;
	bool more = wants_in(t);

	while (more && now - begin + took < time) {
		more = read_some(t);
		took = clock_mono() - now;
		now += took;
		fit_bite(t, took, more);
		more = more && wants_in(t);
	}
	if (more) {
		t->busy = now + BUSY;
		loop_backlog(t->conn.loop, &t->backlog);
	}
	rewatch(t);
}

static void on_backlog(struct later *d)
{
	struct tcp *t = container_of(d, struct tcp, backlog);

	t->is_muted = false;
	read_for(t, loop_share(t->conn.loop));
}

static void tcp_readable(struct tcp *t)
{
	if (loop_is_backlogged(&t->backlog)) {
		t->is_muted = true;
		rewatch(t);
	} else if (loop_now(t->conn.loop) < t->busy) {
		loop_backlog(t->conn.loop, &t->backlog);
	} else {
		read_for(t, LOOP_SHARE_LEAST);
	}
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
	rewatch(t);
}

static void local_addr(struct tcp *t)
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
		gone_errno(t, "connect");
		return;
	}
	local_addr(t);
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
			gone_errno(t, "read from");
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
		gone_errno(t, "write to");
		return;
	}
	if (t->show_kept) {
		t->show_kept = false;
		if (t->conn.user && t->conn.is_open)
			kept_again(&t->in, &t->conn);
		if (t->conn.owes_eof && t->at == TCP_OPEN && !t->conn.is_paused &&
			!t->show_kept)
			tell_eof(t);
	}
	if (t->at != TCP_DEAD)
		tcp_flush(&t->conn);
	if (t->at != TCP_DEAD)
		rewatch(t);
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
		rewatch(t);
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
	ended_both_ways(t);
	rewatch(t);
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

static const struct conn_ops tcp_ops = {.write = tcp_write,
	.flush = tcp_flush,
	.backlog = tcp_backlog,
	.read = tcp_read,
	.shutdown = tcp_shutdown,
	.close = tcp_end,
	.ended = tcp_ended};

/* ---- making one ---- */

static void set_int(int fd, int level, int name, int value)
{
	/* a socket that cannot be tuned still carries bytes */
	(void)setsockopt(fd, level, name, &value, sizeof value);
}

static void tune(int fd, const struct tcp_opts *o)
{
	set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	set_int(fd, SOL_SOCKET, SO_OOBINLINE,
		1); /* an urgent byte is one of the rest */
	if (o && o->keepalive) {
		uint64_t s = (o->keepalive + NS_PER_S - 1) / NS_PER_S;

		set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
		set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, (int)s);
		set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, (int)s);
	}
	if (o && o->user_timeout)
		set_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT,
			(int)(o->user_timeout / NS_PER_MS));
}

static void set_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags >= 0 && !(flags & O_NONBLOCK))
		(void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

static struct tcp *tcp_new(struct loop *l, int fd, struct err *e)
{
	struct tcp *t = calloc(1, sizeof *t);

	if (!t) {
		err_set(e, ERR_LIMIT, "no memory for a connection");
		return NULL;
	}
	conn_init(&t->conn, l, &tcp_ops);
	t->fd = fd;
	t->bite = BITE_MAX;
	watch_init(&t->watch, l, fd, on_watch);
	later_init(&t->later, on_later);
	later_init(&t->backlog, on_backlog);
	timer_init(&t->timer, l, on_timer);
	return t;
}

struct conn *tcp_adopt(struct loop *l, int fd, const struct tcp_opts *o, struct err *e)
{
	struct sockaddr_storage ss;
	socklen_t n = sizeof ss;
	struct tcp *t = tcp_new(l, fd, e);

	if (!t) {
		close(fd);
		return NULL;
	}
	set_nonblocking(fd);
	tune(fd, o);
	t->leaving = o ? o->leaving : NULL;
	t->bite = BITE_NEW;
	t->at = TCP_OPEN;
	t->conn.is_open = true;
	if (getpeername(fd, (struct sockaddr *)&ss, &n) == 0)
		addr_from_sock((struct sockaddr *)&ss, &t->conn.peer);
	local_addr(t);
	return &t->conn;
}

struct conn *tcp_dial(
	struct loop *l, const struct addr *to, const struct tcp_opts *o, struct err *e)
{
	struct sockaddr_storage ss;
	socklen_t n = addr_to_sock(to, &ss);
	char text[ADDR_TEXT];
	struct tcp *t;
	int fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd >= 0 && o && o->fd_max && fd >= o->fd_max) {
		close(fd);
		fd = -1;
		errno = EMFILE;
	}
	if (fd < 0) {
		err_sys(e, "connect %s", addr_text(to, text));
		return NULL;
	}
	t = tcp_new(l, fd, e);
	if (!t) {
		close(fd);
		return NULL;
	}
	tune(fd, o);
	t->to = t->conn.peer = *to;
	t->connect_timeout = o ? o->connect_timeout : 0;
	t->leaving = o ? o->leaving : NULL;
	t->at = TCP_CONNECTING;
	if (connect(fd, (struct sockaddr *)&ss, n) < 0 && errno != EINPROGRESS) {
		err_sys(e, "connect %s", addr_text(to, text));
		tcp_close(t);
		return NULL;
	}
	if (t->connect_timeout)
		timer_set(&t->timer, t->connect_timeout);
	rewatch(t);
	return &t->conn;
}

int tcp_original_dst(const struct conn *c, struct addr *out)
{
	const struct tcp *t = (const struct tcp *)c;
	const int option = 80; /* SO_ORIGINAL_DST, IP6T_SO_ORIGINAL_DST */
	struct sockaddr_storage ss = {0};
	socklen_t n = sizeof ss;
	bool v4 = c->peer.ip.family == 4;

	must(c->ops == &tcp_ops);
	if (getsockopt(t->fd, v4 ? IPPROTO_IP : IPPROTO_IPV6, option, &ss, &n) < 0)
		return -1;
	return addr_from_sock((struct sockaddr *)&ss, out) && !addr_eq(out, &c->local)
		       ? 0
		       : -1;
}
