/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/prune.h"

#include "base/obj.h"
#include "wire/yaml.h"

#define RBAC  "rbac.authorization.k8s.io/v1"
#define HOOKS "admissionregistration.k8s.io/v1"

static const struct kind {
	const char *api_version, *kind, *plural;
	bool global;
} kinds[] = {
	{HOOKS, "MutatingWebhookConfiguration", "mutatingwebhookconfigurations", true},
	{HOOKS, "ValidatingWebhookConfiguration", "validatingwebhookconfigurations",
		true},
	{RBAC, "ClusterRoleBinding", "clusterrolebindings", true},
	{RBAC, "ClusterRole", "clusterroles", true},
	{RBAC, "RoleBinding", "rolebindings", false},
	{RBAC, "Role", "roles", false},
	{"policy/v1", "PodDisruptionBudget", "poddisruptionbudgets", false},
	{"batch/v1", "CronJob", "cronjobs", false},
	{"apps/v1", "Deployment", "deployments", false},
	{"v1", "Service", "services", false},
	{"v1", "ConfigMap", "configmaps", false},
	{"v1", "Secret", "secrets", false},
	{"v1", "ServiceAccount", "serviceaccounts", false},
};

static bool has(const struct json *objects, const char *kind, const char *name)
{
	json_each(o, objects)
	{
		if (strcmp(json_text_or(o, "kind", ""), kind) == 0 &&
			strcmp(json_text_or(o, "metadata.name", ""), name) == 0)
			return true;
	}
	return false;
}

static int name_object(
	const struct kind *k, const char *namespace, const char *name, struct buf *out)
{
	struct json *j = json_object(), *meta;
	int r;

	json_set_text(j, "apiVersion", k->api_version);
	json_set_text(j, "kind", k->kind);
	meta = json_need_object(j, "metadata");
	json_set_text(meta, "name", name);
	if (!k->global)
		json_set_text(meta, "namespace", namespace);
	buf_text(out, "---\n");
	r = yaml_write(j, out);
	json_free(j);
	return r;
}

static struct json *list(
	struct ask *a, const struct kind *k, const char *namespace, struct err *e)
{
	char path[500], in[270] = "";

	if (!k->global)
		snprintf(in, sizeof in, "namespaces/%s/", namespace);
	snprintf(path, sizeof path,
		"/%s/%s/%s%s?labelSelector=linkerd.io/control-plane-ns%%3D%s",
		strchr(k->api_version, '/') ? "apis" : "api", k->api_version, in,
		k->plural, namespace);
	return ask_get(a, path, e);
}

static int prune_kind(struct ask *a, const struct kind *k, const char *namespace,
	const struct json *wanted, struct buf *out, struct err *e)
{
	struct json *have = list(a, k, namespace, e);
	int r = have ? 0 : err_wrap(e, "%s", k->plural);

	json_each(o, json_get(have, "items"))
	{
		const char *name = json_text_or(o, "metadata.name", "");

		/* what another object owns goes with it */
		if (r == 0 && !has(wanted, k->kind, name) &&
			!json_path(o, "metadata.ownerReferences"))
			r = name_object(k, namespace, name, out);
	}
	json_free(have);
	return r;
}

int prune_render(
	struct ask *a, const struct install_config *cfg, struct buf *out, struct err *e)
{
	struct buf text = BUF_INIT;
	struct json *wanted = NULL;
	int r = -1;

	if (install_render(cfg, &text, e) == 0)
		wanted = yaml_parse_all(buf_slice(&text), e);
	if (wanted)
		r = 0;
	for (size_t i = 0; i < countof(kinds) && r == 0; i++)
		r = prune_kind(a, &kinds[i], cfg->namespace, wanted, out, e);
	json_free(wanted);
	buf_fini(&text);
	return r;
}
