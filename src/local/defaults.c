/* SPDX-License-Identifier: Apache-2.0 */
#include "local/defaults.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/obj.h"
#include "local/meta.h"

/* ---- small steps ---- */

static void text(struct json *obj, const char *key, const char *value)
{
	if (json_kind(obj) == JSON_OBJECT && json_kind(json_get(obj, key)) < JSON_BOOL)
		json_set_text(obj, key, value);
}

static void number(struct json *obj, const char *key, int64_t value)
{
	if (json_kind(obj) == JSON_OBJECT && json_kind(json_get(obj, key)) < JSON_BOOL)
		json_set_int(obj, key, value);
}

static void boolean(struct json *obj, const char *key, bool value)
{
	if (json_kind(obj) == JSON_OBJECT && json_kind(json_get(obj, key)) < JSON_BOOL)
		json_set_bool(obj, key, value);
}

static void object(struct json *obj, const char *key)
{
	if (json_kind(obj) == JSON_OBJECT && json_kind(json_get(obj, key)) < JSON_BOOL)
		json_set(obj, key, json_object());
}

/* ---- pods ---- */

static void set_probe(struct json *probe)
{
	struct json *get = json_get(probe, "httpGet");

	number(probe, "timeoutSeconds", 1);
	number(probe, "periodSeconds", 10);
	number(probe, "successThreshold", 1);
	number(probe, "failureThreshold", 3);
	text(get, "scheme", "HTTP");
	text(get, "path", "/");
	text(json_get(probe, "grpc"), "service", "");
}

static void set_hook(struct json *hook)
{
	text(json_get(hook, "httpGet"), "scheme", "HTTP");
	text(json_get(hook, "httpGet"), "path", "/");
}

static const char *pull_policy(const char *image)
{
	const char *slash = strrchr(image, '/');
	const char *tag = strrchr(slash ? slash : image, ':');

	return strchr(image, '@') || (tag && strcmp(tag, ":latest") != 0)
		       ? "IfNotPresent"
		       : "Always";
}

static void set_container(struct json *c)
{
	static const char *const probes[] = {
		"livenessProbe", "readinessProbe", "startupProbe"};

	text(c, "imagePullPolicy", pull_policy(json_text_or(c, "image", "")));
	text(c, "terminationMessagePath", "/dev/termination-log");
	text(c, "terminationMessagePolicy", "File");
	object(c, "resources");
	json_each(p, json_get(c, "ports"))
	{
		text(p, "protocol", "TCP");
	}
	json_each(env, json_get(c, "env"))
	{
		text(json_path(env, "valueFrom.fieldRef"), "apiVersion", "v1");
	}
	for (size_t i = 0; i < countof(probes); i++)
		set_probe(json_get(c, probes[i]));
	set_hook(json_path(c, "lifecycle.postStart"));
	set_hook(json_path(c, "lifecycle.preStop"));
}

static void set_volume(struct json *v)
{
	static const char *const moded[] = {
		"configMap", "secret", "projected", "downwardAPI"};
	bool has_source = false;

	for (size_t i = 0; i < countof(moded); i++)
		number(json_get(v, moded[i]), "defaultMode", 0644);
	json_each(s, json_path(v, "projected.sources"))
	{
		number(json_get(s, "serviceAccountToken"), "expirationSeconds", 3600);
	}
	json_each(m, v)
	{
		has_source |= strcmp(json_key(m), "name") != 0;
	}
	if (!has_source)
		object(v, "emptyDir");
	if (json_kind(json_get(v, "hostPath")) == JSON_OBJECT)
		text(json_get(v, "hostPath"), "type", "");
}

static void set_pod_spec(struct json *spec, const char *restart)
{
	static const char *const lists[] = {"initContainers", "containers"};

	if (json_kind(spec) != JSON_OBJECT)
		return;
	text(spec, "restartPolicy", restart);
	text(spec, "dnsPolicy", "ClusterFirst");
	text(spec, "schedulerName", "default-scheduler");
	number(spec, "terminationGracePeriodSeconds", 30);
	object(spec, "securityContext");
	for (size_t i = 0; i < countof(lists); i++)
		json_each(c, json_get(spec, lists[i]))
		{
			set_container(c);
		}
	json_each(v, json_get(spec, "volumes"))
	{
		set_volume(v);
	}
	if (json_text_at(spec, "serviceAccountName"))
		text(spec, "serviceAccount", json_text_at(spec, "serviceAccountName"));
	else if (json_text_at(spec, "serviceAccount"))
		text(spec, "serviceAccountName", json_text_at(spec, "serviceAccount"));
}

#define ACCESS_PATH "/var/run/secrets/kubernetes.io/serviceaccount"

static bool mounts_path(const struct json *container, const char *path)
{
	json_each(m, json_get(container, "volumeMounts"))
	{
		if (strcmp(json_text_or(m, "mountPath", ""), path) == 0)
			return true;
	}
	return false;
}

static void add_mount(struct json *container, const char *volume)
{
	struct json *m;

	if (mounts_path(container, ACCESS_PATH))
		return;
	m = json_push(json_need_list(container, "volumeMounts"), json_object());
	json_set_text(m, "name", volume);
	json_set_bool(m, "readOnly", true);
	json_set_text(m, "mountPath", ACCESS_PATH);
}

static void add_item(struct json *source, const char *key, const char *path)
{
	struct json *item = json_push(json_need_list(source, "items"), json_object());

	json_set_text(item, "key", key);
	json_set_text(item, "path", path);
}

static void add_access_volume(struct json *spec, const char *name)
{
	struct json *v = json_push(json_need_list(spec, "volumes"), json_object());
	struct json *projected, *sources, *s, *item;

	json_set_text(v, "name", name);
	projected = json_need_object(v, "projected");
	json_set_int(projected, "defaultMode", 0644);
	sources = json_need_list(projected, "sources");

	s = json_need_object(json_push(sources, json_object()), "serviceAccountToken");
	json_set_int(s, "expirationSeconds", 3607);
	json_set_text(s, "path", "token");

	s = json_need_object(json_push(sources, json_object()), "configMap");
	json_set_text(s, "name", "kube-root-ca.crt");
	add_item(s, "ca.crt", "ca.crt");

	s = json_need_object(json_push(sources, json_object()), "downwardAPI");
	item = json_push(json_need_list(s, "items"), json_object());
	json_set_text(item, "path", "namespace");
	json_set_text(json_need_object(item, "fieldRef"), "apiVersion", "v1");
	json_set_text(
		json_need_object(item, "fieldRef"), "fieldPath", "metadata.namespace");
}

/* The volume that gives a pod its account's token, where none is mounted yet. */
static void set_access(struct json *spec)
{
	static const char *const lists[] = {"initContainers", "containers"};
	bool wanted = false;
	char name[40];

	if (!json_bool_at(spec, "automountServiceAccountToken", true))
		return;
	for (size_t i = 0; i < countof(lists); i++)
		json_each(c, json_get(spec, lists[i]))
		{
			wanted |= !mounts_path(c, ACCESS_PATH);
		}
	if (!wanted)
		return;
	snprintf(name, sizeof(name), "kube-api-access-%05x",
		(unsigned)(random_u64() & 0xfffff));
	for (size_t i = 0; i < countof(lists); i++)
		json_each(c, json_get(spec, lists[i]))
		{
			add_mount(c, name);
		}
	add_access_volume(spec, name);
}

static void set_pod(struct json *pod)
{
	set_pod_spec(json_get(pod, "spec"), "Always");
}

static void set_new_pod(struct json *pod)
{
	struct json *spec = json_get(pod, "spec");

	if (json_kind(spec) != JSON_OBJECT)
		return;
	text(spec, "serviceAccountName", "default");
	text(spec, "serviceAccount",
		json_text_or(spec, "serviceAccountName", "default"));
	boolean(spec, "enableServiceLinks", true);
	set_access(spec);
	text(json_need_object(pod, "status"), "phase", "Pending");
	text(json_need_object(pod, "status"), "qosClass", "BestEffort");
}

/* ---- services ---- */

static void set_service(struct json *svc)
{
	struct json *spec = json_need_object(svc, "spec");
	bool external;

	text(spec, "type", "ClusterIP");
	external = strcmp(json_text_or(spec, "type", ""), "ExternalName") == 0;
	text(spec, "sessionAffinity", "None");
	json_each(p, json_get(spec, "ports"))
	{
		text(p, "protocol", "TCP");
		if (json_kind(json_get(p, "targetPort")) < JSON_BOOL &&
			json_kind(json_get(p, "port")) == JSON_INT)
			json_set_int(p, "targetPort", json_int_at(p, "port", 0));
	}
	object(svc, "status");
	object(json_get(svc, "status"), "loadBalancer");
	if (external)
		return;
	text(spec, "internalTrafficPolicy", "Cluster");
	text(spec, "ipFamilyPolicy", "SingleStack");
	if (json_kind(json_get(spec, "ipFamilies")) != JSON_LIST)
		json_push(json_need_list(spec, "ipFamilies"), json_string("IPv4"));
}

/* ---- workloads ---- */

static void set_template(struct json *obj, const char *restart)
{
	struct json *template = json_path(obj, "spec.template");

	if (json_kind(template) == JSON_OBJECT)
		object(template, "metadata");
	set_pod_spec(json_path(obj, "spec.template.spec"), restart);
}

static void set_deployment(struct json *obj)
{
	struct json *spec = json_get(obj, "spec");
	struct json *strategy;

	if (json_kind(spec) != JSON_OBJECT)
		return;
	number(spec, "replicas", 1);
	number(spec, "revisionHistoryLimit", 10);
	number(spec, "progressDeadlineSeconds", 600);
	object(spec, "strategy");
	strategy = json_get(spec, "strategy");
	text(strategy, "type", "RollingUpdate");
	if (strcmp(json_text_or(strategy, "type", ""), "RollingUpdate") == 0) {
		object(strategy, "rollingUpdate");
		text(json_get(strategy, "rollingUpdate"), "maxSurge", "25%");
		text(json_get(strategy, "rollingUpdate"), "maxUnavailable", "25%");
	}
	set_template(obj, "Always");
}

static void set_replicaset(struct json *obj)
{
	number(json_get(obj, "spec"), "replicas", 1);
	set_template(obj, "Always");
}

static void set_statefulset(struct json *obj)
{
	struct json *spec = json_get(obj, "spec");

	number(spec, "replicas", 1);
	number(spec, "revisionHistoryLimit", 10);
	text(spec, "podManagementPolicy", "OrderedReady");
	set_template(obj, "Always");
}

static void set_daemonset(struct json *obj)
{
	number(json_get(obj, "spec"), "revisionHistoryLimit", 10);
	set_template(obj, "Always");
}

static void set_job(struct json *obj)
{
	struct json *spec = json_get(obj, "spec");

	if (json_kind(spec) != JSON_OBJECT)
		return;
	number(spec, "parallelism", 1);
	if (json_int_at(spec, "parallelism", 1) == 1)
		number(spec, "completions", 1);
	number(spec, "backoffLimit", 6);
	text(spec, "completionMode", "NonIndexed");
	boolean(spec, "suspend", false);
	set_template(obj, "Always");
}

/* A job's pods are told by labels that the API puts on the template. */
static void set_new_job(struct json *obj)
{
	static const char *const keys[] = {"job-name", "batch.kubernetes.io/job-name"};
	struct json *spec = json_get(obj, "spec");
	struct json *template = json_get(spec, "template");
	struct json *labels, *match;

	if (json_kind(template) != JSON_OBJECT || json_get(spec, "selector"))
		return;
	labels = json_need_object(json_need_object(template, "metadata"), "labels");
	match = json_need_object(json_need_object(spec, "selector"), "matchLabels");
	for (size_t i = 0; i < countof(keys); i++)
		json_set_text(labels, keys[i], meta_name(obj));
	json_set_text(match, keys[1], meta_name(obj));
}

static void set_cronjob(struct json *obj)
{
	struct json *spec = json_get(obj, "spec");

	text(spec, "concurrencyPolicy", "Allow");
	boolean(spec, "suspend", false);
	number(spec, "successfulJobsHistoryLimit", 3);
	number(spec, "failedJobsHistoryLimit", 1);
}

/* ---- the rest ---- */

static void set_namespace(struct json *obj)
{
	struct json *labels =
		json_need_object(json_need_object(obj, "metadata"), "labels");

	text(labels, "kubernetes.io/metadata.name", meta_name(obj));
	text(json_need_object(obj, "status"), "phase", "Active");
}

static void set_new_namespace(struct json *obj)
{
	struct json *finalizers =
		json_need_list(json_need_object(obj, "spec"), "finalizers");

	if (!json_count(finalizers))
		json_push(finalizers, json_string("kubernetes"));
}

static void set_secret(struct json *obj)
{
	struct json *plain = json_get(obj, "stringData");

	text(obj, "type", "Opaque");
	if (json_kind(plain) != JSON_OBJECT)
		return;
	json_each(m, plain)
	{
		struct buf b = BUF_INIT;

		if (!json_text(m))
			continue;
		buf_base64(&b, slice_of(json_text(m)));
		json_set(json_need_object(obj, "data"), json_key(m),
			json_string_n(buf_slice(&b)));
		buf_fini(&b);
	}
	json_remove(obj, "stringData");
}

static void set_webhooks(struct json *obj)
{
	json_each(w, json_get(obj, "webhooks"))
	{
		text(w, "failurePolicy", "Fail");
		text(w, "matchPolicy", "Equivalent");
		number(w, "timeoutSeconds", 10);
		object(w, "namespaceSelector");
		object(w, "objectSelector");
		number(json_path(w, "clientConfig.service"), "port", 443);
	}
}

static void set_crd(struct json *obj)
{
	struct json *names = json_path(obj, "spec.names");
	char lower[128];
	size_t i = 0;

	for (const char *p = json_text_or(names, "kind", "");
		*p && i + 5 < sizeof(lower); p++)
		lower[i++] = (char)(*p >= 'A' && *p <= 'Z' ? *p + 32 : *p);
	lower[i] = 0;
	text(names, "singular", lower);
	if (json_text_at(names, "kind")) {
		snprintf(lower, sizeof(lower), "%.120sList",
			json_text_at(names, "kind"));
		text(names, "listKind", lower);
	}
	text(json_need_object(json_need_object(obj, "spec"), "conversion"), "strategy",
		"None");
}

static const struct rule {
	const char *res;
	void (*set)(struct json *obj);
	void (*set_new)(struct json *obj);
} rules[] = {
	{"pods", set_pod, set_new_pod},
	{"services", set_service, NULL},
	{"namespaces", set_namespace, set_new_namespace},
	{"secrets", set_secret, NULL},
	{"deployments.apps", set_deployment, NULL},
	{"replicasets.apps", set_replicaset, NULL},
	{"replicationcontrollers", set_replicaset, NULL},
	{"statefulsets.apps", set_statefulset, NULL},
	{"daemonsets.apps", set_daemonset, NULL},
	{"jobs.batch", set_job, set_new_job},
	{"cronjobs.batch", set_cronjob, NULL},
	{"mutatingwebhookconfigurations.admissionregistration.k8s.io", set_webhooks,
		NULL},
	{"validatingwebhookconfigurations.admissionregistration.k8s.io", set_webhooks,
		NULL},
	{"customresourcedefinitions.apiextensions.k8s.io", set_crd, NULL},
};

static const struct rule *rule_of(const struct kind *k)
{
	for (size_t i = 0; i < countof(rules); i++)
		if (strcmp(rules[i].res, k->res) == 0)
			return &rules[i];
	return NULL;
}

void defaults_set(const struct kind *k, struct json *obj)
{
	const struct rule *r = rule_of(k);

	if (r && r->set)
		r->set(obj);
}

void defaults_set_new(const struct kind *k, struct json *obj)
{
	const struct rule *r = rule_of(k);

	if (r && r->set_new)
		r->set_new(obj);
}
