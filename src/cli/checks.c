/* SPDX-License-Identifier: Apache-2.0 */
/* The cluster, and what is installed. */
#include <stdio.h>
#include <stdlib.h>

#include "base/obj.h"
#include "cli/check.h"
#include "cli/checksint.h"
#include "ctl/inject.h"

#define MINOR_MIN 29 /* of Kubernetes 1: native sidecars are on */

/* ---- kubernetes-api, kubernetes-version ---- */

int can_connect(struct check_run *r, struct err *e)
{
	if (!r->cfg->no_source)
		return 0;
	*e = *r->cfg->no_source;
	return -1;
}

int can_query(struct check_run *r, struct err *e)
{
	return check_get(r, e, "/version") ? 0 : -1;
}

int is_new_enough(struct check_run *r, struct err *e)
{
	const struct json *v = check_get(r, e, "/version");
	const char *text = json_text_or(v, "gitVersion", "");
	unsigned major = 0, minor = 0;

	if (!v)
		return -1;
	if (sscanf(text, "v%u.%u", &major, &minor) == 2 &&
		(major > 1 || (major == 1 && minor >= MINOR_MIN)))
		return 0;
	return err_set(
		e, ERR_DENIED, "the cluster is %s, needed is 1.%d", text, MINOR_MIN);
}

/* ---- pre-kubernetes-setup ---- */

int namespace_is_free(struct check_run *r, struct err *e)
{
	struct err why = {0};

	if (check_get(r, &why, "/api/v1/namespaces/%s", r->cfg->namespace))
		return err_set(e, ERR_DENIED, "namespace %s is there already",
			r->cfg->namespace);
	if (why.code == ERR_MISSING)
		return 0;
	if (e)
		*e = why;
	return -1;
}

static int may_do(struct check_run *r, const char *verb, const char *group,
	const char *resource, bool global, struct err *e)
{
	const struct check_source *s = r->cfg->source;

	if (s->may(s->arg, verb, group, resource, global ? "" : r->cfg->namespace, e) ==
		0)
		return 0;
	return err_wrap(e, "%s %s", verb, resource);
}

int can_create_global(struct check_run *r, struct err *e)
{
	static const struct {
		const char *group, *resource;
	} v[] = {
		{"", "namespaces"},
		{"rbac.authorization.k8s.io", "clusterroles"},
		{"rbac.authorization.k8s.io", "clusterrolebindings"},
		{"apiextensions.k8s.io", "customresourcedefinitions"},
		{"admissionregistration.k8s.io", "mutatingwebhookconfigurations"},
	};

	for (size_t i = 0; i < countof(v); i++)
		if (may_do(r, "create", v[i].group, v[i].resource, true, e))
			return -1;
	return 0;
}

#define MAY(name, verb, group, resource)                                               \
	int name(struct check_run *r, struct err *e)                                   \
	{                                                                              \
		return may_do(r, verb, group, resource, false, e);                     \
	}

MAY(can_create_accounts, "create", "", "serviceaccounts")
MAY(can_create_services, "create", "", "services")
MAY(can_create_deployments, "create", "apps", "deployments")
MAY(can_create_configmaps, "create", "", "configmaps")
MAY(can_create_secrets, "create", "", "secrets")
MAY(can_read_secrets, "get", "", "secrets")

/* ---- linkerd-crd, linkerd-existence, linkerd-config ---- */

/* Each of the names, with `prefix` before it. */
static int has_all(struct check_run *r, const char *path, const char *prefix,
	const char *const *names, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++)
		if (!check_get(r, e, "%s/%s%s", path, prefix, names[i]))
			return err_wrap(e, "%s%s", prefix, names[i]);
	return 0;
}

int has_crds(struct check_run *r, struct err *e)
{
	static const char *const names[] = {"servers.policy.linkerd.io",
		"serverauthorizations.policy.linkerd.io",
		"authorizationpolicies.policy.linkerd.io",
		"meshtlsauthentications.policy.linkerd.io",
		"networkauthentications.policy.linkerd.io",
		"httproutes.policy.linkerd.io", "serviceprofiles.linkerd.io"};

	return has_all(r, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", "",
		names, countof(names), e);
}

int has_namespace(struct check_run *r, struct err *e)
{
	return check_get(r, e, "/api/v1/namespaces/%s", r->cfg->namespace) ? 0 : -1;
}

struct json *check_values(struct check_run *r, struct err *e)
{
	const struct json *map = check_get(r, e,
		"/api/v1/namespaces/%s/configmaps/mesh-config", r->cfg->namespace);
	const char *text = json_text_at(map, "data.values");
	struct json *values = text ? inject_values_read(slice_of(text), e) : NULL;

	if (map && !text)
		err_set(e, ERR_SYNTAX, "mesh-config has no values");
	return values;
}

int has_config(struct check_run *r, struct err *e)
{
	struct json *values = check_values(r, e);

	json_free(values);
	return values ? 0 : -1;
}

static const char *const components[] = {"identity", "destination", "injector"};

static int has_global(struct check_run *r, const char *path, struct err *e)
{
	char prefix[300];

	snprintf(prefix, sizeof prefix, "mesh-%s-", r->cfg->namespace);
	return has_all(r, path, prefix, components, countof(components), e);
}

int has_roles(struct check_run *r, struct err *e)
{
	return has_global(r, "/apis/rbac.authorization.k8s.io/v1/clusterroles", e);
}

int has_bindings(struct check_run *r, struct err *e)
{
	return has_global(
		r, "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", e);
}

int has_accounts(struct check_run *r, struct err *e)
{
	char path[300];

	snprintf(path, sizeof path, "/api/v1/namespaces/%s/serviceaccounts",
		r->cfg->namespace);
	return has_all(r, path, "mesh-", components, countof(components), e);
}

static const char *made(const struct json *object)
{
	return json_text_or(object, "metadata.creationTimestamp", "");
}

/*
 * A token is that of one ServiceAccount, not of one with the same name: a pod that was
 * there when its own was made anew is refused by the API server until it is, too.
 */
int have_tokens(struct check_run *r, struct err *e)
{
	const struct json *pods = check_pods(r, e);

	if (!pods)
		return -1;
	json_each(p, json_get(pods, "items"))
	{
		const char *account = json_text_or(p, "spec.serviceAccountName", "");
		const struct json *sa =
			*account ? check_get(r, NULL,
					   "/api/v1/namespaces/%s/serviceaccounts/%s",
					   r->cfg->namespace, account)
				 : NULL;

		if (sa && *made(p) && strcmp(made(sa), made(p)) > 0)
			return err_set(e, ERR_DENIED,
				"%s is older than ServiceAccount %s, which was made "
				"anew: its token is refused",
				json_text_or(p, "metadata.name", ""), account);
	}
	return 0;
}

int has_webhook(struct check_run *r, struct err *e)
{
	return check_get(r, e,
		       "/apis/admissionregistration.k8s.io/v1/"
		       "mutatingwebhookconfigurations/mesh-injector-webhook-config")
		       ? 0
		       : err_wrap(e, "mesh-injector-webhook-config");
}

int are_deployed(struct check_run *r, struct err *e)
{
	const struct json *list = check_get(
		r, e, "/apis/apps/v1/namespaces/%s/deployments", r->cfg->namespace);

	if (!list)
		return -1;
	json_each(d, json_get(list, "items"))
	{
		int64_t want = json_int_at(d, "spec.replicas", 1);
		int64_t got = json_int_at(d, "status.readyReplicas", 0);

		if (got < want || want == 0)
			return err_set(e, ERR_BUSY, "%s: %d of %d replicas are ready",
				json_text_or(d, "metadata.name", ""), (int)got,
				(int)want);
	}
	return json_count(json_get(list, "items"))
		       ? 0
		       : err_set(e, ERR_MISSING, "no Deployment in namespace %s",
				 r->cfg->namespace);
}

const struct json *check_pods(struct check_run *r, struct err *e)
{
	return check_get(r, e, "/api/v1/namespaces/%s/pods", r->cfg->namespace);
}

/* The condition of that type, or NULL. */
static const struct json *condition(const struct json *pod, const char *type)
{
	json_each(c, json_path(pod, "status.conditions"))
	{
		if (strcmp(json_text_or(c, "type", ""), type) == 0)
			return c;
	}
	return NULL;
}

int are_scheduled(struct check_run *r, struct err *e)
{
	const struct json *pods = check_pods(r, e);

	if (!pods)
		return -1;
	json_each(p, json_get(pods, "items"))
	{
		const struct json *c = condition(p, "PodScheduled");

		if (strcmp(json_text_or(c, "status", "True"), "True") != 0)
			return err_set(e, ERR_BUSY, "%s: %s",
				json_text_or(p, "metadata.name", ""),
				json_text_or(c, "message", "not scheduled"));
	}
	return 0;
}

/* Why a container does not run; "" when it does. */
static const char *trouble(const struct json *status)
{
	const char *why = json_text_or(status, "state.waiting.message", "");

	return *why ? why : json_text_or(status, "state.waiting.reason", "");
}

int check_pod_ready(const struct json *pod, struct err *e)
{
	static const char *const lists[] = {
		"status.initContainerStatuses", "status.containerStatuses"};
	const char *name = json_text_or(pod, "metadata.name", "");

	if (strcmp(json_text_or(condition(pod, "Ready"), "status", ""), "True") == 0)
		return 0;
	for (size_t i = 0; i < countof(lists); i++)
		json_each(s, json_path(pod, lists[i]))
		{
			const char *why = trouble(s);

			if (*why && strcmp(why, "PodInitializing") != 0)
				return err_set(e, ERR_BUSY, "%s: container %s: %s",
					name, json_text_or(s, "name", ""), why);
		}
	return err_set(e, ERR_BUSY, "%s is not ready: %s", name,
		json_text_or(condition(pod, "Ready"), "message", "it has not begun"));
}

int are_ready(struct check_run *r, struct err *e)
{
	const struct json *pods = check_pods(r, e);

	if (!pods)
		return -1;
	json_each(p, json_get(pods, "items"))
	{
		if (check_pod_ready(p, e))
			return -1;
	}
	return json_count(json_get(pods, "items"))
		       ? 0
		       : err_set(e, ERR_MISSING, "no pod in namespace %s",
				 r->cfg->namespace);
}

/* ---- linkerd-ha-checks ---- */

bool is_ha(struct check_run *r)
{
	struct json *values = check_values(r, NULL);
	bool yes = json_bool_at(values, "highAvailability", false) ||
		   json_int_at(values, "controllerReplicas", 1) > 1;

	json_free(values);
	return yes;
}

int are_several(struct check_run *r, struct err *e)
{
	const struct json *list = check_get(
		r, e, "/apis/apps/v1/namespaces/%s/deployments", r->cfg->namespace);

	if (!list)
		return -1;
	json_each(d, json_get(list, "items"))
	{
		int64_t ready = json_int_at(d, "status.readyReplicas", 0);

		if (ready < 2)
			return err_set(e, ERR_BUSY, "%s has %d ready, of %d wanted",
				json_text_or(d, "metadata.name", ""), (int)ready,
				(int)json_int_at(d, "spec.replicas", 1));
	}
	return 0;
}
