/* SPDX-License-Identifier: Apache-2.0 */
/* mesh local exec against the API server in another process, with a kubelet that
 * echoes. */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include "base/clock.h"
#include "base/obj.h"
#include "http/ws.h"
#include "local/api.h"
#include "local/daemon.h"
#include "local/meta.h"
#include "local/verbs.h"
#include "t.h"
#include "tls/init.h"

/* ---- the server's process ---- */

struct echo {
	struct conn *conn;
	struct ws ws;
};

static void say(struct echo *x, enum ws_channel channel, struct slice text)
{
	struct buf m = BUF_INIT, frame = BUF_INIT;

	buf_char(&m, (char)channel);
	buf_adds(&m, text);
	ws_write(&x->ws, WS_BINARY, buf_slice(&m), &frame);
	conn_write(x->conn, buf_slice(&frame).p, buf_len(&frame));
	buf_fini(&m);
	buf_fini(&frame);
}

/* Echoes standard input; at its end says so and ends with status 3. */
static size_t echo_in(struct conn *c, void *arg, const uint8_t *p, size_t n)
{
	struct echo *x = arg;
	struct slice in = slice_bytes(p, n), m;
	enum ws_op op;
	size_t used;

	(void)c;
	while (ws_read(&x->ws, in, &used, &op, &m, NULL) == 1) {
		in = slice_bytes(in.p + used, in.n - used);
		if (op == WS_BINARY && m.n && m.p[0] == WS_STDIN)
			say(x, WS_STDOUT, slice_bytes(m.p + 1, m.n - 1));
		if (op == WS_BINARY && m.n && (uint8_t)m.p[0] == WS_HALF)
			say(x, WS_STATUS,
				SLICE("{\"status\":\"Failure\",\"reason\":"
				      "\"NonZeroExitCode\","
				      "\"details\":{\"causes\":[{\"reason\":"
				      "\"ExitCode\","
				      "\"message\":\"3\"}]}}"));
	}
	return n;
}

static void echo_gone(struct conn *c, void *arg, const struct err *e)
{
	struct echo *x = arg;

	(void)c;
	(void)e;
	ws_fini(&x->ws);
	free(x);
}

static void on_exec(void *arg, struct call *c, const struct podio_target *t)
{
	static const struct conn_user user = {.on_in = echo_in, .on_gone = echo_gone};
	struct echo *x = calloc(1, sizeof(*x));
	struct slice key = fields_get(&c->req->fields, SLICE("sec-websocket-key"));
	char accept[WS_ACCEPT];

	(void)arg;
	ws_accept(key, accept);
	call_header(c, "sec-websocket-accept", accept);
	call_header(c, "sec-websocket-protocol", "v5.channel.k8s.io");
	ws_init(&x->ws, true, 1 << 20);
	x->conn = call_upgrade(c, "websocket");
	if (!x->conn) {
		free(x);
		call_text(c, 400, "no stream");
		return;
	}
	conn_use(x->conn, &user, x);
	say(x, WS_STDERR, slice_of(t->container));
	say(x, WS_STDOUT, slice_of(t->command[1]));
}

static void on_logs(void *arg, struct call *c, const struct podio_target *t)
{
	(void)arg;
	call_text(c, 200, "%s %s %lld\n", t->name, t->container, (long long)t->tail);
}

static void serve(const char *dir)
{
	struct local_api_config cfg = {.dir = dir};
	struct podio io = {.exec = on_exec, .logs = on_logs};
	struct loop *l = loop_new(NULL);
	struct err e = {0};
	struct local_api *a;
	struct json *pod;

	tls_init();
	addr_parse(SLICE("127.0.0.1:0"), &cfg.at);
	a = local_api_start(l, &cfg, &e);
	if (!a) {
		printf("# %s\n", e.msg);
		_exit(1);
	}
	local_api_podio(a, &io);
	pod = json_parse(
		SLICE("{\"metadata\":{\"name\":\"p\",\"namespace\":\"default\"},"
		      "\"spec\":{\"nodeName\":\"n\",\"containers\":[{\"name\":\"c\"},"
		      "{\"name\":\"d\"}]}}"),
		&e);
	store_create(local_api_store(a), "pods", pod, NULL, NULL);
	(void)loop_run(l, &e);
}

/* ---- the client's ---- */

struct world {
	char dir[64], conf[128], out[128], err[128];
	pid_t server;
	struct client *client;
};

static void init(struct world *w)
{
	struct err e = {0};

	tls_init();
	snprintf(w->dir, sizeof(w->dir), "/tmp/exec.XXXXXX");
	OK(mkdtemp(w->dir));
	snprintf(w->conf, sizeof(w->conf), "%s/admin.conf", w->dir);
	snprintf(w->out, sizeof(w->out), "%s/out", w->dir);
	snprintf(w->err, sizeof(w->err), "%s/err", w->dir);
	w->server = fork();
	if (w->server == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* when the test fails */
		serve(w->dir);
		_exit(0);
	}
	for (int i = 0; i < 200 && access(w->conf, R_OK) < 0; i++)
		usleep(20000);
	usleep(100000);
	w->client = client_new(w->conf, &e);
	if (!w->client)
		T_FAIL("%s", e.msg);
}

static void fini(struct world *w)
{
	client_free(w->client);
	kill(w->server, SIGKILL);
	waitpid(w->server, NULL, 0);
	OK(dir_remove(w->dir, NULL) == 0);
}

static void put_at(int fd, const char *path, int flags)
{
	int to = open(path, flags, 0600);

	OK(to >= 0 && dup2(to, fd) == fd);
	close(to);
}

static void file_is(const char *path, const char *text)
{
	char have[256] = "";
	int fd = open(path, O_RDONLY);

	OK(fd >= 0 && read(fd, have, sizeof(have) - 1) >= 0);
	close(fd);
	EQ_STR(have, text);
}

/* A verb with its output in files; the exit status. */
static int run(struct world *w,
	int (*verb)(struct client *c, const struct verb_opts *o, int argc, char **argv),
	const struct verb_opts *o, int argc, char **argv)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		put_at(1, w->out, O_WRONLY | O_CREAT | O_TRUNC);
		put_at(2, w->err, O_WRONLY | O_CREAT | O_TRUNC);
		status = verb(w->client, o, argc, argv);
		fflush(stdout);
		_exit(status);
	}
	OK(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	return WEXITSTATUS(status);
}

static char pod[] = "p", none[] = "none", echo_word[] = "echo", hello[] = "he llo";

TEST(exec_carries_input_output_and_the_exit_status)
{
	struct verb_opts o = {.in = true, .container = "d"};
	char *words[] = {pod, echo_word, hello};
	struct world w;
	char path[128];
	int fd;

	init(&w);
	snprintf(path, sizeof(path), "%s/in", w.dir);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	OK(write(fd, " world", 6) == 6);
	close(fd);
	put_at(0, path, O_RDONLY);
	EQ_INT(run(&w, verb_exec, &o, 3, words), 3);
	file_is(w.out, "he llo world");
	file_is(w.err, "d");
	fini(&w);
}

TEST(exec_says_why_it_cannot)
{
	struct verb_opts o = {0}, other = {.container = "x"};
	char *words[] = {none, echo_word}, *known[] = {pod, echo_word};
	struct world w;

	init(&w);
	EQ_INT(run(&w, verb_exec, &o, 2, words), 1);
	file_is(w.err, "mesh local: pods \"none\" not found\n");
	EQ_INT(run(&w, verb_exec, &other, 2, known), 1);
	file_is(w.err, "mesh local: container x is not valid for pod p\n");
	fini(&w);
}

TEST(logs_print_what_the_kubelet_answers)
{
	struct verb_opts o = {.tail = 7};
	char *words[] = {pod};
	struct world w;

	init(&w);
	EQ_INT(run(&w, verb_logs, &o, 1, words), 0);
	file_is(w.out, "p c 7\n");
	fini(&w);
}
