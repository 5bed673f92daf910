/* SPDX-License-Identifier: Apache-2.0 */
/* One AdmissionReview: the namespace, the owner, the answer. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/obj.h"
#include "ctl/injectorint.h"
#include "ctl/review.h"

#define OWNER_WAIT (3 * NS_PER_S) /* for the API server; the webhook has 10 seconds */

enum call_at {
	CALL_AT_NAMESPACE, /* asked for what the watch has not seen */
	CALL_AT_OWNER,     /* asked who owns the pod's owner */
	CALL_AT_END,
};

struct injector_call {
	struct injector *in;
	struct call *http;
	struct list node; /* in in->calls */
	struct review review;
	enum call_at at;
	struct kube_call *ask; /* on its way, or NULL */
	struct timer limit;
	struct json *ns_annotations; /* owned; of a namespace that was asked for */
	struct json *owner;          /* owned: apiVersion, kind, metadata; or NULL */
};

static void step(struct injector_call *c);

/* ---- its end ---- */

static void drop(struct injector_call *c)
{
	if (c->ask)
		kube_cancel(c->ask);
	timer_clear(&c->limit);
	list_remove(&c->node);
	review_fini(&c->review);
	json_free(c->ns_annotations);
	json_free(c->owner);
	free(c);
}

static void on_gone(struct call *http)
{
	drop(http->arg);
}

void injector_calls_end(struct injector *in)
{
	struct injector_call *c;

	while ((c = list_first(&in->calls, struct injector_call, node))) {
		c->http->on_gone = NULL;
		drop(c);
	}
}

/* ---- the answer ---- */

/* Whom events are about: who made the pod, else the pod, if it has a name already. */
static struct json *regarding(const struct injector_call *c)
{
	const char *name = json_text_at(c->review.object, "metadata.name");
	struct json *j, *meta;

	if (c->owner)
		return json_copy(c->owner);
	if (!name)
		return NULL;
	j = json_object();
	json_set_text(j, "apiVersion", "v1");
	json_set_text(j, "kind", c->review.kind);
	meta = json_need_object(j, "metadata");
	json_set_text(meta, "namespace", c->review.namespace);
	json_set_text(meta, "name", name);
	return j;
}

static void tell_skipped(
	struct injector_call *c, const struct json *about, const struct inject_out *out)
{
	struct buf text = BUF_INIT;
	bool any = false;

	buf_text(&text, "Mesh sidecar proxy injection skipped: ");
	for (unsigned r = 0; r < INJECT_REASON_COUNT; r++)
		if (out->reasons & 1u << r) {
			buf_printf(
				&text, "%s%s", any ? ", " : "", inject_reason_text(r));
			any = true;
		}
	buf_char(&text, '\0');
	kube_event(c->in->kube, about, "Normal", "InjectionSkipped", text.p);
	buf_fini(&text);
}

/* The API server shows a pod again when others have changed it after us. */
static bool is_second_look(const struct injector_call *c, const struct inject_out *out)
{
	const struct json *notes = json_path(c->review.object, "metadata.annotations");
	const char *by = json_text(json_get(notes, "linkerd.io/created-by"));

	return out->reasons & 1u << INJECT_REASON_SIDECAR && by &&
	       strncmp(by, "mesh/injector ", 14) == 0;
}

/* That nobody asked for a proxy is no news, and a Service never has one. */
static void tell(struct injector_call *c, const struct inject_out *out,
	const struct err *refused)
{
	const unsigned silent =
		1u << INJECT_REASON_ABSENT | 1u << INJECT_REASON_UNSUPPORTED;
	struct json *about = regarding(c);

	if (!about)
		return;
	if (refused)
		kube_event(c->in->kube, about, "Warning", "InjectionRefused",
			refused->msg);
	else if (out->injected)
		kube_event(c->in->kube, about, "Normal", "Injected",
			"Mesh sidecar proxy injected");
	else if (!(out->reasons & silent) && !is_second_look(c, out))
		tell_skipped(c, about, out);
	json_each(w, out->warnings)
	{
		kube_event(c->in->kube, about, "Warning", "InjectionWarning",
			json_text(w));
	}
	json_free(about);
}

static void log_it(const struct injector_call *c, const struct inject_out *out,
	const struct err *refused)
{
	const char *name = json_text_or(c->review.object, "metadata.name",
		json_text_or(c->review.object, "metadata.generateName", ""));

	if (refused)
		log_warn("injector", "refused", LS("namespace", c->review.namespace),
			LS("name", name), LE(refused));
	else if (out->injected)
		log_info("injector", "injected", LS("namespace", c->review.namespace),
			LS("name", name));
	else
		log_debug("injector", "skipped", LS("namespace", c->review.namespace),
			LS("name", name), LI("reasons", out->reasons));
	json_each(w, out->warnings)
	{
		log_warn("injector", "injection warning",
			LS("namespace", c->review.namespace), LS("name", name),
			LS("why", json_text(w)));
	}
}

static void account(struct injector_call *c, const struct inject_out *out,
	const struct err *refused)
{
	char kind[64];
	struct injector_told told = {kind, c->review.namespace, out, refused != NULL};
	size_t n = (size_t)snprintf(kind, sizeof kind, "%s",
		json_text_or(c->owner, "kind", c->review.kind));

	for (size_t i = 0; i < n && i < sizeof kind; i++)
		if (kind[i] >= 'A' && kind[i] <= 'Z')
			kind[i] = (char)(kind[i] + 32);
	injector_count(&c->in->meter, &told);
	log_it(c, out, refused);
	if (!c->review.dry_run)
		tell(c, out, refused);
}

static void answer(struct injector_call *c)
{
	struct injector *in = c->in;
	bool known;
	const struct json *ns = injector_annotations(in, c->review.namespace, &known);
	struct inject_in what = {.values = in->values,
		.object = c->review.object,
		.kind = c->review.kind,
		.namespace = c->review.namespace,
		.ns_annotations = known ? ns : c->ns_annotations,
		.no_native = in->no_native,
		.owner_kind = json_text_or(c->owner, "kind", ""),
		.owner_name = json_text_or(c->owner, "metadata.name", "")};
	struct inject_out out;
	struct err e = {0};
	int r = inject(&what, &out, &e);
	struct review_answer a = {out.patch, out.warnings, r ? 400 : 0, e.msg};
	struct buf body = BUF_INIT;

	account(c, &out, r ? &e : NULL);
	review_write(&c->review, &a, &body);
	inject_out_fini(&out);
	call_reply(c->http, 200, "application/json", buf_slice(&body));
	buf_fini(&body);
}

/* ---- what the API server knows ---- */

static void on_namespace(
	void *arg, int status, const struct json *body, const struct err *e)
{
	struct injector_call *c = arg;
	const struct json *annotations = json_path(body, "metadata.annotations");

	c->ask = NULL;
	timer_clear(&c->limit);
	if (status == 200 && annotations)
		c->ns_annotations = json_copy(annotations);
	else if (status != 200)
		log_warn("injector", "a namespace is not known",
			LS("name", c->review.namespace), LI("status", status),
			LS("error",
				status ? json_text_or(body, "message", "") : e->msg));
	c->at = CALL_AT_OWNER;
	step(c);
}

/* An owner reference as an object, for events and labels. */
static void set_owner(struct injector_call *c, const struct json *ref)
{
	struct json *meta;

	json_free(c->owner);
	c->owner = json_object();
	json_set_text(c->owner, "apiVersion", json_text_or(ref, "apiVersion", ""));
	json_set_text(c->owner, "kind", json_text_or(ref, "kind", ""));
	meta = json_need_object(c->owner, "metadata");
	json_set_text(meta, "namespace", c->review.namespace);
	json_set_text(meta, "name", json_text_or(ref, "name", ""));
	json_set_text(meta, "uid", json_text_or(ref, "uid", ""));
}

static void on_owner(
	void *arg, int status, const struct json *body, const struct err *e)
{
	struct injector_call *c = arg;
	const struct json *ref = status == 200 ? inject_controller(body) : NULL;

	(void)e;
	c->ask = NULL;
	timer_clear(&c->limit);
	if (ref)
		set_owner(c, ref);
	c->at = CALL_AT_END;
	step(c);
}

static void on_limit(struct timer *t)
{
	struct injector_call *c = container_of(t, struct injector_call, limit);

	kube_cancel(c->ask);
	c->ask = NULL;
	c->at++;
	step(c);
}

static void ask(struct injector_call *c, const char *path, kube_done *done)
{
	c->ask = kube_request(c->in->kube, "GET", path, NULL, NULL, done, c);
	timer_set(&c->limit, OWNER_WAIT);
}

/* A name as the API server has it, so that it may stand in a path. */
static bool is_name(const char *s)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-.");

	return n && !s[n] && n <= 253 && *s != '.';
}

static bool ask_namespace(struct injector_call *c)
{
	char path[320];
	bool known;

	(void)injector_annotations(c->in, c->review.namespace, &known);
	if (known || !is_name(c->review.namespace))
		return false;
	snprintf(path, sizeof path, "/api/v1/namespaces/%s", c->review.namespace);
	ask(c, path, on_namespace);
	return true;
}

/* Those that belong to something that a person made. */
static bool ask_owner(struct injector_call *c)
{
	const struct json *ref = inject_controller(c->review.object);
	const char *name = json_text_or(ref, "name", "");
	const char *kind = json_text_or(ref, "kind", "");
	char path[640];

	if (!ref)
		return false;
	set_owner(c, ref);
	if (!is_name(name) || !is_name(c->review.namespace))
		return false;
	if (strcmp(kind, "ReplicaSet") == 0)
		snprintf(path, sizeof path,
			"/apis/apps/v1/namespaces/%s/replicasets/%s",
			c->review.namespace, name);
	else if (strcmp(kind, "Job") == 0)
		snprintf(path, sizeof path, "/apis/batch/v1/namespaces/%s/jobs/%s",
			c->review.namespace, name);
	else
		return false;
	ask(c, path, on_owner);
	return true;
}

/* Goes on until it has to wait, or has answered. */
static void step(struct injector_call *c)
{
	if (c->at == CALL_AT_NAMESPACE) {
		if (ask_namespace(c))
			return;
		c->at = CALL_AT_OWNER;
	}
	if (c->at == CALL_AT_OWNER) {
		if (ask_owner(c))
			return;
		c->at = CALL_AT_END;
	}
	answer(c);
}

void injector_handle(struct call *http)
{
	struct injector *in = http->site_arg;
	struct injector_call *c = calloc(1, sizeof *c);
	struct err e = {0};

	must(c);
	injector_look(in);
	if (review_read(&c->review, http->body, &e)) {
		review_fini(&c->review);
		free(c);
		call_text(http, 400, "%s\n", e.msg);
		return;
	}
	c->in = in;
	c->http = http;
	timer_init(&c->limit, in->loop, on_limit);
	list_init(&c->node);
	list_push(&in->calls, &c->node);
	http->arg = c;
	http->on_gone = on_gone;
	step(c);
}
