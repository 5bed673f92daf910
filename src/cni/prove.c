/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/prove.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/obj.h"

#define TOKEN    64 /* with its newline */
#define TRY_WAIT NS_PER_S
#define PAUSE    (200 * NS_PER_MS)

struct
try {
	const struct proof *p;
	int listener, conn;
	char token[TOKEN], got[TOKEN];
	size_t ngot;
	bool open; /* connected */
};

static void make_token(char out[TOKEN])
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEF";

	must(getrandom(out, TOKEN, 0) == TOKEN);
	for (size_t i = 0; i < TOKEN - 1; i++)
		out[i] = letters[(unsigned char)out[i] % (sizeof letters - 1)];
	out[TOKEN - 1] = '\n';
}

static bool is_unreachable(int error)
{
	return error == ENETUNREACH || error == EAFNOSUPPORT || error == EADDRNOTAVAIL;
}

/* ---- sockets ---- */

static int open_socket(const struct addr *a)
{
	return socket(a->ip.family == 6 ? AF_INET6 : AF_INET,
		SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

/* Of the family that is proven; the address only when it is one of them. */
static struct addr listen_addr(const struct proof *p)
{
	struct addr a = {.ip.family = p->to.ip.family, .port = p->listen.port};

	return p->listen.ip.family == p->to.ip.family ? p->listen : a;
}

/* 1: there is no such family here. */
static int open_listener(struct try *t, struct err *e)
{
	struct addr at = listen_addr(t->p);
	struct sockaddr_storage sa;
	socklen_t n = addr_to_sock(&at, &sa);
	int yes = 1;

	t->listener = open_socket(&at);
	if (t->listener < 0)
		return is_unreachable(errno) ? 1 : err_sys(e, "socket");
	(void)setsockopt(t->listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
	if (at.ip.family == 6)
		(void)setsockopt(
			t->listener, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof yes);
	if (bind(t->listener, (struct sockaddr *)&sa, n) == 0 &&
		listen(t->listener, 8) == 0)
		return 0;
	if (is_unreachable(errno))
		return 1;
	if (errno == EADDRINUSE)
		return err_set(e, ERR_BUSY, "port %u of this pod is taken", at.port);
	return err_sys(e, "listen on port %u", at.port);
}

static int begin_connect(struct try *t, struct err *e)
{
	struct sockaddr_storage sa;
	socklen_t n = addr_to_sock(&t->p->to, &sa);

	t->open = false;
	t->ngot = 0;
	t->conn = open_socket(&t->p->to);
	if (t->conn < 0)
		return is_unreachable(errno) ? 1 : err_sys(e, "socket");
	if (connect(t->conn, (struct sockaddr *)&sa, n) == 0 || errno == EINPROGRESS)
		return 0;
	return is_unreachable(errno) ? 1 : err_sys(e, "the connection left and failed");
}

/* ---- one try ---- */

static void answer(struct try *t)
{
	int fd = accept4(t->listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return;
	/* So few bytes always fit; a peer that is gone already is not ours. */
	(void)send(fd, t->token, TOKEN, MSG_NOSIGNAL);
	close(fd);
}

/* 1: not over yet. */
static int read_token(struct try *t, struct err *e)
{
	ssize_t n = read(t->conn, t->got + t->ngot, TOKEN - t->ngot);

	if (n < 0)
		return errno == EAGAIN ? 1 : err_sys(e, "the connection broke");
	t->ngot += (size_t)n;
	if (t->ngot == TOKEN && memcmp(t->got, t->token, TOKEN) == 0)
		return 0;
	if (n > 0 && t->ngot < TOKEN)
		return 1;
	return err_set(e, ERR_DENIED, "the connection left, and another answered it");
}

static int go_on(struct try *t, struct err *e)
{
	int error = 0;
	socklen_t n = sizeof error;

	if (t->open)
		return read_token(t, e);
	(void)getsockopt(t->conn, SOL_SOCKET, SO_ERROR, &error, &n);
	if (error) {
		errno = error;
		return err_sys(e, "the connection left and failed");
	}
	t->open = true;
	return 1;
}

static int wait_for(struct try *t, uint64_t until, struct err *e)
{
	for (;;) {
		uint64_t now = clock_mono();
		struct pollfd fds[] = {{t->listener, POLLIN, 0},
			{t->conn, (short)(t->open ? POLLIN : POLLOUT), 0}};
		int rc;

		if (now >= until)
			return err_set(e, ERR_TIMEOUT,
				"the connection left, and nobody answered");
		rc = poll(fds, 2, (int)((until - now) / NS_PER_MS) + 1);
		if (rc < 0 && errno != EINTR)
			return err_sys(e, "poll");
		if (rc > 0 && fds[0].revents)
			answer(t);
		if (rc > 0 && fds[1].revents && (rc = go_on(t, e)) <= 0)
			return rc;
	}
}

static int try_once(struct try *t, struct err *e)
{
	uint64_t until = clock_mono() + TRY_WAIT;
	int rc = begin_connect(t, e);

	if (rc == 0)
		rc = wait_for(t, until < t->p->deadline ? until : t->p->deadline, e);
	if (t->conn >= 0)
		close(t->conn);
	return rc;
}

/* The rules may come a moment later: whoever mends a pod does it while we wait. */
int prove_redirect(const struct proof *p, struct err *e)
{
	static const struct timespec pause = {.tv_nsec = PAUSE};
	struct try t = {.p = p, .listener = -1, .conn = -1};
	int rc = open_listener(&t, e);

	make_token(t.token);
	while (rc == 0) {
		rc = try_once(&t, e);
		if (rc >= 0 || clock_mono() + PAUSE >= p->deadline)
			break;
		(void)nanosleep(&pause, NULL); /* a shorter one does no harm */
		rc = 0;
	}
	if (t.listener >= 0)
		close(t.listener);
	return rc;
}
