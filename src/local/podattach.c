/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attach: what a running container writes from now on, and its standard input, over
 * the same channels as exec.  Several clients may be attached; a client that does not
 * read is sent away, as the container must not wait for it.
 */
#include <errno.h>
#include <unistd.h>

#include "local/podfds.h"
#include "local/podioint.h"

#define INPUT_MAX  ((size_t)1 << 20)
#define UNREAD_MAX ((size_t)4 << 20)

struct attach {
	struct list node;
	struct container *of; /* NULL: it has ended */
	struct loop *loop;
	struct wsconn ws;
	bool in, out, err;
	struct later over;
};

/* ---- ends ---- */

static void attach_free(struct later *d)
{
	struct attach *a = container_of(d, struct attach, over);

	wsconn_fini(&a->ws);
	free(a);
}

static void leave(struct attach *a)
{
	struct container *c = a->of;

	if (!c)
		return;
	a->of = NULL;
	list_remove(&a->node);
	if (a->in && json_bool_at(c->spec, "stdinOnce", false)) {
		c->in_ends = true;
		container_feed(c);
	}
	loop_later(a->loop, &a->over);
}

/* `why` NULL: in order. */
static void say_goodbye(struct attach *a, const char *why)
{
	struct json *s = json_object();
	struct buf text = BUF_INIT;

	json_need_object(s, "metadata");
	json_set_text(s, "status", why ? "Failure" : "Success");
	if (why)
		json_set_text(s, "message", why);
	json_write(s, 0, &text);
	wsconn_send_on(&a->ws, WS_STATUS, buf_slice(&text));
	wsconn_finish(&a->ws);
	buf_fini(&text);
	json_free(s);
	leave(a);
}

void container_detach(struct container *c)
{
	struct attach *a;

	list_each(a, &c->attached, node)
	{
		say_goodbye(a, NULL);
	}
	container_close_in(c);
}

/* ---- what the container says ---- */

void container_show(struct container *c, bool is_err, struct slice bytes)
{
	struct attach *a;

	list_each(a, &c->attached, node)
	{
		if (is_err ? a->err : a->out)
			wsconn_send_on(&a->ws, is_err ? WS_STDERR : WS_STDOUT, bytes);
		if (wsconn_backlog(&a->ws) > UNREAD_MAX)
			say_goodbye(a, "what the container writes is not read");
	}
}

/* ---- what is said to it ---- */

void container_close_in(struct container *c)
{
	if (c->in.fd >= 0) {
		watch_end(&c->in);
		close(c->in.fd);
	}
	c->in.fd = -1;
	buf_fini(&c->input);
}

static void let_on(struct container *c, bool on)
{
	struct attach *a;

	list_each(a, &c->attached, node)
	{
		wsconn_pause(&a->ws, !on);
	}
}

/* False when there is no room now. */
static bool feed_some(struct container *c)
{
	ssize_t n = write(c->in.fd, c->input.p + c->input.at, buf_len(&c->input));

	if (n < 0 && errno == EINTR)
		return true;
	if (n < 0 && errno == EAGAIN)
		return false;
	buf_take(&c->input, n > 0 ? (size_t)n : buf_len(&c->input));
	return true;
}

void container_feed(struct container *c)
{
	while (c->in.fd >= 0 && buf_len(&c->input))
		if (!feed_some(c)) {
			(void)watch_set(&c->in, WATCH_OUT);
			return;
		}
	if (c->in.fd >= 0)
		(void)watch_set(&c->in, 0);
	let_on(c, true);
	if (c->in_ends)
		container_close_in(c);
}

static void on_input_room(struct watch *w, int what)
{
	(void)what;
	container_feed(container_of(w, struct container, in));
}

void container_take_in(struct container *c, int fd)
{
	c->in.fd = -1;
	c->in_ends = false;
	if (fd >= 0)
		watch_init(&c->in, c->pod->node->loop, fd, on_input_room);
}

static void add_input(struct attach *a, struct slice bytes)
{
	struct container *c = a->of;

	if (!a->in || c->in.fd < 0)
		return;
	(void)buf_adds(&c->input, bytes);
	if (buf_len(&c->input) > INPUT_MAX)
		let_on(c, false);
	container_feed(c);
}

static void on_message(void *arg, struct slice m)
{
	struct attach *a = arg;
	struct slice rest = m.n ? slice_bytes(m.p + 1, m.n - 1) : m;

	if (!m.n || !a->of)
		return;
	switch ((uint8_t)m.p[0]) {
	case WS_STDIN:
		add_input(a, rest);
		break;
	case WS_RESIZE:
		if (a->of->in.fd >= 0)
			podfds_resize(a->of->in.fd, rest);
		break;
	case WS_HALF:
		a->of->in_ends |= a->in && rest.n && rest.p[0] == WS_STDIN &&
				  json_bool_at(a->of->spec, "stdinOnce", false);
		container_feed(a->of);
		break;
	default:
		break;
	}
}

static void on_room(void *arg)
{
	(void)arg; /* the container does not wait */
}

static void on_left(void *arg)
{
	leave(arg);
}

static const struct wsconn_user attach_user = {
	.on_message = on_message, .on_room = on_room, .on_gone = on_left};

/* ---- the beginning ---- */

void podio_attach(void *arg, struct call *call, const struct podio_target *t)
{
	struct container *c = podio_find(arg, t);
	struct attach *a;

	if (!c || c->at != CONTAINER_RUNNING) {
		call_text(call, 400, "container \"%s\" is not running\n", t->container);
		return;
	}
	a = calloc(1, sizeof(*a));
	must(a);
	a->of = c;
	a->loop = c->pod->node->loop;
	a->in = t->in;
	a->out = t->out;
	a->err = t->err;
	later_init(&a->over, attach_free);
	if (wsconn_accept(&a->ws, call, podio_protocols, PODIO_MESSAGE_MAX,
		    &attach_user, a) >= 0) {
		list_push(&c->attached, &a->node);
		return;
	}
	free(a);
	call_text(call, 400, "attach needs a WebSocket with v5.channel.k8s.io\n");
}
