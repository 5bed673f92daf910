/* SPDX-License-Identifier: Apache-2.0 */
/*
 * EndpointSlices (and the older Endpoints) of Services with a selector.  Pods whose
 * ports resolve to the same numbers share slices of at most 100.
 */
#include <stdlib.h>

#include "base/obj.h"
#include "kube/selector.h"
#include "local/ctrlint.h"
#include "local/meta.h"
#include "tls/key.h"

#define SLICE_MAX 100
#define MANAGER   "endpointslice-controller.k8s.io"
#define ZONE      "topology.kubernetes.io/zone"
#define SLICES    "endpointslices.discovery.k8s.io"

/* Pods with the same ports. */
struct group {
	struct json *ports; /* owned */
	struct json *endpoints;
};

struct slicing {
	struct ctrls *c;
	const struct object *svc;
	struct group *groups;
	size_t ngroups;
};

/* ---- ports ---- */

static int64_t named_port(
	const struct json *pod, const char *name, const char *protocol)
{
	static const char *const lists[] = {"spec.containers", "spec.initContainers"};

	for (size_t i = 0; i < countof(lists); i++)
		json_each(c, json_path(pod, lists[i]))
		{
			json_each(p, json_get(c, "ports"))
			{
				if (strcmp(json_text_or(p, "name", ""), name) == 0 &&
					strcmp(json_text_or(p, "protocol", "TCP"),
						protocol) == 0)
					return json_int_at(p, "containerPort", 0);
			}
		}
	return 0;
}

static int64_t target_of(const struct json *port, const struct json *pod)
{
	const struct json *target = json_get(port, "targetPort");

	if (json_text(target))
		return named_port(
			pod, json_text(target), json_text_or(port, "protocol", "TCP"));
	return json_int(target, json_int_at(port, "port", 0));
}

static struct json *ports_of(const struct json *svc, const struct json *pod)
{
	struct json *list = json_list();

	json_each(p, json_path(svc, "spec.ports"))
	{
		int64_t n = target_of(p, pod);
		struct json *out;

		if (!n)
			continue;
		out = json_push(list, json_object());
		json_set_text(out, "name", json_text_or(p, "name", ""));
		json_set_int(out, "port", n);
		json_set_text(out, "protocol", json_text_or(p, "protocol", "TCP"));
		if (json_text_at(p, "appProtocol"))
			json_set_text(
				out, "appProtocol", json_text_at(p, "appProtocol"));
	}
	return list;
}

/* ---- endpoints ---- */

static void set_hostname(
	struct json *ep, const struct json *svc, const struct json *pod)
{
	const char *host = json_text_or(pod, "spec.hostname", "");

	if (*host &&
		strcmp(json_text_or(pod, "spec.subdomain", ""), meta_name(svc)) == 0)
		json_set_text(ep, "hostname", host);
}

static struct json *endpoint_of(
	const struct slicing *s, const struct json *pod, const char *ip)
{
	const struct json *svc = s->svc->json;
	const char *node = json_text_or(pod, "spec.nodeName", "");
	const char *zone = meta_label(store_get(s->c->store, "nodes", "", node), ZONE);
	bool ending = meta_is_deleted(pod), serving = pod_is_ready(pod);
	bool all = json_bool_at(svc, "spec.publishNotReadyAddresses", false);
	struct json *ep = json_object(), *j;

	json_push(json_need_list(ep, "addresses"), json_string(ip));
	j = json_need_object(ep, "conditions");
	json_set_bool(j, "ready", all || (serving && !ending));
	json_set_bool(j, "serving", serving);
	json_set_bool(j, "terminating", ending);
	set_hostname(ep, svc, pod);
	json_set_text(ep, "nodeName", node);
	if (zone)
		json_set_text(ep, "zone", zone);
	j = json_need_object(ep, "targetRef");
	json_set_text(j, "kind", "Pod");
	json_set_text(j, "namespace", meta_ns(pod));
	json_set_text(j, "name", meta_name(pod));
	json_set_text(j, "uid", meta_uid(pod));
	return ep;
}

static struct group *group_for(struct slicing *s, struct json *ports)
{
	struct group *g;

	for (size_t i = 0; i < s->ngroups; i++) {
		g = &s->groups[i];
		if (json_count(g->endpoints) < SLICE_MAX &&
			json_equal(g->ports, ports)) {
			json_free(ports);
			return g;
		}
	}
	s->groups = reallocarray(s->groups, s->ngroups + 1, sizeof(*s->groups));
	must(s->groups);
	g = &s->groups[s->ngroups++];
	*g = (struct group){ports, json_list()};
	return g;
}

static void gather(struct slicing *s)
{
	const struct json *selector = json_path(s->svc->json, "spec.selector");
	struct store_list pods;

	store_list(s->c->store, "pods", s->svc->ns, &pods);
	for (size_t i = 0; i < pods.n; i++) {
		const struct json *pod = pods.v[i]->json;
		const char *ip = json_text_or(pod, "status.podIP", "");

		if (!*ip || pod_is_over(pod) ||
			!selector_map(selector, json_path(pod, "metadata.labels")))
			continue;
		json_push(group_for(s, ports_of(s->svc->json, pod))->endpoints,
			endpoint_of(s, pod, ip));
	}
	store_list_end(&pods);
	if (!s->ngroups)
		group_for(s, ports_of(s->svc->json, NULL));
}

/* ---- writing ---- */

static void slice_name(const struct object *svc, size_t i, char out[300])
{
	static const char letters[] = "bcdfghjklmnpqrstvwxz2456789";
	uint8_t digest[SHA256_SIZE];
	char seed[80], tail[6];

	snprintf(seed, sizeof(seed), "%.40s-%zu", svc->uid, i);
	sha256(slice_of(seed), digest);
	for (int k = 0; k < 5; k++)
		tail[k] = letters[digest[k] % (sizeof(letters) - 1)];
	tail[5] = 0;
	snprintf(out, 300, "%.200s-%s", svc->name, tail);
}

static struct json *slice_of_group(
	const struct object *svc, struct group *g, const char *name)
{
	struct json *slice =
		meta_new("discovery.k8s.io/v1", "EndpointSlice", svc->ns, name);
	struct json *labels =
		json_need_object(json_need_object(slice, "metadata"), "labels");

	json_each(l, json_path(svc->json, "metadata.labels"))
	{
		json_set(labels, json_key(l), json_copy(l));
	}
	json_set_text(labels, "kubernetes.io/service-name", svc->name);
	json_set_text(labels, "endpointslice.kubernetes.io/managed-by", MANAGER);
	if (strcmp(json_text_or(svc->json, "spec.clusterIP", ""), "None") == 0)
		json_set_text(labels, "service.kubernetes.io/headless", "");
	meta_set_controller(slice, svc->json);
	json_set_text(slice, "addressType", "IPv4");
	json_set(slice, "ports", g->ports);
	json_set(slice, "endpoints", g->endpoints);
	*g = (struct group){0};
	return slice;
}

static void put(struct store *st, const char *res, struct json *obj)
{
	if (store_find(st, res, meta_ns(obj), meta_name(obj)))
		(void)store_update(st, res, obj, STORE_WHOLE, NULL, NULL);
	else
		(void)store_create(st, res, obj, NULL, NULL);
}

/* Slices of this service that are ours and are not among the first n. */
static void drop_rest(struct slicing *s, size_t n)
{
	struct store_list all;

	ctrl_owned(s->c, SLICES, s->svc->ns, s->svc->uid, &all);
	for (size_t i = 0; i < all.n; i++) {
		bool keep = false;
		char name[300];

		for (size_t k = 0; k < n && !keep; k++) {
			slice_name(s->svc, k, name);
			keep = strcmp(name, all.v[i]->name) == 0;
		}
		if (!keep)
			(void)store_delete(s->c->store, SLICES, all.v[i]->ns,
				all.v[i]->name, NULL, NULL, NULL);
	}
	store_list_end(&all);
}

static void add_subset(struct json *subsets, const struct group *g)
{
	struct json *sub = json_object();

	json_each(ep, g->endpoints)
	{
		const char *list = json_bool_at(ep, "conditions.ready", false)
					   ? "addresses"
					   : "notReadyAddresses";
		struct json *a = json_push(json_need_list(sub, list), json_object());

		json_set_text(a, "ip", json_text_or(ep, "addresses.0", ""));
		json_set_text(a, "nodeName", json_text_or(ep, "nodeName", ""));
		json_set(a, "targetRef", json_copy(json_get(ep, "targetRef")));
	}
	if (!json_first(sub)) {
		json_free(sub);
		return;
	}
	json_set(sub, "ports", json_copy(g->ports));
	json_push(subsets, sub);
}

static void put_endpoints(struct slicing *s)
{
	struct json *ep = meta_new("v1", "Endpoints", s->svc->ns, s->svc->name);
	struct json *subsets = json_need_list(ep, "subsets");

	for (size_t i = 0; i < s->ngroups; i++)
		add_subset(subsets, &s->groups[i]);
	meta_set_controller(ep, s->svc->json);
	put(s->c->store, "endpoints", ep);
}

static void put_all(struct slicing *s)
{
	char name[300];

	put_endpoints(s);
	for (size_t i = 0; i < s->ngroups; i++) {
		slice_name(s->svc, i, name);
		put(s->c->store, SLICES, slice_of_group(s->svc, &s->groups[i], name));
	}
	drop_rest(s, s->ngroups);
}

void ctrl_slice(struct ctrls *c, const char *ns, const char *name)
{
	struct object *svc = store_find(c->store, "services", ns, name);
	struct slicing s = {.c = c, .svc = svc};

	if (!svc || meta_is_deleted(svc->json))
		return;
	object_ref(svc);
	if (json_first(json_path(svc->json, "spec.selector"))) {
		gather(&s);
		put_all(&s);
	} else
		drop_rest(&s, 0);
	free(s.groups);
	object_unref(svc);
}
