/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Probes: HTTP, TCP and commands.  gRPC and HTTPS probes ask only whether the port
 * takes a connection.
 */
#include <ctype.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "local/nodeint.h"
#include "net/tcp.h"

static const char *const fields[] = {"startupProbe", "readinessProbe", "livenessProbe"};
static const char *const names[] = {"Startup", "Readiness", "Liveness"};

static uint64_t seconds(const struct probe *p, const char *key, int64_t other)
{
	int64_t n = json_int_at(p->spec, key, other);

	return (uint64_t)(n < 1 ? 1 : n) * NS_PER_S;
}

static void close_asking(struct probe *p)
{
	int status;

	if (p->conn)
		conn_end(p->conn);
	p->conn = NULL;
	if (p->exec.fd >= 0) {
		watch_end(&p->exec);
		(void)box_kill(p->exec.fd, SIGKILL);
		close(p->exec.fd);
		p->exec.fd = -1;
		(void)waitpid(p->pid, &status, 0); /* it was killed: at once */
	}
	p->asking = false;
}

/* ---- verdicts ---- */

static void passed(struct probe *p)
{
	struct container *c = p->of;

	switch (p->kind) {
	case PROBE_STARTUP:
		c->started = true;
		if (!c->probes[PROBE_READINESS].spec)
			c->ready = true;
		probes_start(c);
		break;
	case PROBE_READINESS:
		c->ready = true;
		break;
	case PROBE_LIVENESS:
		break;
	}
	pod_sync_soon(c->pod);
}

static void failed(struct probe *p)
{
	struct container *c = p->of;

	switch (p->kind) {
	case PROBE_READINESS:
		c->ready = false;
		break;
	case PROBE_STARTUP:
	case PROBE_LIVENESS:
		pod_tell(c->pod, "Normal", "Killing",
			"Container %s failed %s probe, will be restarted", c->name,
			p->kind == PROBE_STARTUP ? "startup" : "liveness");
		container_stop(c, seconds(p, "terminationGracePeriodSeconds", 30));
		return;
	}
	pod_sync_soon(c->pod);
}

static void verdict(struct probe *p, bool good, const char *why)
{
	struct container *c = p->of;

	close_asking(p);
	timer_set(&p->timer, seconds(p, "periodSeconds", 10));
	if (good) {
		p->bad = 0;
		if (++p->good == json_int_at(p->spec, "successThreshold", 1)) {
			if (p->kind == PROBE_STARTUP)
				timer_clear(&p->timer);
			passed(p);
		}
		return;
	}
	p->good = 0;
	pod_tell(c->pod, "Warning", "Unhealthy", "%s probe failed: %s", names[p->kind],
		why);
	if (++p->bad >= json_int_at(p->spec, "failureThreshold", 3)) {
		p->bad = 0;
		failed(p);
	}
}

/* ---- asking ---- */

static uint16_t port_of(const struct container *c, const struct json *at)
{
	const struct json *port = json_get(at, "port");

	if (!json_text(port))
		return (uint16_t)json_int(port, 0);
	json_each(p, json_get(c->spec, "ports"))
	{
		if (strcmp(json_text_or(p, "name", ""), json_text(port)) == 0)
			return (uint16_t)json_int_at(p, "containerPort", 0);
	}
	return 0;
}

static bool is_http(const struct probe *p)
{
	const struct json *h = json_get(p->spec, "httpGet");

	return h && strcmp(json_text_or(h, "scheme", "HTTP"), "HTTP") == 0;
}

static void on_open(struct conn *conn, void *arg)
{
	struct probe *p = arg;
	const struct json *h = json_get(p->spec, "httpGet");
	struct buf b = BUF_INIT;
	char ip[ADDR_TEXT];

	if (!is_http(p)) {
		verdict(p, true, "");
		return;
	}
	buf_printf(&b, "GET %s HTTP/1.1\r\n", json_text_or(h, "path", "/"));
	json_each(f, json_get(h, "httpHeaders"))
	{
		buf_printf(&b, "%s: %s\r\n", json_text_or(f, "name", "x"),
			json_text_or(f, "value", ""));
	}
	buf_printf(&b, "Host: %s\r\n", ip_text(&p->of->pod->ip, ip));
	buf_text(&b, "User-Agent: kube-probe/1.31\r\nAccept: */*\r\n"
		     "Connection: close\r\n\r\n");
	conn_write(conn, b.p + b.at, buf_len(&b));
	buf_fini(&b);
}

static size_t on_in(struct conn *conn, void *arg, const uint8_t *bytes, size_t n)
{
	struct probe *p = arg;
	char why[64];
	int code;

	(void)conn;
	for (size_t i = 0; i < n && p->nhead < sizeof(p->head) - 1; i++)
		p->head[p->nhead++] = (char)bytes[i];
	if (p->nhead < 12)
		return n;
	code = isdigit((unsigned char)p->head[9]) ? (int)strtol(p->head + 9, NULL, 10)
						  : 0;
	snprintf(why, sizeof(why), "HTTP probe failed with statuscode: %d", code);
	verdict(p, code >= 200 && code < 400, why);
	return n;
}

static void on_gone(struct conn *conn, void *arg, const struct err *e)
{
	struct probe *p = arg;

	(void)conn;
	p->conn = NULL;
	verdict(p, false, e->code ? e->msg : "the connection was closed");
}

static const struct conn_user probe_user = {
	.on_open = on_open, .on_in = on_in, .on_gone = on_gone};

static void ask_port(struct probe *p, const struct json *at)
{
	struct tcp_opts opts = {.connect_timeout = seconds(p, "timeoutSeconds", 1)};
	struct addr to = {p->of->pod->ip, port_of(p->of, at)};
	const char *host = json_text_at(at, "host");
	struct err e = {0};

	if (host)
		(void)ip_parse(slice_of(host), &to.ip); /* else the pod's own */
	p->nhead = 0;
	memset(p->head, 0, sizeof(p->head));
	p->conn = tcp_dial(p->of->pod->node->loop, &to, &opts, &e);
	if (p->conn)
		conn_use(p->conn, &probe_user, p);
	else
		verdict(p, false, e.msg);
}

static void on_command_end(struct watch *w, int what)
{
	struct probe *p = container_of(w, struct probe, exec);
	int status;

	(void)what;
	if (box_reap(p->pid, &status))
		return;
	verdict(p, WIFEXITED(status) && WEXITSTATUS(status) == 0,
		"the command did not end with 0");
}

static void ask_command(struct probe *p)
{
	struct words argv = {0};
	struct err e = {0};
	int fd;

	json_each(w, json_path(p->spec, "exec.command"))
	{
		words_add(&argv, "%s", json_text(w) ? json_text(w) : "");
	}
	fd = argv.n ? container_exec(p->of, argv.v, -1, -1, -1, &p->pid, &e) : -1;
	words_fini(&argv);
	if (fd < 0) {
		verdict(p, false, e.msg);
		return;
	}
	watch_init(&p->exec, p->of->pod->node->loop, fd, on_command_end);
	(void)watch_set(&p->exec, WATCH_IN);
}

static void on_timer(struct timer *t)
{
	struct probe *p = container_of(t, struct probe, timer);
	static const char *const ports[] = {"httpGet", "tcpSocket", "grpc"};

	if (p->asking) {
		verdict(p, false, "no answer within its time");
		return;
	}
	if (p->kind != PROBE_STARTUP && !p->of->started)
		return;
	p->asking = true;
	timer_set(&p->timer, seconds(p, "timeoutSeconds", 1));
	for (size_t i = 0; i < countof(ports); i++)
		if (json_get(p->spec, ports[i])) {
			ask_port(p, json_get(p->spec, ports[i]));
			return;
		}
	ask_command(p);
}

/* ---- for a container ---- */

static void arm(struct container *c, enum probe_kind kind)
{
	struct probe *p = &c->probes[kind];
	int64_t delay =
		json_int_at(json_get(c->spec, fields[kind]), "initialDelaySeconds", 0);

	if (p->of)
		return;
	*p = (struct probe){
		.of = c, .kind = kind, .spec = json_get(c->spec, fields[kind])};
	p->exec.fd = -1;
	timer_init(&p->timer, c->pod->node->loop, on_timer);
	if (p->spec)
		timer_set(&p->timer,
			delay > 0 ? (uint64_t)delay * NS_PER_S : 50 * NS_PER_MS);
}

void probes_start(struct container *c)
{
	arm(c, PROBE_STARTUP);
	if (!c->probes[PROBE_STARTUP].spec)
		c->started = true;
	if (!c->started)
		return;
	arm(c, PROBE_READINESS);
	arm(c, PROBE_LIVENESS);
	if (!c->probes[PROBE_READINESS].spec)
		c->ready = true;
}

void probes_stop(struct container *c)
{
	for (int i = 0; i < 3; i++) {
		struct probe *p = &c->probes[i];

		if (!p->of)
			continue;
		close_asking(p);
		timer_clear(&p->timer);
		p->of = NULL;
	}
}
