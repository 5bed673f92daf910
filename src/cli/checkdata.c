/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses that the mesh knows as the cluster's, and how workloads are marked. */
#include <stdio.h>

#include "base/addr.h"
#include "base/obj.h"
#include "cli/checksint.h"
#include "ctl/inject.h"
#include "wire/yaml.h"

#define OPAQUE   INJECT_CONFIG "opaque-ports"
#define EXPORTED "mirror.linkerd.io/exported"

/* ---- cluster networks ---- */

#define NETWORKS_MAX 64

struct networks {
	struct cidr v[NETWORKS_MAX];
	size_t n;
};

static int read_networks(struct check_run *r, struct networks *out, struct err *e)
{
	struct json *values = check_values(r, e);
	struct slice rest = slice_of(json_text_or(values, "clusterNetworks", "")), one;
	int rc = values ? 0 : -1;

	out->n = 0;
	while (rc == 0 && slice_cut(&rest, ',', &one)) {
		one = slice_trim(one);
		if (!one.n)
			continue;
		if (out->n == NETWORKS_MAX || !cidr_parse(one, &out->v[out->n++]))
			rc = err_set(e, ERR_SYNTAX,
				"clusterNetworks: \"%.*s\" is no network",
				SLICE_FMT(one));
	}
	json_free(values);
	return rc;
}

/* `text`: an address or a network. */
static bool is_inside(const struct networks *all, const char *text)
{
	struct cidr c;

	if (!cidr_parse(slice_of(text), &c))
		return true; /* none, as "None" of a headless Service */
	for (size_t i = 0; i < all->n; i++)
		if (all->v[i].bits <= c.bits && cidr_has(&all->v[i], &c.ip))
			return true;
	return false;
}

/* Each text of `list` of each object. */
static int each_inside(struct check_run *r, const char *path, const char *kind,
	const char *list, const char *member, struct err *e)
{
	struct networks all;
	const struct json *objects;

	if (read_networks(r, &all, e))
		return -1;
	objects = check_get(r, e, "%s", path);
	if (!objects)
		return -1;
	json_each(o, json_get(objects, "items"))
	{
		if (json_bool_at(o, "spec.hostNetwork", false))
			continue;
		json_each(it, json_path(o, list))
		{
			const char *text =
				json_text(member ? json_get(it, member) : it);

			if (text && !is_inside(&all, text))
				return err_set(e, ERR_DENIED,
					"%s %s%s%s has %s, outside of clusterNetworks",
					kind, json_text_or(o, "metadata.namespace", ""),
					json_get(json_get(o, "metadata"), "namespace")
						? "/"
						: "",
					json_text_or(o, "metadata.name", ""), text);
		}
	}
	return 0;
}

int networks_have_nodes(struct check_run *r, struct err *e)
{
	return each_inside(r, "/api/v1/nodes", "Node", "spec.podCIDRs", NULL, e);
}

int networks_have_pods(struct check_run *r, struct err *e)
{
	return each_inside(r, "/api/v1/pods", "Pod", "status.podIPs", "ip", e);
}

int networks_have_services(struct check_run *r, struct err *e)
{
	return each_inside(
		r, "/api/v1/services", "Service", "spec.clusterIPs", NULL, e);
}

/* ---- labels that should be annotations, and the other way round ---- */

static bool starts(const char *text, const char *head)
{
	return strncmp(text, head, strlen(head)) == 0;
}

static bool is_annotation(const char *key)
{
	return starts(key, INJECT_CONFIG) || starts(key, INJECT_CONFIG_ALFA) ||
	       strcmp(key, INJECT_ANNOTATION) == 0;
}

static bool is_label(const char *key)
{
	return strcmp(key, EXPORTED) == 0;
}

static int none_misplaced(const struct json *list, const char *kind, const char *where,
	bool (*is_wrong)(const char *key), const char *right, struct err *e)
{
	json_each(o, json_get(list, "items"))
	{
		json_each(m, json_get(json_get(o, "metadata"), where))
		{
			if (is_wrong(json_key(m)))
				return err_set(e, ERR_DENIED,
					"%s %s/%s: %s should be %s", kind,
					json_text_or(o, "metadata.namespace", ""),
					json_text_or(o, "metadata.name", ""),
					json_key(m), right);
		}
	}
	return 0;
}

int pod_labels_are_labels(struct check_run *r, struct err *e)
{
	const struct json *pods = check_workloads(r, e);

	return pods ? none_misplaced(pods, "Pod", "labels", is_annotation,
			      "an annotation, not a label", e)
		    : -1;
}

static const struct json *services(struct check_run *r, struct err *e)
{
	if (r->cfg->workloads)
		return check_get(
			r, e, "/api/v1/namespaces/%s/services", r->cfg->workloads);
	return check_get(r, e, "/api/v1/services");
}

int service_labels_are_labels(struct check_run *r, struct err *e)
{
	const struct json *list = services(r, e);

	return list ? none_misplaced(list, "Service", "labels", is_annotation,
			      "an annotation, not a label", e)
		    : -1;
}

int service_annotations_are_annotations(struct check_run *r, struct err *e)
{
	const struct json *list = services(r, e);

	return list ? none_misplaced(list, "Service", "annotations", is_label,
			      "a label, not an annotation", e)
		    : -1;
}

/* ---- opaque ports: a Service and its pods say the same ---- */

static const char *opaque_of(const struct json *object)
{
	return json_text(json_get(json_path(object, "metadata.annotations"), OPAQUE));
}

static bool selects(const struct json *service, const struct json *pod)
{
	const struct json *selector = json_path(service, "spec.selector");

	if (!json_count(selector) ||
		strcmp(json_text_or(service, "metadata.namespace", ""),
			json_text_or(pod, "metadata.namespace", "")) != 0)
		return false;
	json_each(want, selector)
	{
		const char *has = json_text(
			json_get(json_path(pod, "metadata.labels"), json_key(want)));

		if (!has || !json_text(want) || strcmp(has, json_text(want)) != 0)
			return false;
	}
	return true;
}

/* The number of a Service's port in this pod; 0: it has none. */
static uint16_t target_of(const struct json *port, const struct json *pod)
{
	const struct json *target = json_get(port, "targetPort");
	const char *name = json_text(target);

	if (!name)
		return (uint16_t)json_int(target, json_int_at(port, "port", 0));
	json_each(c, json_path(pod, "spec.containers"))
	{
		json_each(p, json_get(c, "ports"))
		{
			if (strcmp(json_text_or(p, "name", ""), name) == 0)
				return (uint16_t)json_int_at(p, "containerPort", 0);
		}
	}
	return 0;
}

/* What is written down explicitly counts; the injector writes a namespace's to pods. */
static bool has_port(const char *list, uint16_t port)
{
	struct portset set = {{0}};

	return list && portset_parse(slice_of(list), &set) && portset_has(&set, port);
}

static int agree(const struct json *service, const struct json *pod, struct err *e)
{
	const char *svc_list = opaque_of(service), *pod_list = opaque_of(pod);

	json_each(port, json_path(service, "spec.ports"))
	{
		uint16_t number = (uint16_t)json_int_at(port, "port", 0);
		uint16_t target = target_of(port, pod);
		bool of_svc = has_port(svc_list, number);
		bool of_pod = has_port(pod_list, target);

		if (of_svc == of_pod || !target)
			continue;
		return err_set(e, ERR_DENIED,
			"port %u of Service %s/%s is %sopaque, port %u of its pod %s "
			"is "
			"%s",
			number, json_text_or(service, "metadata.namespace", ""),
			json_text_or(service, "metadata.name", ""),
			of_svc ? "" : "not ", target,
			json_text_or(pod, "metadata.name", ""), of_pod ? "" : "not");
	}
	return 0;
}

int opaque_ports_agree(struct check_run *r, struct err *e)
{
	const struct json *pods = check_workloads(r, e);
	const struct json *list = pods ? services(r, e) : NULL;

	if (!list)
		return -1;
	json_each(s, json_get(list, "items"))
	{
		json_each(p, json_get(pods, "items"))
		{
			if (check_is_meshed(r, p) && selects(s, p) && agree(s, p, e))
				return -1;
		}
	}
	return 0;
}

/* ---- extensions ---- */

int extensions_are_once(struct check_run *r, struct err *e)
{
	const struct json *list = check_get(r, e, "/api/v1/namespaces");
	struct json *seen = json_object();
	int rc = list ? 0 : -1;

	json_each(ns, json_get(list, "items"))
	{
		const char *extension = json_text(json_get(
			json_path(ns, "metadata.labels"), "linkerd.io/extension"));
		const char *name = json_text_or(ns, "metadata.name", "");

		if (extension && rc == 0 && json_get(seen, extension))
			rc = err_set(e, ERR_DENIED,
				"extension %s is in the namespaces %s and %s",
				extension, json_text(json_get(seen, extension)), name);
		if (extension)
			json_set_text(seen, extension, name);
	}
	json_free(seen);
	return rc;
}
