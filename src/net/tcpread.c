/* SPDX-License-Identifier: Apache-2.0 */
/* What comes on a TCP connection, and how much of it at a time. */
#include <errno.h>

#include "net/tcpint.h"

/*
 * Who is ready is read for LOOP_SHARE_LEAST, before others have their turn.  Who has
 * more goes on in the backlog, and begins there for as long as BUSY: it does not come
 * before those that have little to say whenever it was silent for a moment.  Nor does
 * who was COSTLY the last time, however long ago: many of those may be ready at once.
 */
#define BUSY   (20 * NS_PER_MS)
#define COSTLY (4 * LOOP_SHARE_LEAST)

/*
 * Bytes of a peer that means well cost little: 64 KB of them some 0.1 ms.  Others are
 * all frames, chunks or fields of a byte, and 64 KB would take many times that, while
 * the rest of the worker's connections wait.  So what is read at once follows from what
 * it cost last: half as much when that was most of a share, twice as much when it was
 * less than a third.
 */
#define BITE_MIN ((size_t)1024)

void tcp_tell_eof(struct tcp *t)
{
	t->conn.owes_eof = false;
	t->conn.is_eof = true;
	if (t->conn.user && t->conn.user->on_eof)
		t->conn.user->on_eof(&t->conn, t->conn.arg);
	if (t->at != TCP_DEAD)
		tcp_ended_both_ways(t);
}

static void got_eof(struct tcp *t)
{
	t->conn.owes_eof = true;
	if (t->at == TCP_LINGER ||
		(t->conn.user && !t->conn.is_paused && !t->show_kept))
		tcp_tell_eof(t);
	tcp_rewatch(t);
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
		tcp_gone_errno(t, "read from");
		return false;
	}
	if (n == 0 && t->deaf) {
		errno = t->deaf;
		tcp_gone_errno(t, "write to");
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
		tcp_gone_errno(t, "read from");
	}
	return (size_t)n == max;
}

static void fit_bite(struct tcp *t, uint64_t took, bool was_full)
{
	uint64_t share = loop_share(t->conn.loop);

	if (took > share * 3 / 5 && t->bite > BITE_MIN)
		t->bite /= 2;
	else if (was_full && took < share * 3 / 10 && t->bite < TCP_BITE_MAX)
		t->bite *= 2;
}

/* Ends before that would be over, as far as the last bite tells. */
static void read_for(struct tcp *t, uint64_t time)
{
	uint64_t begin = loop_looked(t->conn.loop), now = begin, took = 0;
	bool more = tcp_wants_in(t);

	while (more && now - begin + took < time) {
		more = read_some(t);
		took = loop_look(t->conn.loop) - now;
		now += took;
		fit_bite(t, took, more);
		more = more && tcp_wants_in(t);
	}
	t->is_costly = now - begin > COSTLY;
	if (more) {
		t->busy = now + BUSY;
		loop_backlog(t->conn.loop, &t->backlog);
	}
	tcp_rewatch(t);
}

void tcp_read_on(struct later *d)
{
	struct tcp *t = container_of(d, struct tcp, backlog);

	t->is_muted = false;
	read_for(t, loop_share(t->conn.loop));
}

void tcp_readable(struct tcp *t)
{
	if (loop_is_backlogged(&t->backlog)) {
		t->is_muted = true;
		tcp_rewatch(t);
	} else if (t->is_costly || loop_now(t->conn.loop) < t->busy) {
		loop_backlog(t->conn.loop, &t->backlog);
	} else {
		read_for(t, LOOP_SHARE_LEAST);
	}
}
