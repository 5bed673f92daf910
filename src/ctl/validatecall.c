/* SPDX-License-Identifier: Apache-2.0 */
/* The validating webhook: one AdmissionReview of a policy or profile kind. */
#include <stdlib.h>

#include "base/log.h"
#include "base/obj.h"
#include "ctl/injectorint.h"
#include "ctl/review.h"
#include "ctl/validate.h"

#define SERVERS "/apis/policy.linkerd.io/v1beta3/namespaces/%s/servers"

/* A Server that is looked up among the others of its namespace. */
struct validating {
	struct injector *in;
	struct call *http;
	struct list node; /* in in->validating */
	struct review review;
	struct kube_call *ask;
};

static void reply(struct call *http, const struct review *r, const struct err *refused)
{
	struct review_answer a = {
		.refused = refused ? 400 : 0, .message = refused ? refused->msg : NULL};
	struct buf body = BUF_INIT;

	if (refused)
		log_warn("injector", "refused", LS("kind", r->kind),
			LS("namespace", r->namespace),
			LS("name", json_text_or(r->object, "metadata.name", "")),
			LE(refused));
	review_write(r, &a, &body);
	call_reply(http, 200, "application/json", buf_slice(&body));
	buf_fini(&body);
}

/* ---- Servers: no two of one selector and one port ---- */

static void drop(struct validating *v)
{
	if (v->ask)
		kube_cancel(v->ask);
	list_remove(&v->node);
	review_fini(&v->review);
	free(v);
}

static void on_gone(struct call *http)
{
	drop(http->arg);
}

void injector_validations_end(struct injector *in)
{
	struct validating *v;

	while ((v = list_first(&in->validating, struct validating, node))) {
		v->http->on_gone = NULL;
		drop(v);
	}
}

static bool same_part(const struct json *a, const struct json *b, const char *path)
{
	const struct json *x = json_path(a, path), *y = json_path(b, path);

	return x && y ? json_equal(x, y) : x == y;
}

static bool speaks_of_the_same(const struct json *a, const struct json *b)
{
	return strcmp(json_text_or(a, "metadata.name", ""),
		       json_text_or(b, "metadata.name", "")) != 0 &&
	       same_part(a, b, "spec.podSelector") &&
	       same_part(a, b, "spec.externalWorkloadSelector") &&
	       same_part(a, b, "spec.port");
}

/* Whom we cannot ask about does not stand in the way. */
static void on_servers(
	void *arg, int status, const struct json *body, const struct err *e)
{
	struct validating *v = arg;
	struct err refused = {0};

	v->ask = NULL;
	if (status != 200)
		log_warn("injector", "other Servers are not known",
			LI("status", status),
			LS("error",
				status ? json_text_or(body, "message", "") : e->msg));
	json_each(other, status == 200 ? json_get(body, "items") : NULL)
	{
		if (!refused.code && speaks_of_the_same(other, v->review.object))
			err_set(&refused, ERR_SYNTAX,
				"spec: Server %s has the same selector and port",
				json_text_or(other, "metadata.name", ""));
	}
	reply(v->http, &v->review, refused.code ? &refused : NULL);
}

static void look_for_others(struct injector *in, struct call *c, struct review *r)
{
	struct validating *v = calloc(1, sizeof *v);
	char path[200];

	must(v);
	*v = (struct validating){.in = in, .http = c, .review = *r};
	list_init(&v->node);
	list_push(&in->validating, &v->node);
	c->arg = v;
	c->on_gone = on_gone;
	snprintf(path, sizeof path, SERVERS, r->namespace);
	v->ask = kube_request(in->kube, "GET", path, NULL, NULL, on_servers, v);
}

void injector_validate(struct call *c)
{
	struct injector *in = c->site_arg;
	struct err e = {0};
	struct review r;

	if (review_read(&r, c->body, &e) < 0) {
		call_text(c, 400, "%s\n", e.msg);
		review_fini(&r);
		return;
	}
	if (validate(r.object, &e) == 0 && strcmp(r.kind, "Server") == 0 &&
		*r.namespace && !strpbrk(r.namespace, "/?#%")) {
		look_for_others(in, c, &r);
		return;
	}
	reply(c, &r, e.code ? &e : NULL);
	review_fini(&r);
}
