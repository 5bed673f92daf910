/* SPDX-License-Identifier: Apache-2.0 */
#include "net/pipe.h"

#include <stdlib.h>

#include "net/transport.h"

struct pipe_end {
	struct conn conn;      /* first */
	struct pipe_end *peer; /* NULL once the peer is freed */
	struct later later;
	struct kept in;
	struct buf out; /* on its way to the peer */
	size_t cut;
	bool fin_sent, show_kept, dead, finishing;
};

static void wake(struct pipe_end *p)
{
	loop_later(p->conn.loop, &p->later);
}

static struct pipe_end *pipe_of(struct conn *c)
{
	must(c && c->magic == CONN_MAGIC);
	return (struct pipe_end *)c;
}

static void pipe_close(struct pipe_end *p)
{
	p->dead = true;
	wake(p);
	if (p->peer)
		wake(p->peer);
}

static void pipe_gone(struct pipe_end *p, enum errc code, const char *text)
{
	struct err e = {.code = ERR_NONE};
	const struct conn_user *user = p->conn.user;

	if (p->dead)
		return;
	if (code != ERR_NONE)
		err_set(&e, code, "%s", text);
	pipe_close(p);
	p->conn.user = &conn_nobody;
	if (user && user->on_gone)
		user->on_gone(&p->conn, p->conn.arg, &e);
}

static bool takes(const struct pipe_end *p)
{
	return !p->dead && p->conn.user && !p->conn.is_paused &&
	       kept_len(&p->in) < p->conn.hold;
}

static void open_once(struct pipe_end *p)
{
	if (p->conn.is_open || !p->conn.user)
		return;
	p->conn.is_open = true;
	if (p->conn.user->on_open)
		p->conn.user->on_open(&p->conn, p->conn.arg);
}

/* Moves at most `cut` bytes to the peer. */
static void deliver(struct pipe_end *from, struct pipe_end *to)
{
	struct slice s = buf_slice(&from->out);
	uint8_t bytes[65536];
	size_t n = s.n < sizeof bytes ? s.n : sizeof bytes;

	if (from->cut && n > from->cut)
		n = from->cut;
	if (!s.p || !n || (!takes(to) && !to->finishing))
		return;
	memcpy(bytes, s.p, n);
	buf_take(&from->out, n);
	from->conn.bytes_out += n;
	to->conn.bytes_in += n;
	if (buf_len(&from->out))
		wake(from);
	if (!to->finishing)
		(void)kept_in(&to->in, &to->conn, bytes, n, 0);
	if (from->dead || !from->conn.owes_room || buf_len(&from->out) > CONN_LOW)
		return;
	from->conn.owes_room = false;
	if (from->conn.user && from->conn.user->on_room)
		from->conn.user->on_room(&from->conn, from->conn.arg);
}

static void over_if_both(struct pipe_end *p)
{
	if (!p->dead && p->conn.is_eof && p->fin_sent)
		pipe_gone(p, ERR_NONE, "");
}

static void tell_eof(struct pipe_end *p)
{
	struct pipe_end *peer = p->peer;

	if (!p->conn.owes_eof || p->dead)
		return;
	if (!p->finishing && (!p->conn.user || p->conn.is_paused || p->show_kept))
		return;
	p->conn.owes_eof = false;
	p->conn.is_eof = true;
	if (p->conn.user && p->conn.user->on_eof)
		p->conn.user->on_eof(&p->conn, p->conn.arg);
	over_if_both(p);
	if (peer)
		over_if_both(peer);
}

static void deliver_eof(struct pipe_end *from, struct pipe_end *to)
{
	if (!from->conn.is_shut || buf_len(&from->out) || from->fin_sent)
		return;
	if (!to->finishing && (!takes(to) || to->show_kept))
		return;
	from->fin_sent = true;
	to->conn.owes_eof = true;
	tell_eof(to);
}

static void pipe_free(struct pipe_end *p)
{
	struct pipe_end *peer = p->peer;

	later_clear(&p->later);
	kept_fini(&p->in);
	buf_fini(&p->out);
	conn_fini(&p->conn);
	free(p);
	if (!peer)
		return;
	peer->peer = NULL;
	wake(peer);
}

static void on_later(struct later *d)
{
	struct pipe_end *p = container_of(d, struct pipe_end, later);

	if (p->dead) {
		pipe_free(p);
		return;
	}
	open_once(p);
	if (p->show_kept && !p->dead && !p->conn.is_paused) {
		p->show_kept = false;
		kept_again(&p->in, &p->conn);
		if (p->peer)
			wake(p->peer);
	}
	tell_eof(p);
	if (p->dead)
		return;
	if (!p->peer) {
		if (p->conn.is_eof && p->fin_sent)
			pipe_gone(p, ERR_NONE, "");
		else
			pipe_gone(p, ERR_CLOSED, "the other end is gone");
		return;
	}
	deliver(p, p->peer);
	if (!p->dead && p->peer)
		deliver_eof(p, p->peer);
}

static void pipe_write(struct conn *c, const uint8_t *bytes, size_t n)
{
	struct pipe_end *p = pipe_of(c);

	if (p->dead || c->is_shut)
		return;
	(void)buf_add(&p->out, bytes, n);
	if (buf_len(&p->out) > CONN_HIGH)
		p->conn.owes_room = true;
	wake(p);
}

static void pipe_flush(struct conn *c)
{
	wake(pipe_of(c));
}

static size_t pipe_backlog(const struct conn *c)
{
	return buf_len(&((const struct pipe_end *)c)->out);
}

static void pipe_read(struct conn *c, bool on)
{
	struct pipe_end *p = pipe_of(c);

	if (p->dead || !on)
		return;
	p->show_kept = true;
	wake(p);
	if (p->peer)
		wake(p->peer);
}

static void pipe_shutdown(struct conn *c)
{
	wake(pipe_of(c));
}

static void pipe_end_(struct conn *c, int how)
{
	struct pipe_end *p = pipe_of(c);

	if (how != CONN_CLOSE_FINISH || !p->peer) {
		pipe_close(p);
		return;
	}
	p->finishing = true;
	c->is_shut = true;
	wake(p);
	wake(p->peer);
}

static const struct conn_ops pipe_ops = {.write = pipe_write,
	.flush = pipe_flush,
	.backlog = pipe_backlog,
	.read = pipe_read,
	.shutdown = pipe_shutdown,
	.close = pipe_end_};

int pipe_new(struct loop *l, size_t cut, struct conn *ends[2], struct err *e)
{
	struct pipe_end *p[2] = {calloc(1, sizeof **p), calloc(1, sizeof **p)};

	if (!p[0] || !p[1]) {
		free(p[0]);
		free(p[1]);
		return err_set(e, ERR_LIMIT, "no memory for a pipe");
	}
	for (int i = 0; i < 2; i++) {
		conn_init(&p[i]->conn, l, &pipe_ops);
		later_init(&p[i]->later, on_later);
		p[i]->peer = p[1 - i];
		p[i]->cut = cut;
		ends[i] = &p[i]->conn;
	}
	return 0;
}
