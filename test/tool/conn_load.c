/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loads that no common tool makes: `conn_load WHAT ADDR:PORT N [WIDTH]`.
 *
 *	up, down    bytes to or from byte_server on one connection for N seconds;
 *	            prints "BYTES bytes NS ns"
 *	http, echo  N connections, WIDTH at a time, one request or echo on each, then
 *	            closed; prints "DONE done FAILED failed"
 *	hold-http, hold-echo
 *	            the same, but all stay open until standard input ends
 *	first       an HTTP request every half millisecond, N at most, until one is
 *	            answered with 200; prints "at NS", by the monotonic clock
 *
 * Nothing runs longer than two minutes.  Exits with 1 if no connection served its
 * purpose.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/obj.h"

#define SECONDS_MAX      120
#define MANY_SECONDS_MAX 60 /* for all answers to come */
#define CONNS_MAX        20000

enum at { AT_CONNECT, AT_ANSWER, AT_END, AT_HELD };

struct client {
	int fd;
	enum at at;
};

static struct {
	bool http, hold;
	struct sockaddr_storage to;
	socklen_t to_len;
	long total, width, started, done, failed;
	int poller;
} load;

static char bytes[256 * 1024];

static void die(const char *why)
{
	perror(why);
	exit(1);
}

static int64_t now_ns(void)
{
	struct timespec t;

	if (clock_gettime(CLOCK_MONOTONIC, &t))
		die("clock_gettime");
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int dial(int flags)
{
	int fd = socket(load.to.ss_family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);

	if (fd < 0)
		return -1;
	if (connect(fd, (struct sockaddr *)&load.to, load.to_len) < 0 &&
		errno != EINPROGRESS) {
		close(fd);
		return -1;
	}
	return fd;
}

static struct slice first_bytes(void)
{
	if (!load.http)
		return SLICE("\3 echo me");
	return load.hold ? SLICE("GET /index.html HTTP/1.1\r\nHost: web.test\r\n\r\n")
			 : SLICE("GET /index.html HTTP/1.1\r\nHost: web.test\r\n"
				 "Connection: close\r\n\r\n");
}

/* ---- many connections ---- */

static void watch(struct client *c, int op, uint32_t what)
{
	struct epoll_event ev = {.events = what, .data.ptr = c};

	if (epoll_ctl(load.poller, op, c->fd, &ev) < 0)
		die("epoll_ctl");
}

static void client_open(void)
{
	struct client *c = calloc(1, sizeof(*c));

	if (!c)
		die("calloc");
	load.started++;
	c->fd = dial(SOCK_NONBLOCK);
	if (c->fd < 0) {
		load.failed++;
		free(c);
		return;
	}
	watch(c, EPOLL_CTL_ADD, EPOLLOUT);
}

static void client_end(struct client *c, bool good)
{
	if (good)
		load.done++;
	else
		load.failed++;
	close(c->fd);
	free(c);
}

/* One that is held stays open, and nobody listens to it any more. */
static void client_answered(struct client *c)
{
	if (load.hold) {
		if (epoll_ctl(load.poller, EPOLL_CTL_DEL, c->fd, NULL) < 0)
			die("epoll_ctl");
		load.done++;
		free(c);
		return;
	}
	if (!load.http) {
		client_end(c, true);
		return;
	}
	c->at = AT_END;
}

static bool is_right(const char *p, ssize_t n)
{
	const char *want = load.http ? "HTTP/1.1 200" : "\3 echo";

	return n >= (ssize_t)strlen(want) && !memcmp(p, want, strlen(want));
}

static void client_ready(struct client *c)
{
	struct slice out = first_bytes();
	ssize_t n;

	if (c->at == AT_CONNECT) {
		n = send(c->fd, out.p, out.n, MSG_NOSIGNAL);
		if (n != (ssize_t)out.n) {
			client_end(c, false);
			return;
		}
		c->at = AT_ANSWER;
		watch(c, EPOLL_CTL_MOD, EPOLLIN);
		return;
	}
	n = recv(c->fd, bytes, sizeof(bytes), 0);
	if (n < 0 && errno == EAGAIN)
		return;
	if (c->at == AT_ANSWER && !is_right(bytes, n))
		client_end(c, false);
	else if (c->at == AT_ANSWER)
		client_answered(c);
	else if (n <= 0)
		client_end(c, n == 0);
}

static int run_many(void)
{
	int64_t end = now_ns() + MANY_SECONDS_MAX * 1000000000LL;
	struct epoll_event ev[64];
	char c;
	int n;

	load.poller = epoll_create1(EPOLL_CLOEXEC);
	if (load.poller < 0)
		die("epoll_create1");
	while (load.done + load.failed < load.total && now_ns() < end) {
		while (load.started < load.total &&
			load.started - load.done - load.failed < load.width)
			client_open();
		n = epoll_wait(load.poller, ev, countof(ev), 1000);
		if (n < 0 && errno != EINTR)
			die("epoll_wait");
		for (int i = 0; i < n; i++)
			client_ready(ev[i].data.ptr);
	}
	load.failed = load.total - load.done;
	printf("%ld done %ld failed\n", load.done, load.failed);
	fflush(stdout);
	while (load.hold && read(STDIN_FILENO, &c, 1) > 0)
		;
	return load.done ? 0 : 1;
}

/* ---- bytes ---- */

static int run_bytes(bool up)
{
	int64_t begin, end, sum = 0;
	int fd = dial(0);
	ssize_t n;

	if (fd < 0)
		die("connect");
	if (send(fd, up ? "\1" : "\2", 1, MSG_NOSIGNAL) != 1)
		die("send");
	begin = now_ns();
	end = begin + load.total * 1000000000LL;
	while (now_ns() < end) {
		n = up ? send(fd, bytes, sizeof(bytes), MSG_NOSIGNAL)
		       : recv(fd, bytes, sizeof(bytes), 0);
		if (n <= 0)
			die(up ? "send" : "recv");
		sum += n;
	}
	printf("%lld bytes %lld ns\n", (long long)sum, (long long)(now_ns() - begin));
	return sum ? 0 : 1;
}

/* ---- the first answer ---- */

static bool answers_once(void)
{
	struct timeval limit = {.tv_usec = 500000};
	struct slice out = first_bytes();
	int fd = dial(0);
	bool good = false;

	if (fd < 0)
		return false;
	if (!setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) &&
		send(fd, out.p, out.n, MSG_NOSIGNAL) == (ssize_t)out.n)
		good = is_right(bytes, recv(fd, bytes, sizeof(bytes), 0));
	close(fd);
	return good;
}

static int run_first(void)
{
	const struct timespec wait = {.tv_nsec = 500000};

	for (long i = 0; i < load.total; i++) {
		if (answers_once()) {
			printf("at %lld\n", (long long)now_ns());
			return 0;
		}
		nanosleep(&wait, NULL);
	}
	return 1;
}

static int usage(void)
{
	fprintf(stderr, "usage: conn_load up|down|http|echo|hold-http|hold-echo|first "
			"ADDR:PORT N [WIDTH]\n");
	return 2;
}

static bool number(const char *text, long *out)
{
	char *end;

	*out = strtol(text, &end, 10);
	return !*end && end != text && *out > 0 && *out <= CONNS_MAX;
}

static void raise_files(void)
{
	struct rlimit r;

	if (!getrlimit(RLIMIT_NOFILE, &r)) {
		r.rlim_cur = r.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &r); /* fewer connections then */
	}
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	struct addr to;

	load.width = 1;
	if (argc < 4 || argc > 5 || !addr_parse(slice_of(argv[2]), &to) ||
		!number(argv[3], &load.total) ||
		(argc == 5 && !number(argv[4], &load.width)))
		return usage();
	load.to_len = addr_to_sock(&to, &load.to);
	load.hold = !strncmp(what, "hold-", 5);
	load.http = strstr(what, "http") || !strcmp(what, "first");
	raise_files();
	alarm(SECONDS_MAX);
	if (!strcmp(what, "up") || !strcmp(what, "down"))
		return run_bytes(!strcmp(what, "up"));
	if (!strcmp(what, "first"))
		return run_first();
	if (load.http || strstr(what, "echo"))
		return run_many();
	return usage();
}
