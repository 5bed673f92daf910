/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec: a command in a container, over a WebSocket (v5.channel.k8s.io), as kubectl does
 * it.  Ends with the command's exit status.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "base/obj.h"
#include "http/ws.h"
#include "local/verbs.h"
#include "tls/key.h"

#define PROTOCOL    "v5.channel.k8s.io"
#define MESSAGE_MAX ((size_t)4 * 1024 * 1024)
#define HEAD_MAX    16384

enum exec_at { EXEC_HEAD, EXEC_STREAM, EXEC_OVER };

struct exec {
	struct client *client;
	struct conn *conn; /* NULL: gone */
	struct ws ws;
	enum exec_at at;
	char accept[WS_ACCEPT];
	struct buf request;
	bool in, tty;
	struct watch input;
	struct termios before;
	int status; /* exit status */
	struct err err;
};

static void finish(struct exec *x, int status)
{
	x->at = EXEC_OVER;
	x->status = status;
	loop_stop(client_loop(x->client));
}

static void failed(struct exec *x, const char *why)
{
	if (!x->err.code)
		err_set(&x->err, ERR_CLOSED, "%s", why);
	finish(x, 1);
}

/* ---- what goes there ---- */

static void send_channel(struct exec *x, enum ws_channel channel, struct slice bytes)
{
	struct buf message = BUF_INIT, frame = BUF_INIT;

	buf_char(&message, (char)channel);
	buf_adds(&message, bytes);
	if (x->conn && ws_write(&x->ws, WS_BINARY, buf_slice(&message), &frame) == 0)
		conn_write(x->conn, buf_slice(&frame).p, buf_len(&frame));
	buf_fini(&message);
	buf_fini(&frame);
}

static void send_size(struct exec *x)
{
	struct winsize size;
	char text[64];

	if (!x->tty || ioctl(0, TIOCGWINSZ, &size) < 0)
		return;
	snprintf(text, sizeof(text), "{\"Width\":%u,\"Height\":%u}", size.ws_col,
		size.ws_row);
	send_channel(x, WS_RESIZE, slice_of(text));
}

static void on_resize(void *arg, int signo)
{
	(void)signo;
	send_size(arg);
}

/* The server learns that there is no more by v5's half close. */
static void end_input(struct exec *x)
{
	if (x->in)
		watch_end(&x->input);
	x->in = false;
	send_channel(x, WS_HALF, SLICE("\0"));
}

static void on_input(struct watch *w, int what)
{
	struct exec *x = container_of(w, struct exec, input);
	char tmp[16384];
	ssize_t n = read(0, tmp, sizeof(tmp));

	(void)what;
	if (n > 0)
		send_channel(x, WS_STDIN, slice_bytes(tmp, (size_t)n));
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		end_input(x);
}

/* A file cannot be waited for: it is read whole. */
static void send_file(struct exec *x)
{
	char tmp[16384];
	ssize_t n;

	while ((n = read(0, tmp, sizeof(tmp))) > 0)
		send_channel(x, WS_STDIN, slice_bytes(tmp, (size_t)n));
	end_input(x);
}

static void begin_input(struct exec *x)
{
	struct stat st;

	if (!x->in)
		return;
	watch_init(&x->input, client_loop(x->client), 0, on_input);
	if (fstat(0, &st) == 0 && S_ISREG(st.st_mode))
		send_file(x);
	else if (watch_set(&x->input, WATCH_IN) < 0)
		failed(x, "standard input cannot be read");
}

/* ---- what comes ---- */

/* A Status: how the command ended. */
static void end_by_status(struct exec *x, struct slice text)
{
	struct json *s = json_parse(text, NULL);
	const char *exit_code = NULL;
	int code = 0;

	json_each(c, json_path(s, "details.causes"))
	{
		if (strcmp(json_text_or(c, "reason", ""), "ExitCode") == 0)
			exit_code = json_text_or(c, "message", "1");
	}
	if (exit_code)
		code = (int)strtol(exit_code, NULL, 10);
	else if (strcmp(json_text_or(s, "status", ""), "Success") != 0) {
		err_set(&x->err, ERR_DENIED, "%s",
			json_text_or(s, "message", "it failed"));
		code = 1;
	}
	json_free(s);
	finish(x, code);
}

static void put_out(int fd, struct slice s)
{
	while (s.n) {
		ssize_t n = write(fd, s.p, s.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return;
		s = slice_bytes(s.p + n, s.n - (size_t)n);
	}
}

static void on_message(struct exec *x, enum ws_op op, struct slice m)
{
	struct buf frame = BUF_INIT;
	struct slice rest = m.n ? slice_bytes(m.p + 1, m.n - 1) : m;

	if (op == WS_PING && ws_write(&x->ws, WS_PONG, m, &frame) == 0)
		conn_write(x->conn, buf_slice(&frame).p, buf_len(&frame));
	buf_fini(&frame);
	if (op == WS_CLOSE)
		finish(x, x->status);
	if ((op != WS_BINARY && op != WS_TEXT) || !m.n)
		return;
	switch ((enum ws_channel)(uint8_t)m.p[0]) {
	case WS_STDOUT:
		put_out(1, rest);
		break;
	case WS_STDERR:
		put_out(2, rest);
		break;
	case WS_STATUS:
		end_by_status(x, rest);
		break;
	case WS_STDIN:
	case WS_RESIZE:
	case WS_HALF:
		break;
	}
}

static size_t read_stream(struct exec *x, struct slice in)
{
	size_t all = 0, used;
	struct slice m;
	enum ws_op op;
	int r;

	while (x->at == EXEC_STREAM &&
		(r = ws_read(&x->ws, slice_bytes(in.p + all, in.n - all), &used, &op,
			 &m, &x->err)) != 0) {
		all += used;
		if (r < 0) {
			failed(x, "malformed");
			break;
		}
		on_message(x, op, m);
	}
	return in.n;
}

/* The answer to the handshake: 101 with our key's answer, else a Status. */
static size_t read_head(struct exec *x, struct slice in)
{
	const char *end = memmem(in.p, in.n, "\r\n\r\n", 4);
	struct json *s;
	size_t n;

	if (!end && in.n < HEAD_MAX)
		return 0;
	n = end ? (size_t)(end - in.p) + 4 : in.n;
	if (end && slice_starts(in, SLICE("HTTP/1.1 101 ")) &&
		memmem(in.p, n, x->accept, strlen(x->accept))) {
		x->at = EXEC_STREAM;
		begin_input(x);
		send_size(x);
		return n + read_stream(x, slice_bytes(in.p + n, in.n - n));
	}
	s = json_parse(slice_bytes(in.p + n, in.n - n), NULL);
	err_set(&x->err, ERR_DENIED, "%s",
		json_text_or(s, "message", "the server does not take the stream"));
	json_free(s);
	finish(x, 1);
	return in.n;
}

static size_t on_in(struct conn *c, void *arg, const uint8_t *p, size_t n)
{
	struct exec *x = arg;

	(void)c;
	switch (x->at) {
	case EXEC_HEAD:
		return read_head(x, slice_bytes(p, n));
	case EXEC_STREAM:
		return read_stream(x, slice_bytes(p, n));
	case EXEC_OVER:
		break;
	}
	return n;
}

static void on_open(struct conn *c, void *arg)
{
	struct exec *x = arg;

	conn_write(c, buf_slice(&x->request).p, buf_len(&x->request));
}

static void on_gone(struct conn *c, void *arg, const struct err *e)
{
	struct exec *x = arg;

	(void)c;
	x->conn = NULL;
	if (x->at != EXEC_OVER)
		failed(x, e->code ? e->msg : "the server closed the stream");
}

/* ---- the request ---- */

static void escape(struct buf *b, const char *text)
{
	for (; *text; text++) {
		bool plain = (*text >= '0' && *text <= '9') ||
			     (*text >= 'a' && *text <= 'z') ||
			     (*text >= 'A' && *text <= 'Z') || strchr("-_.~/", *text);

		buf_printf(b, plain ? "%c" : "%%%02X", (unsigned char)*text);
	}
}

static void make_request(
	struct exec *x, const struct verb_opts *o, int argc, char **argv)
{
	struct buf *b = &x->request, key = BUF_INIT;
	uint8_t nonce[16];

	random_secret(nonce, sizeof(nonce));
	buf_base64(&key, slice_bytes(nonce, sizeof(nonce)));
	ws_accept(buf_slice(&key), x->accept);
	buf_printf(b, "GET /api/v1/namespaces/%s/pods/%s/exec?stdout=true%s%s%s",
		o->ns ? o->ns : "default", argv[0], x->tty ? "" : "&stderr=true",
		x->in ? "&stdin=true" : "", x->tty ? "&tty=true" : "");
	if (o->container) {
		buf_text(b, "&container=");
		escape(b, o->container);
	}
	for (int i = 1; i < argc; i++) {
		buf_text(b, "&command=");
		escape(b, argv[i]);
	}
	buf_printf(b,
		" HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: " PROTOCOL "\r\n"
		"Sec-WebSocket-Key: %.*s\r\n\r\n",
		client_host(x->client), SLICE_FMT(buf_slice(&key)));
	buf_fini(&key);
}

static bool make_raw(struct exec *x)
{
	struct termios raw;

	if (!x->tty || tcgetattr(0, &x->before) < 0)
		return false;
	raw = x->before;
	cfmakeraw(&raw);
	return tcsetattr(0, TCSANOW, &raw) == 0;
}

static int run(struct exec *x)
{
	static const struct conn_user user = {
		.on_open = on_open, .on_in = on_in, .on_gone = on_gone};
	struct loop *l = client_loop(x->client);
	bool raw;

	x->conn = client_dial(x->client, &x->err);
	if (!x->conn)
		return 1;
	conn_use(x->conn, &user, x);
	if (x->tty && loop_on_signal(l, SIGWINCH, on_resize, x, &x->err) < 0)
		return 1;
	raw = make_raw(x);
	if (loop_run(l, &x->err) < 0)
		x->status = 1;
	if (raw)
		(void)tcsetattr(0, TCSANOW, &x->before); /* nothing else to try */
	if (x->in)
		watch_end(&x->input);
	if (x->conn)
		conn_end(x->conn);
	return x->status;
}

int verb_exec(struct client *c, const struct verb_opts *o, int argc, char **argv)
{
	struct exec x = {.client = c, .in = o->in, .tty = o->tty && isatty(0)};
	int status;

	if (argc < 2) {
		fprintf(stderr,
			"mesh local: exec POD [-c CONTAINER] [-i] [-t] -- COMMAND\n");
		return 64;
	}
	x.in |= x.tty;
	ws_init(&x.ws, false, MESSAGE_MAX);
	make_request(&x, o, argc, argv);
	status = run(&x);
	if (x.err.code)
		fprintf(stderr, "mesh local: %s\n", x.err.msg);
	ws_fini(&x.ws);
	buf_fini(&x.request);
	return status;
}
