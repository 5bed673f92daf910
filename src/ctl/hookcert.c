/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/hookcert.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/obj.h"
#include "tls/cert.h"

#define LIFE  (UINT64_C(365) * 86400 * NS_PER_S)
#define SKEW  (60 * NS_PER_S)
#define POLL  (60 * NS_PER_S)
#define HOOKS "/apis/admissionregistration.k8s.io/v1/"

/* ---- deciding ---- */

/* Serves now, fits its key, and a third of its life is left. */
static bool is_good(const struct cert *c, struct slice key, uint64_t now)
{
	struct key *k = c ? key_read(key, NULL) : NULL;
	struct cert_info info;
	bool yes = false;

	if (k) {
		cert_info(c, &info);
		yes = cert_matches_key(c, k) && now >= info.not_before &&
		      now < info.not_after &&
		      info.not_after - now > (info.not_after - info.not_before) / 3;
	}
	key_free(k);
	return yes;
}

static bool is_in(const struct cert *list, struct slice der)
{
	struct slice other;

	for (size_t i = 0; (other = cert_der(list, i)).n; i++)
		if (slice_eq(other, der))
			return true;
	return false;
}

static size_t count_of(const struct cert *list)
{
	size_t n = 0;

	while (cert_der(list, n).n)
		n++;
	return n;
}

/* Also those that the replicas may still serve with. */
static enum hookcert_step decide_bundle(const struct cert *crt, const struct cert *old,
	struct slice bundle, uint64_t now, struct buf *out)
{
	struct slice der = cert_der(crt, 0);
	struct cert_info info;
	bool settled;

	cert_info(crt, &info);
	settled = now >= info.not_before + SKEW + HOOKCERT_SETTLE;
	if (old && is_in(old, der) && (!settled || count_of(old) == 1))
		return HOOKCERT_NOTHING;
	if (old && !settled)
		buf_adds(out, bundle);
	if (buf_len(out) && out->p[out->end - 1] != '\n')
		buf_char(out, '\n');
	must(pem_wrap("CERTIFICATE", der, out) == 0);
	return HOOKCERT_BUNDLE;
}

enum hookcert_step hookcert_decide(struct slice crt, struct slice key,
	struct slice bundle, uint64_t now, struct buf *out)
{
	struct cert *c = cert_read(crt, NULL);
	struct cert *old = bundle.n ? cert_read(bundle, NULL) : NULL;
	enum hookcert_step step = HOOKCERT_RENEW;

	if (is_good(c, key, now))
		step = decide_bundle(c, old, bundle, now, out);
	cert_free(old);
	cert_free(c);
	return step;
}

/* ---- one round: read both, decide, write ---- */

struct hookcert {
	struct loop *loop;
	struct kube *kube;
	const struct hookcert_config *cfg;
	bool active;
	struct timer poll;
	struct kube_call *call;
	struct json *secret;         /* as it was read in this round */
	struct buf crt;              /* the Secret's */
	struct buf new_crt, new_key; /* on their way into the Secret */
	uint64_t ends;               /* of the certificate in use; 0: unknown */
	uint64_t renewed;
	int trouble; /* what was last complained about */
};

static void round_over(struct hookcert *h)
{
	json_free(h->secret);
	h->secret = NULL;
	if (h->new_key.p)
		explicit_bzero(h->new_key.p, h->new_key.cap);
	buf_fini(&h->new_key);
	buf_fini(&h->new_crt);
	buf_fini(&h->crt);
	h->crt = h->new_crt = h->new_key = BUF_INIT;
	if (h->active)
		timer_set(&h->poll, h->cfg->poll ? h->cfg->poll : POLL);
}

static void failed(struct hookcert *h, const char *what, int status,
	const struct json *body, const struct err *e)
{
	if (h->trouble != status + 1)
		log_warn("webhook", what, LS("secret", h->cfg->secret),
			LI("status", status),
			LS("error",
				status ? json_text_or(body, "message", "") : e->msg));
	h->trouble = status + 1;
	round_over(h);
}

static void tell(struct hookcert *h, const char *reason, const char *text)
{
	struct json *about = json_object(), *meta;

	json_set_text(about, "apiVersion", "apps/v1");
	json_set_text(about, "kind", "Deployment");
	meta = json_need_object(about, "metadata");
	json_set_text(meta, "namespace", h->cfg->namespace);
	json_set_text(meta, "name", h->cfg->deployment);
	kube_event(h->kube, about, "Normal", reason, text);
	json_free(about);
}

static struct json *base64_of(const struct buf *b)
{
	struct buf text = BUF_INIT;
	struct json *j;

	must(buf_base64(&text, buf_slice(b)) == 0);
	j = json_string_n(buf_slice(&text));
	buf_fini(&text);
	return j;
}

/* ---- the Secret ---- */

static void secret_path(const struct hookcert *h, char out[400])
{
	snprintf(out, 400, "/api/v1/namespaces/%s/secrets/%s", h->cfg->namespace,
		h->cfg->secret);
}

static void on_secret_written(
	void *arg, int status, const struct json *body, const struct err *e)
{
	struct hookcert *h = arg;
	char end[CLOCK_TEXT], text[128];

	h->call = NULL;
	if (status != 200) {
		failed(h, "the new certificate was not stored", status, body, e);
		return;
	}
	h->renewed++;
	h->trouble = 0;
	h->ends = clock_wall() + LIFE - SKEW;
	clock_rfc3339(h->ends, false, end);
	log_info("webhook", "certificate renewed", LS("secret", h->cfg->secret),
		LS("until", end));
	snprintf(text, sizeof text, "The webhook's certificate was renewed until %s",
		end);
	tell(h, "WebhookCertificateRenewed", text);
	round_over(h);
}

/* Only over what was read: two writers do not undo each other. */
static void write_secret(struct hookcert *h)
{
	struct json *j = json_object(), *data;
	char path[400];

	json_set_text(json_need_object(j, "metadata"), "resourceVersion",
		json_text_or(h->secret, "metadata.resourceVersion", ""));
	data = json_need_object(j, "data");
	json_set(data, "tls.crt", base64_of(&h->new_crt));
	json_set(data, "tls.key", base64_of(&h->new_key));
	secret_path(h, path);
	h->call = kube_request(h->kube, "PATCH", path, "application/merge-patch+json",
		j, on_secret_written, h);
	json_free(j);
}

/* ---- what the API server believes ---- */

static void hook_path(const struct hookcert *h, char out[400])
{
	snprintf(out, 400, HOOKS "%s/%s", h->cfg->hook_kind, h->cfg->hook);
}

static void on_bundle_written(
	void *arg, int status, const struct json *body, const struct err *e)
{
	struct hookcert *h = arg;

	h->call = NULL;
	if (status != 200) {
		failed(h, "the caBundle was not written", status, body, e);
		return;
	}
	log_info("webhook", "the API server believes", LS("webhook", h->cfg->hook));
	h->trouble = 0;
	if (buf_len(&h->new_crt))
		write_secret(h);
	else
		round_over(h);
}

static void add_op(
	struct json *patch, const char *op, const char *path, struct json *value)
{
	struct json *j = json_push(patch, json_object());

	json_set_text(j, "op", op);
	json_set_text(j, "path", path);
	json_set(j, "value", value);
}

static void write_bundle(
	struct hookcert *h, const struct json *hook, const struct buf *bundle)
{
	struct json *patch = json_list();
	size_t n = json_count(json_get(hook, "webhooks"));
	char path[400];

	add_op(patch, "test", "/metadata/resourceVersion",
		json_string(json_text_or(hook, "metadata.resourceVersion", "")));
	for (size_t i = 0; i < n; i++) {
		snprintf(path, sizeof path, "/webhooks/%zu/clientConfig/caBundle", i);
		add_op(patch, "add", path, base64_of(bundle));
	}
	hook_path(h, path);
	h->call = kube_request(h->kube, "PATCH", path, "application/json-patch+json",
		patch, on_bundle_written, h);
	json_free(patch);
}

/* ---- the round ---- */

static int make_new(struct hookcert *h, struct err *e)
{
	char name[300];
	const char *const dns[] = {name, NULL};
	uint64_t now = clock_wall();
	struct cert_spec spec = {.common_name = name,
		.dns = dns,
		.server = true,
		.not_before = now - SKEW,
		.not_after = now - SKEW + LIFE};

	snprintf(name, sizeof name, "%s.%s.svc", h->cfg->service, h->cfg->namespace);
	return cert_issue_own(&spec, &h->new_crt, &h->new_key, e);
}

/* The one in use and its successor, and no more however often this is tried. */
static void renew(struct hookcert *h, const struct json *hook)
{
	struct err e = {0};
	struct buf both = BUF_INIT;

	if (make_new(h, &e)) {
		failed(h, "no new certificate", 0, NULL, &e);
		return;
	}
	if (h->ends)
		buf_adds(&both, buf_slice(&h->crt));
	if (buf_len(&both) && both.p[both.end - 1] != '\n')
		buf_char(&both, '\n');
	buf_adds(&both, buf_slice(&h->new_crt));
	write_bundle(h, hook, &both);
	buf_fini(&both);
}

static void decode(const struct json *data, const char *key, struct buf *out)
{
	const char *text = json_text(json_get(data, key));

	if (text && buf_unbase64(out, slice_of(text)))
		buf_clear(out); /* as if it were not there */
}

static void note_end(struct hookcert *h)
{
	struct cert *c = cert_read(buf_slice(&h->crt), NULL);

	h->ends = c ? cert_chain_end(c) : 0;
	cert_free(c);
}

static void decide(struct hookcert *h, const struct json *hook)
{
	const struct json *data = json_get(h->secret, "data");
	struct buf key = BUF_INIT, old = BUF_INIT, bundle = BUF_INIT;

	decode(data, "tls.crt", &h->crt);
	decode(data, "tls.key", &key);
	decode(json_path(hook, "webhooks.0.clientConfig"), "caBundle", &old);
	note_end(h);
	switch (hookcert_decide(buf_slice(&h->crt), buf_slice(&key), buf_slice(&old),
		clock_wall(), &bundle)) {
	case HOOKCERT_NOTHING:
		h->trouble = 0;
		round_over(h);
		break;
	case HOOKCERT_RENEW:
		renew(h, hook);
		break;
	case HOOKCERT_BUNDLE:
		write_bundle(h, hook, &bundle);
		break;
	}
	if (key.p)
		explicit_bzero(key.p, key.cap);
	buf_fini(&key);
	buf_fini(&old);
	buf_fini(&bundle);
}

static void on_hook(void *arg, int status, const struct json *body, const struct err *e)
{
	struct hookcert *h = arg;

	h->call = NULL;
	if (status == 200 && json_count(json_get(body, "webhooks")))
		decide(h, body);
	else
		failed(h, "the webhook's configuration cannot be read", status, body,
			e);
}

static bool is_ours(const struct json *secret)
{
	return json_get(json_path(secret, "metadata.annotations"), HOOKCERT_OURS);
}

static void on_secret(
	void *arg, int status, const struct json *body, const struct err *e)
{
	struct hookcert *h = arg;
	char path[400];

	h->call = NULL;
	if (status != 200) {
		failed(h, "the Secret cannot be read", status, body, e);
		return;
	}
	if (!is_ours(body)) {
		h->ends = 0;
		round_over(h);
		return;
	}
	h->secret = json_copy(body);
	hook_path(h, path);
	h->call = kube_request(h->kube, "GET", path, NULL, NULL, on_hook, h);
}

static void on_poll(struct timer *t)
{
	struct hookcert *h = container_of(t, struct hookcert, poll);
	char path[400];

	secret_path(h, path);
	h->call = kube_request(h->kube, "GET", path, NULL, NULL, on_secret, h);
}

void hookcert_set_active(struct hookcert *h, bool active)
{
	h->active = active;
	if (h->call)
		kube_cancel(h->call);
	h->call = NULL;
	timer_clear(&h->poll);
	round_over(h);
	if (active)
		timer_set(&h->poll, 0);
}

/* ---- life ---- */

struct hookcert *hookcert_new(
	struct loop *l, struct kube *k, const struct hookcert_config *cfg)
{
	struct hookcert *h = calloc(1, sizeof *h);

	must(h);
	h->loop = l;
	h->kube = k;
	h->cfg = cfg;
	h->crt = h->new_crt = h->new_key = BUF_INIT;
	timer_init(&h->poll, l, on_poll);
	return h;
}

void hookcert_metrics(const struct hookcert *h, struct buf *out)
{
	double left = ((double)h->ends - (double)clock_wall()) / (double)NS_PER_S;

	buf_text(out, "# TYPE webhook_cert_renewals_total counter\n");
	buf_printf(out, "webhook_cert_renewals_total{webhook=\"%s\"} %llu\n",
		h->cfg->hook, (unsigned long long)h->renewed);
	if (!h->ends)
		return;
	buf_text(out, "# TYPE webhook_cert_ttl_seconds gauge\n");
	buf_printf(out, "webhook_cert_ttl_seconds{webhook=\"%s\"} %.0f\n", h->cfg->hook,
		left);
}

void hookcert_free(struct hookcert *h)
{
	if (!h)
		return;
	hookcert_set_active(h, false);
	free(h);
}
