/* SPDX-License-Identifier: Apache-2.0 */
#include "local/webhook.h"

#include "base/clock.h"
#include "kube/selector.h"
#include "local/meta.h"
#include "local/status.h"
#include "wire/patch.h"

#define REG          ".admissionregistration.k8s.io"
#define WARNINGS_MAX 20

/* ---- which ---- */

static bool lists(const struct json *list, const char *word)
{
	json_each(it, list)
	{
		const char *t = json_text(it);

		if (t && (strcmp(t, "*") == 0 || strcmp(t, word) == 0))
			return true;
	}
	return false;
}

/* "pods", "pods/status", and either half as a star. */
static bool lists_resource(const struct json *list, const struct change *c)
{
	char full[200], any[80], all[40];

	if (!*c->sub)
		return lists(list, c->kind->resource);
	snprintf(full, sizeof(full), "%s/%s", c->kind->resource, c->sub);
	snprintf(any, sizeof(any), "%s/*", c->kind->resource);
	snprintf(all, sizeof(all), "*/%s", c->sub);
	json_each(it, list)
	{
		const char *t = json_text(it);

		if (t && (strcmp(t, full) == 0 || strcmp(t, any) == 0 ||
				 strcmp(t, all) == 0 || strcmp(t, "*/*") == 0))
			return true;
	}
	return false;
}

static const char *operation(const struct change *c)
{
	return c->verb == CHANGE_CREATE ? "CREATE" : "UPDATE";
}

static bool fits_rule(const struct json *rule, const struct change *c)
{
	const char *scope = json_text_or(rule, "scope", "*");
	bool in_ns = c->kind->flags & KIND_NAMESPACED;

	if (strcmp(scope, "*") != 0 && (strcmp(scope, "Namespaced") == 0) != in_ns)
		return false;
	return lists(json_get(rule, "operations"), operation(c)) &&
	       lists(json_get(rule, "apiGroups"), c->kind->group) &&
	       lists(json_get(rule, "apiVersions"), c->kind->version) &&
	       lists_resource(json_get(rule, "resources"), c);
}

static bool fits_rules(const struct json *hook, const struct change *c)
{
	json_each(rule, json_get(hook, "rules"))
	{
		if (fits_rule(rule, c))
			return true;
	}
	return false;
}

static bool fits_namespace(const struct json *hook, const struct change *c)
{
	const struct json *selector = json_get(hook, "namespaceSelector"), *ns = NULL;

	if (!json_first(selector))
		return true;
	if (strcmp(c->kind->res, "namespaces") == 0)
		ns = c->obj;
	else if (c->kind->flags & KIND_NAMESPACED)
		ns = store_get(c->env->store, "namespaces", "", c->ns);
	else
		return true;
	return selector_matches(selector, json_path(ns, "metadata.labels"));
}

static bool fits_object(const struct json *hook, const struct change *c)
{
	const struct json *selector = json_get(hook, "objectSelector");

	if (!json_first(selector))
		return true;
	return selector_matches(selector, json_path(c->obj, "metadata.labels")) ||
	       (c->old && selector_matches(selector,
				  json_path(c->old->json, "metadata.labels")));
}

static size_t gather(const struct change *c, const char *res, bool mutating,
	struct webhook *out, size_t n)
{
	struct store_list all;

	store_list(c->env->store, res, NULL, &all);
	for (size_t i = 0; i < all.n; i++)
		json_each(hook, json_get(all.v[i]->json, "webhooks"))
		{
			if (n < WEBHOOKS_MAX && fits_rules(hook, c) &&
				fits_namespace(hook, c) && fits_object(hook, c))
				out[n++] = (struct webhook){
					object_ref(all.v[i]), hook, mutating};
		}
	store_list_end(&all);
	return n;
}

size_t webhooks_for(const struct change *c, struct webhook out[WEBHOOKS_MAX])
{
	size_t n;

	/* Webhooks are not asked about themselves: a broken one could not be mended. */
	if (strcmp(c->kind->group, &REG[1]) == 0)
		return 0;
	n = gather(c, "mutatingwebhookconfigurations" REG, true, out, 0);
	return gather(c, "validatingwebhookconfigurations" REG, false, out, n);
}

void webhook_fini(struct webhook *w)
{
	object_unref(w->config);
	*w = (struct webhook){0};
}

const char *webhook_name(const struct webhook *w)
{
	return json_text_or(w->hook, "name", "");
}

bool webhook_may_fail(const struct webhook *w)
{
	return strcmp(json_text_or(w->hook, "failurePolicy", "Fail"), "Ignore") == 0;
}

uint64_t webhook_timeout(const struct webhook *w)
{
	int64_t s = json_int_at(w->hook, "timeoutSeconds", 10);

	return (uint64_t)(s < 1 ? 1 : s > 30 ? 30 : s) * NS_PER_S;
}

/* ---- the question ---- */

static void set_kind(struct json *request, const char *key, const struct kind *k,
	const char *what, const char *name)
{
	struct json *j = json_need_object(request, key);

	json_set_text(j, "group", k->group);
	json_set_text(j, "version", k->version);
	json_set_text(j, what, name);
}

static void set_user(struct json *request, const char *name)
{
	struct json *user = json_need_object(request, "userInfo");

	json_set_text(user, "username", name);
	json_push(json_need_list(user, "groups"), json_string("system:authenticated"));
}

struct json *webhook_review(const struct change *c, const char *uid)
{
	struct json *review = json_object(), *q;
	const struct kind *k = c->kind;

	json_set_text(review, "kind", "AdmissionReview");
	json_set_text(review, "apiVersion", "admission.k8s.io/v1");
	q = json_need_object(review, "request");
	json_set_text(q, "uid", uid);
	set_kind(q, "kind", k, "kind", k->kind);
	set_kind(q, "resource", k, "resource", k->resource);
	set_kind(q, "requestKind", k, "kind", k->kind);
	set_kind(q, "requestResource", k, "resource", k->resource);
	if (*c->sub)
		json_set_text(q, "subResource", c->sub);
	if (*meta_name(c->obj))
		json_set_text(q, "name", meta_name(c->obj));
	if (k->flags & KIND_NAMESPACED)
		json_set_text(q, "namespace", c->ns);
	json_set_text(q, "operation", operation(c));
	set_user(q, c->user);
	json_set(q, "object", json_copy(c->obj));
	json_set(q, "oldObject", c->old ? json_copy(c->old->json) : json_null());
	json_set_bool(q, "dryRun", c->dry_run);
	return review;
}

/* ---- the answer ---- */

static struct json *refusal(const struct webhook *w, const struct json *response)
{
	const char *why = json_text_or(response, "status.message",
		json_text_or(response, "status.reason", ""));
	int64_t code = json_int_at(response, "status.code", 0);

	if (code < 400 || code > 599)
		code = 400;
	return status_new((int)code,
		json_text_or(response, "status.reason", "Forbidden"),
		"admission webhook \"%s\" denied the request%s%s", webhook_name(w),
		*why ? ": " : " without explanation", why);
}

static int apply_patch(struct change *c, const char *base64, struct err *e)
{
	struct buf text = BUF_INIT;
	struct json *ops = NULL;
	int r = -1;

	if (buf_unbase64(&text, slice_of(base64)) < 0)
		err_set(e, ERR_SYNTAX, "the patch is not base64");
	else
		ops = json_parse(buf_slice(&text), e);
	if (ops)
		r = patch_json(&c->obj, ops, e);
	json_free(ops);
	buf_fini(&text);
	return r;
}

static void keep_warnings(struct change *c, const struct json *warnings)
{
	json_each(it, warnings)
	{
		if (!json_text(it) || json_count(c->warnings) == WARNINGS_MAX)
			continue;
		if (!c->warnings)
			c->warnings = json_list();
		json_push(c->warnings, json_copy(it));
	}
}

struct json *webhook_apply(const struct webhook *w, struct change *c,
	const struct json *review, struct err *e)
{
	const struct json *response = json_get(review, "response");
	const char *patch = json_text_or(response, "patch", "");

	if (json_kind(response) != JSON_OBJECT) {
		err_set(e, ERR_SYNTAX, "the answer has no response");
		return NULL;
	}
	keep_warnings(c, json_get(response, "warnings"));
	if (!json_bool_at(response, "allowed", false))
		return refusal(w, response);
	if (w->mutating && *patch)
		(void)apply_patch(c, patch, e);
	return NULL;
}
