/* SPDX-License-Identifier: Apache-2.0 */
#include "local/kinds.h"

#include <stdlib.h>
#include <strings.h>

#include "base/obj.h"

#define NS     KIND_NAMESPACED
#define STATUS KIND_STATUS

#define CORE(res, kind, single, shorts, cat, flags)                                    \
	{                                                                              \
		"", "v1", res, kind, single, shorts, cat, res, flags                   \
	}
#define IN(group, version, res, kind, single, shorts, cat, flags)                      \
	{                                                                              \
		group, version, res, kind, single, shorts, cat, res "." group, flags   \
	}
#define RBAC   "rbac.authorization.k8s.io"
#define ADMREG "admissionregistration.k8s.io"
#define AUTHN  "authentication.k8s.io"
#define AUTHZ  "authorization.k8s.io"

/* clang-format off */
static const struct kind built_in[] = {
	CORE("pods", "Pod", "pod", "po", "all", NS | STATUS | KIND_POD),
	CORE("services", "Service", "service", "svc", "all", NS | STATUS),
	CORE("endpoints", "Endpoints", "endpoints", "ep", "", NS),
	CORE("namespaces", "Namespace", "namespace", "ns", "", STATUS | KIND_FINALIZE),
	CORE("nodes", "Node", "node", "no", "", STATUS),
	CORE("configmaps", "ConfigMap", "configmap", "cm", "", NS),
	CORE("secrets", "Secret", "secret", "", "", NS),
	CORE("serviceaccounts", "ServiceAccount", "serviceaccount", "sa", "", NS | KIND_TOKEN),
	CORE("events", "Event", "event", "ev", "", NS),
	CORE("limitranges", "LimitRange", "limitrange", "limits", "", NS),
	CORE("resourcequotas", "ResourceQuota", "resourcequota", "quota", "", NS | STATUS),
	CORE("replicationcontrollers", "ReplicationController", "replicationcontroller", "rc",
		"all", NS | STATUS | KIND_SCALE),
	IN("apps", "v1", "deployments", "Deployment", "deployment", "deploy", "all",
		NS | STATUS | KIND_SCALE),
	IN("apps", "v1", "replicasets", "ReplicaSet", "replicaset", "rs", "all",
		NS | STATUS | KIND_SCALE),
	IN("apps", "v1", "statefulsets", "StatefulSet", "statefulset", "sts", "all",
		NS | STATUS | KIND_SCALE),
	IN("apps", "v1", "daemonsets", "DaemonSet", "daemonset", "ds", "all", NS | STATUS),
	IN("apps", "v1", "controllerrevisions", "ControllerRevision", "controllerrevision", "",
		"", NS),
	IN("batch", "v1", "jobs", "Job", "job", "", "all", NS | STATUS),
	IN("batch", "v1", "cronjobs", "CronJob", "cronjob", "cj", "all", NS | STATUS),
	IN("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", "endpointslice", "", "",
		NS),
	IN("coordination.k8s.io", "v1", "leases", "Lease", "lease", "", "", NS),
	IN("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget",
		"poddisruptionbudget", "pdb", "", NS | STATUS),
	IN(RBAC, "v1", "roles", "Role", "role", "", "", NS),
	IN(RBAC, "v1", "rolebindings", "RoleBinding", "rolebinding", "", "", NS),
	IN(RBAC, "v1", "clusterroles", "ClusterRole", "clusterrole", "", "", 0),
	IN(RBAC, "v1", "clusterrolebindings", "ClusterRoleBinding", "clusterrolebinding", "",
		"", 0),
	IN(ADMREG, "v1", "mutatingwebhookconfigurations", "MutatingWebhookConfiguration",
		"mutatingwebhookconfiguration", "", "", 0),
	IN(ADMREG, "v1", "validatingwebhookconfigurations", "ValidatingWebhookConfiguration",
		"validatingwebhookconfiguration", "", "", 0),
	IN("apiextensions.k8s.io", "v1", "customresourcedefinitions",
		"CustomResourceDefinition", "customresourcedefinition", "crd,crds", "", STATUS),
	IN(AUTHN, "v1", "tokenreviews", "TokenReview", "tokenreview", "", "", KIND_REVIEW),
	IN(AUTHN, "v1", "selfsubjectreviews", "SelfSubjectReview", "selfsubjectreview", "", "",
		KIND_REVIEW),
	IN(AUTHZ, "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview",
		"selfsubjectaccessreview", "", "", KIND_REVIEW),
	IN(AUTHZ, "v1", "subjectaccessreviews", "SubjectAccessReview", "subjectaccessreview",
		"", "", KIND_REVIEW),
	IN(AUTHZ, "v1", "selfsubjectrulesreviews", "SelfSubjectRulesReview",
		"selfsubjectrulesreview", "", "", KIND_REVIEW),
};
/* clang-format on */

/* A custom one owns its texts; a dropped one stays in memory, out of the lists. */
struct custom {
	struct kind kind;
	bool is_served;
};

struct kinds {
	struct custom **v;
	size_t n;
};

struct kinds *kinds_new(void)
{
	struct kinds *k = calloc(1, sizeof(*k));

	must(k);
	return k;
}

static void custom_free(struct custom *c)
{
	const char *own[] = {c->kind.group, c->kind.version, c->kind.resource,
		c->kind.kind, c->kind.singular, c->kind.shorts, c->kind.categories,
		c->kind.res};

	for (size_t i = 0; i < countof(own); i++)
		free((void *)own[i]);
	free(c);
}

void kinds_free(struct kinds *k)
{
	for (size_t i = 0; k && i < k->n; i++)
		custom_free(k->v[i]);
	if (k)
		free(k->v);
	free(k);
}

size_t kinds_count(const struct kinds *k)
{
	return countof(built_in) + k->n;
}

const struct kind *kinds_at(const struct kinds *k, size_t i)
{
	if (i < countof(built_in))
		return &built_in[i];
	i -= countof(built_in);
	return i < k->n && k->v[i]->is_served ? &k->v[i]->kind : NULL;
}

#define kinds_each(it, k)                                                              \
	for (size_t i_ = 0; i_ < kinds_count(k); i_++)                                 \
		if (((it) = kinds_at((k), i_)))

const struct kind *kind_find(const struct kinds *k, struct slice group,
	struct slice version, struct slice res)
{
	const struct kind *it;

	kinds_each(it, k)
	{
		if (slice_is(res, it->resource) && slice_is(group, it->group) &&
			slice_is(version, it->version))
			return it;
	}
	return NULL;
}

const struct kind *kind_of_object(
	const struct kinds *k, const char *api_version, const char *kind)
{
	const char *slash = strchr(api_version, '/');
	struct slice group =
		slash ? slice_bytes(api_version, (size_t)(slash - api_version))
		      : SLICE("");
	const struct kind *it;

	kinds_each(it, k)
	{
		if (strcmp(it->kind, kind) == 0 && slice_is(group, it->group) &&
			strcmp(it->version, slash ? slash + 1 : api_version) == 0)
			return it;
	}
	return NULL;
}

const struct kind *kind_of_store(const struct kinds *k, const char *res)
{
	const struct kind *it;

	kinds_each(it, k)
	{
		if (strcmp(it->res, res) == 0)
			return it;
	}
	return NULL;
}

static bool is_among(const char *list, const char *word)
{
	struct slice rest = slice_of(list), part;

	while (rest.n && slice_cut(&rest, ',', &part))
		if (slice_is(part, word))
			return true;
	return false;
}

const struct kind *kind_named(const struct kinds *k, const char *word)
{
	const struct kind *it;

	kinds_each(it, k)
	{
		if (strcmp(it->resource, word) == 0 ||
			strcmp(it->singular, word) == 0 || strcmp(it->res, word) == 0 ||
			is_among(it->shorts, word) || strcasecmp(it->kind, word) == 0)
			return it;
	}
	return NULL;
}

void kind_api_version(const struct kind *k, struct buf *out)
{
	if (*k->group)
		buf_printf(out, "%s/", k->group);
	buf_text(out, k->version);
}

/* ---- custom ---- */

static const char *own(const char *text)
{
	char *copy = slice_dup(slice_of(text));

	must(copy);
	return copy;
}

static const char *own_list(const struct json *list)
{
	struct buf b = BUF_INIT;
	char *text;

	json_each(it, list)
	{
		buf_printf(&b, "%s%s", buf_len(&b) ? "," : "",
			json_text(it) ? json_text(it) : "");
	}
	buf_text(&b, "");
	text = buf_steal(&b);
	return text ? text : own("");
}

static void add_version(
	struct kinds *k, const struct json *spec, const struct json *ver)
{
	struct custom *c = calloc(1, sizeof(*c));
	const struct json *names = json_get(spec, "names");
	struct buf res = BUF_INIT;

	must(c);
	buf_printf(&res, "%s.%s", json_text_or(names, "plural", ""),
		json_text_or(spec, "group", ""));
	c->is_served = true;
	c->kind = (struct kind){
		.group = own(json_text_or(spec, "group", "")),
		.version = own(json_text_or(ver, "name", "")),
		.resource = own(json_text_or(names, "plural", "")),
		.kind = own(json_text_or(names, "kind", "")),
		.singular = own(json_text_or(names, "singular", "")),
		.shorts = own_list(json_get(names, "shortNames")),
		.categories = own_list(json_get(names, "categories")),
		.res = buf_steal(&res),
		.flags = KIND_CUSTOM,
	};
	must(c->kind.res);
	if (strcmp(json_text_or(spec, "scope", "Namespaced"), "Namespaced") == 0)
		c->kind.flags |= KIND_NAMESPACED;
	if (json_path(ver, "subresources.status"))
		c->kind.flags |= KIND_STATUS;
	k->v = reallocarray(k->v, k->n + 1, sizeof(struct custom *));
	must(k->v);
	k->v[k->n++] = c;
}

void kinds_add_crd(struct kinds *k, const struct json *crd)
{
	const struct json *spec = json_get(crd, "spec");

	kinds_drop_crd(k, json_text_or(spec, "group", ""),
		json_text_or(spec, "names.plural", ""));
	/* The storage version first: it is the preferred one. */
	for (int storage = 1; storage >= 0; storage--)
		json_each(ver, json_get(spec, "versions"))
		{
			if (json_bool_at(ver, "served", true) &&
				json_bool_at(ver, "storage", false) == storage)
				add_version(k, spec, ver);
		}
}

void kinds_drop_crd(struct kinds *k, const char *group, const char *resource)
{
	for (size_t i = 0; i < k->n; i++) {
		const struct kind *it = &k->v[i]->kind;

		if (strcmp(it->group, group) == 0 &&
			strcmp(it->resource, resource) == 0)
			k->v[i]->is_served = false;
	}
}
