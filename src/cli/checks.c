/* SPDX-License-Identifier: Apache-2.0 */
/* The table of `mesh check`: the cluster, and what is installed. */
#include <stdio.h>
#include <stdlib.h>

#include "base/obj.h"
#include "cli/check.h"
#include "cli/checksint.h"

#define MINOR_MIN 29 /* of Kubernetes 1: native sidecars are on */

/* ---- kubernetes-api, kubernetes-version ---- */

static int can_connect(struct check_run *r, struct err *e)
{
	if (!r->cfg->no_source)
		return 0;
	*e = *r->cfg->no_source;
	return -1;
}

static int can_query(struct check_run *r, struct err *e)
{
	return check_get(r, e, "/version") ? 0 : -1;
}

static int is_new_enough(struct check_run *r, struct err *e)
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

static int namespace_is_free(struct check_run *r, struct err *e)
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

static const struct object {
	const char *group, *resource;
	bool is_global;
} created[] = {
	{"", "namespaces", true},
	{"rbac.authorization.k8s.io", "clusterroles", true},
	{"rbac.authorization.k8s.io", "clusterrolebindings", true},
	{"apiextensions.k8s.io", "customresourcedefinitions", true},
	{"admissionregistration.k8s.io", "mutatingwebhookconfigurations", true},
	{"", "serviceaccounts", false},
	{"", "services", false},
	{"", "configmaps", false},
	{"", "secrets", false},
	{"apps", "deployments", false},
};

static int can_create(struct check_run *r, bool global, struct err *e)
{
	const struct check_source *s = r->cfg->source;

	for (size_t i = 0; i < countof(created); i++)
		if (created[i].is_global == global &&
			s->may(s->arg, "create", created[i].group, created[i].resource,
				global ? "" : r->cfg->namespace, e))
			return err_wrap(e, "create %s", created[i].resource);
	return 0;
}

static int can_create_global(struct check_run *r, struct err *e)
{
	return can_create(r, true, e);
}

static int can_create_local(struct check_run *r, struct err *e)
{
	return can_create(r, false, e);
}

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

static int has_crds(struct check_run *r, struct err *e)
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

static int has_namespace(struct check_run *r, struct err *e)
{
	return check_get(r, e, "/api/v1/namespaces/%s", r->cfg->namespace) ? 0 : -1;
}

static int has_config(struct check_run *r, struct err *e)
{
	const struct json *map = check_get(r, e,
		"/api/v1/namespaces/%s/configmaps/mesh-config", r->cfg->namespace);

	if (!map)
		return -1;
	if (json_text_at(map, "data.values"))
		return 0;
	return err_set(e, ERR_SYNTAX, "mesh-config has no values");
}

static const char *const components[] = {"identity", "destination", "injector"};

static int has_global(struct check_run *r, const char *path, struct err *e)
{
	char prefix[300];

	snprintf(prefix, sizeof prefix, "mesh-%s-", r->cfg->namespace);
	return has_all(r, path, prefix, components, countof(components), e);
}

static int has_roles(struct check_run *r, struct err *e)
{
	return has_global(r, "/apis/rbac.authorization.k8s.io/v1/clusterroles", e);
}

static int has_bindings(struct check_run *r, struct err *e)
{
	return has_global(
		r, "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", e);
}

static int has_accounts(struct check_run *r, struct err *e)
{
	char path[300];

	snprintf(path, sizeof path, "/api/v1/namespaces/%s/serviceaccounts",
		r->cfg->namespace);
	return has_all(r, path, "mesh-", components, countof(components), e);
}

static int has_webhook(struct check_run *r, struct err *e)
{
	return check_get(r, e,
		       "/apis/admissionregistration.k8s.io/v1/"
		       "mutatingwebhookconfigurations/mesh-injector-webhook-config")
		       ? 0
		       : err_wrap(e, "mesh-injector-webhook-config");
}

static int are_deployed(struct check_run *r, struct err *e)
{
	const struct json *list = check_get(
		r, e, "/apis/apps/v1/namespaces/%s/deployments", r->cfg->namespace);

	if (!list)
		return -1;
	json_each(d, json_get(list, "items"))
	{
		int64_t want = json_int_at(d, "spec.replicas", 1);
		int64_t got = json_int_at(d, "status.readyReplicas", 0);

		if (got < want)
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

static int are_scheduled(struct check_run *r, struct err *e)
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

static int are_ready(struct check_run *r, struct err *e)
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

/* ---- the table ---- */

#define ANY     (CHECK_PRE | CHECK_NORMAL | CHECK_PROXY)
#define BOTH    (CHECK_NORMAL | CHECK_PROXY)
#define INSTALL "to mend: mesh install | kubectl apply -f -"
#define DESCRIBE                                                                       \
	"to see why: kubectl -n mesh describe pods; kubectl -n mesh logs POD "         \
	"--all-containers"

const struct check checks[] = {
	{"kubernetes-api", "can initialize the client", ANY, CHECK_FATAL, can_connect,
		"give a kubeconfig by --kubeconfig or KUBECONFIG, and its context by "
		"--context"},
	{"kubernetes-api", "can query the Kubernetes API", ANY, CHECK_FATAL, can_query,
		"to see why: kubectl version"},
	{"kubernetes-version", "is running the minimum Kubernetes API version", ANY, 0,
		is_new_enough, "upgrade the cluster"},

	{"pre-kubernetes-setup", "control plane namespace does not already exist",
		CHECK_PRE, 0, namespace_is_free,
		"another control plane? choose a namespace by -L, or: mesh uninstall | "
		"kubectl delete -f -"},
	{"pre-kubernetes-setup", "can create non-namespaced resources", CHECK_PRE, 0,
		can_create_global, "ask for the role cluster-admin"},
	{"pre-kubernetes-setup", "can create namespaced resources", CHECK_PRE, 0,
		can_create_local, "ask for the role cluster-admin"},

	{"pre-kubernetes-setup", "no clock skew detected", ANY, CHECK_WARN,
		clocks_agree,
		"certificates depend on it: run a time service on nodes and here"},

	{"linkerd-crd", "control plane CustomResourceDefinitions exist", BOTH,
		CHECK_WARN, has_crds,
		"to mend: mesh install --crds | kubectl apply -f -"},

	{"linkerd-existence", "control plane Namespace exists", BOTH, CHECK_FATAL,
		has_namespace, INSTALL " (or name the namespace by -L)"},
	{"linkerd-existence", "'mesh-config' config map exists", BOTH, CHECK_FATAL,
		has_config, INSTALL},
	{"linkerd-existence", "control plane replica sets are ready", BOTH, CHECK_RETRY,
		are_deployed, DESCRIBE},
	{"linkerd-existence", "no unschedulable pods", BOTH, CHECK_RETRY, are_scheduled,
		"the nodes have no room, or taints that keep it off: kubectl describe "
		"nodes"},
	{"linkerd-existence", "control plane pods are ready", BOTH, CHECK_RETRY,
		are_ready, DESCRIBE},

	{"linkerd-config", "control plane ClusterRoles exist", BOTH, 0, has_roles,
		INSTALL},
	{"linkerd-config", "control plane ClusterRoleBindings exist", BOTH, 0,
		has_bindings, INSTALL},
	{"linkerd-config", "control plane ServiceAccounts exist", BOTH, 0, has_accounts,
		INSTALL},
	{"linkerd-config", "control plane MutatingWebhookConfigurations exist", BOTH, 0,
		has_webhook, INSTALL},

	{"linkerd-identity", "certificate config is valid", BOTH, CHECK_FATAL,
		identity_is_readable, CURE_ISSUER},
	{"linkerd-identity", "trust anchors are within their validity period", BOTH, 0,
		anchors_are_valid, CURE_ISSUER},
	{"linkerd-identity", "trust anchors are valid for at least 60 days", BOTH,
		CHECK_WARN, anchors_last, CURE_ISSUER},
	{"linkerd-identity", "issuer cert is within its validity period", BOTH, 0,
		issuer_is_valid, CURE_ISSUER},
	{"linkerd-identity", "issuer cert is valid for at least 60 days", BOTH,
		CHECK_WARN, issuer_lasts, CURE_ISSUER},
	{"linkerd-identity", "issuer cert is issued by the trust anchor", BOTH, 0,
		issuer_is_vouched_for, CURE_ISSUER},
	{"linkerd-identity", "issuer key is that of its cert", BOTH, 0, issuer_has_key,
		CURE_ISSUER},

	{"linkerd-webhooks-and-apisvc-tls", "proxy-injector webhook has valid cert",
		BOTH, 0, hook_is_valid, CURE_HOOK},
	{"linkerd-webhooks-and-apisvc-tls",
		"proxy-injector cert is valid for at least 60 days", BOTH, CHECK_WARN,
		hook_lasts, CURE_HOOK},

	{"control-plane-version", "control plane and cli versions match", BOTH,
		CHECK_WARN, control_is_same_version,
		"to mend: mesh install | kubectl apply -f -, with the newer mesh"},

	{"linkerd-control-plane-proxy", "control plane proxies are healthy", BOTH,
		CHECK_RETRY, control_proxies_are_ready, DESCRIBE},

	{"linkerd-identity-data-plane", "data plane proxies certificate match CA",
		CHECK_PROXY, CHECK_WARN, proxies_trust_the_same,
		"to mend: as said; mesh-injector's log, or kubectl rollout restart"},
	{"linkerd-data-plane", "data plane namespace exists", CHECK_PROXY, CHECK_FATAL,
		workloads_exist, "name another by -n"},
	{"linkerd-data-plane", "data plane proxies are ready", CHECK_PROXY, CHECK_RETRY,
		proxies_are_ready,
		"to see why: kubectl describe pod; kubectl logs POD -c mesh-proxy"},
	{"linkerd-data-plane", "data plane and cli versions match", CHECK_PROXY,
		CHECK_WARN, proxies_are_same_version,
		"to mend: kubectl rollout restart, of the workloads of these pods"},
	{"linkerd-data-plane", "NetworkPolicies let the proxies in", CHECK_PROXY,
		CHECK_WARN, policies_let_in_proxies,
		"meshed connections arrive there: add the port to the policy's rule"},
	{"linkerd-data-plane", "every pod that should have a proxy has one",
		CHECK_PROXY, CHECK_WARN, pods_are_meshed,
		"it was made while the webhook was away: kubectl delete pod, and "
		"another is made"},
};
const size_t checks_count = countof(checks);
