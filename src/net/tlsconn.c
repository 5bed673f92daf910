/* SPDX-License-Identifier: Apache-2.0 */
#include "net/tlsconn.h"

#include <stdlib.h>

#include "base/clock.h"
#include "net/transport.h"

enum tlsconn_at { TLS_SHAKING, TLS_OPEN, TLS_DEAD };

struct tlsconn {
	struct conn conn; /* first */
	enum tlsconn_at at;
	struct conn *below; /* NULL once it is gone or ended */
	struct tls *tls;
	struct later later; /* seal what was written; show what is kept; free */
	struct later turn;  /* a server's handshake: what it costs waits for it */
	struct timer timer; /* the handshake's */
	uint64_t timeout;
	struct kept in;
	struct buf out; /* plaintext, to be sealed at the end of the turn */
	bool close_sent, show_kept;
	bool is_client, begun, has_turn;
	bool no_memory; /* for what was written: it fails at the end of the turn */
};

static const struct conn_ops tlsconn_ops;

static struct tlsconn *tls_of(struct conn *c)
{
	must(c && c->magic == CONN_MAGIC && c->ops == &tlsconn_ops);
	return (struct tlsconn *)c;
}

/* A handshake's memory is not kept until the turn ends: a flood of them is one turn. */
static void tls_dead(struct tlsconn *t)
{
	t->at = TLS_DEAD;
	tls_free(t->tls);
	t->tls = NULL;
	timer_clear(&t->timer);
	later_clear(&t->turn);
	loop_later(t->conn.loop, &t->later);
}

static void tls_gone(struct tlsconn *t, const struct err *e)
{
	struct err ok = {.code = ERR_NONE};
	const struct conn_user *user = t->conn.user;

	if (t->at == TLS_DEAD)
		return;
	tls_dead(t);
	t->conn.user = &conn_nobody;
	if (user && user->on_gone)
		user->on_gone(&t->conn, t->conn.arg, e ? e : &ok);
}

/* The session is broken: what is to be said to the peer (an alert) still leaves. */
static void tls_fail(struct tlsconn *t, const struct err *e)
{
	struct err why = *e;

	if (t->below)
		conn_finish(t->below);
	t->below = NULL;
	tls_gone(t, &why);
}

/* ---- out ---- */

/* Seals straight into the loop's second scratch, a piece at a time. */
#define SEAL_PIECE (4 * (size_t)TLS_RECORD_MAX)

/*
 * Both scratches lie alike in their pages, and a record's text starts a few bytes
 * further than where it is copied from.  Processors with fast `rep movs` copy ten times
 * slower then (seen on AMD Zen 4: 3 GB/s), so the sealed side lies half a page further.
 */
#define SEAL_SKEW ((size_t)2048)

_Static_assert(SEAL_SKEW + SEAL_PIECE + 5 * TLS_RECORD_EXTRA + TLS_KEY_UPDATE_SIZE <=
		       LOOP_SCRATCH,
	"a sealed piece does not fit the scratch");

static void seal(struct tlsconn *t, const uint8_t *p, size_t n)
{
	uint8_t *to = loop_scratch(t->conn.loop, 1) + SEAL_SKEW;

	while (n > 0 && t->below) {
		size_t piece = n < SEAL_PIECE ? n : SEAL_PIECE;
		size_t sealed = tls_seal(t->tls, to, p, piece);

		conn_write(t->below, to, sealed);
		p += piece;
		n -= piece;
	}
}

/* Both directions have ended: what lies below ends when it has sent what it has. */
static void ended_both_ways(struct tlsconn *t)
{
	if (t->at != TLS_OPEN || !t->close_sent || !t->conn.is_eof)
		return;
	if (t->below)
		conn_finish(t->below);
	t->below = NULL;
	tls_gone(t, NULL);
}

static void send_close(struct tlsconn *t)
{
	uint8_t close_notify[TLS_RECORD_EXTRA + 2];

	if (t->close_sent || !t->below || t->at != TLS_OPEN || buf_len(&t->out))
		return;
	t->close_sent = true;
	conn_write(t->below, close_notify, tls_seal_close(t->tls, close_notify));
	conn_shutdown(t->below);
	ended_both_ways(t);
}

static void tlsconn_flush(struct conn *c)
{
	struct tlsconn *t = tls_of(c);
	struct slice s = buf_slice(&t->out);

	if (t->at != TLS_OPEN || !t->below)
		return;
	if (s.n) {
		t->conn.bytes_out += s.n;
		seal(t, (const uint8_t *)s.p, s.n);
		buf_take(&t->out, buf_len(&t->out));
	}
	if (t->conn.is_shut)
		send_close(t);
	if (!t->below)
		return;
	t->below->owes_room |= t->conn.owes_room; /* it tells us, and we the user */
	conn_flush(t->below);
}

#define SEAL_NOW ((size_t)16 * 1024)

static void tlsconn_write(struct conn *c, const uint8_t *p, size_t n)
{
	struct tlsconn *t = tls_of(c);

	if (t->at == TLS_DEAD || c->is_shut || t->no_memory || !n)
		return;
	if (n >= SEAL_NOW && t->at == TLS_OPEN && !buf_len(&t->out)) {
		t->conn.bytes_out += n;
		seal(t, p, n);
	} else if (buf_add(&t->out, p, n) < 0) {
		t->no_memory = true;
	}
	if (conn_backlog(c) > CONN_HIGH)
		t->conn.owes_room = true;
	loop_later(c->loop, &t->later);
}

static size_t tlsconn_backlog(const struct conn *c)
{
	const struct tlsconn *t = (const struct tlsconn *)c;

	return buf_len(&t->out) + (t->below ? conn_backlog(t->below) : 0);
}

/* ---- in: records ---- */

static void tell_eof(struct tlsconn *t)
{
	t->conn.owes_eof = false;
	t->conn.is_eof = true;
	if (t->conn.user && t->conn.user->on_eof)
		t->conn.user->on_eof(&t->conn, t->conn.arg);
	ended_both_ways(t);
}

static void got_eof(struct tlsconn *t)
{
	if (t->conn.is_eof || t->conn.owes_eof)
		return;
	t->conn.owes_eof = true;
	if (t->conn.user && !t->conn.is_paused && !t->show_kept)
		tell_eof(t);
}

static void reply(struct tlsconn *t)
{
	struct buf b = BUF_INIT;

	if (tls_reply(t->tls, &b) == 0 && t->below)
		conn_write(t->below, buf_slice(&b).p, buf_len(&b));
	buf_fini(&b);
}

static bool wants_in(const struct tlsconn *t)
{
	return t->at == TLS_OPEN && t->below && !t->conn.is_paused && t->conn.user &&
	       kept_len(&t->in) < t->conn.hold;
}

/* Plaintext of one or more records, moved together. */
struct plain {
	uint8_t *p;
	size_t n;
};

static void gather(struct plain *all, const struct tls_piece *piece)
{
	if (!all->n)
		all->p = piece->p;
	else
		memmove(all->p + all->n, piece->p, piece->n);
	all->n += piece->n;
}

static void show(struct tlsconn *t, const struct plain *all)
{
	struct err e;

	t->conn.bytes_in += all->n;
	if (!all->n || kept_in(&t->in, &t->conn, all->p, all->n, 0) == 0)
		return;
	err_set(&e, ERR_LIMIT, "no memory to receive");
	tls_fail(t, &e);
}

/*
 * Records are opened where they lie: the bytes shown by the conn below are its own
 * (scratch, or what it kept), nobody else reads them again.  What many records hold is
 * shown at once: a move within the cache is cheaper than a call for each further on.
 */
static size_t open_records(struct tlsconn *t, uint8_t *p, size_t n)
{
	struct tls_piece piece = {.kind = TLS_QUIET};
	struct plain all = {NULL, 0};
	struct err e = {.code = ERR_NONE};
	size_t used = 0;

	while (used < n && piece.kind != TLS_EOF && t->at == TLS_OPEN) {
		if (tls_open(t->tls, p + used, n - used, &piece, &e) < 0 ||
			piece.kind == TLS_PART)
			break;
		used += piece.used;
		if (piece.must_send && conn_backlog(t->below) <= CONN_HIGH)
			reply(t); /* else it goes along with what is sent next */
		if (piece.kind == TLS_DATA && piece.n)
			gather(&all, &piece);
	}
	show(t, &all);
	if (t->at == TLS_OPEN && e.code != ERR_NONE) {
		reply(t); /* the alert */
		tls_fail(t, &e);
	}
	if (t->at == TLS_OPEN && piece.kind == TLS_EOF)
		got_eof(t);
	return used;
}

static size_t records_in(struct tlsconn *t, uint8_t *p, size_t n)
{
	size_t used = 0;

	if (t->conn.is_eof || t->conn.owes_eof)
		return n; /* nothing counts behind close_notify */
	if (wants_in(t))
		used = open_records(t, p, n);
	if (t->at == TLS_OPEN && t->below && !wants_in(t))
		conn_pause(t->below);
	return used;
}

/* ---- in: the handshake ---- */

static void shaken(struct tlsconn *t)
{
	t->at = TLS_OPEN;
	timer_clear(&t->timer);
	t->conn.is_open = true;
	if (t->conn.user && t->conn.user->on_open)
		t->conn.user->on_open(&t->conn, t->conn.arg);
	if (t->at == TLS_OPEN && (buf_len(&t->out) || t->conn.is_shut))
		loop_later(t->conn.loop, &t->later);
}

static size_t shake(struct tlsconn *t, const uint8_t *p, size_t n)
{
	struct buf out = BUF_INIT;
	size_t used = 0;
	struct err e;
	int r = tls_handshake(t->tls, p, n, &used, &out, &e);

	t->begun = true;
	if (buf_len(&out))
		conn_write(t->below, buf_slice(&out).p, buf_len(&out));
	buf_fini(&out);
	if (t->at != TLS_SHAKING)
		return used; /* what lies below has ended meanwhile */
	if (r < 0)
		tls_fail(t, &e);
	else if (r > 0)
		shaken(t);
	return used;
}

/* What others ask for is done when there is nothing else to do, one by one. */
static bool waits_for_turn(struct tlsconn *t)
{
	if (t->is_client || t->has_turn) {
		t->has_turn = false;
		return false;
	}
	conn_pause(t->below);
	loop_spare(t->conn.loop, &t->turn);
	return true;
}

static void on_turn(struct later *d)
{
	struct tlsconn *t = container_of(d, struct tlsconn, turn);

	t->has_turn = true;
	if (t->below)
		conn_resume(t->below);
}

static size_t below_in(struct conn *below, void *arg, const uint8_t *p, size_t n)
{
	struct tlsconn *t = arg;
	size_t used = 0;

	(void)below;
	if (t->at == TLS_SHAKING && waits_for_turn(t))
		return 0;
	if (t->at == TLS_SHAKING)
		used = shake(t, p, n);
	if (t->at == TLS_OPEN)
		used += records_in(t, (uint8_t *)p + used, n - used);
	return used;
}

static void begin(struct tlsconn *t)
{
	t->conn.local = t->below->local;
	t->conn.peer = t->below->peer;
	if (t->timeout)
		timer_set(&t->timer, t->timeout);
	if (t->is_client && !t->begun)
		loop_later(t->conn.loop, &t->later);
}

static void below_open(struct conn *below, void *arg)
{
	(void)below;
	begin(arg);
}

static void below_room(struct conn *below, void *arg)
{
	struct tlsconn *t = arg;

	(void)below;
	if (!t->conn.owes_room || conn_backlog(&t->conn) > CONN_LOW)
		return;
	t->conn.owes_room = false;
	if (t->conn.user && t->conn.user->on_room)
		t->conn.user->on_room(&t->conn, t->conn.arg);
}

/* FIN without close_notify: in order for a proxy, which passes it on as it came. */
static void below_eof(struct conn *below, void *arg)
{
	struct tlsconn *t = arg;
	struct err e;

	(void)below;
	if (t->at == TLS_SHAKING) {
		err_set(&e, ERR_CLOSED, "closed by the peer during the TLS handshake");
		tls_fail(t, &e);
	} else if (t->at == TLS_OPEN) {
		got_eof(t);
	}
}

static void below_gone(struct conn *below, void *arg, const struct err *e)
{
	struct tlsconn *t = arg;
	struct err why = *e;

	(void)below;
	t->below = NULL;
	if (t->at == TLS_SHAKING && why.code == ERR_NONE)
		err_set(&why, ERR_CLOSED, "closed during the TLS handshake");
	if (why.code == ERR_NONE) {
		got_eof(t); /* we are gone when the user has seen what came before */
		ended_both_ways(t);
	} else {
		tls_gone(t, &why);
	}
}

static const struct conn_user below_user = {.on_open = below_open,
	.on_in = below_in,
	.on_room = below_room,
	.on_eof = below_eof,
	.on_gone = below_gone};

/* ---- operations ---- */

static void on_timer(struct timer *timer)
{
	struct tlsconn *t = container_of(timer, struct tlsconn, timer);
	struct err e;

	err_set(&e, ERR_TIMEOUT, "the TLS handshake took longer than %llu ms",
		(unsigned long long)(t->timeout / NS_PER_MS));
	if (t->below)
		conn_end(t->below);
	t->below = NULL;
	tls_gone(t, &e);
}

static void tlsconn_free(struct tlsconn *t)
{
	later_clear(&t->later);
	kept_fini(&t->in);
	buf_fini(&t->out);
	tls_free(t->tls);
	conn_fini(&t->conn);
	free(t);
}

static void show_again(struct tlsconn *t)
{
	t->show_kept = false;
	if (t->conn.is_paused || t->at != TLS_OPEN || !t->conn.user)
		return;
	kept_again(&t->in, &t->conn);
	if (t->at == TLS_OPEN && t->conn.owes_eof && !t->conn.is_paused &&
		!t->show_kept)
		tell_eof(t);
	if (t->below && wants_in(t))
		conn_resume(t->below);
}

static void no_memory(struct tlsconn *t)
{
	struct err e;

	err_set(&e, ERR_LIMIT, "no memory to send");
	tls_fail(t, &e);
}

static void tlsconn_close(struct conn *c, int how);

static void on_later(struct later *d)
{
	struct tlsconn *t = container_of(d, struct tlsconn, later);

	if (t->at == TLS_DEAD) {
		tlsconn_free(t);
		return;
	}
	if (t->no_memory) {
		no_memory(t);
		return;
	}
	if (t->at == TLS_SHAKING && t->is_client && !t->begun && t->below &&
		t->below->is_open)
		(void)shake(t, NULL, 0);
	if (t->show_kept)
		show_again(t);
	if (t->at == TLS_OPEN && conn_is_left(&t->conn))
		tlsconn_close(&t->conn, CONN_CLOSE_FINISH); /* put off until now */
	else if (t->at == TLS_OPEN)
		tlsconn_flush(&t->conn);
}

static void tlsconn_read(struct conn *c, bool on)
{
	struct tlsconn *t = tls_of(c);

	if (t->at == TLS_DEAD)
		return;
	if (!on) {
		if (t->at == TLS_OPEN && t->below)
			conn_pause(t->below);
		return;
	}
	t->show_kept = true;
	loop_later(c->loop, &t->later);
}

static void tlsconn_shutdown(struct conn *c)
{
	loop_later(c->loop, &tls_of(c)->later);
}

static void tlsconn_close(struct conn *c, int how)
{
	struct tlsconn *t = tls_of(c);

	if (t->at == TLS_DEAD)
		return;
	if (t->below && how == CONN_CLOSE_FINISH && t->at == TLS_SHAKING &&
		buf_len(&t->out)) {
		c->is_shut = true; /* on_later() ends it when it is open */
		return;
	}
	if (t->below && how == CONN_CLOSE_FINISH && t->at == TLS_OPEN) {
		tlsconn_flush(c);
		send_close(t);
	}
	if (t->below) {
		if (how == CONN_CLOSE_FINISH)
			conn_finish(t->below);
		else if (how == CONN_CLOSE_ABORT)
			conn_abort(t->below);
		else
			conn_end(t->below);
	}
	t->below = NULL;
	tls_dead(t);
}

static const struct conn_ops tlsconn_ops = {.write = tlsconn_write,
	.flush = tlsconn_flush,
	.backlog = tlsconn_backlog,
	.read = tlsconn_read,
	.shutdown = tlsconn_shutdown,
	.close = tlsconn_close};

static struct conn *tlsconn_new(struct conn *below, struct tls *tls, bool client,
	uint64_t timeout, struct err *e)
{
	struct tlsconn *t = tls ? calloc(1, sizeof *t) : NULL;

	if (!t) {
		if (tls)
			err_set(e, ERR_LIMIT, "no memory for a TLS connection");
		tls_free(tls);
		conn_end(below);
		return NULL;
	}
	conn_init(&t->conn, below->loop, &tlsconn_ops);
	t->below = below;
	t->tls = tls;
	t->is_client = client;
	t->timeout = timeout;
	t->has_turn = true; /* who has many to begin begins one at a time */
	later_init(&t->later, on_later);
	later_init(&t->turn, on_turn);
	timer_init(&t->timer, below->loop, on_timer);
	conn_use(below, &below_user, t);
	if (below->is_open)
		begin(t);
	return &t->conn;
}

struct conn *tlsconn_client(struct conn *below, const struct tls_config *cfg,
	uint64_t timeout, struct err *e)
{
	return tlsconn_new(below, tls_client(cfg, e), true, timeout, e);
}

struct conn *tlsconn_server(struct conn *below, const struct tls_config *cfg,
	uint64_t timeout, struct err *e)
{
	return tlsconn_new(below, tls_server(cfg, e), false, timeout, e);
}

const struct tls *conn_tls(const struct conn *c)
{
	return c->ops == &tlsconn_ops ? ((const struct tlsconn *)c)->tls : NULL;
}

struct conn *conn_base(struct conn *c)
{
	while (c->ops == &tlsconn_ops && ((struct tlsconn *)c)->below)
		c = ((struct tlsconn *)c)->below;
	return c;
}
