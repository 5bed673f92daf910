/* SPDX-License-Identifier: Apache-2.0 */
/* One pod: its rules, and what it asks for. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/obj.h"
#include "cni/repairint.h"
#include "ctl/inject.h"
#include "sys/ns.h"

/* ---- what is kept ---- */

static void keep(struct json *to, const struct json *from, const char *key)
{
	const struct json *j = json_get(from, key);

	if (j)
		json_set(to, key, json_copy(j));
}

static void keep_proxy(struct json *spec, const struct json *pod, const char *list)
{
	json_each(c, json_get(json_get(pod, "spec"), list))
	{
		struct json *copy;

		if (strcmp(json_text_or(c, "name", ""), INJECT_PROXY) != 0)
			continue;
		copy = json_push(json_need_list(spec, list), json_object());
		keep(copy, c, "name");
		keep(copy, c, "ports");
		keep(copy, c, "securityContext");
	}
}

struct json *repair_view(const struct json *pod)
{
	static const char *const keys[] = {
		"namespace", "name", "uid", "labels", "annotations"};
	struct json *view = json_object(), *meta = json_need_object(view, "metadata");

	/* In a list they are left out; an event wants them. */
	json_set_text(view, "apiVersion", "v1");
	json_set_text(view, "kind", "Pod");
	for (size_t i = 0; i < countof(keys); i++)
		keep(meta, json_get(pod, "metadata"), keys[i]);
	keep_proxy(json_need_object(view, "spec"), pod, "containers");
	keep_proxy(json_need_object(view, "spec"), pod, "initContainers");
	return view;
}

/* ---- its rules ---- */

static void tell(struct repair *r, const struct repair_pod *p, const char *type,
	const char *reason, const char *fmt, const struct err *e)
{
	char text[512];

	snprintf(text, sizeof text, "%s (%s)", fmt, e->msg);
	log_warn("cni", reason,
		LS("namespace", json_text_or(p->view, "metadata.namespace", "")),
		LS("pod", json_text_or(p->view, "metadata.name", "")), LE(e));
	kube_event(r->cfg->kube, p->view, type, reason, text);
}

static void on_deleted(
	void *arg, int status, const struct json *body, const struct err *e)
{
	struct repair *r = arg;

	if (status >= 200 && status < 300)
		r->count.deleted++;
	else if (status != 404)
		log_error("cni", "a pod could not be deleted", LI("status", status),
			LS("error",
				status ? json_text_or(body, "message", "") : e->msg));
}

/* Only this one: another of its name is not meant. */
static void delete_pod(struct repair *r, struct repair_pod *p)
{
	struct json *options = json_object();
	char path[600];

	snprintf(path, sizeof path, "/api/v1/namespaces/%s/pods/%s",
		json_text_or(p->view, "metadata.namespace", ""),
		json_text_or(p->view, "metadata.name", ""));
	json_set_int(options, "gracePeriodSeconds", 0);
	json_set_text(json_need_object(options, "preconditions"), "uid", p->uid);
	kube_request(r->cfg->kube, "DELETE", path, NULL, options, on_deleted, r);
	json_free(options);
	p->deleting = true;
}

static void give_up(struct repair *r, struct repair_pod *p, const struct err *e)
{
	r->count.failed++;
	if (!p->validated_not) {
		tell(r, p, "Warning", "RedirectionMissing",
			"The pod's traffic may not go through its proxy, and its rules "
			"cannot be looked at",
			e);
		return;
	}
	tell(r, p, "Normal", "DeletedToRedirect",
		"Its traffic does not go through its proxy, and its rules cannot be "
		"written in place: it is deleted, to be made anew",
		e);
	delete_pod(r, p);
}

/* In the pod's namespace.  1: they were missing, and *was says what. */
static int mend(const struct redirect *want, struct err *was, struct err *e)
{
	if (redirect_verify(want, e) == 0)
		return 0;
	if (e->code != ERR_MISSING)
		return -1;
	*was = *e;
	return redirect_apply(want, e) ? -1 : 1;
}

static int mend_in(int net, const struct redirect *want, struct err *was, struct err *e)
{
	int back = ns_net_enter(net, e), rc;

	if (back < 0)
		return -1;
	rc = mend(want, was, e);
	ns_net_leave(back);
	return rc;
}

void repair_look(struct repair *r, struct repair_pod *p)
{
	static struct redirect want; /* large */
	const char *ns = json_text_or(p->view, "metadata.namespace", "");
	const struct json *space = repair_space_of(r, ns);
	struct err e = {0}, was = {0};
	int net = space ? podproc_net(p->pid, p->uid) : -1, rc;

	if (net < 0) /* it ends, or begins: it will be looked at again */
		return;
	pod_redirect(r->cfg->conf, p->view, space, r->api, &want);
	rc = mend_in(net, &want, &was, &e);
	close(net);
	r->count.checks++;
	p->fine = rc >= 0;
	p->failed = rc < 0;
	if (rc < 0)
		give_up(r, p, &e);
	if (rc <= 0)
		return;
	r->count.repaired++;
	tell(r, p, "Warning", "RedirectionRepaired",
		"The pod's traffic did not go through its proxy; the rules were "
		"written "
		"in place. Connections made before may still be outside the mesh",
		&was);
}

/* ---- what it asks for ---- */

static bool is_left_alone(const struct json *pod, const struct json *space)
{
	static const char *const spaces[] = {"kube-system", "cert-manager"};
	const char *ns = json_text_or(pod, "metadata.namespace", "");
	const char *webhooks = json_text(json_get(json_path(space, "metadata.labels"),
		"config.linkerd.io/admission-webhooks"));

	for (size_t i = 0; i < countof(spaces); i++)
		if (strcmp(ns, spaces[i]) == 0)
			return true;
	return (webhooks && strcmp(webhooks, "disabled") == 0) ||
	       json_get(json_path(pod, "metadata.annotations"),
		       "kubernetes.io/config.mirror");
}

void repair_tell_unmeshed(struct repair *r, const struct json *pod)
{
	const char *ns = json_text_or(pod, "metadata.namespace", "");
	const struct json *space = repair_space_of(r, ns);
	struct inject_in in = {.origin = INJECT_BY_WEBHOOK,
		.values = r->values,
		.object = pod,
		.kind = "Pod",
		.namespace = ns,
		.ns_annotations = json_path(space, "metadata.annotations")};
	struct json *view;
	char text[512];

	if (!space || is_left_alone(pod, space) || !inject_is_asked(&in))
		return;
	view = repair_view(pod);
	r->count.unmeshed++;
	snprintf(text, sizeof text,
		"The pod asks for a proxy and has none: it was made while the injector "
		"could not be reached, or before it was asked for. Delete it, and its "
		"controller makes it anew: kubectl -n %s delete pod %s",
		ns, json_text_or(pod, "metadata.name", ""));
	log_warn("cni", "Unmeshed", LS("namespace", ns),
		LS("pod", json_text_or(pod, "metadata.name", "")));
	kube_event(r->cfg->kube, view, "Warning", "Unmeshed", text);
	json_free(view);
}
