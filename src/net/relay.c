/* SPDX-License-Identifier: Apache-2.0 */
#include "net/relay.h"

#include <stdlib.h>

struct relay_side {
	struct relay *relay;
	struct conn *conn; /* NULL once it is gone */
	struct relay_side *other;
	uint64_t bytes; /* that came from here */
};

struct relay {
	struct relay_side side[2];
	relay_done *done;
	void *arg;
	struct err why;
};

static size_t on_in(struct conn *c, void *arg, const uint8_t *p, size_t n)
{
	struct relay_side *s = arg;
	struct conn *to = s->other->conn;

	s->bytes += n;
	if (!to)
		return n;
	conn_write(to, p, n);
	if (s->other->conn && conn_backlog(to) > CONN_HIGH)
		conn_pause(c);
	return n;
}

static void on_room(struct conn *c, void *arg)
{
	struct relay_side *s = arg;

	(void)c;
	if (s->other->conn)
		conn_resume(s->other->conn);
}

static void on_eof(struct conn *c, void *arg)
{
	struct relay_side *s = arg;

	(void)c;
	if (s->other->conn)
		conn_shutdown(s->other->conn);
}

static void finished(struct relay *r)
{
	relay_done *done = r->done;
	void *arg = r->arg;
	struct err why = r->why;
	uint64_t a = r->side[0].bytes, b = r->side[1].bytes;

	free(r);
	done(arg, &why, a, b);
}

/*
 * One side is over.  After an error the other is reset, so that its peer learns of it;
 * after an end in order it has only to send what it still has.
 */
static void on_gone(struct conn *c, void *arg, const struct err *e)
{
	struct relay_side *s = arg;
	struct relay *r = s->relay;

	(void)c;
	s->conn = NULL;
	if (r->why.code == ERR_NONE)
		r->why = *e;
	if (!s->other->conn) {
		finished(r);
		return;
	}
	if (e->code == ERR_NONE)
		return; /* it has told eof and was shut down: the other's end is near */
	conn_abort(s->other->conn);
	s->other->conn = NULL;
	finished(r);
}

static const struct conn_user relay_user = {
	.on_in = on_in, .on_room = on_room, .on_eof = on_eof, .on_gone = on_gone};

struct relay *relay_new(
	struct conn *a, struct conn *b, relay_done *done, void *arg, struct err *e)
{
	struct relay *r = calloc(1, sizeof *r);

	if (!r) {
		err_set(e, ERR_LIMIT, "no memory for a relay");
		return NULL;
	}
	r->done = done;
	r->arg = arg;
	r->side[0] = (struct relay_side){r, a, &r->side[1], 0};
	r->side[1] = (struct relay_side){r, b, &r->side[0], 0};
	conn_use(a, &relay_user, &r->side[0]);
	conn_use(b, &relay_user, &r->side[1]); /* tells of an end that came before us */
	return r;
}

void relay_end(struct relay *r)
{
	for (int i = 0; i < 2; i++)
		if (r->side[i].conn)
			conn_abort(r->side[i].conn);
	free(r);
}
