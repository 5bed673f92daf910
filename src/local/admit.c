/* SPDX-License-Identifier: Apache-2.0 */
#include "local/admit.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/obj.h"
#include "http/channel.h"
#include "local/meta.h"
#include "local/status.h"
#include "tls/creds.h"

#define ANSWER_MAX ((size_t)4 * 1024 * 1024)

struct admit {
	struct loop *loop;
	struct dns *dns;
	struct change *c;
	admit_done *done;
	void *arg;
	struct webhook hooks[WEBHOOKS_MAX];
	size_t n, i;

	/* The call in progress. */
	struct snap creds;
	struct channel *channel;
	struct fetch *fetch;
	struct buf answer;
	int status;
	bool over; /* the call ended, maybe before fetch_begin() returned */
	struct timer timer;
	struct later next, finish;
	struct json *refused;
};

/* ---- where a webhook is ---- */

struct place {
	char host[256], name[300], path[512];
	uint16_t port;
};

static int place_of_url(const char *url, struct place *p, struct err *e)
{
	static const char https[] = "https://";
	const char *host = url + sizeof(https) - 1;
	size_t n;
	uint64_t port = 443;
	const char *colon;

	if (strncmp(url, https, sizeof(https) - 1) != 0)
		return err_set(e, ERR_SYNTAX, "url must be https");
	n = strcspn(host, "/?");
	snprintf(p->path, sizeof(p->path), "%s", host[n] ? host + n : "/");
	colon = memchr(host, ':', n);
	if (colon && !slice_u64(slice_bytes(colon + 1, n - (size_t)(colon + 1 - host)),
			     65535, &port))
		return err_set(e, ERR_SYNTAX, "url has a bad port");
	if (colon)
		n = (size_t)(colon - host);
	snprintf(p->host, sizeof(p->host), "%.*s", (int)n, host);
	snprintf(p->name, sizeof(p->name), "%s", p->host);
	p->port = (uint16_t)port;
	return 0;
}

static const char *port_name(const struct json *svc, int64_t port)
{
	json_each(p, json_path(svc, "spec.ports"))
	{
		if (json_int_at(p, "port", 0) == port)
			return json_text_or(p, "name", "");
	}
	return NULL;
}

/* An address and port of a ready endpoint in this slice. */
static bool find_endpoint(const struct json *slice, const char *port, struct place *p)
{
	int64_t number = 0;

	json_each(it, json_get(slice, "ports"))
	{
		if (strcmp(json_text_or(it, "name", ""), port) == 0)
			number = json_int_at(it, "port", 0);
	}
	json_each(ep, json_get(slice, "endpoints"))
	{
		const char *ip = json_text_or(ep, "addresses.0", "");

		if (!number || !*ip || !json_bool_at(ep, "conditions.ready", true))
			continue;
		snprintf(p->host, sizeof(p->host), "%s", ip);
		p->port = (uint16_t)number;
		return true;
	}
	return false;
}

static int place_of_service(
	const struct store *s, const struct json *ref, struct place *p, struct err *e)
{
	const char *ns = json_text_or(ref, "namespace", "");
	const char *name = json_text_or(ref, "name", "");
	const struct json *svc = store_get(s, "services", ns, name);
	const char *port = port_name(svc, json_int_at(ref, "port", 443));
	struct store_list all;
	bool found = false;

	if (!svc || !port)
		return err_set(e, ERR_MISSING, "service \"%s\" not found", name);
	snprintf(p->path, sizeof(p->path), "%s", json_text_or(ref, "path", "/"));
	snprintf(p->name, sizeof(p->name), "%s.%s.svc", name, ns);
	store_list(s, "endpointslices.discovery.k8s.io", ns, &all);
	for (size_t i = 0; i < all.n && !found; i++) {
		const char *of =
			meta_label(all.v[i]->json, "kubernetes.io/service-name");

		found = of && strcmp(of, name) == 0 &&
			find_endpoint(all.v[i]->json, port, p);
	}
	store_list_end(&all);
	if (!found)
		return err_set(e, ERR_MISSING,
			"no endpoints available for service \"%s\"", name);
	return 0;
}

static int find_place(const struct admit *a, struct place *p, struct err *e)
{
	const struct json *how = json_get(a->hooks[a->i].hook, "clientConfig");
	const char *url = json_text_at(how, "url");

	if (url)
		return place_of_url(url, p, e);
	return place_of_service(a->c->env->store, json_get(how, "service"), p, e);
}

/* ---- the course of it ---- */

static void drop_call(struct admit *a)
{
	if (a->fetch)
		fetch_end(a->fetch);
	a->fetch = NULL;
	if (a->channel)
		channel_free(a->channel);
	a->channel = NULL;
	snap_set(&a->creds, NULL);
	buf_fini(&a->answer);
	timer_clear(&a->timer);
}

static void release(struct admit *a)
{
	drop_call(a);
	later_clear(&a->next);
	later_clear(&a->finish);
	for (size_t i = 0; i < a->n; i++)
		webhook_fini(&a->hooks[i]);
	json_free(a->refused);
	free(a);
}

void admit_end(struct admit *a)
{
	if (a)
		release(a);
}

static void on_finish(struct later *d)
{
	struct admit *a = container_of(d, struct admit, finish);
	struct json *refused = a->refused;
	admit_done *done = a->done;
	void *arg = a->arg;

	a->refused = NULL;
	release(a);
	done(arg, refused);
}

static void finish(struct admit *a, struct json *refused)
{
	a->refused = refused;
	loop_later(a->loop, &a->finish);
}

static void go_on(struct admit *a)
{
	a->i++;
	loop_later(a->loop, &a->next);
}

static void failed(struct admit *a, const struct err *e)
{
	const struct webhook *w = &a->hooks[a->i];

	log_warn("local", "a webhook failed", LS("webhook", webhook_name(w)), LE(e));
	if (webhook_may_fail(w)) {
		go_on(a);
		return;
	}
	finish(a, status_new(500, "InternalError",
			  "Internal error occurred: failed calling webhook \"%s\": %s",
			  webhook_name(w), e->msg));
}

static void judge(struct admit *a)
{
	struct err e = {0};
	struct json *review = json_parse(buf_slice(&a->answer), &e), *refused = NULL;

	if (a->status != 200)
		err_set(&e, ERR_SYNTAX, "it answered %d", a->status);
	else if (review)
		refused = webhook_apply(&a->hooks[a->i], a->c, review, &e);
	json_free(review);
	if (refused)
		finish(a, refused);
	else if (e.code)
		failed(a, &e);
	else
		go_on(a);
}

static void on_head(void *arg, struct fetch *f, const struct rsp_head *head)
{
	struct admit *a = arg;

	(void)f;
	a->status = head->status;
}

static void on_data(void *arg, struct fetch *f, struct slice bytes)
{
	struct admit *a = arg;

	(void)f;
	(void)buf_adds(&a->answer, bytes); /* too much is a text that does not parse */
}

static void on_over(void *arg, struct fetch *f, const struct err *e)
{
	struct admit *a = arg;

	(void)f;
	a->over = true;
	a->fetch = NULL;
	timer_clear(&a->timer);
	if (e->code)
		failed(a, e);
	else
		judge(a);
}

static void on_timeout(struct timer *t)
{
	struct admit *a = container_of(t, struct admit, timer);
	struct err e;

	fetch_end(a->fetch);
	a->fetch = NULL;
	err_set(&e, ERR_TIMEOUT, "context deadline exceeded");
	failed(a, &e);
}

static int set_creds(struct admit *a, struct err *e)
{
	const struct webhook *w = &a->hooks[a->i];
	const char *bundle = json_text_or(w->hook, "clientConfig.caBundle", "");
	struct buf pem = BUF_INIT;
	struct creds_spec spec = {0};
	struct creds *creds = NULL;

	if (buf_unbase64(&pem, slice_of(bundle)) == 0) {
		spec.anchors_pem = buf_slice(&pem);
		creds = creds_new(&spec, e);
	} else
		err_set(e, ERR_SYNTAX, "caBundle is not base64");
	buf_fini(&pem);
	if (!creds)
		return -1;
	snap_set(&a->creds, creds_ref(creds));
	return 0;
}

static int call_hook(struct admit *a, struct err *e)
{
	static const struct fetch_user user = {on_head, on_data, on_over};
	struct field type[] = {
		{.name = SLICE("content-type"), .value = SLICE("application/json")},
		{.name = SLICE("accept"), .value = SLICE("application/json")}};
	struct fetch_spec spec = {.method = "POST", .fields = type, .nfields = 2};
	struct channel_config cfg = {.kind = HTTP_KIND_1, .creds = &a->creds};
	struct place p = {0};
	struct buf body = BUF_INIT;
	struct json *review;
	char uid[40];

	if (find_place(a, &p, e) < 0 || set_creds(a, e) < 0)
		return -1;
	cfg.host = p.host;
	cfg.port = p.port;
	cfg.sni = cfg.expect = p.name;
	cfg.wait_max = webhook_timeout(&a->hooks[a->i]);
	a->channel = channel_new(a->loop, a->dns, &cfg, e);
	if (!a->channel)
		return -1;
	snprintf(uid, sizeof(uid), "%016llx%016llx", (unsigned long long)random_u64(),
		(unsigned long long)random_u64());
	review = webhook_review(a->c, uid);
	json_write(review, 0, &body);
	json_free(review);
	spec.path = p.path;
	spec.body = buf_slice(&body);
	a->status = 0;
	a->answer = BUF_LIMIT(ANSWER_MAX);
	timer_set(&a->timer, webhook_timeout(&a->hooks[a->i]));
	a->over = false;
	a->fetch = fetch_begin(a->channel, &spec, &user, a, e);
	buf_fini(&body);
	if (!a->fetch)
		return -1;
	if (a->over)
		a->fetch = NULL;
	return 0;
}

static void on_next(struct later *d)
{
	struct admit *a = container_of(d, struct admit, next);
	struct err e = {0};

	drop_call(a);
	if (a->i == a->n)
		finish(a, NULL);
	else if (call_hook(a, &e) < 0)
		failed(a, &e);
}

struct admit *admit_begin(
	struct loop *l, struct dns *d, struct change *c, admit_done *done, void *arg)
{
	struct webhook hooks[WEBHOOKS_MAX];
	size_t n = webhooks_for(c, hooks);
	struct admit *a;

	if (!n)
		return NULL;
	a = calloc(1, sizeof(*a));
	must(a);
	a->loop = l;
	a->dns = d;
	a->c = c;
	a->done = done;
	a->arg = arg;
	a->n = n;
	memcpy(a->hooks, hooks, n * sizeof(*hooks));
	a->creds = SNAP_INIT;
	timer_init(&a->timer, l, on_timeout);
	later_init(&a->next, on_next);
	later_init(&a->finish, on_finish);
	loop_later(l, &a->next);
	return a;
}
