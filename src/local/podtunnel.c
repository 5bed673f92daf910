/* SPDX-License-Identifier: Apache-2.0 */
#include "local/podtunnel.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "sys/ns.h"

#define CONNECT_TIME (10 * NS_PER_S)

static void leave_net(struct tunnel *t)
{
	if (t->net >= 0)
		close(t->net);
	t->net = -1;
}

void tunnel_end(struct tunnel *t)
{
	if (t->conn)
		conn_finish(t->conn);
	t->conn = NULL;
	leave_net(t);
	buf_fini(&t->early);
	later_clear(&t->over);
}

static void over(struct later *d)
{
	struct tunnel *t = container_of(d, struct tunnel, over);

	tunnel_end(t);
	t->user->on_over(t, *t->why ? t->why : NULL);
}

static void end_soon(struct tunnel *t)
{
	t->conn = NULL;
	loop_later(t->loop, &t->over);
}

/* ---- the pod's side ---- */

static void on_open(struct conn *c, void *arg)
{
	struct tunnel *t = arg;

	leave_net(t);
	*t->why = 0;
	if (buf_len(&t->early))
		conn_write(c, t->early.p + t->early.at, buf_len(&t->early));
	buf_fini(&t->early);
	if (t->is_shut)
		conn_shutdown(c);
	if (conn_backlog(c) <= CONN_LOW)
		t->user->on_room(t); /* else the conn tells */
}

static size_t on_in(struct conn *c, void *arg, const uint8_t *p, size_t n)
{
	struct tunnel *t = arg;

	(void)c;
	t->user->on_in(t, slice_bytes(p, n));
	return n;
}

static void on_room(struct conn *c, void *arg)
{
	struct tunnel *t = arg;

	(void)c;
	t->user->on_room(t);
}

static void on_eof(struct conn *c, void *arg)
{
	struct tunnel *t = arg;

	(void)c;
	t->user->on_eof(t);
}

static bool dial(struct tunnel *t, struct err *e);

/* Once it was open its end is no failure: the pod has closed, if rudely. */
static void on_gone(struct conn *c, void *arg, const struct err *e)
{
	struct tunnel *t = arg;
	struct err second = {0};
	bool is_first = t->to.ip.family == 4;

	t->conn = NULL;
	if (c->is_open) {
		end_soon(t);
		return;
	}
	if (is_first)
		snprintf(t->why, sizeof(t->why),
			"failed to connect to localhost:%u inside namespace of the "
			"pod: %s",
			t->port, e->msg);
	if (is_first && ip_parse(SLICE("::1"), &t->to.ip) && dial(t, &second))
		return;
	end_soon(t);
}

static const struct conn_user pod_user = {.on_open = on_open,
	.on_in = on_in,
	.on_room = on_room,
	.on_eof = on_eof,
	.on_gone = on_gone};

/* A socket belongs to the namespace it was made in. */
static bool dial(struct tunnel *t, struct err *e)
{
	static const struct tcp_opts opts = {.connect_timeout = CONNECT_TIME};
	int back = ns_net_enter(t->net, e);

	if (back < 0)
		return false;
	t->conn = tcp_dial(t->loop, &t->to, &opts, e);
	ns_net_leave(back);
	if (t->conn)
		conn_use(t->conn, &pod_user, t);
	return t->conn;
}

void tunnel_begin(struct tunnel *t, struct loop *l, int net, uint16_t port,
	const struct tunnel_user *user)
{
	struct err e = {0};

	t->user = user;
	t->loop = l;
	t->port = port;
	t->early = BUF_INIT;
	later_init(&t->over, over);
	t->to.port = port;
	(void)ip_parse(SLICE("127.0.0.1"), &t->to.ip);
	t->net = net < 0 ? -1 : fcntl(net, F_DUPFD_CLOEXEC, 3);
	if (t->net >= 0 && dial(t, &e))
		return;
	snprintf(t->why, sizeof(t->why), "%s",
		e.code ? e.msg : "the pod is not running");
	end_soon(t);
}

/* ---- the owner's side ---- */

void tunnel_write(struct tunnel *t, struct slice bytes)
{
	if (!t->conn || t->is_shut)
		return;
	if (t->conn->is_open)
		conn_write(t->conn, bytes.p, bytes.n);
	else
		(void)buf_adds(&t->early, bytes);
}

void tunnel_shutdown(struct tunnel *t)
{
	t->is_shut = true;
	if (t->conn && t->conn->is_open && !t->conn->is_shut)
		conn_shutdown(t->conn);
}

void tunnel_pause(struct tunnel *t, bool on)
{
	if (!t->conn || t->conn->is_paused == on)
		return;
	if (on)
		conn_pause(t->conn);
	else
		conn_resume(t->conn);
}

size_t tunnel_backlog(const struct tunnel *t)
{
	return buf_len(&t->early) + (t->conn ? conn_backlog(t->conn) : 0);
}
