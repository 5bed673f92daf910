/* SPDX-License-Identifier: Apache-2.0 */
#include "viz/pods.h"

#include <stdlib.h>

#include "base/obj.h"

#define ADMIN_PORT 4191

const struct viz_kind_name viz_kinds[VIZ_KINDS] = {
	[VIZ_DEPLOYMENT] = {"deployment", "deployments", "deploy"},
	[VIZ_DAEMONSET] = {"daemonset", "daemonsets", "ds"},
	[VIZ_STATEFULSET] = {"statefulset", "statefulsets", "sts"},
	[VIZ_JOB] = {"job", "jobs", "job"},
	[VIZ_CRONJOB] = {"cronjob", "cronjobs", "cj"},
	[VIZ_REPLICASET] = {"replicaset", "replicasets", "rs"},
	[VIZ_CONTROLLER] = {"replicationcontroller", "replicationcontrollers", "rc"},
	[VIZ_POD] = {"pod", "pods", "po"},
	[VIZ_NAMESPACE] = {"namespace", "namespaces", "ns"},
	[VIZ_SERVICE] = {"service", "services", "svc"},
};

bool viz_kind_parse(struct slice text, enum viz_kind *out)
{
	for (unsigned k = 0; k < VIZ_KINDS; k++) {
		if (!slice_is(text, viz_kinds[k].name) &&
			!slice_is(text, viz_kinds[k].plural) &&
			!slice_is(text, viz_kinds[k].brief))
			continue;
		*out = k;
		return true;
	}
	return false;
}

static const char *copy(struct arena *a, struct slice s)
{
	char *text = arena_alloc(a, s.n + 1);

	must(text);
	if (s.p)
		memcpy(text, s.p, s.n);
	return text;
}

static const char *text(struct arena *a, const struct json *j, const char *path)
{
	return copy(a, slice_of(json_text_or(j, path, "")));
}

static const char *label(const struct json *pod, const char *key)
{
	const char *v = json_text(json_get(json_path(pod, "metadata.labels"), key));

	return v ? v : "";
}

/* ---- whose ---- */

/* "web-6d5f" of the ReplicaSet is "web" of the Deployment, when 6d5f is the hash. */
static struct slice deployment_of(struct slice rs, struct slice hash)
{
	if (hash.n && rs.n > hash.n + 1 && slice_ends(rs, hash) &&
		rs.p[rs.n - hash.n - 1] == '-')
		return (struct slice){rs.p, rs.n - hash.n - 1};
	return SLICE("");
}

static void read_owner(struct viz_pod *p, const struct json *pod, struct arena *a)
{
	static const struct {
		const char *kind;
		enum viz_kind is;
	} owners[] = {
		{"ReplicaSet", VIZ_REPLICASET},
		{"DaemonSet", VIZ_DAEMONSET},
		{"StatefulSet", VIZ_STATEFULSET},
		{"Job", VIZ_JOB},
		{"ReplicationController", VIZ_CONTROLLER},
	};

	json_each(o, json_path(pod, "metadata.ownerReferences"))
	{
		for (size_t i = 0; i < countof(owners); i++)
			if (strcmp(json_text_or(o, "kind", ""), owners[i].kind) == 0)
				p->owner[owners[i].is] = text(a, o, "name");
	}
	p->owner[VIZ_DEPLOYMENT] =
		copy(a, deployment_of(slice_of(p->owner[VIZ_REPLICASET]),
				slice_of(label(pod, "pod-template-hash"))));
}

/* What the injector wrote down counts more. */
static void read_labels(struct viz_pod *p, const struct json *pod, struct arena *a)
{
	char key[64];

	for (unsigned k = 0; k < VIZ_KINDS; k++) {
		const char *name;

		snprintf(key, sizeof key, "linkerd.io/proxy-%s", viz_kinds[k].name);
		name = label(pod, key);
		if (*name && k != VIZ_POD && k != VIZ_NAMESPACE && k != VIZ_SERVICE)
			p->owner[k] = copy(a, slice_of(name));
	}
}

/* ---- its proxy ---- */

static const struct json *proxy_of(const struct json *pod)
{
	static const char *const lists[] = {"spec.initContainers", "spec.containers"};

	for (size_t i = 0; i < countof(lists); i++)
		json_each(c, json_path(pod, lists[i]))
		{
			const char *name = json_text_or(c, "name", "");

			if (strcmp(name, "mesh-proxy") == 0 ||
				strcmp(name, "linkerd-proxy") == 0)
				return c;
		}
	return NULL;
}

static void read_proxy(struct viz_pod *p, const struct json *pod, struct arena *a)
{
	const struct json *c = proxy_of(pod);
	const char *domain = "cluster.local", *account;
	struct buf id = BUF_INIT;
	int64_t port = ADMIN_PORT;

	json_each(e, json_get(c, "env"))
	{
		if (strcmp(json_text_or(e, "name", ""), "_l5d_trustdomain") == 0)
			domain = json_text_or(e, "value", domain);
	}
	json_each(e, json_get(c, "ports"))
	{
		if (strcmp(json_text_or(e, "name", ""), "linkerd-admin") == 0)
			port = json_int_at(e, "containerPort", port);
	}
	account = json_text_or(pod, "spec.serviceAccountName", "default");
	buf_printf(&id, "%s.%s.serviceaccount.identity.%s.%s", account, p->ns,
		label(pod, "linkerd.io/control-plane-ns"), domain);
	p->identity = copy(a, buf_slice(&id));
	buf_fini(&id);
	if (ip_parse(slice_of(json_text_or(pod, "status.podIP", "")), &p->admin.ip))
		p->admin.port = (uint16_t)port;
	else
		p->admin.ip.family = 0;
}

static void read_pod(struct viz_pod *p, const struct json *pod, const char *control_ns,
	struct arena *a)
{
	for (unsigned k = 0; k < VIZ_KINDS; k++)
		p->owner[k] = "";
	p->ns = text(a, pod, "metadata.namespace");
	p->name = text(a, pod, "metadata.name");
	p->phase = text(a, pod, "status.phase");
	p->counted =
		strcmp(p->phase, "Running") == 0 || strcmp(p->phase, "Pending") == 0;
	p->identity = "";
	read_owner(p, pod, a);
	read_labels(p, pod, a);
	p->owner[VIZ_POD] = p->name;
	p->owner[VIZ_NAMESPACE] = p->ns;
	p->meshed = strcmp(label(pod, "linkerd.io/control-plane-ns"), control_ns) == 0;
	if (p->meshed)
		read_proxy(p, pod, a);
}

void viz_pods_read(
	const struct json *list, const char *control_ns, struct viz_pods *out)
{
	const struct json *items = json_get(list, "items");

	*out = (struct viz_pods){.arena.limit = SIZE_MAX};
	out->v = arena_array(&out->arena, json_count(items) + 1, sizeof *out->v);
	must(out->v);
	json_each(pod, items)
	{
		read_pod(&out->v[out->n++], pod, control_ns, &out->arena);
	}
}

void viz_pods_fini(struct viz_pods *p)
{
	for (size_t i = 0; i < p->n; i++) {
		buf_fini(&p->v[i].before);
		buf_fini(&p->v[i].after);
	}
	arena_fini(&p->arena);
}
