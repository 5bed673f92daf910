/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec: a further process in a running container, its streams over a WebSocket
 * (v5.channel.k8s.io, v4 too): the first byte of each message is the channel.
 */
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "local/podfds.h"
#include "local/podioint.h"

#define INPUT_MAX ((size_t)1 << 20)

const char *const podio_protocols[] = {"v5.channel.k8s.io", "v4.channel.k8s.io", NULL};

struct exec_out {
	struct exec_call *of;
	struct watch watch; /* fd -1: at its end */
	enum ws_channel channel;
};

struct exec_call {
	struct local_node *node;
	struct wsconn ws;  /* its conn NULL: the client has gone */
	struct watch exit; /* the pidfd */
	pid_t pid;
	struct exec_out out, err;
	struct watch in; /* the pipe's write end, or the terminal */
	struct buf input;
	bool tty, in_ends;
	struct later over;
};

/* ---- the end ---- */

static void close_fd(struct watch *w)
{
	if (w->fd < 0)
		return;
	watch_end(w);
	close(w->fd);
	w->fd = -1;
}

static void exec_free(struct later *d)
{
	struct exec_call *x = container_of(d, struct exec_call, over);

	close_fd(&x->in);
	close_fd(&x->out.watch);
	close_fd(&x->err.watch);
	close_fd(&x->exit);
	wsconn_fini(&x->ws);
	buf_fini(&x->input);
	free(x);
}

static struct json *status_of(int code)
{
	struct json *s = json_object(), *cause;
	char text[80];

	json_need_object(s, "metadata");
	json_set_text(s, "status", code ? "Failure" : "Success");
	if (!code)
		return s;
	snprintf(text, sizeof(text),
		"command terminated with non-zero exit code: exit status %d", code);
	json_set_text(s, "message", text);
	json_set_text(s, "reason", "NonZeroExitCode");
	cause = json_push(json_need_list(json_need_object(s, "details"), "causes"),
		json_object());
	snprintf(text, sizeof(text), "%d", code);
	json_set_text(cause, "reason", "ExitCode");
	json_set_text(cause, "message", text);
	return s;
}

static void say_goodbye(struct exec_call *x, struct json *status)
{
	struct buf text = BUF_INIT;

	json_write(status, 0, &text);
	wsconn_send_on(&x->ws, WS_STATUS, buf_slice(&text));
	wsconn_finish(&x->ws);
	buf_fini(&text);
	json_free(status);
	loop_later(x->node->loop, &x->over);
}

/* ---- what the process says ---- */

/* False when there is nothing (more) now. */
static bool pass_on(struct exec_out *o)
{
	char bytes[16384];
	ssize_t n = read(o->watch.fd, bytes, sizeof(bytes));

	if (n > 0) {
		wsconn_send_on(&o->of->ws, o->channel, slice_bytes(bytes, (size_t)n));
		return true;
	}
	if (n == 0 || (errno != EAGAIN && errno != EINTR))
		close_fd(&o->watch);
	return false;
}

static void on_output(struct watch *w, int what)
{
	struct exec_out *o = container_of(w, struct exec_out, watch);

	(void)what;
	if (pass_on(o) && wsconn_backlog(&o->of->ws) > CONN_HIGH)
		(void)watch_set(w, 0);
}

static void on_ended(struct watch *w, int what)
{
	struct exec_call *x = container_of(w, struct exec_call, exit);
	int status;

	(void)what;
	if (box_reap(x->pid, &status))
		return;
	close_fd(w);
	while (x->out.watch.fd >= 0 && pass_on(&x->out))
		;
	while (x->err.watch.fd >= 0 && pass_on(&x->err))
		;
	if (x->ws.conn)
		say_goodbye(x, status_of(WIFEXITED(status) ? WEXITSTATUS(status)
							   : 128 + WTERMSIG(status)));
	else
		loop_later(x->node->loop, &x->over);
}

/* ---- what the client says ---- */

static void feed(struct exec_call *x)
{
	while (x->in.fd >= 0 && buf_len(&x->input)) {
		ssize_t n =
			write(x->in.fd, x->input.p + x->input.at, buf_len(&x->input));

		if (n < 0 && errno == EAGAIN) {
			(void)watch_set(&x->in, WATCH_OUT);
			return;
		}
		if (n < 0 && errno == EINTR)
			continue;
		buf_take(&x->input, n > 0 ? (size_t)n : buf_len(&x->input));
	}
	if (x->in.fd >= 0)
		(void)watch_set(&x->in, 0);
	wsconn_pause(&x->ws, false);
	if (x->in_ends && !x->tty)
		close_fd(&x->in);
}

static void on_input_room(struct watch *w, int what)
{
	(void)what;
	feed(container_of(w, struct exec_call, in));
}

static void on_message(void *arg, struct slice m)
{
	struct exec_call *x = arg;
	struct slice rest = m.n ? (struct slice){m.p + 1, m.n - 1} : m;

	if (!m.n)
		return;
	switch ((uint8_t)m.p[0]) {
	case WS_STDIN:
		(void)buf_adds(&x->input, rest);
		if (buf_len(&x->input) > INPUT_MAX)
			wsconn_pause(&x->ws, true);
		feed(x);
		break;
	case WS_RESIZE:
		if (x->tty && x->in.fd >= 0)
			podfds_resize(x->in.fd, rest);
		break;
	case WS_HALF:
		x->in_ends = rest.n && rest.p[0] == WS_STDIN;
		feed(x);
		break;
	default:
		break;
	}
}

/* The process loses its terminal, else its life. */
static void on_left(void *arg)
{
	struct exec_call *x = arg;

	if (x->exit.fd >= 0)
		(void)box_kill(x->exit.fd, SIGKILL);
	else
		loop_later(x->node->loop, &x->over);
}

static void on_room(void *arg)
{
	struct exec_call *x = arg;

	if (x->out.watch.fd >= 0)
		(void)watch_set(&x->out.watch, WATCH_IN);
	if (x->err.watch.fd >= 0)
		(void)watch_set(&x->err.watch, WATCH_IN);
}

static const struct wsconn_user exec_user = {
	.on_message = on_message, .on_room = on_room, .on_gone = on_left};

/* ---- the beginning ---- */

static void watch_out(
	struct exec_call *x, struct exec_out *o, int fd, enum ws_channel ch)
{
	o->of = x;
	o->channel = ch;
	o->watch.fd = -1;
	if (fd < 0)
		return;
	watch_init(&o->watch, x->node->loop, fd, on_output);
	(void)watch_set(&o->watch, WATCH_IN);
}

static void take_fds(struct exec_call *x, const struct podfds *f)
{
	watch_out(x, &x->out, f->out[0], WS_STDOUT);
	watch_out(x, &x->err, f->err[0], WS_STDERR);
	x->in.fd = -1;
	if (f->in[1] < 0)
		return;
	watch_init(&x->in, x->node->loop, f->in[1], on_input_room);
}

static void begin(struct exec_call *x, int pidfd, const struct err *e)
{
	struct json *status;

	if (pidfd >= 0) {
		watch_init(&x->exit, x->node->loop, pidfd, on_ended);
		(void)watch_set(&x->exit, WATCH_IN);
		return;
	}
	status = status_of(126);
	json_set_text(status, "message", e->msg);
	say_goodbye(x, status);
}

/* Nobody listens: it is killed, and reaped when it has ended. */
static void begin_alone(struct exec_call *x, int pidfd)
{
	if (pidfd >= 0) {
		watch_init(&x->exit, x->node->loop, pidfd, on_ended);
		(void)watch_set(&x->exit, WATCH_IN);
	}
	on_left(x);
}

void podio_exec(void *arg, struct call *call, const struct podio_target *t)
{
	struct local_node *n = arg;
	struct container *c = podio_find(n, t);
	struct exec_call *x;
	struct podfds f;
	struct err e = {0};
	int pidfd = -1;

	if (!c || c->at != CONTAINER_RUNNING) {
		call_text(call, 400, "container \"%s\" is not running\n", t->container);
		return;
	}
	x = calloc(1, sizeof(*x));
	must(x);
	x->node = n;
	x->tty = t->tty;
	x->exit.fd = -1;
	later_init(&x->over, exec_free);
	if (podfds_open(&f, t->in, t->tty, &e) == 0)
		pidfd = container_exec(c, (char **)t->command, f.in[0], f.out[1],
			f.err[1], &x->pid, &e);
	podfds_close_its(&f);
	take_fds(x, &f);
	if (wsconn_accept(&x->ws, call, podio_protocols, PODIO_MESSAGE_MAX, &exec_user,
		    x) >= 0) {
		begin(x, pidfd, &e);
		return;
	}
	call_text(call, 400, "exec needs a WebSocket with v5.channel.k8s.io\n");
	begin_alone(x, pidfd);
}
