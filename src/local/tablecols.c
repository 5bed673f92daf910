/* SPDX-License-Identifier: Apache-2.0 */
/* The columns of the built-in kinds, after the name. */
#include "base/clock.h"
#include "base/obj.h"
#include "kube/selector.h"
#include "local/meta.h"
#include "local/table.h"

static const char *text(const struct json *j)
{
	return json_text(j) ? json_text(j) : "";
}

static void or_none(struct buf *out, size_t before)
{
	if (buf_len(out) == before)
		buf_text(out, "<none>");
}

static void age(const struct json *obj, uint64_t now, struct buf *out)
{
	uint64_t at = meta_time(obj, "metadata.creationTimestamp");

	if (at)
		age_text(now > at ? now - at : 0, out);
	else
		buf_text(out, "<unknown>");
}

static void since(
	const struct json *obj, const char *path, uint64_t now, struct buf *out)
{
	uint64_t at = meta_time(obj, path);

	if (at)
		age_text(now > at ? now - at : 0, out);
	else
		buf_text(out, "<unknown>");
}

/* ---- pods ---- */

static bool is_sidecar(const struct json *pod, const char *name)
{
	json_each(c, json_path(pod, "spec.initContainers"))
	{
		if (strcmp(json_text_or(c, "name", ""), name) == 0)
			return strcmp(json_text_or(c, "restartPolicy", ""), "Always") ==
			       0;
	}
	return false;
}

static void pod_ready(const struct json *pod, uint64_t now, struct buf *out)
{
	size_t all = json_count(json_path(pod, "spec.containers")), ready = 0;

	(void)now;
	json_each(c, json_path(pod, "spec.initContainers"))
	{
		all += is_sidecar(pod, json_text_or(c, "name", ""));
	}
	json_each(s, json_path(pod, "status.containerStatuses"))
	{
		ready += json_bool_at(s, "ready", false);
	}
	json_each(s, json_path(pod, "status.initContainerStatuses"))
	{
		if (is_sidecar(pod, json_text_or(s, "name", "")))
			ready += json_bool_at(s, "ready", false);
	}
	buf_printf(out, "%zu/%zu", ready, all);
}

/* What an init container that has not ended says; false when all have. */
static bool init_status(const struct json *pod, struct buf *out)
{
	size_t i = 0, n = json_count(json_path(pod, "spec.initContainers"));

	json_each(s, json_path(pod, "status.initContainerStatuses"))
	{
		const struct json *over = json_path(s, "state.terminated");
		const char *why = json_text_or(s, "state.waiting.reason", "");

		if (over && json_int_at(over, "exitCode", 0) == 0) {
			i++;
			continue;
		}
		if (is_sidecar(pod, json_text_or(s, "name", "")) &&
			json_bool_at(s, "started", false)) {
			i++;
			continue;
		}
		if (over)
			buf_printf(
				out, "Init:%s", json_text_or(over, "reason", "Error"));
		else if (*why && strcmp(why, "PodInitializing") != 0)
			buf_printf(out, "Init:%s", why);
		else
			buf_printf(out, "Init:%zu/%zu", i, n);
		return true;
	}
	return false;
}

static void pod_status(const struct json *pod, uint64_t now, struct buf *out)
{
	const char *reason = json_text_or(
		pod, "status.reason", json_text_or(pod, "status.phase", "Unknown"));
	bool runs = false;

	(void)now;
	if (meta_is_deleted(pod)) {
		buf_text(out, "Terminating");
		return;
	}
	if (!pod_is_over(pod) && init_status(pod, out))
		return;
	json_each(s, json_path(pod, "status.containerStatuses"))
	{
		const char *waits = json_text_or(s, "state.waiting.reason", "");
		const char *ended = json_text_or(s, "state.terminated.reason", "");

		if (*waits)
			reason = waits;
		else if (*ended)
			reason = ended;
		runs |= json_get(json_get(s, "state"), "running") != NULL;
	}
	if (strcmp(reason, "Completed") == 0 && runs)
		reason = pod_is_ready(pod) ? "Running" : "NotReady";
	buf_text(out, reason);
}

static void pod_restarts(const struct json *pod, uint64_t now, struct buf *out)
{
	static const char *const lists[] = {
		"status.containerStatuses", "status.initContainerStatuses"};
	uint64_t last = 0;
	int64_t n = 0;

	for (size_t i = 0; i < countof(lists); i++)
		json_each(s, json_path(pod, lists[i]))
		{
			uint64_t at = meta_time(s, "lastState.terminated.finishedAt");

			n += json_int_at(s, "restartCount", 0);
			if (at > last)
				last = at;
		}
	buf_printf(out, "%lld", (long long)n);
	if (n && last) {
		buf_text(out, " (");
		age_text(now > last ? now - last : 0, out);
		buf_text(out, " ago)");
	}
}

static void none_at(const struct json *obj, const char *path, struct buf *out)
{
	const char *t = json_text_or(obj, path, "");

	buf_text(out, *t ? t : "<none>");
}

static void pod_ip(const struct json *o, uint64_t now, struct buf *out)
{
	(void)now;
	none_at(o, "status.podIP", out);
}

static void pod_node(const struct json *o, uint64_t now, struct buf *out)
{
	(void)now;
	none_at(o, "spec.nodeName", out);
}

static void nominated(const struct json *o, uint64_t now, struct buf *out)
{
	(void)now;
	none_at(o, "status.nominatedNodeName", out);
}

static void gates(const struct json *o, uint64_t now, struct buf *out)
{
	(void)o;
	(void)now;
	buf_text(out, "<none>");
}

static const struct column pods[] = {
	{"Ready", .cell = pod_ready},
	{"Status", .cell = pod_status},
	{"Restarts", .cell = pod_restarts},
	{"Age", .cell = age},
	{"IP", .wide = true, .cell = pod_ip},
	{"Node", .wide = true, .cell = pod_node},
	{"Nominated Node", .wide = true, .cell = nominated},
	{"Readiness Gates", .wide = true, .cell = gates},
};

/* ---- workloads ---- */

static void containers(const struct json *o, uint64_t now, struct buf *out)
{
	size_t i = 0;

	(void)now;
	json_each(c, json_path(o, "spec.template.spec.containers"))
	{
		buf_printf(out, "%s%s", i++ ? "," : "", json_text_or(c, "name", ""));
	}
}

static void images(const struct json *o, uint64_t now, struct buf *out)
{
	size_t i = 0;

	(void)now;
	json_each(c, json_path(o, "spec.template.spec.containers"))
	{
		buf_printf(out, "%s%s", i++ ? "," : "", json_text_or(c, "image", ""));
	}
}

static void selector(const struct json *o, uint64_t now, struct buf *out)
{
	size_t before = buf_len(out);

	(void)now;
	selector_text(json_path(o, "spec.selector"), out);
	or_none(out, before);
}

static void ratio_ready(const struct json *o, uint64_t now, struct buf *out)
{
	(void)now;
	buf_printf(out, "%lld/%lld",
		(long long)json_int_at(o, "status.readyReplicas", 0),
		(long long)json_int_at(o, "spec.replicas", 1));
}

static const struct column deployments[] = {
	{"Ready", .cell = ratio_ready},
	{"Up-to-date", .type = "integer", .path = "status.updatedReplicas"},
	{"Available", .type = "integer", .path = "status.availableReplicas"},
	{"Age", .cell = age},
	{"Containers", .wide = true, .cell = containers},
	{"Images", .wide = true, .cell = images},
	{"Selector", .wide = true, .cell = selector},
};

static const struct column replicasets[] = {
	{"Desired", .type = "integer", .path = "spec.replicas"},
	{"Current", .type = "integer", .path = "status.replicas"},
	{"Ready", .type = "integer", .path = "status.readyReplicas"},
	{"Age", .cell = age},
	{"Containers", .wide = true, .cell = containers},
	{"Images", .wide = true, .cell = images},
	{"Selector", .wide = true, .cell = selector},
};

static const struct column statefulsets[] = {
	{"Ready", .cell = ratio_ready},
	{"Age", .cell = age},
	{"Containers", .wide = true, .cell = containers},
	{"Images", .wide = true, .cell = images},
};

static void job_status(const struct json *o, uint64_t now, struct buf *out)
{
	const char *s = "Running";

	(void)now;
	if (condition_is(o, "Complete", "True"))
		s = "Complete";
	else if (condition_is(o, "Failed", "True"))
		s = "Failed";
	else if (meta_is_deleted(o))
		s = "Terminating";
	else if (json_bool_at(o, "spec.suspend", false))
		s = "Suspended";
	buf_text(out, s);
}

static void job_completions(const struct json *o, uint64_t now, struct buf *out)
{
	int64_t want = json_int_at(o, "spec.completions", 1);

	(void)now;
	buf_printf(out, "%lld/%lld", (long long)json_int_at(o, "status.succeeded", 0),
		(long long)want);
}

static void job_duration(const struct json *o, uint64_t now, struct buf *out)
{
	uint64_t from = meta_time(o, "status.startTime"),
		 to = meta_time(o, "status.completionTime");

	if (!to)
		to = now;
	if (from)
		age_text(to > from ? to - from : 0, out);
}

static const struct column jobs[] = {
	{"Status", .cell = job_status},
	{"Completions", .cell = job_completions},
	{"Duration", .cell = job_duration},
	{"Age", .cell = age},
	{"Containers", .wide = true, .cell = containers},
	{"Images", .wide = true, .cell = images},
	{"Selector", .wide = true, .cell = selector},
};

/* ---- services ---- */

static void svc_ip(const struct json *o, uint64_t now, struct buf *out)
{
	(void)now;
	none_at(o, "spec.clusterIP", out);
}

static void svc_external(const struct json *o, uint64_t now, struct buf *out)
{
	(void)now;
	none_at(o, "spec.externalName", out);
}

static void svc_ports(const struct json *o, uint64_t now, struct buf *out)
{
	size_t i = 0, before = buf_len(out);

	(void)now;
	json_each(p, json_path(o, "spec.ports"))
	{
		buf_printf(out, "%s%lld/%s", i++ ? "," : "",
			(long long)json_int_at(p, "port", 0),
			json_text_or(p, "protocol", "TCP"));
	}
	or_none(out, before);
}

static void svc_selector(const struct json *o, uint64_t now, struct buf *out)
{
	size_t i = 0, before = buf_len(out);

	(void)now;
	json_each(l, json_path(o, "spec.selector"))
	{
		buf_printf(out, "%s%s=%s", i++ ? "," : "", json_key(l), text(l));
	}
	or_none(out, before);
}

static const struct column services[] = {
	{"Type", .path = "spec.type"},
	{"Cluster-IP", .cell = svc_ip},
	{"External-IP", .cell = svc_external},
	{"Port(s)", .cell = svc_ports},
	{"Age", .cell = age},
	{"Selector", .wide = true, .cell = svc_selector},
};

static void slice_ports(const struct json *o, uint64_t now, struct buf *out)
{
	size_t i = 0;

	(void)now;
	json_each(p, json_get(o, "ports"))
	{
		buf_printf(out, "%s%lld", i++ ? "," : "",
			(long long)json_int_at(p, "port", 0));
	}
	if (!i)
		buf_text(out, "<unset>");
}

static void slice_endpoints(const struct json *o, uint64_t now, struct buf *out)
{
	size_t i = 0;

	(void)now;
	json_each(e, json_get(o, "endpoints"))
	{
		if (i < 3)
			buf_printf(out, "%s%s", i ? "," : "",
				json_text_or(e, "addresses.0", ""));
		i++;
	}
	if (i > 3)
		buf_printf(out, " + %zu more...", i - 3);
	if (!i)
		buf_text(out, "<unset>");
}

static const struct column slices[] = {
	{"AddressType", .path = "addressType"},
	{"Ports", .cell = slice_ports},
	{"Endpoints", .cell = slice_endpoints},
	{"Age", .cell = age},
};

static void ep_addresses(const struct json *o, uint64_t now, struct buf *out)
{
	size_t i = 0, before = buf_len(out);

	(void)now;
	json_each(s, json_get(o, "subsets"))
	{
		json_each(a, json_get(s, "addresses"))
		{
			json_each(p, json_get(s, "ports"))
			{
				if (i < 3)
					buf_printf(out, "%s%s:%lld", i ? "," : "",
						json_text_or(a, "ip", ""),
						(long long)json_int_at(p, "port", 0));
				i++;
			}
		}
	}
	if (i > 3)
		buf_printf(out, " + %zu more...", i - 3);
	or_none(out, before);
}

static const struct column endpoints[] = {
	{"Endpoints", .cell = ep_addresses},
	{"Age", .cell = age},
};

/* ---- nodes, namespaces and the small ones ---- */

static void node_status(const struct json *o, uint64_t now, struct buf *out)
{
	(void)now;
	buf_text(out, condition_is(o, "Ready", "True") ? "Ready" : "NotReady");
	if (json_bool_at(o, "spec.unschedulable", false))
		buf_text(out, ",SchedulingDisabled");
}

static void node_roles(const struct json *o, uint64_t now, struct buf *out)
{
	static const char prefix[] = "node-role.kubernetes.io/";
	size_t before = buf_len(out);

	(void)now;
	json_each(l, json_path(o, "metadata.labels"))
	{
		if (strncmp(json_key(l), prefix, sizeof(prefix) - 1) == 0)
			buf_printf(out, "%s%s", buf_len(out) > before ? "," : "",
				json_key(l) + sizeof(prefix) - 1);
	}
	or_none(out, before);
}

static void node_ip(const struct json *o, uint64_t now, struct buf *out)
{
	size_t before = buf_len(out);

	(void)now;
	json_each(a, json_path(o, "status.addresses"))
	{
		if (strcmp(json_text_or(a, "type", ""), "InternalIP") == 0 &&
			buf_len(out) == before)
			buf_text(out, json_text_or(a, "address", ""));
	}
	or_none(out, before);
}

static const struct column nodes[] = {
	{"Status", .cell = node_status},
	{"Roles", .cell = node_roles},
	{"Age", .cell = age},
	{"Version", .path = "status.nodeInfo.kubeletVersion"},
	{"Internal-IP", .wide = true, .cell = node_ip},
	{"OS-Image", .wide = true, .path = "status.nodeInfo.osImage"},
	{"Kernel-Version", .wide = true, .path = "status.nodeInfo.kernelVersion"},
};

static const struct column namespaces[] = {
	{"Status", .path = "status.phase"},
	{"Age", .cell = age},
};

static void data_count(const struct json *o, uint64_t now, struct buf *out)
{
	(void)now;
	buf_printf(out, "%zu",
		json_count(json_get(o, "data")) +
			json_count(json_get(o, "binaryData")));
}

static const struct column configmaps[] = {
	{"Data", .type = "integer", .cell = data_count},
	{"Age", .cell = age},
};

static const struct column secrets[] = {
	{"Type", .path = "type"},
	{"Data", .type = "integer", .cell = data_count},
	{"Age", .cell = age},
};

static void sa_secrets(const struct json *o, uint64_t now, struct buf *out)
{
	(void)now;
	buf_printf(out, "%zu", json_count(json_get(o, "secrets")));
}

static const struct column accounts[] = {
	{"Secrets", .type = "integer", .cell = sa_secrets},
	{"Age", .cell = age},
};

static void event_seen(const struct json *o, uint64_t now, struct buf *out)
{
	since(o, "lastTimestamp", now, out);
}

static void event_object(const struct json *o, uint64_t now, struct buf *out)
{
	(void)now;
	for (const char *p = json_text_or(o, "involvedObject.kind", ""); *p; p++)
		buf_char(out, (char)(*p >= 'A' && *p <= 'Z' ? *p + 32 : *p));
	buf_printf(out, "/%s", json_text_or(o, "involvedObject.name", ""));
}

static const struct column events[] = {
	{"Last Seen", .cell = event_seen},
	{"Type", .path = "type"},
	{"Reason", .path = "reason"},
	{"Object", .cell = event_object},
	{"Message", .path = "message"},
	{"Name", .wide = true, .path = "metadata.name"},
};

static const struct column leases[] = {
	{"Holder", .path = "spec.holderIdentity"},
	{"Age", .cell = age},
};

static void hook_count(const struct json *o, uint64_t now, struct buf *out)
{
	(void)now;
	buf_printf(out, "%zu", json_count(json_get(o, "webhooks")));
}

static const struct column hooks[] = {
	{"Webhooks", .type = "integer", .cell = hook_count},
	{"Age", .cell = age},
};

static void created_at(const struct json *o, uint64_t now, struct buf *out)
{
	(void)now;
	buf_text(out, json_text_or(o, "metadata.creationTimestamp", ""));
}

static const struct column crds[] = {{"Created At", .cell = created_at}};

static const struct column plain[] = {{"Age", .cell = age}};

static const struct columns all[] = {
	{"pods", countof(pods), pods, false},
	{"deployments.apps", countof(deployments), deployments, false},
	{"replicasets.apps", countof(replicasets), replicasets, false},
	{"replicationcontrollers", countof(replicasets), replicasets, false},
	{"statefulsets.apps", countof(statefulsets), statefulsets, false},
	{"jobs.batch", countof(jobs), jobs, false},
	{"services", countof(services), services, false},
	{"endpointslices.discovery.k8s.io", countof(slices), slices, false},
	{"endpoints", countof(endpoints), endpoints, false},
	{"nodes", countof(nodes), nodes, false},
	{"namespaces", countof(namespaces), namespaces, false},
	{"configmaps", countof(configmaps), configmaps, false},
	{"secrets", countof(secrets), secrets, false},
	{"serviceaccounts", countof(accounts), accounts, false},
	{"events", countof(events), events, true},
	{"leases.coordination.k8s.io", countof(leases), leases, false},
	{"mutatingwebhookconfigurations.admissionregistration.k8s.io", countof(hooks),
		hooks, false},
	{"validatingwebhookconfigurations.admissionregistration.k8s.io", countof(hooks),
		hooks, false},
	{"customresourcedefinitions.apiextensions.k8s.io", countof(crds), crds, false},
};

const struct columns *columns_of(const struct kind *k)
{
	static const struct columns other = {"", countof(plain), plain, false};

	for (size_t i = 0; i < countof(all); i++)
		if (strcmp(all[i].res, k->res) == 0)
			return &all[i];
	return &other;
}
