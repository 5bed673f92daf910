/* SPDX-License-Identifier: Apache-2.0 */
#include "local/valid.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/obj.h"
#include "kube/selector.h"
#include "local/meta.h"
#include "local/status.h"

struct field_path field_sub(const char *base, const char *fmt, ...)
{
	struct field_path p;
	size_t n;
	va_list ap;

	n = (size_t)snprintf(p.text, sizeof(p.text), "%.150s", base);
	va_start(ap, fmt);
	vsnprintf(p.text + n, sizeof(p.text) - n, fmt, ap);
	va_end(ap);
	return p;
}

/* ---- names ---- */

static bool is_low(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_alnum(char c)
{
	return is_low(c) || (c >= 'A' && c <= 'Z');
}

static bool is_label(const char *p, size_t n)
{
	if (n == 0 || n > 63 || !is_low(p[0]) || !is_low(p[n - 1]))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!is_low(p[i]) && p[i] != '-')
			return false;
	return true;
}

bool valid_dns_label(const char *name)
{
	return is_label(name, strlen(name));
}

bool valid_dns_subdomain(const char *name)
{
	size_t n = strlen(name);

	if (n == 0 || n > 253)
		return false;
	for (const char *p = name;;) {
		size_t len = strcspn(p, ".");

		/* A part may be longer than a label, up to the whole name. */
		if (!len || !is_low(p[0]) || !is_low(p[len - 1]) ||
			strspn(p, "abcdefghijklmnopqrstuvwxyz0123456789-") < len)
			return false;
		if (!p[len])
			return true;
		p += len + 1;
	}
}

static bool is_qualified(const char *p)
{
	size_t n = strlen(p);

	if (n == 0 || n > 63 || !is_alnum(p[0]) || !is_alnum(p[n - 1]))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!is_alnum(p[i]) && !strchr("-_.", p[i]))
			return false;
	return true;
}

bool valid_label_key(const char *key)
{
	const char *slash = strchr(key, '/');
	char prefix[254];

	if (!slash)
		return is_qualified(key);
	if ((size_t)(slash - key) >= sizeof(prefix))
		return false;
	snprintf(prefix, sizeof(prefix), "%.*s", (int)(slash - key), key);
	return valid_dns_subdomain(prefix) && is_qualified(slash + 1);
}

bool valid_label_value(const char *value)
{
	return !*value || is_qualified(value);
}

void valid_labels(const struct json *labels, const char *at, struct json *causes)
{
	json_each(l, labels)
	{
		if (!valid_label_key(json_key(l)))
			cause_add(causes, CAUSE_INVALID, at,
				"Invalid value: \"%s\": name part must consist of "
				"alphanumeric characters, '-', '_' or '.', and must "
				"start "
				"and end with an alphanumeric character",
				json_key(l));
		if (!json_text(l) || !valid_label_value(json_text(l)))
			cause_add(causes, CAUSE_INVALID, at,
				"Invalid value: \"%s\": a valid label must be an empty "
				"string or consist of alphanumeric characters, '-', "
				"'_' or "
				"'.', and must start and end with an alphanumeric "
				"character",
				json_text(l) ? json_text(l) : json_key(l));
	}
}

/* ---- metadata ---- */

static bool takes_label_name(const struct kind *k)
{
	return strcmp(k->res, "services") == 0 || strcmp(k->res, "namespaces") == 0;
}

static bool takes_path_name(const struct kind *k)
{
	return strcmp(k->group, "rbac.authorization.k8s.io") == 0;
}

static void check_name(
	const struct kind *k, const char *name, const char *field, struct json *causes)
{
	if (takes_path_name(k)) {
		if (strpbrk(name, "/%") || strcmp(name, ".") == 0)
			cause_add(causes, CAUSE_INVALID, field,
				"Invalid value: \"%s\": may not contain '/' or '%%'",
				name);
		return;
	}
	if (takes_label_name(k) ? valid_dns_label(name) : valid_dns_subdomain(name))
		return;
	cause_add(causes, CAUSE_INVALID, field,
		takes_label_name(k) ? "Invalid value: \"%s\": a lowercase RFC 1123 "
				      "label must consist of "
				      "lower case alphanumeric characters or '-', and "
				      "must start and end "
				      "with an alphanumeric character"
				    : "Invalid value: \"%s\": a lowercase RFC 1123 "
				      "subdomain must consist "
				      "of lower case alphanumeric characters, '-' or "
				      "'.', and must start "
				      "and end with an alphanumeric character",
		name);
}

static void check_meta(
	const struct kind *k, const struct json *obj, struct json *causes)
{
	const struct json *meta = json_get(obj, "metadata");
	const char *generate = json_text_or(meta, "generateName", "");

	if (*meta_name(obj))
		check_name(k, meta_name(obj), "metadata.name", causes);
	else if (!*generate)
		cause_add(causes, CAUSE_REQUIRED, "metadata.name",
			"Required value: name or generateName is required");
	valid_labels(json_get(meta, "labels"), "metadata.labels", causes);
	json_each(a, json_get(meta, "annotations"))
	{
		if (!valid_label_key(json_key(a)) || !json_text(a))
			cause_add(causes, CAUSE_INVALID, "metadata.annotations",
				"Invalid value: \"%s\": not a qualified name with a "
				"string",
				json_key(a));
	}
}

/* ---- services ---- */

static bool is_port(int64_t n)
{
	return n >= 1 && n <= 65535;
}

static void check_service_port(
	const struct json *ports, const struct json *p, size_t i, struct json *causes)
{
	struct field_path at = field_sub("spec.ports", "[%zu]", i);
	const char *name = json_text_or(p, "name", "");
	const struct json *target = json_get(p, "targetPort");

	if (!is_port(json_int_at(p, "port", 0)))
		cause_add(causes, CAUSE_INVALID, field_sub(at.text, ".port").text,
			"Invalid value: %lld: must be between 1 and 65535, inclusive",
			(long long)json_int_at(p, "port", 0));
	if (json_kind(target) == JSON_INT && !is_port(json_int(target, 0)))
		cause_add(causes, CAUSE_INVALID, field_sub(at.text, ".targetPort").text,
			"Invalid value: %lld: must be between 1 and 65535, inclusive",
			(long long)json_int(target, 0));
	if (!*name && json_count(ports) > 1)
		cause_add(causes, CAUSE_REQUIRED, field_sub(at.text, ".name").text,
			"Required value");
	if (*name && !valid_dns_label(name))
		cause_add(causes, CAUSE_INVALID, field_sub(at.text, ".name").text,
			"Invalid value: \"%s\": not a lowercase RFC 1123 label", name);
	json_each(other, ports)
	{
		if (other == p)
			break;
		if (*name && strcmp(json_text_or(other, "name", ""), name) == 0)
			cause_add(causes, CAUSE_DUPLICATE,
				field_sub(at.text, ".name").text,
				"Duplicate value: \"%s\"", name);
	}
}

static void check_service(
	const struct json *obj, const struct json *old, struct json *causes)
{
	const struct json *spec = json_get(obj, "spec");
	const struct json *ports = json_get(spec, "ports");
	const char *ip = json_text_or(spec, "clusterIP", "");
	const char *type = json_text_or(spec, "type", "");
	const char *had = json_text_or(old, "spec.clusterIP", "");
	size_t i = 0;

	json_each(p, ports)
	{
		check_service_port(ports, p, i++, causes);
	}
	if (strcmp(type, "ExternalName") == 0) {
		if (!*json_text_or(spec, "externalName", ""))
			cause_add(causes, CAUSE_REQUIRED, "spec.externalName",
				"Required value");
		return;
	}
	if (strcmp(type, "ClusterIP") != 0 && strcmp(type, "NodePort") != 0 &&
		strcmp(type, "LoadBalancer") != 0)
		cause_add(causes, CAUSE_CHOICE, "spec.type",
			"Unsupported value: \"%s\": supported values: \"ClusterIP\", "
			"\"ExternalName\", \"LoadBalancer\", \"NodePort\"",
			type);
	if (!json_count(ports) && strcmp(ip, "None") != 0)
		cause_add(causes, CAUSE_REQUIRED, "spec.ports", "Required value");
	if (*had && *ip && strcmp(had, ip) != 0)
		cause_add(causes, CAUSE_INVALID, "spec.clusterIPs[0]",
			"Invalid value: \"%s\": may not change once set", ip);
	valid_labels(json_get(spec, "selector"), "spec.selector", causes);
}

/* ---- workloads ---- */

static void check_selector(
	const struct json *obj, const struct json *old, struct json *causes)
{
	const struct json *selector = json_path(obj, "spec.selector");
	const struct json *labels = json_path(obj, "spec.template.metadata.labels");
	const struct json *had = json_path(old, "spec.selector");

	if (!json_count(json_get(selector, "matchLabels")) &&
		!json_count(json_get(selector, "matchExpressions"))) {
		cause_add(causes, CAUSE_REQUIRED, "spec.selector", "Required value");
		return;
	}
	if (!selector_matches(selector, labels))
		cause_add(causes, CAUSE_INVALID, "spec.template.metadata.labels",
			"Invalid value: `selector` does not match template `labels`");
	if (had && !json_equal(had, selector))
		cause_add(causes, CAUSE_INVALID, "spec.selector",
			"Invalid value: field is immutable");
}

static void check_not_negative(
	const struct json *obj, const char *path, struct json *causes)
{
	int64_t n = json_int_at(obj, path, 0);

	if (n < 0)
		cause_add(causes, CAUSE_INVALID, path,
			"Invalid value: %lld: must be greater than or equal to 0",
			(long long)n);
}

static void check_restart(const struct json *spec, bool job, struct json *causes)
{
	const char *policy = json_text_or(spec, "restartPolicy", "");
	bool always = strcmp(policy, "Always") == 0;

	if (always == !job)
		return;
	cause_add(causes, CAUSE_CHOICE, "spec.template.spec.restartPolicy",
		"Unsupported value: \"%s\": supported values: %s", policy,
		job ? "\"OnFailure\", \"Never\"" : "\"Always\"");
}

static void check_template(const struct json *obj, bool job, struct json *causes)
{
	const struct json *spec = json_path(obj, "spec.template.spec");

	valid_labels(json_path(obj, "spec.template.metadata.labels"),
		"spec.template.metadata.labels", causes);
	valid_pod_spec(spec, "spec.template.spec", causes);
	if (json_kind(spec) == JSON_OBJECT)
		check_restart(spec, job, causes);
}

static void check_workload(
	const struct json *obj, const struct json *old, struct json *causes)
{
	check_not_negative(obj, "spec.replicas", causes);
	check_selector(obj, old, causes);
	check_template(obj, false, causes);
}

static void check_job(
	const struct json *obj, const struct json *old, struct json *causes)
{
	check_not_negative(obj, "spec.completions", causes);
	check_not_negative(obj, "spec.parallelism", causes);
	check_not_negative(obj, "spec.backoffLimit", causes);
	check_template(obj, true, causes);
	if (old && !json_equal(json_path(old, "spec.template"),
			   json_path(obj, "spec.template")))
		cause_add(causes, CAUSE_INVALID, "spec.template",
			"Invalid value: field is immutable");
}

/* ---- pods, data, definitions ---- */

static void check_pod(
	const struct json *obj, const struct json *old, struct json *causes)
{
	const char *node = json_text_or(old, "spec.nodeName", "");

	valid_pod_spec(json_get(obj, "spec"), "spec", causes);
	if (*node && strcmp(node, json_text_or(obj, "spec.nodeName", "")) != 0)
		cause_add(causes, CAUSE_FORBIDDEN, "spec.nodeName",
			"Forbidden: pod updates may not change the node");
	if (old && json_count(json_path(old, "spec.containers")) !=
			   json_count(json_path(obj, "spec.containers")))
		cause_add(causes, CAUSE_FORBIDDEN, "spec.containers",
			"Forbidden: pod updates may not add or remove containers");
}

static void check_data(
	const struct json *obj, const struct json *old, struct json *causes)
{
	static const char *const maps[] = {"data", "binaryData"};

	(void)old;
	for (size_t i = 0; i < countof(maps); i++)
		json_each(m, json_get(obj, maps[i]))
		{
			struct field_path at =
				field_sub(maps[i], "[%.100s]", json_key(m));

			if (strspn(json_key(m), "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKL"
						"MNOPQRSTUVWXYZ"
						"0123456789-_.") != strlen(json_key(m)))
				cause_add(causes, CAUSE_INVALID, at.text,
					"Invalid value: \"%s\": a valid config key "
					"must "
					"consist of alphanumeric characters, '-', '_' "
					"or '.'",
					json_key(m));
			if (!json_text(m))
				cause_add(causes, CAUSE_INVALID, at.text,
					"Invalid value: must be a string");
		}
}

static void check_secret(
	const struct json *obj, const struct json *old, struct json *causes)
{
	check_data(obj, old, causes);
	json_each(m, json_get(obj, "data"))
	{
		struct buf b = BUF_INIT;

		if (json_text(m) && buf_unbase64(&b, slice_of(json_text(m))) < 0)
			cause_add(causes, CAUSE_INVALID,
				field_sub("data", "[%.100s]", json_key(m)).text,
				"Invalid value: illegal base64 data");
		buf_fini(&b);
	}
}

static void check_crd(
	const struct json *obj, const struct json *old, struct json *causes)
{
	static const char *const needed[] = {
		"spec.group", "spec.names.plural", "spec.names.kind", "spec.scope"};
	char want[256];

	(void)old;
	for (size_t i = 0; i < countof(needed); i++)
		if (!*json_text_or(obj, needed[i], ""))
			cause_add(causes, CAUSE_REQUIRED, needed[i], "Required value");
	if (!json_count(json_path(obj, "spec.versions")))
		cause_add(causes, CAUSE_REQUIRED, "spec.versions", "Required value");
	snprintf(want, sizeof(want), "%s.%s",
		json_text_or(obj, "spec.names.plural", ""),
		json_text_or(obj, "spec.group", ""));
	if (strcmp(meta_name(obj), want) != 0)
		cause_add(causes, CAUSE_INVALID, "metadata.name",
			"Invalid value: \"%s\": must be "
			"spec.names.plural+\".\"+spec.group",
			meta_name(obj));
}

static const struct rule {
	const char *res;
	void (*check)(
		const struct json *obj, const struct json *old, struct json *causes);
} rules[] = {
	{"pods", check_pod},
	{"services", check_service},
	{"configmaps", check_data},
	{"secrets", check_secret},
	{"deployments.apps", check_workload},
	{"replicasets.apps", check_workload},
	{"statefulsets.apps", check_workload},
	{"daemonsets.apps", check_workload},
	{"jobs.batch", check_job},
	{"customresourcedefinitions.apiextensions.k8s.io", check_crd},
};

void valid_object(const struct kind *k, const struct json *obj, const struct json *old,
	struct json *causes)
{
	check_meta(k, obj, causes);
	for (size_t i = 0; i < countof(rules); i++)
		if (strcmp(rules[i].res, k->res) == 0)
			rules[i].check(obj, old, causes);
}
