/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/ask.h"

#include <stdlib.h>

#include "base/obj.h"

struct ask {
	struct loop *loop;
	struct dns *dns;
	struct kube *kube;
	/* of the question that is asked */
	int status;
	struct err err;
	struct json *got;
	struct buf *text;
};

struct ask *ask_new(const struct kube_config *cluster, struct err *e)
{
	struct ask *a = calloc(1, sizeof *a);
	char path[512];
	struct kube_config cfg = *cluster;

	must(a);
	cfg.kubeconfig = kube_local_config(cluster->kubeconfig, path);
	cfg.component = "mesh-cli";
	a->loop = loop_new(e);
	a->dns = a->loop ? dns_new(a->loop, NULL, e) : NULL;
	a->kube = a->dns ? kube_new(a->loop, a->dns, &cfg, e) : NULL;
	if (a->kube)
		return a;
	ask_free(a);
	return NULL;
}

void ask_free(struct ask *a)
{
	if (!a)
		return;
	if (a->kube)
		kube_free(a->kube);
	if (a->dns)
		dns_free(a->dns);
	if (a->loop)
		loop_free(a->loop);
	free(a);
}

static void refused(struct ask *a, const struct json *body)
{
	enum errc code = a->status == 404                       ? ERR_MISSING
			 : a->status == 401 || a->status == 403 ? ERR_DENIED
								: ERR_BUSY;

	err_set(&a->err, code, "the API server answers %d: %s", a->status,
		json_text_or(body, "message", ""));
}

static void on_json(void *arg, int status, const struct json *body, const struct err *e)
{
	struct ask *a = arg;

	a->status = status;
	a->err = *e;
	if ((status == 200 || status == 201) && body)
		a->got = json_copy(body);
	else if (status == 200 || status == 201)
		err_set(&a->err, ERR_SYNTAX, "the API server's answer is not JSON");
	else if (status)
		refused(a, body);
	loop_stop(a->loop);
}

static void on_text(void *arg, int status, struct slice body, const struct err *e)
{
	struct ask *a = arg;
	struct json *said;

	a->status = status;
	a->err = *e;
	if (status == 200) {
		if (buf_adds(a->text, body) < 0)
			err_set(&a->err, ERR_LIMIT, "the answer is too large");
	} else if (status) {
		said = json_parse(body, NULL);
		refused(a, said);
		json_free(said);
	}
	loop_stop(a->loop);
}

static struct json *ask(struct ask *a, const char *method, const char *path,
	const struct json *body, struct err *e)
{
	a->got = NULL;
	(void)kube_request(a->kube, method, path, NULL, body, on_json, a);
	if (loop_run(a->loop, e))
		return NULL;
	if (!a->got && e)
		*e = a->err;
	return a->got;
}

struct json *ask_get(struct ask *a, const char *path, struct err *e)
{
	return ask(a, "GET", path, NULL, e);
}

int ask_text(struct ask *a, const char *path, struct buf *out, struct err *e)
{
	a->text = out;
	(void)kube_get_text(a->kube, path, on_text, a);
	if (loop_run(a->loop, e))
		return -1;
	if (a->err.code == ERR_NONE)
		return 0;
	if (e)
		*e = a->err;
	return -1;
}

int ask_may(struct ask *a, const char *verb, const char *group, const char *resource,
	const char *namespace, struct err *e)
{
	struct json *body = json_object(), *what, *answer;
	bool allowed;

	json_set_text(body, "apiVersion", "authorization.k8s.io/v1");
	json_set_text(body, "kind", "SelfSubjectAccessReview");
	what = json_need_object(json_need_object(body, "spec"), "resourceAttributes");
	json_set_text(what, "verb", verb);
	json_set_text(what, "group", group);
	json_set_text(what, "resource", resource);
	json_set_text(what, "namespace", namespace);
	answer = ask(a, "POST",
		"/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body, e);
	json_free(body);
	if (!answer)
		return -1;
	allowed = json_bool_at(answer, "status.allowed", false);
	json_free(answer);
	return allowed ? 0 : err_set(e, ERR_DENIED, "it is not allowed to you");
}

struct json *ask_would(
	struct ask *a, const char *path, const struct json *object, struct err *e)
{
	char where[300];

	snprintf(where, sizeof where, "%s?dryRun=All", path);
	return ask(a, "POST", where, object, e);
}

/* ---- for those who ask more ---- */

struct loop *ask_loop(struct ask *a)
{
	return a->loop;
}

struct dns *ask_dns(struct ask *a)
{
	return a->dns;
}

struct kube *ask_kube(struct ask *a)
{
	return a->kube;
}

static void turn_over(void *arg)
{
	loop_stop(((struct ask *)arg)->loop);
}

void ask_settle(struct ask *a)
{
	loop_post(a->loop, turn_over, a);
	(void)loop_run(a->loop, NULL); /* it has run before */
}
