/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_TCP_H
#define NET_TCP_H

/*
 * TCP transports: accepted, dialled, listened for.  TCP_NODELAY always (spec proxy.md
 * §1.1).
 */
#include "net/conn.h"

struct tcp_tuning {
	uint64_t keepalive;    /* SO_KEEPALIVE idle time in ns; 0: off */
	uint64_t user_timeout; /* TCP_USER_TIMEOUT in ns; 0: off */
};

struct tcp_opts {
	uint64_t connect_timeout; /* ns; 0: none */
	struct tcp_tuning tuning;
	unsigned *leaving; /* counts those that are finished and still have to send; or
			      NULL */
	int fd_max;        /* no dialling with this descriptor or above; 0: any */
};

/* Takes `fd` (non-blocking is set here; its listener has tuned it).  The conn is open
 * from birth.  `leaving` as above.  Returns owned. */
struct conn *tcp_adopt(struct loop *l, int fd, unsigned *leaving, struct err *e);

/* Starts to connect; on_open or on_gone (ERR_TIMEOUT, ERR_SYS with errno) follows,
 * never before this returns.  NULL when it fails at once: no fds, no memory, no route.
 */
struct conn *tcp_dial(
	struct loop *l, const struct addr *to, const struct tcp_opts *o, struct err *e);

/*
 * The address the client meant (SO_ORIGINAL_DST, both families); -1 when the connection
 * was not redirected (then the local address is in c->local) or it is unknown.
 */
int tcp_original_dst(const struct conn *c, struct addr *out);

struct listener;
/* `fd` of each accepted connection is given away.  When fds run out accepting pauses
 * until some are free again. */
typedef void listener_fn(void *arg, int fd, const struct addr *peer);

struct listener_opts {
	struct tcp_tuning tuning; /* of those that are accepted */
	int backlog;              /* 0: the system's */
	bool reuse_port;          /* one listener per worker on the same port */
	int fd_max; /* accepting pauses from this descriptor on: the rest is for what
		       was accepted; 0: none is kept */
};
struct listener *listener_new(struct loop *l, const struct addr *at,
	const struct listener_opts *o, listener_fn *fn, void *arg, struct err *e);
const struct addr *listener_addr(
	const struct listener *ln); /* the port chosen for :0 */
void listener_free(struct listener *ln);
uint64_t listener_rests(void); /* how often one of them had to pause */

#endif
