/* SPDX-License-Identifier: Apache-2.0 */
/* The CNI plugin, where it is what redirects traffic. */
#include <stdio.h>

#include "base/obj.h"
#include "cli/checksint.h"

#define PLUGIN "mesh-cni"

bool uses_cni(struct check_run *r)
{
	struct json *values;
	bool yes = r->cfg->cni;

	if (yes || r->cfg->when == CHECK_PRE)
		return yes;
	values = check_values(r, NULL);
	yes = json_bool_at(values, "cniEnabled", false);
	json_free(values);
	return yes;
}

static int has(struct check_run *r, const char *group, const char *plural,
	bool in_namespace, const char *name, struct err *e)
{
	const struct json *j =
		in_namespace ? check_get(r, e, "%s/namespaces/%s/%s/%s", group,
				       r->cfg->cni_namespace, plural, name)
			     : check_get(r, e, "%s/%s/%s", group, plural, name);

	return j ? 0 : err_wrap(e, "%s", name);
}

int cni_has_config(struct check_run *r, struct err *e)
{
	return has(r, "/api/v1", "configmaps", true, PLUGIN "-config", e);
}

int cni_has_role(struct check_run *r, struct err *e)
{
	return has(r, "/apis/rbac.authorization.k8s.io/v1", "clusterroles", false,
		PLUGIN, e);
}

int cni_has_binding(struct check_run *r, struct err *e)
{
	return has(r, "/apis/rbac.authorization.k8s.io/v1", "clusterrolebindings",
		false, PLUGIN, e);
}

int cni_has_account(struct check_run *r, struct err *e)
{
	return has(r, "/api/v1", "serviceaccounts", true, PLUGIN, e);
}

int cni_has_daemonset(struct check_run *r, struct err *e)
{
	return has(r, "/apis/apps/v1", "daemonsets", true, PLUGIN, e);
}

/* A node without it starts pods whose proxies get no traffic. */
static const struct json *pod_on(const struct json *pods, const char *node)
{
	json_each(p, json_get(pods, "items"))
	{
		const char *app =
			json_text(json_get(json_path(p, "metadata.labels"), "k8s-app"));

		if (app && strcmp(app, PLUGIN) == 0 &&
			strcmp(json_text_or(p, "spec.nodeName", ""), node) == 0)
			return p;
	}
	return NULL;
}

int cni_runs_everywhere(struct check_run *r, struct err *e)
{
	const struct json *nodes = check_get(r, e, "/api/v1/nodes");
	const struct json *pods = nodes ? check_get(r, e, "/api/v1/namespaces/%s/pods",
						  r->cfg->cni_namespace)
					: NULL;

	if (!pods)
		return -1;
	json_each(n, json_get(nodes, "items"))
	{
		const char *name = json_text_or(n, "metadata.name", "");
		const struct json *p = pod_on(pods, name);

		if (!p)
			return err_set(e, ERR_MISSING,
				"node %s has no pod of DaemonSet %s/" PLUGIN, name,
				r->cfg->cni_namespace);
		if (check_pod_ready(p, e))
			return err_wrap(e, "node %s", name);
	}
	return 0;
}
