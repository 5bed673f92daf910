/* SPDX-License-Identifier: Apache-2.0 */
/* Subresources: scale, the pod's streams, binding, eviction, finalize. */
#include <stdio.h>
#include <stdlib.h>

#include "base/obj.h"
#include "kube/selector.h"
#include "local/restint.h"

/* ---- scale ---- */

static struct json *scale_of(const struct object *o)
{
	struct json *s = meta_new("autoscaling/v1", "Scale", o->ns, o->name);
	struct json *meta = json_get(s, "metadata"), *status;
	struct buf b = BUF_INIT;

	json_set_text(meta, "uid", o->uid);
	json_set_text(meta, "resourceVersion",
		json_text_or(o->json, "metadata.resourceVersion", ""));
	json_set_text(meta, "creationTimestamp",
		json_text_or(o->json, "metadata.creationTimestamp", ""));
	json_set_int(json_need_object(s, "spec"), "replicas",
		json_int_at(o->json, "spec.replicas", 0));
	status = json_need_object(s, "status");
	json_set_int(status, "replicas", json_int_at(o->json, "status.replicas", 0));
	selector_text(json_path(o->json, "spec.selector"), &b);
	json_set(status, "selector", json_string_n(buf_slice(&b)));
	buf_fini(&b);
	return s;
}

static struct json *wanted_scale(struct rest_call *c, const struct object *o)
{
	if (rest_is(c, "PUT"))
		return rest_body(c);
	if (rest_is(c, "PATCH"))
		return rest_apply_patch(c, scale_of(o));
	rest_refuse(c, status_new(405, "MethodNotAllowed",
			       "the server does not allow this method on scale"));
	return NULL;
}

void rest_scale(const struct rest *r, struct rest_call *c)
{
	struct object *o = rest_find(r, c), *out = NULL;
	struct json *scale, *obj, *causes;
	struct err e = {0};
	enum store_result result;
	int64_t n;

	if (!o)
		return;
	if (rest_is(c, "GET")) {
		rest_answer(c, 200, scale_of(o));
		return;
	}
	scale = wanted_scale(c, o);
	if (!scale)
		return;
	n = json_int_at(scale, "spec.replicas", 0);
	json_free(scale);
	if (n < 0) {
		causes = json_list();
		cause_add(causes, CAUSE_INVALID, "spec.replicas",
			"Invalid value: %lld: must be greater than or equal to 0",
			(long long)n);
		rest_refuse(c, status_invalid(c->kind, c->name, causes));
		return;
	}
	obj = json_copy(o->json);
	json_set_int(json_need_object(obj, "spec"), "replicas", n);
	result = store_update(
		r->env.store, c->kind->res, obj, STORE_NO_STATUS, &out, &e);
	if (result == STORE_OK)
		rest_answer(c, 200, scale_of(out));
	else
		rest_refuse(c, status_of_store(result, c->kind, c->name, &e));
}

/* ---- pods ---- */

static bool has_container(const struct json *pod, const char *name)
{
	static const char *const lists[] = {
		"spec.containers", "spec.initContainers", "spec.ephemeralContainers"};

	for (size_t i = 0; i < countof(lists); i++)
		json_each(it, json_path(pod, lists[i]))
		{
			if (strcmp(json_text_or(it, "name", ""), name) == 0)
				return true;
		}
	return false;
}

/* The named one, the annotated one, or the first. */
static const char *choose_container(struct rest_call *c, const struct json *pod)
{
	const char *name = rest_param(c, "container");
	const char *usual =
		meta_annotation(pod, "kubectl.kubernetes.io/default-container");

	if (name && *name)
		return name;
	if (usual && has_container(pod, usual))
		return usual;
	return json_text_or(pod, "spec.containers.0.name", "");
}

static int64_t number(struct rest_call *c, const char *name)
{
	const char *text = rest_param(c, name);
	uint64_t n;

	return text && slice_u64(slice_of(text), INT64_MAX, &n) ? (int64_t)n : -1;
}

static void read_ports(struct rest_call *c, struct podio_target *t)
{
	const char *text;

	for (size_t i = 0; (text = rest_param_at(c, "ports", i)); i++) {
		struct slice rest = slice_of(text), part;
		uint64_t n;

		while (rest.n && slice_cut(&rest, ',', &part))
			if (t->nports < countof(t->ports) && slice_u64(part, 65535, &n))
				t->ports[t->nports++] = (uint16_t)n;
	}
}

static void read_target(struct rest_call *c, const struct json *pod)
{
	struct podio_target *t = &c->target;
	size_t i;

	*t = (struct podio_target){
		.pod = pod,
		.ns = c->ns,
		.name = c->name,
		.container = c->pod_op == REST_FORWARD ? "" : choose_container(c, pod),
		.in = rest_flag(c, "stdin"),
		.out = rest_flag(c, "stdout"),
		.err = rest_flag(c, "stderr"),
		.tty = rest_flag(c, "tty"),
		.follow = rest_flag(c, "follow"),
		.previous = rest_flag(c, "previous"),
		.timestamps = rest_flag(c, "timestamps"),
		.tail = number(c, "tailLines"),
		.since_seconds = number(c, "sinceSeconds"),
		.limit_bytes = number(c, "limitBytes"),
	};
	for (i = 0; i < PODIO_COMMAND_MAX; i++) {
		t->command[i] = rest_param_at(c, "command", i);
		if (!t->command[i])
			break;
	}
	read_ports(c, t);
}

static enum rest_pod op_of(const char *sub)
{
	if (strcmp(sub, "log") == 0)
		return REST_LOG;
	if (strcmp(sub, "exec") == 0)
		return REST_EXEC;
	return strcmp(sub, "attach") == 0 ? REST_ATTACH : REST_FORWARD;
}

void rest_pod(const struct rest *r, struct rest_call *c)
{
	const struct object *pod = rest_find(r, c);

	if (!pod)
		return;
	c->pod_op = op_of(c->sub);
	read_target(c, pod->json);
	if (*c->target.container && !has_container(pod->json, c->target.container)) {
		rest_refuse(c, status_new(400, "BadRequest",
				       "container %s is not valid for pod %s",
				       c->target.container, c->name));
		return;
	}
	if (!*json_text_or(pod->json, "spec.nodeName", "")) {
		rest_refuse(
			c, status_new(400, "BadRequest",
				   "pod %s does not have a host assigned", c->name));
		return;
	}
	if (c->pod_op == REST_EXEC && !c->target.command[0]) {
		rest_refuse(c, status_new(400, "BadRequest",
				       "you must specify at least 1 command for the "
				       "container"));
		return;
	}
	c->then = REST_POD;
}

void rest_bind(const struct rest *r, struct rest_call *c)
{
	struct object *pod = rest_find(r, c);
	struct json *body, *obj;
	struct err e = {0};
	enum store_result result;

	if (!pod)
		return;
	body = rest_body(c);
	if (!body)
		return;
	if (*json_text_or(pod->json, "spec.nodeName", "")) {
		json_free(body);
		rest_refuse(
			c, status_new(409, "Conflict",
				   "pod %s is already assigned to node \"%s\"", c->name,
				   json_text_or(pod->json, "spec.nodeName", "")));
		return;
	}
	obj = json_copy(pod->json);
	json_set_text(json_need_object(obj, "spec"), "nodeName",
		json_text_or(body, "target.name", ""));
	json_free(body);
	result = store_update(r->env.store, "pods", obj, STORE_NO_STATUS, NULL, &e);
	rest_refuse(c, result == STORE_OK
			       ? status_new(201, "", "%s", "")
			       : status_of_store(result, c->kind, c->name, &e));
}

void rest_evict(const struct rest *r, struct rest_call *c)
{
	struct json *body = rest_body(c);
	struct store_delete how = {.grace = -1};
	struct err e = {0};
	enum store_result result;

	if (!body)
		return;
	how.grace = json_int_at(body, "deleteOptions.gracePeriodSeconds", -1);
	json_free(body);
	result = store_delete(r->env.store, "pods", c->ns, c->name, &how, NULL, &e);
	rest_refuse(c, result == STORE_OK
			       ? status_new(201, "", "%s", "")
			       : status_of_store(result, c->kind, c->name, &e));
}

void rest_finalize(const struct rest *r, struct rest_call *c)
{
	struct object *old = rest_find(r, c), *out = NULL;
	struct json *body, *obj;
	struct err e = {0};
	enum store_result result;

	if (!old)
		return;
	body = rest_body(c);
	if (!body)
		return;
	obj = json_copy(old->json);
	json_remove(json_need_object(obj, "spec"), "finalizers");
	if (json_path(body, "spec.finalizers"))
		json_set(json_get(obj, "spec"), "finalizers",
			json_copy(json_path(body, "spec.finalizers")));
	json_free(body);
	object_ref(old);
	result = store_update(
		r->env.store, c->kind->res, obj, STORE_NO_STATUS, &out, &e);
	if (result == STORE_OK)
		rest_answer_object(r, c, 200, out ? out->json : old->json);
	else
		rest_refuse(c, status_of_store(result, c->kind, c->name, &e));
	object_unref(old);
}
