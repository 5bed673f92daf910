/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/probe.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/obj.h"
#include "http/grpc.h"
#include "kube/forward.h"
#include "net/tlsconn.h"

#define PATIENCE (10 * NS_PER_S)
#define QUIET    (300 * NS_PER_MS) /* nothing more is coming */

/* ---- gRPC ---- */

struct calling {
	struct ask *ask;
	const struct probe_call *what;
	struct grpc_call *call;
	struct timer quiet;
	struct err err, dial; /* of the call; of the newest attempt to connect */
	bool got, over;
};

static void stop(struct calling *c)
{
	timer_clear(&c->quiet);
	loop_stop(ask_loop(c->ask));
}

static void on_message(void *arg, struct grpc_call *call, struct slice message)
{
	struct calling *c = arg;

	(void)call;
	c->got = true;
	c->what->on_message(c->what->arg, message);
	timer_set(&c->quiet, QUIET);
}

static void on_over(void *arg, struct grpc_call *call, int status, const char *text)
{
	struct calling *c = arg;

	(void)call;
	c->over = true;
	if (status != GRPC_OK)
		err_set(&c->err, ERR_DENIED, "%s: %s", grpc_status_name(status), text);
	stop(c);
}

static const struct grpc_user call_user = {on_message, on_over};

static void on_quiet(struct timer *t)
{
	struct calling *c = container_of(t, struct calling, quiet);

	if (!c->got)
		err_set(&c->err, ERR_TIMEOUT, "no answer within %u s",
			(unsigned)(PATIENCE / NS_PER_S));
	stop(c);
}

static struct conn *dial(void *arg, struct err *e)
{
	const struct calling *c = arg;

	return kube_forward(
		ask_kube(c->ask), c->what->ns, c->what->pod, c->what->port, e);
}

static int wait(struct calling *c, struct channel *ch, struct err *e)
{
	c->call = grpc_call_begin(
		ch, c->what->path, c->what->request, false, &call_user, c, e);
	if (!c->call)
		return -1;
	timer_set(&c->quiet, PATIENCE);
	if (!c->over && loop_run(ask_loop(c->ask), e))
		return -1;
	if (!c->over)
		grpc_call_end(c->call);
	if (c->got)
		return 0;
	if (c->err.code == ERR_NONE)
		err_set(&c->err, ERR_MISSING, "it ended the call without an answer");
	if (e)
		*e = c->err;
	return -1;
}

int probe_grpc(struct ask *a, const struct probe_call *call, struct err *e)
{
	struct calling c = {.ask = a, .what = call};
	struct channel_config cfg = {.host = "127.0.0.1",
		.port = call->port,
		.kind = HTTP_KIND_2,
		.dial = dial,
		.dial_arg = &c,
		.wait_max = PATIENCE / 2};
	struct channel *ch = channel_new(ask_loop(a), ask_dns(a), &cfg, e);
	int rc;

	if (!ch)
		return -1;
	timer_init(&c.quiet, ask_loop(a), on_quiet);
	rc = wait(&c, ch, e);
	timer_clear(&c.quiet);
	channel_free(ch);
	ask_settle(a);
	return rc ? err_wrap(e, "%s/%s:%u", call->ns, call->pod, call->port) : 0;
}

/* ---- certificates ---- */

struct looking {
	struct loop *loop;
	struct conn *conn;
	struct err err;
};

static void on_open(struct conn *conn, void *arg)
{
	struct looking *l = arg;

	l->conn = NULL;
	conn_finish(conn);
	loop_stop(l->loop);
}

static size_t on_in(struct conn *conn, void *arg, const uint8_t *p, size_t n)
{
	(void)conn, (void)arg, (void)p;
	return n;
}

static void on_gone(struct conn *conn, void *arg, const struct err *e)
{
	struct looking *l = arg;

	(void)conn;
	l->conn = NULL;
	l->err = *e;
	loop_stop(l->loop);
}

static const struct conn_user look_user = {
	.on_open = on_open, .on_in = on_in, .on_gone = on_gone};

static struct conn *shake(
	struct conn *below, const char *name, struct buf *pem, struct err *e)
{
	static const struct creds_spec nobody;
	struct creds *creds = creds_new(&nobody, e);
	struct tls_config cfg = {
		.creds = creds, .sni = name, .any_server = true, .chain = pem};
	struct conn *conn;

	if (!creds) {
		conn_end(below);
		return NULL;
	}
	conn = tlsconn_client(below, &cfg, PATIENCE, e);
	ref_put(creds_ref(creds));
	return conn;
}

int probe_certificate(struct ask *a, const char *ns, const char *pod, uint16_t port,
	const char *name, struct buf *pem, struct err *e)
{
	struct looking l = {.loop = ask_loop(a)};
	struct conn *below = kube_forward(ask_kube(a), ns, pod, port, e);

	l.conn = below ? shake(below, name, pem, e) : NULL;
	if (!l.conn)
		return -1;
	conn_use(l.conn, &look_user, &l);
	if (loop_run(l.loop, e))
		return -1;
	ask_settle(a);
	if (buf_len(pem))
		return 0;
	if (l.err.code == ERR_NONE)
		err_set(&l.err, ERR_CLOSED, "it closed the connection");
	if (e)
		*e = l.err;
	return err_wrap(e, "port %u", port);
}

/* ---- which pod ---- */

static bool is_ready(const struct json *pod)
{
	json_each(c, json_path(pod, "status.conditions"))
	{
		if (strcmp(json_text_or(c, "type", ""), "Ready") == 0)
			return strcmp(json_text_or(c, "status", ""), "True") == 0;
	}
	return false;
}

char *probe_control_pod(
	struct ask *a, const char *ns, const char *component, struct err *e)
{
	struct json *list;
	char path[500], *name = NULL;

	snprintf(path, sizeof path,
		"/api/v1/namespaces/%s/pods?labelSelector="
		"linkerd.io%%2Fcontrol-plane-component%%3D%s",
		ns, component);
	list = ask_get(a, path, e);
	json_each(p, json_get(list, "items"))
	{
		if (!name && is_ready(p))
			name = slice_dup(
				slice_of(json_text_or(p, "metadata.name", "")));
	}
	if (list && !name)
		err_set(e, ERR_MISSING,
			"no pod of %s is ready in namespace %s: mesh check says why",
			component, ns);
	json_free(list);
	return name;
}
