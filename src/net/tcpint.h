/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_TCPINT_H
#define NET_TCPINT_H

/* What the files of a TCP transport share: tcp.c (its life, what it sends), tcpread.c
 * (what comes), tcpmake.c (where it comes from).  For net/ only. */
#include "base/clock.h"
#include "net/tcp.h"
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
	bool is_costly;       /* its last turn took long */
	uint64_t busy;        /* until then it is one of those that have more */
	struct addr to;
};

extern const struct conn_ops tcp_ops;

static inline bool tcp_wants_in(const struct tcp *t)
{
	if (t->at == TCP_LINGER)
		return !t->conn.is_eof;
	return t->at == TCP_OPEN && !t->broken && t->conn.user && !t->conn.is_paused &&
	       !t->conn.is_eof && !t->conn.owes_eof && kept_len(&t->in) < t->conn.hold;
}

/* What is waited for follows from the state; after each change of that. */
void tcp_rewatch(struct tcp *t);

/* The end, told to the user now: with `errno` and what was being done, or `e` (NULL:
 * both ways are done). */
void tcp_gone(struct tcp *t, const struct err *e);
void tcp_gone_errno(struct tcp *t, const char *doing);
/* Nobody is told.  `t` lives until the end of the turn. */
void tcp_close(struct tcp *t);
void tcp_ended_both_ways(struct tcp *t);

/* Owns `fd` when it succeeds.  TCP_CONNECTING. */
struct tcp *tcp_new(struct loop *l, int fd, struct err *e);

/* How much is read at once, to begin with: of one that we did not choose (many may come
 * at once), and of one that we dialled. */
#define TCP_BITE_NEW ((size_t)2 * 1024)
#define TCP_BITE_MAX (LOOP_SCRATCH - CONN_HELD)

/* Looks which address of ours it has. */
void tcp_local_addr(struct tcp *t);

/* There is something to read: now, or in the backlog (tcp_read_on()). */
void tcp_readable(struct tcp *t);
void tcp_read_on(struct later *backlog);
void tcp_tell_eof(struct tcp *t);

/* What the kernel is to do for a connection; those that a listener accepts inherit it.
 */
void tcp_tune(int fd, const struct tcp_tuning *t);

#endif
