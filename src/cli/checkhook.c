/* SPDX-License-Identifier: Apache-2.0 */
/* The webhook, asked as the API server asks it: is a pod given its proxy? */
#include "cli/checksint.h"
#include "ctl/inject.h"
#include "kube/selector.h"
#include "wire/yaml.h"

#define WHERE "/api/v1/namespaces/default"
#define HOOK  "mesh-injector.linkerd.io"

/* The restricted security standard lets it in; nothing of it is ever started. */
static const char pod[] = "apiVersion: v1\n"
			  "kind: Pod\n"
			  "metadata:\n"
			  "  generateName: mesh-check-\n"
			  "  annotations: {linkerd.io/inject: enabled}\n"
			  "spec:\n"
			  "  securityContext: {runAsNonRoot: true, runAsUser: 65534,\n"
			  "    seccompProfile: {type: RuntimeDefault}}\n"
			  "  containers:\n"
			  "  - name: check\n"
			  "    image: mesh-check\n"
			  "    securityContext: {allowPrivilegeEscalation: false,\n"
			  "      capabilities: {drop: [ALL]}}\n";

/* The webhook's entry that concerns pods; NULL: it is not there. */
static const struct json *entry(struct check_run *r, struct err *e)
{
	const struct json *j = check_get(r, e,
		"/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/"
		"mesh-injector-webhook-config");

	json_each(it, json_get(j, "webhooks"))
	{
		if (strcmp(json_text_or(it, "name", ""), HOOK) == 0)
			return it;
	}
	if (j)
		err_set(e, ERR_MISSING,
			"mesh-injector-webhook-config has no webhook " HOOK);
	return NULL;
}

static bool has_proxy(const struct json *made, const char *list)
{
	json_each(it, json_path(made, list))
	{
		if (strcmp(json_text_or(it, "name", ""), INJECT_PROXY) == 0)
			return true;
	}
	return false;
}

/* Quotas, policies, missing rights: many may refuse a pod, and say nothing of us.  No
 * answer is no refusal. */
static int refused(const struct err *why, struct err *e)
{
	bool is_answer = why->code == ERR_DENIED || why->code == ERR_BUSY;

	*e = *why;
	if (!is_answer || strstr(why->msg, HOOK))
		return -1;
	e->code = ERR_UNKNOWN;
	return err_wrap(e, "a pod in the namespace default");
}

static int ask(struct check_run *r, struct err *e)
{
	const struct check_source *s = r->cfg->source;
	struct json *object = yaml_parse(slice_of(pod), NULL);
	struct err why = {0};
	struct json *made = s->would(s->arg, WHERE "/pods", object, &why);
	bool good = has_proxy(made, "spec.initContainers") ||
		    has_proxy(made, "spec.containers");

	json_free(object);
	json_free(made);
	if (!made)
		return refused(&why, e);
	return good ? 0
		    : err_set(e, ERR_DENIED,
			      "the API server makes a pod without its proxy: it does "
			      "not "
			      "reach mesh-injector, or does not believe it");
}

int hook_adds_proxies(struct check_run *r, struct err *e)
{
	const struct json *hook = entry(r, e), *ns;

	if (!hook)
		return -1;
	ns = check_get(r, e, WHERE);
	if (!ns)
		return -1;
	if (selector_matches(json_get(hook, "namespaceSelector"),
		    json_path(ns, "metadata.labels")) &&
		selector_matches(json_get(hook, "objectSelector"), NULL))
		return ask(r, e);
	return err_set(e, ERR_UNKNOWN, "the namespace default is not for the webhook");
}
