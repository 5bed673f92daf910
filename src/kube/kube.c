/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/kube.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/obj.h"
#include "kube/call.h"

#define CALL_TIMEOUT (60 * NS_PER_S)
#define BACKOFF_MAX  (2 * NS_PER_S) /* between connections: one server, one of us */

struct kube_call {
	struct list node;
	struct kube *kube;
	struct fetch *fetch;
	struct timer deadline;
	struct later late; /* tells what happened while it was begun */
	struct buf body;
	int status;
	bool starting, too_large;
	struct err err;
	kube_done *done;
	kube_text_done *text_done; /* instead */
	void *arg;
};

/* ---- the client ---- */

static int open_channel(struct kube *k, struct dns *d, struct err *e)
{
	const struct kube_target *t = &k->target;
	struct channel_config cfg = {
		.host = t->proxy_host ? t->proxy_host : t->host,
		.port = t->proxy_host ? t->proxy_port : t->port,
		.kind = HTTP_KIND_1,
		.alpn = t->tls,
		.creds = t->tls ? &k->creds : NULL,
		.sni = t->server_name ? t->server_name : t->host,
		.any_server = t->any_server,
		.via = t->proxy_host ? &t->via : NULL,
		.authority = k->authority,
		.backoff_max = BACKOFF_MAX,
	};

	cfg.expect = cfg.sni;
	snprintf(k->authority, sizeof k->authority,
		strchr(t->host, ':') ? "[%s]:%u" : "%s:%u", t->host, t->port);
	if (kube_login_begin(k, e))
		return -1;
	k->channel = channel_new(k->loop, d, &cfg, e);
	return k->channel ? 0 : -1;
}

struct kube *kube_new(
	struct loop *l, struct dns *d, const struct kube_config *cfg, struct err *e)
{
	struct kube *k = calloc(1, sizeof *k);

	must(k);
	k->loop = l;
	k->creds = SNAP_INIT;
	k->events = MAP_INIT;
	list_init(&k->calls);
	list_init(&k->watches);
	snprintf(k->component, sizeof k->component, "%s",
		cfg->component ? cfg->component : "mesh");
	if (kube_target_read(&k->target, cfg, e) || open_channel(k, d, e)) {
		err_wrap(e, "Kubernetes API");
		kube_free(k);
		return NULL;
	}
	return k;
}

void kube_free(struct kube *k)
{
	struct kube_call *c;

	if (!k)
		return;
	must(list_is_empty(&k->watches));
	list_each(c, &k->calls, node)
	{
		kube_cancel(c);
	}
	kube_events_drop(k);
	if (k->channel)
		channel_free(k->channel);
	snap_set(&k->creds, NULL);
	kube_target_fini(&k->target);
	free(k);
}

const char *kube_namespace(const struct kube *k)
{
	return k->target.namespace;
}

/* ---- requests ---- */

void kube_escape(struct buf *out, const char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if ((c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') ||
			strchr("-._~", c))
			buf_char(out, (char)c);
		else
			buf_printf(out, "%%%02X", c);
	}
}

struct fetch *kube_fetch(struct kube *k, const char *method, const char *path,
	const char *content_type, struct slice body, const struct fetch_user *user,
	void *arg, struct err *e)
{
	struct buf full = BUF_INIT;
	struct kube_fields f;
	struct fetch_spec spec = {.method = method, .body = body};
	struct fetch *fetch = NULL;

	if (kube_login_fields(k, &f, e))
		return NULL;
	kube_fields_add(&f, "accept", slice_of("application/json"));
	if (body.n)
		kube_fields_add(&f, "content-type", slice_of(content_type));
	buf_printf(&full, "%s%s", k->target.prefix, path);
	buf_char(&full, '\0');
	spec.path = full.p;
	spec.fields = f.v;
	spec.nfields = f.n;
	if (full.failed)
		err_set(e, ERR_LIMIT, "out of memory");
	else
		fetch = fetch_begin(k->channel, &spec, user, arg, e);
	buf_fini(&full);
	kube_fields_fini(&f);
	return fetch;
}

static void call_free(struct kube_call *c)
{
	list_remove(&c->node);
	timer_clear(&c->deadline);
	later_clear(&c->late);
	if (c->fetch)
		fetch_end(c->fetch);
	buf_fini(&c->body);
	free(c);
}

void kube_cancel(struct kube_call *c)
{
	if (c)
		call_free(c);
}

/* Tells the caller, once, and is gone. */
static void call_finish(struct kube_call *c, const struct err *e)
{
	struct err err = *e;
	struct json *body = NULL;
	int status = 0;

	if (err.code == ERR_NONE)
		status = c->status;
	list_remove(&c->node);
	if (c->text_done) {
		c->text_done(c->arg, status, buf_slice(&c->body), &err);
	} else {
		body = status ? json_parse(buf_slice(&c->body), NULL) : NULL;
		c->done(c->arg, status, body, &err);
		json_free(body);
	}
	call_free(c);
}

static void on_head(void *arg, struct fetch *f, const struct rsp_head *head)
{
	struct kube_call *c = arg;

	(void)f;
	c->status = head->status;
	if (head->status == 401)
		kube_login_refused(c->kube);
}

static void on_data(void *arg, struct fetch *f, struct slice bytes)
{
	struct kube_call *c = arg;

	(void)f;
	if (!c->too_large && buf_adds(&c->body, bytes))
		c->too_large = true;
}

static void on_over(void *arg, struct fetch *f, const struct err *e)
{
	struct kube_call *c = arg;
	struct err err = *e;

	(void)f;
	c->fetch = NULL; /* it was the last callback */
	if (c->starting) {
		c->starting = false;
		c->err = err;
		loop_later(c->kube->loop, &c->late);
		return;
	}
	if (err.code == ERR_NONE && c->too_large)
		err_set(&err, ERR_LIMIT, "a response of more than %zu bytes",
			KUBE_BODY_MAX);
	call_finish(c, &err);
}

static const struct fetch_user call_user = {on_head, on_data, on_over};

static void on_deadline(struct timer *t)
{
	struct kube_call *c = container_of(t, struct kube_call, deadline);
	struct err e = {0};

	err_set(&e, ERR_TIMEOUT, "no answer from the API server");
	call_finish(c, &e);
}

static void on_late(struct later *d)
{
	struct kube_call *c = container_of(d, struct kube_call, late);
	struct err e = c->err;

	call_finish(c, &e);
}

static struct kube_call *call_new(struct kube *k, void *arg)
{
	struct kube_call *c = calloc(1, sizeof *c);

	must(c);
	*c = (struct kube_call){.kube = k,
		.arg = arg,
		.starting = true,
		.body = BUF_LIMIT(KUBE_BODY_MAX)};
	list_push(&k->calls, &c->node);
	timer_init(&c->deadline, k->loop, on_deadline);
	later_init(&c->late, on_late);
	return c;
}

static void call_begin(struct kube_call *c, const char *method, const char *path,
	const char *content_type, struct slice body)
{
	struct kube *k = c->kube;
	struct fetch *f =
		kube_fetch(k, method, path, content_type, body, &call_user, c, &c->err);

	if (!c->starting) /* on_over() has been */
		return;
	c->starting = false;
	c->fetch = f;
	if (f)
		timer_set(&c->deadline, CALL_TIMEOUT);
	else
		loop_later(k->loop, &c->late);
}

struct kube_call *kube_request(struct kube *k, const char *method, const char *path,
	const char *content_type, const struct json *body, kube_done *done, void *arg)
{
	struct kube_call *c = call_new(k, arg);
	struct buf text = BUF_INIT;

	c->done = done;
	if (body)
		json_write(body, 0, &text);
	call_begin(c, method, path, content_type ? content_type : "application/json",
		buf_slice(&text));
	buf_fini(&text);
	return c;
}

struct kube_call *kube_get_text(
	struct kube *k, const char *path, kube_text_done *done, void *arg)
{
	struct kube_call *c = call_new(k, arg);

	c->text_done = done;
	call_begin(c, "GET", path, "application/json", SLICE_NONE);
	return c;
}
