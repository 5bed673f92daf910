/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/review.h"

#include <string.h>

static int check(struct review *r, struct err *e)
{
	if (strcmp(json_text_or(r->json, "kind", ""), "AdmissionReview") != 0)
		return err_set(e, ERR_SYNTAX, "not an AdmissionReview");
	if (strcmp(r->version, "admission.k8s.io/v1") != 0 &&
		strcmp(r->version, "admission.k8s.io/v1beta1") != 0)
		return err_set(e, ERR_SYNTAX, "apiVersion \"%.60s\" is not served",
			r->version);
	if (!*r->uid)
		return err_set(e, ERR_SYNTAX, "the request has no uid");
	if (json_kind(r->object) != JSON_OBJECT)
		return err_set(e, ERR_SYNTAX, "the request has no object");
	return 0;
}

int review_read(struct review *r, struct slice body, struct err *e)
{
	const struct json *request;

	*r = (struct review){.json = json_parse(body, e)};
	if (!r->json)
		return -1;
	request = json_get(r->json, "request");
	r->version = json_text_or(r->json, "apiVersion", "");
	r->uid = json_text_or(request, "uid", "");
	r->kind = json_text_or(request, "kind.kind", "");
	r->namespace = json_text_or(request, "namespace", "");
	r->object = json_get(request, "object");
	r->dry_run = json_bool_at(request, "dryRun", false);
	return check(r, e);
}

void review_fini(struct review *r)
{
	json_free(r->json);
	*r = (struct review){0};
}

static void add_patch(struct json *response, const struct json *patch)
{
	struct buf text = BUF_INIT, base64 = BUF_INIT;

	json_write(patch, 0, &text);
	buf_base64(&base64, buf_slice(&text));
	json_set_text(response, "patchType", "JSONPatch");
	json_set(response, "patch", json_string_n(buf_slice(&base64)));
	buf_fini(&text);
	buf_fini(&base64);
}

static void add_status(struct json *response, const struct review_answer *a)
{
	struct json *status = json_need_object(response, "status");

	json_set_text(status, "status", "Failure");
	json_set_int(status, "code", a->refused);
	json_set_text(status, "message", a->message ? a->message : "");
}

void review_write(
	const struct review *r, const struct review_answer *a, struct buf *out)
{
	struct json *j = json_object(), *response;

	json_set_text(j, "kind", "AdmissionReview");
	json_set_text(j, "apiVersion", r->version);
	response = json_need_object(j, "response");
	json_set_text(response, "uid", r->uid);
	json_set_bool(response, "allowed", !a->refused);
	if (a->refused)
		add_status(response, a);
	else if (json_count(a->patch))
		add_patch(response, a->patch);
	if (json_count(a->warnings))
		json_set(response, "warnings", json_copy(a->warnings));
	json_write(j, 0, out);
	json_free(j);
}
