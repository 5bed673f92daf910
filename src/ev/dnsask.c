/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each try has a socket of its own, connected to one server: the kernel chooses the
 * port, drops what others send, and tells of a refused one at once.  With the random id
 * that is what makes an answer hard to forge (RFC 5452).
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ev/dnsint.h"

static void on_watch(struct watch *w, int what);
static void try_again(struct ask *a);

static const struct addr *server(const struct ask *a)
{
	return &a->conf->servers[(a->first + a->tries - 1) % a->conf->nservers];
}

static void hang_up(struct ask *a)
{
	watch_end(&a->watch);
	if (a->fd >= 0)
		close(a->fd);
	a->fd = -1;
	buf_fini(&a->in);
}

static void finish(struct ask *a, const struct slice *answer)
{
	struct err why = a->why;
	struct buf in = a->in; /* where a TCP answer lies: it outlives the socket */

	a->in = BUF_INIT;
	ask_end(a);
	a->done(a, answer, &why);
	buf_fini(&in);
}

/* This try has failed (why is set); the next one is made from the loop. */
static void next(struct ask *a)
{
	hang_up(a);
	a->at = ASK_NEXT;
	timer_set(&a->timer, 0);
}

static void next_errno(struct ask *a, const char *doing)
{
	char text[ADDR_TEXT];

	err_sys(&a->why, "%s name server %s", doing, addr_text(server(a), text));
	next(a);
}

/* ---- judging an answer ---- */

static bool answers_us(const struct ask *a, struct slice msg, struct dns_head *h)
{
	size_t at;

	return dns_read_head((const uint8_t *)msg.p, msg.n, h, &at, NULL) == 0 &&
	       h->response && h->id == a->id && h->type == a->type && h->class == 1 &&
	       slice_ieq(slice_of(h->name), slice_of(a->name));
}

static void try_tcp(struct ask *a);

/* True when it is settled what becomes of the ask; false: not an answer to us. */
static bool judge(struct ask *a, struct slice msg)
{
	char text[ADDR_TEXT];
	struct dns_head h;

	if (!answers_us(a, msg, &h))
		return false;
	if (h.truncated && a->at == ASK_UDP) {
		try_tcp(a);
	} else if (h.code == DNS_OK || h.code == DNS_NO_NAME) {
		finish(a, &msg);
	} else if (!a->no_edns && (h.code == DNS_FORMAT || h.code == DNS_NOT_HERE)) {
		a->no_edns = true; /* an old server: ask it again, more simply */
		a->tries--;
		next(a);
	} else {
		err_set(&a->why, ERR_BUSY, "name server %s answers %s with code %u",
			addr_text(server(a), text), a->name, h.code);
		next(a);
	}
	return true;
}

/* ---- UDP ---- */

static void read_udp(struct ask *a)
{
	char msg[4096];
	ssize_t n = recv(a->fd, msg, sizeof msg, 0);

	if (n >= 0)
		(void)judge(a, (struct slice){msg, (size_t)n}); /* else: wait on */
	else if (errno != EAGAIN && errno != EINTR)
		next_errno(a, "ask");
}

static int open_socket(struct ask *a, int kind)
{
	struct sockaddr_storage ss;
	socklen_t n = addr_to_sock(server(a), &ss);

	a->fd = socket(ss.ss_family, kind | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (a->fd < 0)
		return -1;
	watch_init(&a->watch, a->loop, a->fd, on_watch);
	if (connect(a->fd, (struct sockaddr *)&ss, n) < 0 && errno != EINPROGRESS)
		return -1;
	return 0;
}

static void try_udp(struct ask *a)
{
	a->at = ASK_UDP;
	if (open_socket(a, SOCK_DGRAM) < 0 || watch_set(&a->watch, WATCH_IN) < 0 ||
		send(a->fd, buf_slice(&a->out).p + 2, buf_len(&a->out) - 2,
			MSG_NOSIGNAL) < 0) {
		next_errno(a, "ask");
		return;
	}
	timer_set(&a->timer, a->conf->timeout);
}

/* ---- TCP: length, message (RFC 7766) ---- */

static void try_tcp(struct ask *a)
{
	hang_up(a);
	a->at = ASK_TCP_SEND;
	a->sent = 0;
	if (open_socket(a, SOCK_STREAM) < 0 || watch_set(&a->watch, WATCH_OUT) < 0) {
		next_errno(a, "connect to");
		return;
	}
	timer_set(&a->timer, a->conf->timeout);
}

static void send_tcp(struct ask *a)
{
	struct slice all = buf_slice(&a->out);
	ssize_t n = send(a->fd, all.p + a->sent, all.n - a->sent, MSG_NOSIGNAL);

	if (n < 0) {
		if (errno != EAGAIN && errno != EINTR)
			next_errno(a, "connect to");
		return;
	}
	a->sent += (size_t)n;
	if (a->sent < all.n)
		return;
	a->at = ASK_TCP_READ;
	(void)watch_set(&a->watch, WATCH_IN);
}

static void read_tcp(struct ask *a)
{
	struct slice got;
	size_t want;
	char bytes[4096];
	ssize_t n = recv(a->fd, bytes, sizeof bytes, 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n == 0)
		errno = ECONNRESET;
	if (n <= 0 || buf_add(&a->in, bytes, (size_t)n) < 0) {
		next_errno(a, "read from");
		return;
	}
	got = buf_slice(&a->in);
	if (!got.p || got.n < 2)
		return;
	want = (size_t)(uint8_t)got.p[0] << 8 | (uint8_t)got.p[1];
	if (got.n - 2 < want)
		return;
	if (!judge(a, (struct slice){got.p + 2, want})) {
		errno = EBADMSG;
		next_errno(a, "read from");
	}
}

/* ---- the tries ---- */

static void on_watch(struct watch *w, int what)
{
	struct ask *a = container_of(w, struct ask, watch);

	(void)what;
	if (a->at == ASK_UDP)
		read_udp(a);
	else if (a->at == ASK_TCP_SEND)
		send_tcp(a);
	else if (a->at == ASK_TCP_READ)
		read_tcp(a);
}

static void on_timer(struct timer *t)
{
	struct ask *a = container_of(t, struct ask, timer);
	char text[ADDR_TEXT];

	if (a->at != ASK_NEXT) {
		err_set(&a->why, ERR_TIMEOUT,
			"no answer from name server %s within %llu s",
			addr_text(server(a), text),
			(unsigned long long)(a->conf->timeout / 1000000000));
		hang_up(a);
	}
	try_again(a);
}

static bool write_query(struct ask *a)
{
	struct buf q = BUF_INIT;
	bool ok = getrandom(&a->id, sizeof a->id, 0) == sizeof a->id &&
		  dns_write_query(&q, a->id, a->name, a->type) == 0 &&
		  (a->no_edns || dns_add_edns(&q) == 0);

	buf_fini(&a->out);
	ok = ok && buf_char(&a->out, (char)(buf_len(&q) >> 8)) == 0 &&
	     buf_char(&a->out, (char)buf_len(&q)) == 0 &&
	     buf_adds(&a->out, buf_slice(&q)) == 0;
	buf_fini(&q);
	return ok;
}

static void try_again(struct ask *a)
{
	if (a->tries >= a->conf->attempts * a->conf->nservers) {
		finish(a, NULL);
		return;
	}
	a->tries++;
	if (!write_query(a)) {
		err_set(&a->why, ERR_SYNTAX, "%s cannot be asked for", a->name);
		finish(a, NULL);
		return;
	}
	try_udp(a);
}

void ask_init(struct ask *a, struct loop *l, const struct dns_conf *c, ask_done *done)
{
	*a = (struct ask){.loop = l, .conf = c, .done = done, .fd = -1};
	timer_init(&a->timer, l, on_timer);
	watch_init(&a->watch, l, -1, on_watch);
}

void ask_begin(struct ask *a, const char *name, uint16_t type)
{
	struct slice s = slice_of(name);

	ask_end(a);
	must(s.n < sizeof a->name);
	memcpy(a->name, name, s.n + 1);
	a->type = type;
	a->tries = 0;
	a->no_edns = false;
	err_set(&a->why, ERR_BUSY, "no name server");
	next(a);
}

void ask_end(struct ask *a)
{
	hang_up(a);
	buf_fini(&a->out);
	timer_clear(&a->timer);
	a->at = ASK_IDLE;
}
