/* SPDX-License-Identifier: Apache-2.0 */
/* What controllers of pods share; binding pods to the node. */
#include "base/clock.h"
#include "local/ctrlint.h"
#include "local/meta.h"

struct json *ctrl_pod_of(const struct json *owner, const struct json *template)
{
	struct json *pod = meta_new("v1", "Pod", meta_ns(owner), "");
	struct json *meta = json_get(pod, "metadata");
	const struct json *from = json_get(template, "metadata");
	char prefix[260];

	snprintf(prefix, sizeof(prefix), "%.250s-", meta_name(owner));
	json_remove(meta, "name");
	json_set_text(meta, "generateName", prefix);
	if (json_get(from, "labels"))
		json_set(meta, "labels", json_copy(json_get(from, "labels")));
	if (json_get(from, "annotations"))
		json_set(meta, "annotations", json_copy(json_get(from, "annotations")));
	if (json_get(from, "finalizers"))
		json_set(meta, "finalizers", json_copy(json_get(from, "finalizers")));
	meta_set_controller(pod, owner);
	if (json_get(template, "spec"))
		json_set(pod, "spec", json_copy(json_get(template, "spec")));
	return pod;
}

void ctrl_owned(const struct ctrls *c, const char *res, const char *ns, const char *uid,
	struct store_list *out)
{
	size_t n = 0;

	store_list(c->store, res, ns, out);
	for (size_t i = 0; i < out->n; i++) {
		const struct json *owner = meta_controller(out->v[i]->json);

		if (owner && strcmp(json_text_or(owner, "uid", ""), uid) == 0)
			out->v[n++] = out->v[i];
		else
			object_unref(out->v[i]);
	}
	out->n = n;
}

void ctrl_delete_pod(
	struct ctrls *c, const struct json *owner, const struct object *pod)
{
	struct store_delete how = {.grace = -1, .uid = pod->uid};
	char text[300];

	if (store_delete(c->store, "pods", pod->ns, pod->name, &how, NULL, NULL) !=
		STORE_OK)
		return;
	snprintf(text, sizeof(text), "Deleted pod: %.200s", pod->name);
	store_tell(c->store, "controller-manager", owner, "Normal", "SuccessfulDelete",
		text);
}

bool ctrl_pod_is_active(const struct json *pod)
{
	return !pod_is_over(pod) && !meta_is_deleted(pod);
}

/* ---- binding: there is one node ---- */

static const struct object *choose_node(const struct ctrls *c, struct store_list *nodes)
{
	store_list(c->store, "nodes", NULL, nodes);
	for (size_t i = 0; i < nodes->n; i++)
		if (!json_bool_at(nodes->v[i]->json, "spec.unschedulable", false))
			return nodes->v[i];
	return NULL;
}

static void bind_to(struct ctrls *c, const struct object *pod, const char *node)
{
	struct json *obj = json_copy(pod->json);
	char text[600];

	json_set_text(json_need_object(obj, "spec"), "nodeName", node);
	condition_set(json_need_object(obj, "status"), "PodScheduled", "True", "", "",
		store_now(c->store));
	snprintf(text, sizeof(text), "Successfully assigned %s/%s to %s", pod->ns,
		pod->name, node);
	if (store_update(c->store, "pods", obj, STORE_WHOLE, NULL, NULL) == STORE_OK)
		store_tell(
			c->store, "scheduler", pod->json, "Normal", "Scheduled", text);
}

static void tell_unbound(struct ctrls *c, const struct object *pod)
{
	const char *why = "0/0 nodes are available: the node is not up";
	struct json *status = json_copy(json_get(pod->json, "status"));

	if (!status)
		status = json_object();
	condition_set(status, "PodScheduled", "False", "Unschedulable", why,
		store_now(c->store));
	if (!condition_is(pod->json, "PodScheduled", "False"))
		store_tell(c->store, "scheduler", pod->json, "Warning",
			"FailedScheduling", why);
	(void)store_set_status(c->store, "pods", pod->ns, pod->name, status, NULL);
}

void ctrl_bind(struct ctrls *c, const char *ns, const char *name)
{
	struct object *pod = store_find(c->store, "pods", ns, name);
	const struct object *node;
	struct store_list nodes;

	if (!pod || meta_is_deleted(pod->json) ||
		*json_text_or(pod->json, "spec.nodeName", ""))
		return;
	object_ref(pod);
	node = choose_node(c, &nodes);
	if (node)
		bind_to(c, pod, node->name);
	else
		tell_unbound(c, pod);
	store_list_end(&nodes);
	object_unref(pod);
}

/* Kinds that are stored and not run say so. */
void ctrl_unserved(struct ctrls *c, const char *res, const char *key)
{
	const char *slash = strchr(key, '/');
	char ns[300];
	const struct object *o;

	snprintf(ns, sizeof(ns), "%.*s", (int)(slash - key), key);
	o = store_find(c->store, res, ns, slash + 1);
	if (o)
		store_tell(c->store, "controller-manager", o->json, "Warning",
			"NotControlledHere",
			"the local runtime stores this kind and does not run it; use a "
			"Deployment or a Job");
}
