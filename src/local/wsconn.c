/* SPDX-License-Identifier: Apache-2.0 */
#include "local/wsconn.h"

/* ---- out ---- */

static void send_op(struct wsconn *w, enum ws_op op, struct slice bytes)
{
	struct buf frame = BUF_INIT;

	if (w->conn && ws_write(&w->ws, op, bytes, &frame) == 0)
		conn_write(w->conn, frame.p + frame.at, buf_len(&frame));
	buf_fini(&frame);
}

void wsconn_send(struct wsconn *w, struct slice bytes)
{
	send_op(w, WS_BINARY, bytes);
}

void wsconn_send_on(struct wsconn *w, enum ws_channel channel, struct slice bytes)
{
	struct buf message = BUF_INIT;

	if (buf_char(&message, (char)channel) == 0 && buf_adds(&message, bytes) == 0)
		send_op(w, WS_BINARY, buf_slice(&message));
	buf_fini(&message);
}

void wsconn_pause(struct wsconn *w, bool on)
{
	if (!w->conn || w->conn->is_paused == on)
		return;
	if (on)
		conn_pause(w->conn);
	else
		conn_resume(w->conn);
}

size_t wsconn_backlog(const struct wsconn *w)
{
	return w->conn ? conn_backlog(w->conn) : 0;
}

void wsconn_finish(struct wsconn *w)
{
	static const char normal[2] = {3, (char)232}; /* 1000 */

	send_op(w, WS_CLOSE, slice_bytes(normal, sizeof(normal)));
	if (w->conn)
		conn_finish(w->conn);
	w->conn = NULL;
}

/* ---- in ---- */

static void left(struct wsconn *w)
{
	w->conn = NULL;
	w->user->on_gone(w->arg);
}

/* False: the client closes. */
static bool take(struct wsconn *w, enum ws_op op, struct slice payload)
{
	switch (op) {
	case WS_TEXT:
	case WS_BINARY:
		w->user->on_message(w->arg, payload);
		break;
	case WS_PING:
		send_op(w, WS_PONG, payload);
		break;
	case WS_CLOSE:
		return false;
	case WS_MORE:
	case WS_PONG:
		break;
	}
	return true;
}

static size_t on_in(struct conn *conn, void *arg, const uint8_t *p, size_t n)
{
	struct wsconn *w = arg;
	struct slice in = slice_bytes(p, n), payload;
	enum ws_op op;
	size_t used;
	int rc = 0;

	while (w->conn && (rc = ws_read(&w->ws, in, &used, &op, &payload, NULL)) == 1) {
		in = (struct slice){in.p + used, in.n - used};
		if (!take(w, op, payload)) {
			rc = -1;
			break;
		}
	}
	if (rc < 0 && w->conn) {
		conn_finish(conn);
		left(w);
	}
	return n;
}

static void on_room(struct conn *conn, void *arg)
{
	struct wsconn *w = arg;

	(void)conn;
	w->user->on_room(w->arg);
}

static void on_eof(struct conn *conn, void *arg)
{
	conn_end(conn);
	left(arg);
}

static void on_gone(struct conn *conn, void *arg, const struct err *e)
{
	(void)conn;
	(void)e;
	left(arg);
}

static const struct conn_user ws_user = {
	.on_in = on_in, .on_room = on_room, .on_eof = on_eof, .on_gone = on_gone};

/* ---- the beginning ---- */

static bool is_offered(struct slice list, const char *protocol)
{
	struct slice one;

	while (slice_cut(&list, ',', &one))
		if (slice_is(slice_trim(one), protocol))
			return true;
	return false;
}

static int choose(struct slice offered, const char *const *protocols)
{
	for (int i = 0; protocols[i]; i++)
		if (is_offered(offered, protocols[i]))
			return i;
	return -1;
}

int wsconn_accept(struct wsconn *w, struct call *c, const char *const *protocols,
	size_t max, const struct wsconn_user *user, void *arg)
{
	const struct fields *f = &c->req->fields;
	struct slice key = fields_get(f, SLICE("sec-websocket-key"));
	int chosen = choose(fields_get(f, SLICE("sec-websocket-protocol")), protocols);
	char accept[WS_ACCEPT];

	if (chosen < 0 || !key.n)
		return -1;
	ws_accept(key, accept);
	call_header(c, "sec-websocket-accept", accept);
	call_header(c, "sec-websocket-protocol", protocols[chosen]);
	w->conn = call_upgrade(c, "websocket");
	if (!w->conn)
		return -1;
	ws_init(&w->ws, true, max);
	w->user = user;
	w->arg = arg;
	conn_use(w->conn, &ws_user, w);
	return chosen;
}

void wsconn_fini(struct wsconn *w)
{
	ws_fini(&w->ws);
}
