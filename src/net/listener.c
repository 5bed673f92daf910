/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "net/tcpint.h"

struct listener {
	struct watch watch;
	struct timer rest; /* out of fds: accepting pauses */
	struct addr addr;
	unsigned batch; /* how many are accepted before others have their turn */
	int fd_max;     /* from here on descriptors are left to others */
	bool resting;   /* and it was said why */
	listener_fn *fn;
	void *arg;
};

/* Grows while connections come faster than turns: alone, one costs one call. */
#define ACCEPT_BATCH 32
#define REST         (100 * NS_PER_MS)

static bool is_shortage(int sys)
{
	return sys == EMFILE || sys == ENFILE || sys == ENOBUFS || sys == ENOMEM;
}

static _Atomic uint64_t rests; /* of the whole process: so are the descriptors */

uint64_t listener_rests(void)
{
	return rests;
}

static void rest(struct listener *ln, const struct err *why)
{
	if (!ln->resting) {
		rests++;
		log_error("net", "cannot accept connections", LE(why));
	}
	ln->resting = true;
	(void)watch_set(&ln->watch, 0);
	timer_set(&ln->rest, REST);
}

/* The lowest descriptor that is free tells how many are used. */
static bool is_full(const struct listener *ln)
{
	int fd = fcntl(ln->watch.fd, F_DUPFD_CLOEXEC, 0);

	if (fd >= 0)
		close(fd);
	return fd < 0 || (ln->fd_max && fd >= ln->fd_max);
}

static void on_rest(struct timer *t)
{
	struct listener *ln = container_of(t, struct listener, rest);

	if (is_full(ln)) {
		timer_set(&ln->rest, REST);
		return;
	}
	ln->resting = false;
	log_info("net", "connections are accepted again");
	(void)watch_set(&ln->watch, WATCH_IN);
}

/* What is accepted needs more of them later: to go on, a part is kept free. */
static bool was_last(struct listener *ln, int fd)
{
	struct err e;

	if (!ln->fd_max || fd < ln->fd_max)
		return false;
	err_set(&e, ERR_LIMIT, "%d file descriptors are in use", fd);
	rest(ln, &e);
	return true;
}

static bool accept_one(struct listener *ln)
{
	struct sockaddr_storage ss;
	socklen_t n = sizeof ss;
	struct addr peer = {0};
	struct err e;
	int fd = accept4(
		ln->watch.fd, (struct sockaddr *)&ss, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0) {
		bool last = was_last(ln, fd);

		addr_from_sock((struct sockaddr *)&ss, &peer);
		ln->fn(ln->arg, fd, &peer);
		return !last;
	}
	if (errno == ECONNABORTED || errno == EINTR)
		return true;
	if (is_shortage(errno)) {
		err_sys(&e, "accept");
		rest(ln, &e);
	}
	return false;
}

static void on_watch(struct watch *w, int what)
{
	struct listener *ln = container_of(w, struct listener, watch);
	uint64_t end = loop_look(w->loop) + LOOP_SHARE_LEAST;

	(void)what;
	for (unsigned i = 0; i < ln->batch && loop_look(w->loop) < end; i++)
		if (!accept_one(ln)) {
			ln->batch = 1;
			return;
		}
	ln->batch = ln->batch < ACCEPT_BATCH ? 2 * ln->batch : ACCEPT_BATCH;
}

static int bind_at(int fd, const struct addr *at, const struct listener_opts *o)
{
	struct sockaddr_storage ss;
	socklen_t n = addr_to_sock(at, &ss);
	const int on = 1;

	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
		return -1;
	if (o && o->reuse_port &&
		setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) < 0)
		return -1;
	tcp_tune(fd, o ? &o->tuning : NULL);
	if (bind(fd, (struct sockaddr *)&ss, n) < 0)
		return -1;
	return listen(fd, o && o->backlog ? o->backlog : SOMAXCONN);
}

static int open_at(const struct addr *at, const struct listener_opts *o)
{
	int fd = socket(at->ip.family == 6 ? AF_INET6 : AF_INET,
		SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind_at(fd, at, o) == 0)
		return fd;
	close(fd); /* keeps errno, as it cannot fail here */
	return -1;
}

/* "[::]" is every address there is, also where there is no IPv6. */
static int open_any(const struct addr *at, const struct listener_opts *o)
{
	static const struct ip any = {.family = 6};
	struct addr four = {.ip.family = 4, .port = at->port};
	int fd = open_at(at, o);

	if (fd < 0 && errno == EAFNOSUPPORT && ip_eq(&at->ip, &any))
		fd = open_at(&four, o);
	return fd;
}

struct listener *listener_new(struct loop *l, const struct addr *at,
	const struct listener_opts *o, listener_fn *fn, void *arg, struct err *e)
{
	struct listener *ln = calloc(1, sizeof *ln);
	struct sockaddr_storage ss;
	socklen_t n = sizeof ss;
	char text[ADDR_TEXT];
	int fd;

	if (!ln) {
		err_set(e, ERR_LIMIT, "no memory for a listener");
		return NULL;
	}
	fd = open_any(at, o);
	if (fd < 0) {
		err_sys(e, "listen on %s", addr_text(at, text));
		free(ln);
		return NULL;
	}
	ln->batch = 1;
	ln->fd_max = o ? o->fd_max : 0;
	ln->fn = fn;
	ln->arg = arg;
	ln->addr = *at;
	if (getsockname(fd, (struct sockaddr *)&ss, &n) == 0)
		addr_from_sock((struct sockaddr *)&ss, &ln->addr);
	timer_init(&ln->rest, l, on_rest);
	watch_init(&ln->watch, l, fd, on_watch);
	(void)watch_set(&ln->watch, WATCH_IN);
	return ln;
}

const struct addr *listener_addr(const struct listener *ln)
{
	return &ln->addr;
}

void listener_free(struct listener *ln)
{
	if (!ln)
		return;
	timer_clear(&ln->rest);
	watch_end(&ln->watch);
	close(ln->watch.fd);
	free(ln);
}
