/* SPDX-License-Identifier: Apache-2.0 */
#include "net/codedconn.h"

#include <stdlib.h>

#include "base/clock.h"
#include "net/transport.h"

struct coded {
	struct conn conn;   /* first */
	struct conn *below; /* NULL once it is gone or ended */
	const struct coded_ops *ops;
	void *codec;
	enum coded_at at;
	struct later later; /* show what is kept; free */
	struct timer timer; /* until it is open */
	uint64_t timeout;
	struct kept in;
	struct buf early; /* written before it was open */
	bool greeted, show_kept, dead;
};

static struct coded *coded_of(struct conn *c)
{
	must(c && c->magic == CONN_MAGIC);
	return (struct coded *)c;
}

static void coded_die(struct coded *c)
{
	c->dead = true;
	timer_clear(&c->timer);
	loop_later(c->conn.loop, &c->later);
}

static void coded_gone(struct coded *c, const struct err *e)
{
	const struct conn_user *user = c->conn.user;
	struct err why = e ? *e : (struct err){.code = ERR_NONE};

	if (c->dead)
		return;
	if (c->below && e)
		conn_end(c->below);
	else if (c->below)
		conn_finish(c->below);
	c->below = NULL;
	coded_die(c);
	c->conn.user = &conn_nobody;
	if (user && user->on_gone)
		user->on_gone(&c->conn, c->conn.arg, &why);
}

/* ---- out ---- */

static void pass(struct coded *c, struct buf *out)
{
	if (buf_len(out) && c->below)
		conn_write(c->below, out->p + out->at, buf_len(out));
	buf_fini(out);
}

static void send_wrapped(struct coded *c, struct slice bytes)
{
	struct buf out = BUF_INIT;
	struct err e;

	c->conn.bytes_out += bytes.n;
	if (!c->ops->wrap) {
		conn_write(c->below, bytes.p, bytes.n);
	} else if (c->ops->wrap(c->codec, bytes, &out) == 0) {
		pass(c, &out);
	} else {
		buf_fini(&out);
		err_set(&e, ERR_LIMIT, "no memory to send");
		coded_gone(c, &e);
	}
}

static size_t coded_backlog(const struct conn *conn)
{
	const struct coded *c = (const struct coded *)conn;

	return buf_len(&c->early) + (c->below ? conn_backlog(c->below) : 0);
}

static void coded_write(struct conn *conn, const uint8_t *p, size_t n)
{
	struct coded *c = coded_of(conn);

	if (c->dead || !c->below || conn->is_shut || !n)
		return;
	if (c->at == CODED_WAITING)
		(void)buf_add(
			&c->early, p, n); /* early.failed is looked at in opened() */
	else
		send_wrapped(c, slice_bytes(p, n));
	if (!c->below || coded_backlog(conn) <= CONN_HIGH)
		return;
	conn->owes_room = true;
	c->below->owes_room = true;
}

static void coded_flush(struct conn *conn)
{
	struct coded *c = coded_of(conn);

	if (c->below)
		conn_flush(c->below);
}

/* ---- ends ---- */

static void ended_both_ways(struct coded *c)
{
	if (c->conn.is_eof && (c->conn.is_shut || c->ops->is_whole))
		coded_gone(c, NULL);
}

static void tell_eof(struct coded *c)
{
	c->conn.owes_eof = false;
	c->conn.is_eof = true;
	if (c->conn.user && c->conn.user->on_eof)
		c->conn.user->on_eof(&c->conn, c->conn.arg);
	if (!c->dead)
		ended_both_ways(c);
}

static void got_eof(struct coded *c)
{
	if (c->dead || c->conn.is_eof || c->conn.owes_eof)
		return;
	c->conn.owes_eof = true;
	if (c->conn.user && !c->conn.is_paused && !c->show_kept)
		tell_eof(c);
}

static void shut_below(struct coded *c)
{
	if (c->below && c->at != CODED_WAITING && !c->ops->is_whole)
		conn_shutdown(c->below);
	ended_both_ways(c);
}

/* ---- in ---- */

static void opened(struct coded *c)
{
	struct buf early = c->early;
	struct err e;

	c->early = BUF_INIT;
	timer_clear(&c->timer);
	if (early.failed) {
		err_set(&e, ERR_LIMIT, "no memory to send");
		coded_gone(c, &e);
	} else if (buf_len(&early)) {
		send_wrapped(c, buf_slice(&early));
	}
	buf_fini(&early);
	if (c->dead)
		return;
	if (c->conn.is_shut)
		shut_below(c);
	c->conn.is_open = true;
	if (c->conn.user && c->conn.user->on_open)
		c->conn.user->on_open(&c->conn, c->conn.arg);
}

static void show(struct coded *c, struct buf *plain)
{
	struct err e;

	c->conn.bytes_in += buf_len(plain);
	if (plain->failed || (buf_len(plain) && kept_in(&c->in, &c->conn,
							(uint8_t *)plain->p + plain->at,
							buf_len(plain), 0) < 0)) {
		err_set(&e, ERR_LIMIT, "no memory to receive");
		coded_gone(c, &e);
	}
}

static bool wants_in(const struct coded *c)
{
	return c->at == CODED_WAITING ||
	       (!c->conn.is_paused && kept_len(&c->in) < c->conn.hold);
}

static size_t below_in(struct conn *below, void *arg, const uint8_t *p, size_t n)
{
	struct coded *c = arg;
	enum coded_at was = c->at, now = c->at;
	struct buf plain = BUF_INIT, out = BUF_INIT;
	struct err e = {0};
	int rc = c->ops->read(c->codec, slice_bytes(p, n), &plain, &out, &now, &e);

	(void)below;
	pass(c, &out);
	c->at = now;
	if (was == CODED_WAITING && now != CODED_WAITING)
		opened(c);
	if (!c->dead)
		show(c, &plain);
	buf_fini(&plain);
	if (!c->dead && rc < 0)
		coded_gone(c, &e);
	if (!c->dead && now == CODED_OVER)
		got_eof(c);
	if (!c->dead && c->below && !wants_in(c))
		conn_pause(c->below);
	return n;
}

static void greet(struct coded *c)
{
	struct buf out = BUF_INIT;

	if (c->greeted)
		return;
	c->greeted = true;
	c->conn.local = c->below->local;
	c->conn.peer = c->below->peer;
	if (c->timeout)
		timer_set(&c->timer, c->timeout);
	c->ops->greet(c->codec, &out);
	pass(c, &out);
}

static void below_open(struct conn *below, void *arg)
{
	(void)below;
	greet(arg);
}

static void below_room(struct conn *below, void *arg)
{
	struct coded *c = arg;

	(void)below;
	if (!c->conn.owes_room || coded_backlog(&c->conn) > CONN_LOW)
		return;
	c->conn.owes_room = false;
	if (c->conn.user && c->conn.user->on_room)
		c->conn.user->on_room(&c->conn, c->conn.arg);
}

static void early_end(struct coded *c)
{
	struct err e;

	err_set(&e, ERR_CLOSED, "it closed the connection instead of an answer");
	coded_gone(c, &e);
}

static void below_eof(struct conn *below, void *arg)
{
	struct coded *c = arg;

	(void)below;
	if (c->at == CODED_WAITING)
		early_end(c);
	else
		got_eof(c);
}

static void below_gone(struct conn *below, void *arg, const struct err *e)
{
	struct coded *c = arg;

	(void)below;
	c->below = NULL;
	if (e->code != ERR_NONE)
		coded_gone(c, e);
	else if (c->at == CODED_WAITING)
		early_end(c);
	else
		got_eof(c);
}

static const struct conn_user below_user = {.on_open = below_open,
	.on_in = below_in,
	.on_room = below_room,
	.on_eof = below_eof,
	.on_gone = below_gone};

/* ---- operations ---- */

static void on_timer(struct timer *t)
{
	struct coded *c = container_of(t, struct coded, timer);
	struct err e;

	err_set(&e, ERR_TIMEOUT, "no answer within %llu ms",
		(unsigned long long)(c->timeout / NS_PER_MS));
	coded_gone(c, &e);
}

static void coded_free(struct coded *c)
{
	later_clear(&c->later);
	kept_fini(&c->in);
	buf_fini(&c->early);
	c->ops->free(c->codec);
	conn_fini(&c->conn);
	free(c);
}

static void show_again(struct coded *c)
{
	c->show_kept = false;
	if (c->conn.is_paused || !c->conn.user)
		return;
	kept_again(&c->in, &c->conn);
	if (!c->dead && c->conn.owes_eof && !c->conn.is_paused && !c->show_kept)
		tell_eof(c);
	if (!c->dead && c->below && wants_in(c))
		conn_resume(c->below);
}

static void on_later(struct later *d)
{
	struct coded *c = container_of(d, struct coded, later);

	if (c->dead)
		coded_free(c);
	else if (c->show_kept)
		show_again(c);
}

static void coded_read(struct conn *conn, bool on)
{
	struct coded *c = coded_of(conn);

	if (c->dead)
		return;
	if (on) {
		c->show_kept = true;
		loop_later(conn->loop, &c->later);
	} else if (c->at != CODED_WAITING && c->below) {
		conn_pause(c->below);
	}
}

static void coded_shutdown(struct conn *conn)
{
	struct coded *c = coded_of(conn);

	if (!c->dead && c->at != CODED_WAITING)
		shut_below(c);
}

static void say_bye(struct coded *c)
{
	struct buf out = BUF_INIT;

	if (c->ops->bye && c->at == CODED_OPEN)
		c->ops->bye(c->codec, &out);
	pass(c, &out);
}

static void coded_close(struct conn *conn, int how)
{
	struct coded *c = coded_of(conn);

	if (c->dead)
		return;
	if (c->below && how == CONN_CLOSE_FINISH) {
		say_bye(c);
		conn_finish(c->below);
	} else if (c->below && how == CONN_CLOSE_ABORT) {
		conn_abort(c->below);
	} else if (c->below) {
		conn_end(c->below);
	}
	c->below = NULL;
	coded_die(c);
}

static const struct conn_ops coded_conn_ops = {.write = coded_write,
	.flush = coded_flush,
	.backlog = coded_backlog,
	.read = coded_read,
	.shutdown = coded_shutdown,
	.close = coded_close};

struct conn *codedconn_new(struct conn *below, const struct coded_ops *ops, void *codec,
	uint64_t timeout, struct err *e)
{
	struct coded *c = calloc(1, sizeof *c);

	if (!c) {
		err_set(e, ERR_LIMIT, "no memory for a connection");
		ops->free(codec);
		conn_end(below);
		return NULL;
	}
	conn_init(&c->conn, below->loop, &coded_conn_ops);
	c->below = below;
	c->ops = ops;
	c->codec = codec;
	c->timeout = timeout;
	later_init(&c->later, on_later);
	timer_init(&c->timer, below->loop, on_timer);
	conn_use(below, &below_user, c);
	if (below->is_open)
		greet(c);
	return &c->conn;
}
