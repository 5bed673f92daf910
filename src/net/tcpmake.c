/* SPDX-License-Identifier: Apache-2.0 */
/* Where TCP connections come from: accepted, or dialled. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "net/tcpint.h"

static void set_int(int fd, int level, int name, int value)
{
	/* a socket that cannot be tuned still carries bytes */
	(void)setsockopt(fd, level, name, &value, sizeof value);
}

void tcp_tune(int fd, const struct tcp_tuning *t)
{
	set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	set_int(fd, SOL_SOCKET, SO_OOBINLINE,
		1); /* an urgent byte is one of the rest */
	if (t && t->keepalive) {
		uint64_t s = (t->keepalive + NS_PER_S - 1) / NS_PER_S;

		set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
		set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, (int)s);
		set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, (int)s);
	}
	if (t && t->user_timeout)
		set_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT,
			(int)(t->user_timeout / NS_PER_MS));
}

static void set_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags >= 0 && !(flags & O_NONBLOCK))
		(void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

struct conn *tcp_adopt(struct loop *l, int fd, unsigned *leaving, struct err *e)
{
	struct sockaddr_storage ss;
	socklen_t n = sizeof ss;
	struct tcp *t = tcp_new(l, fd, e);

	if (!t) {
		close(fd);
		return NULL;
	}
	set_nonblocking(fd);
	t->leaving = leaving;
	t->bite = TCP_BITE_NEW;
	t->at = TCP_OPEN;
	t->conn.is_open = true;
	if (getpeername(fd, (struct sockaddr *)&ss, &n) == 0)
		addr_from_sock((struct sockaddr *)&ss, &t->conn.peer);
	tcp_local_addr(t);
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
	tcp_tune(fd, o ? &o->tuning : NULL);
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
	tcp_rewatch(t);
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
