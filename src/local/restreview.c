/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens for accounts, and what is asked about tokens and rights. */
#include <stdio.h>

#include "base/clock.h"
#include "base/obj.h"
#include "local/restint.h"
#include "local/token.h"

static bool has_name(const struct json *list, const char *name)
{
	json_each(it, list)
	{
		if (json_text(it) && strcmp(json_text(it), name) == 0)
			return true;
	}
	return false;
}

/* ---- serviceaccounts/token ---- */

static void read_spec(
	const struct rest_call *c, const struct json *body, struct token_spec *t)
{
	size_t n = 0;

	*t = (struct token_spec){
		.ns = c->ns,
		.account = c->name,
		.seconds = json_int_at(body, "spec.expirationSeconds", 3600),
	};
	json_each(a, json_path(body, "spec.audiences"))
	{
		if (json_text(a) && n < countof(t->audience))
			t->audience[n++] = json_text(a);
	}
	if (strcmp(json_text_or(body, "spec.boundObjectRef.kind", ""), "Pod") == 0) {
		t->pod = json_text_or(body, "spec.boundObjectRef.name", "");
		t->pod_uid = json_text_or(body, "spec.boundObjectRef.uid", "");
	}
}

void rest_token(const struct rest *r, struct rest_call *c)
{
	struct token_spec spec;
	struct buf b = BUF_INIT;
	struct err e = {0};
	char when[CLOCK_TEXT];
	uint64_t end = 0;
	struct json *body;

	if (!rest_is(c, "POST")) {
		rest_refuse(c, status_new(405, "MethodNotAllowed", "only create"));
		return;
	}
	if (!rest_find(r, c))
		return;
	body = rest_body(c);
	if (!body)
		return;
	read_spec(c, body, &spec);
	if (spec.seconds < 600) {
		struct json *causes = json_list();

		cause_add(causes, CAUSE_INVALID, "spec.expirationSeconds",
			"Invalid value: %lld: may not specify a duration less than 10 "
			"minutes",
			(long long)spec.seconds);
		rest_refuse(c, status_invalid(c->kind, c->name, causes));
		json_free(body);
		return;
	}
	if (token_make(r->env.store, r->token_key, &spec, &b, &end, &e) < 0) {
		rest_refuse(c, status_new(500, "InternalError", "%s", e.msg));
		json_free(body);
		buf_fini(&b);
		return;
	}
	clock_rfc3339(end, false, when);
	json_set_text(body, "kind", "TokenRequest");
	json_set_text(body, "apiVersion", "authentication.k8s.io/v1");
	json_set(json_need_object(body, "status"), "token",
		json_string_n(buf_slice(&b)));
	json_set_text(json_need_object(body, "status"), "expirationTimestamp", when);
	buf_fini(&b);
	rest_answer(c, 201, body);
}

/* ---- reviews ---- */

static struct json *user_of(const struct token_claims *t)
{
	struct json *user = json_object(), *groups, *extra;
	char text[100];

	json_set_text(user, "username", t->user);
	json_set_text(user, "uid", t->uid);
	groups = json_need_list(user, "groups");
	json_push(groups, json_string("system:serviceaccounts"));
	snprintf(text, sizeof(text), "system:serviceaccounts:%s", t->ns);
	json_push(groups, json_string(text));
	json_push(groups, json_string("system:authenticated"));
	if (*t->pod) {
		extra = json_need_object(user, "extra");
		json_push(
			json_need_list(extra, "authentication.kubernetes.io/pod-name"),
			json_string(t->pod));
		json_push(json_need_list(extra, "authentication.kubernetes.io/pod-uid"),
			json_string(t->pod_uid));
	}
	return user;
}

/* Which of the audiences asked for the token has; none asked: the API server's. */
static struct json *common_audiences(
	const struct token_claims *t, const struct json *asked)
{
	struct json *both = json_list();

	if (!json_first(asked)) {
		if (token_is_for(t, NULL))
			json_push(both, json_string(TOKEN_ISSUER));
		return both;
	}
	json_each(a, asked)
	{
		if (json_text(a) && has_name(t->audiences, json_text(a)))
			json_push(both, json_string(json_text(a)));
	}
	return both;
}

static void review_token(const struct rest *r, struct json *body)
{
	const char *token = json_text_or(body, "spec.token", "");
	struct json *status = json_set(body, "status", json_object()), *both;
	struct token_claims t;
	struct err e = {0};

	json_set_bool(status, "authenticated", false);
	if (token_verify(r->env.store, r->token_key, slice_of(token), &t, &e) < 0) {
		json_set_text(status, "error", e.msg);
		json_set(status, "user", json_object());
		return;
	}
	both = common_audiences(&t, json_path(body, "spec.audiences"));
	if (json_first(both)) {
		json_set_bool(status, "authenticated", true);
		json_set(status, "user", user_of(&t));
		json_set(status, "audiences", both);
	} else {
		json_set_text(status, "error",
			"token audiences are not among those asked for");
		json_set(status, "user", json_object());
		json_free(both);
	}
	json_free(t.audiences);
}

/* Who may ask at all may do everything: one machine, one user. */
static void review_access(struct json *body)
{
	struct json *status = json_set(body, "status", json_object());

	json_set_bool(status, "allowed", true);
	json_set_text(status, "reason", "the local runtime allows everything");
}

static struct json *every(const char *key, struct json *rule)
{
	json_push(json_need_list(rule, key), json_string("*"));
	return rule;
}

static void review_rules(struct json *body)
{
	struct json *status = json_set(body, "status", json_object());
	struct json *rule =
		json_push(json_need_list(status, "resourceRules"), json_object());

	every("verbs", every("apiGroups", every("resources", rule)));
	rule = json_push(json_need_list(status, "nonResourceRules"), json_object());
	every("verbs", every("nonResourceURLs", rule));
	json_set_bool(status, "incomplete", false);
}

static void review_self(struct json *body, const char *user)
{
	struct json *info =
		json_need_object(json_set(body, "status", json_object()), "userInfo");

	json_set_text(info, "username", user);
	json_push(json_need_list(info, "groups"), json_string("system:authenticated"));
}

void rest_review(const struct rest *r, struct rest_call *c)
{
	struct buf b = BUF_INIT;
	struct json *body;

	if (!rest_is(c, "POST")) {
		rest_refuse(c,
			status_new(405, "MethodNotAllowed",
				"only create is possible for %s", c->kind->resource));
		return;
	}
	body = rest_body(c);
	if (!body)
		return;
	kind_api_version(c->kind, &b);
	json_set_text(body, "kind", c->kind->kind);
	json_set(body, "apiVersion", json_string_n(buf_slice(&b)));
	buf_fini(&b);
	if (strcmp(c->kind->resource, "tokenreviews") == 0)
		review_token(r, body);
	else if (strcmp(c->kind->resource, "selfsubjectrulesreviews") == 0)
		review_rules(body);
	else if (strcmp(c->kind->resource, "selfsubjectreviews") == 0)
		review_self(body, c->user ? c->user : "");
	else
		review_access(body);
	rest_answer(c, 201, body);
}
