/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/access.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/obj.h"

#define URL       "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
#define AGAIN_MAX (10 * NS_PER_S)

struct access {
	struct kube *kube;
	const struct access_what *what;
	access_done *done;
	void *arg;
	struct kube_call *call; /* on its way, or NULL */
	struct timer again;
	uint64_t backoff;
};

static void ask_later(struct access *a)
{
	timer_set(&a->again, a->backoff);
	a->backoff = a->backoff * 2 < AGAIN_MAX ? a->backoff * 2 : AGAIN_MAX;
}

static void on_review(
	void *arg, int status, const struct json *body, const struct err *e)
{
	struct access *a = arg;
	const char *why = status ? json_text_or(body, "message", "") : e->msg;
	char text[256];

	a->call = NULL;
	if (status == 201 || status == 200) {
		snprintf(text, sizeof text, "may not %s %s.%s %s", a->what->verb,
			a->what->resource, a->what->group,
			json_text_or(body, "status.reason", ""));
		a->done(a->arg, json_bool_at(body, "status.allowed", false), text);
	} else if (status == 404) {
		a->done(a->arg, true, "");
	} else {
		log_warn("ctl", "the API server does not answer yet",
			LI("status", status), LS("error", why));
		ask_later(a);
	}
}

static void ask(struct access *a)
{
	struct json *body = json_object(), *attributes;

	json_set_text(body, "apiVersion", "authorization.k8s.io/v1");
	json_set_text(body, "kind", "SelfSubjectAccessReview");
	attributes =
		json_need_object(json_need_object(body, "spec"), "resourceAttributes");
	json_set_text(attributes, "verb", a->what->verb);
	json_set_text(attributes, "group", a->what->group);
	json_set_text(attributes, "resource", a->what->resource);
	a->call = kube_request(a->kube, "POST", URL, NULL, body, on_review, a);
	json_free(body);
}

static void on_again(struct timer *t)
{
	ask(container_of(t, struct access, again));
}

struct access *access_new(struct loop *l, struct kube *k,
	const struct access_what *what, access_done *done, void *arg)
{
	struct access *a = calloc(1, sizeof *a);

	must(a);
	*a = (struct access){.kube = k,
		.what = what,
		.done = done,
		.arg = arg,
		.backoff = NS_PER_S / 2};
	timer_init(&a->again, l, on_again);
	ask(a);
	return a;
}

void access_free(struct access *a)
{
	if (!a)
		return;
	if (a->call)
		kube_cancel(a->call);
	timer_clear(&a->again);
	free(a);
}
