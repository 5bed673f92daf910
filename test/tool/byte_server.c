/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands behind the proxies when bytes are measured: `byte_server ADDR:PORT`.
 *
 * The first byte a client sends says what it wants, none of them the start of HTTP or
 * TLS:  1 swallow everything, close after its end;  2 send for ever;  3 echo.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/obj.h"

enum want { WANT_UNKNOWN, WANT_SWALLOW = 1, WANT_SEND = 2, WANT_ECHO = 3 };

struct client {
	int fd;
	enum want want;
};

static uint8_t bytes[256 * 1024];
static int poller;

static void die(const char *why)
{
	perror(why);
	exit(1);
}

static int listen_at(const char *text)
{
	struct sockaddr_storage ss;
	struct addr at;
	socklen_t len;
	int fd, on = 1;

	if (!addr_parse(slice_of(text), &at)) {
		fprintf(stderr, "usage: byte_server ADDR:PORT\n");
		exit(2);
	}
	len = addr_to_sock(&at, &ss);
	fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
		bind(fd, (struct sockaddr *)&ss, len) < 0 || listen(fd, 8192) < 0)
		die(text);
	return fd;
}

static void watch(struct client *c, int op, uint32_t what)
{
	struct epoll_event ev = {.events = what, .data.ptr = c};

	if (epoll_ctl(poller, op, c->fd, &ev) < 0)
		die("epoll_ctl");
}

static void client_accept(int listener)
{
	struct client *c;
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);

	if (fd < 0)
		return;
	c = calloc(1, sizeof(*c));
	if (!c)
		die("calloc");
	c->fd = fd;
	watch(c, EPOLL_CTL_ADD, EPOLLIN);
}

static void client_close(struct client *c)
{
	close(c->fd);
	free(c);
}

static void client_read(struct client *c)
{
	ssize_t n = read(c->fd, bytes, sizeof(bytes));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		client_close(c);
		return;
	}
	if (c->want == WANT_UNKNOWN) {
		c->want = (enum want)bytes[0];
		if (c->want == WANT_SEND)
			watch(c, EPOLL_CTL_MOD, EPOLLOUT);
	}
	/* an echo is a few bytes: the socket has room */
	if (c->want == WANT_ECHO && send(c->fd, bytes, (size_t)n, MSG_NOSIGNAL) != n)
		client_close(c);
}

static void client_send(struct client *c)
{
	static const uint8_t zeros[sizeof(bytes)];

	if (send(c->fd, zeros, sizeof(zeros), MSG_NOSIGNAL) < 0 && errno != EAGAIN)
		client_close(c);
}

static void raise_files(void)
{
	struct rlimit r;

	if (!getrlimit(RLIMIT_NOFILE, &r)) {
		r.rlim_cur = r.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &r); /* fewer clients then */
	}
}

int main(int argc, char **argv)
{
	struct epoll_event ev[64] = {{.events = EPOLLIN}};
	int listener = listen_at(argc == 2 ? argv[1] : ""), n;

	raise_files();
	poller = epoll_create1(0);
	if (poller < 0 || epoll_ctl(poller, EPOLL_CTL_ADD, listener, ev) < 0)
		die("epoll");
	while ((n = epoll_wait(poller, ev, countof(ev), -1)) >= 0 || errno == EINTR) {
		for (int i = 0; i < n; i++) {
			if (!ev[i].data.ptr)
				client_accept(listener);
			else if (ev[i].events & EPOLLOUT)
				client_send(ev[i].data.ptr);
			else
				client_read(ev[i].data.ptr);
		}
	}
	return 1;
}
