/* SPDX-License-Identifier: Apache-2.0 */
#include "net/conn.h"

#include "net/transport.h"

void conn_init(struct conn *c, struct loop *l, const struct conn_ops *ops)
{
	c->magic = CONN_MAGIC;
	c->loop = l;
	c->ops = ops;
	c->hold = CONN_HELD;
}

void conn_fini(struct conn *c)
{
	struct conn_count *n = c->count;

	if (n) {
		conn_count_look(n);
		n->conn = NULL;
	}
	c->count = NULL;
	c->magic = 0;
}

void conn_count_begin(struct conn_count *n, struct conn *c)
{
	must(!c->count);
	*n = (struct conn_count){.conn = c};
	c->count = n;
}

void conn_count_look(struct conn_count *n)
{
	if (!n->conn)
		return;
	n->in = n->conn->bytes_in;
	n->out = n->conn->bytes_out;
}

void conn_count_end(struct conn_count *n)
{
	conn_count_look(n);
	if (n->conn)
		n->conn->count = NULL;
	n->conn = NULL;
}

void conn_pause(struct conn *c)
{
	c->is_paused = true;
	c->ops->read(c, false);
}

void conn_resume(struct conn *c)
{
	c->is_paused = false;
	c->ops->read(c, true);
}

void conn_use(struct conn *c, const struct conn_user *user, void *arg)
{
	c->user = user;
	c->arg = arg;
	c->hold = CONN_HELD;
	c->owes_eof |= c->is_eof; /* behind what is kept */
	c->is_eof = false;
	conn_resume(c);
}

void conn_shutdown(struct conn *c)
{
	if (c->is_shut)
		return;
	c->is_shut = true;
	c->ops->shutdown(c);
}

static void leave(struct conn *c, int how)
{
	must(c->magic == CONN_MAGIC);
	c->user = &conn_nobody;
	c->arg = NULL;
	c->ops->close(c, how);
}

void conn_end(struct conn *c)
{
	leave(c, CONN_CLOSE_NOW);
}

void conn_finish(struct conn *c)
{
	leave(c, CONN_CLOSE_FINISH);
}

void conn_abort(struct conn *c)
{
	leave(c, CONN_CLOSE_ABORT);
}

bool conn_has_ended(const struct conn *c)
{
	return c->ops->ended && c->ops->ended(c);
}

static size_t nobody_in(struct conn *c, void *arg, const uint8_t *p, size_t n)
{
	(void)c, (void)arg, (void)p;
	return n; /* what comes after the user has left is thrown away */
}

static void nobody_gone(struct conn *c, void *arg, const struct err *e)
{
	(void)c, (void)arg, (void)e;
}

const struct conn_user conn_nobody = {.on_in = nobody_in, .on_gone = nobody_gone};
