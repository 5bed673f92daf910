/* SPDX-License-Identifier: Apache-2.0 */
#include "local/client.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/obj.h"
#include "http/channel.h"
#include "kube/config.h"
#include "net/tcp.h"
#include "net/tlsconn.h"
#include "tls/creds.h"

#define ANSWER_MAX ((size_t)64 * 1024 * 1024)

struct client {
	struct loop *loop;
	struct dns *dns;
	struct kube_target target;
	struct snap creds;
	struct channel *channel;
	/* the call in progress */
	const struct ask *ask;
	int status;
	struct buf answer;
	struct err err;
};

static int set_creds(struct client *c, struct err *e)
{
	struct creds_spec spec = {
		.anchors_pem = buf_slice(&c->target.ca),
		.chain_pem = buf_slice(&c->target.cert),
	};
	struct key *k = NULL;
	struct creds *creds;

	if (buf_len(&c->target.key)) {
		k = key_read(buf_slice(&c->target.key), e);
		if (!k)
			return -1;
		spec.key = k;
	}
	creds = creds_new(&spec, e);
	key_free(k);
	if (!creds)
		return -1;
	snap_set(&c->creds, creds_ref(creds));
	return 0;
}

static int open_channel(struct client *c, const char *kubeconfig, struct err *e)
{
	struct kube_config where = {.kubeconfig = kubeconfig};
	struct channel_config cfg = {.kind = HTTP_KIND_1, .wait_max = 5 * NS_PER_S};

	if (kube_target_read(&c->target, &where, e) < 0)
		return -1;
	if (c->target.tls && set_creds(c, e) < 0)
		return -1;
	cfg.host = c->target.host;
	cfg.port = c->target.port;
	cfg.creds = c->target.tls ? &c->creds : NULL;
	c->channel = channel_new(c->loop, c->dns, &cfg, e);
	return c->channel ? 0 : -1;
}

struct client *client_new(const char *kubeconfig, struct err *e)
{
	struct client *c = calloc(1, sizeof(*c));

	must(c);
	c->creds = SNAP_INIT;
	c->loop = loop_new(e);
	c->dns = c->loop ? dns_new(c->loop, NULL, e) : NULL;
	if (c->dns && open_channel(c, kubeconfig, e) == 0)
		return c;
	client_free(c);
	return NULL;
}

void client_free(struct client *c)
{
	if (!c)
		return;
	if (c->channel)
		channel_free(c->channel);
	if (c->dns)
		dns_free(c->dns);
	if (c->loop)
		loop_free(c->loop);
	kube_target_fini(&c->target);
	snap_set(&c->creds, NULL);
	buf_fini(&c->answer);
	free(c);
}

/* ---- a call ---- */

static void on_head(void *arg, struct fetch *f, const struct rsp_head *head)
{
	struct client *c = arg;

	(void)f;
	c->status = head->status;
}

static void on_data(void *arg, struct fetch *f, struct slice bytes)
{
	struct client *c = arg;

	(void)f;
	if (c->ask->on_data && c->status < 300)
		c->ask->on_data(c->ask->arg, bytes);
	else
		(void)buf_adds(&c->answer, bytes); /* too much does not parse */
}

static void on_over(void *arg, struct fetch *f, const struct err *e)
{
	struct client *c = arg;

	(void)f;
	c->err = *e;
	loop_stop(c->loop);
}

static int begin(struct client *c, const struct ask *ask, struct err *e)
{
	static const struct fetch_user user = {on_head, on_data, on_over};
	const char *type = ask->type ? ask->type : "application/json";
	const char *accept = ask->accept ? ask->accept : "application/json";
	struct field fields[] = {{.name = SLICE("accept"), .value = slice_of(accept)},
		{.name = SLICE("content-type"), .value = slice_of(type)}};
	struct fetch_spec spec = {.method = ask->method,
		.path = ask->path,
		.fields = fields,
		.nfields = ask->body ? 2 : 1};
	struct buf body = BUF_INIT;
	struct fetch *f;

	if (ask->body)
		json_write(ask->body, 0, &body);
	spec.body = buf_slice(&body);
	f = fetch_begin(c->channel, &spec, &user, c, e);
	buf_fini(&body);
	return f ? 0 : -1;
}

int client_ask(
	struct client *c, const struct ask *ask, struct json **out, struct err *e)
{
	struct json *j;

	c->ask = ask;
	c->status = 0;
	c->err = (struct err){0};
	buf_fini(&c->answer);
	c->answer = BUF_LIMIT(ANSWER_MAX);
	if (out)
		*out = NULL;
	if (begin(c, ask, e) < 0 || loop_run(c->loop, e) < 0)
		return -1;
	if (!c->status) {
		if (e)
			*e = c->err;
		return -1;
	}
	j = json_parse(buf_slice(&c->answer), NULL);
	if (c->status >= 400)
		err_set(e, c->status == 404 ? ERR_MISSING : ERR_DENIED, "%s",
			json_text_or(j, "message", "the server refused"));
	if (out)
		*out = j;
	else
		json_free(j);
	return c->status;
}

/* ---- streams ---- */

struct loop *client_loop(struct client *c)
{
	return c->loop;
}

const char *client_host(const struct client *c)
{
	return c->target.host;
}

struct conn *client_dial(struct client *c, struct err *e)
{
	struct tcp_opts opts = {.connect_timeout = 5 * NS_PER_S};
	struct tls_config cfg = {.expect = c->target.host};
	struct addr to = {.port = c->target.port};
	struct ref *creds;
	struct conn *below, *conn;

	if (!ip_parse(slice_of(c->target.host), &to.ip)) {
		err_set(e, ERR_SYNTAX, "%s is no address", c->target.host);
		return NULL;
	}
	below = tcp_dial(c->loop, &to, &opts, e);
	if (!below || !c->target.tls)
		return below;
	creds = snap_get(&c->creds);
	cfg.creds = (struct creds *)creds; /* a creds starts with its ref */
	conn = tlsconn_client(below, &cfg, 5 * NS_PER_S, e);
	ref_put(creds);
	return conn;
}
