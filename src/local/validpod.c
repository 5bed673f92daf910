/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of a pod's spec. */
#include <stdio.h>
#include <string.h>

#include "base/obj.h"
#include "local/status.h"
#include "local/valid.h"

static void required(const char *at, struct json *causes)
{
	cause_add(causes, CAUSE_REQUIRED, at, "Required value");
}

static bool is_one_of(const char *text, const char *const *choices)
{
	for (; *choices; choices++)
		if (strcmp(text, *choices) == 0)
			return true;
	return false;
}

static void check_choice(const struct json *obj, const char *key,
	const char *const *choices, const char *at, struct json *causes)
{
	const char *text = json_text_or(obj, key, "");
	struct buf b = BUF_INIT;

	if (!*text || is_one_of(text, choices))
		return;
	for (size_t i = 0; choices[i]; i++)
		buf_printf(&b, "%s\"%s\"", i ? ", " : "", choices[i]);
	cause_add(causes, CAUSE_CHOICE, field_sub(at, ".%s", key).text,
		"Unsupported value: \"%s\": supported values: %.*s", text,
		SLICE_FMT(buf_slice(&b)));
	buf_fini(&b);
}

static bool is_env_name(const char *name)
{
	if (!*name || (*name >= '0' && *name <= '9'))
		return false;
	for (; *name; name++)
		if (*name <= ' ' || *name > '~' || *name == '=')
			return false;
	return true;
}

static void check_value_from(
	const struct json *from, const char *at, struct json *causes)
{
	static const struct {
		const char *form, *need;
	} forms[] = {
		{"fieldRef", "fieldPath"},
		{"resourceFieldRef", "resource"},
		{"configMapKeyRef", "key"},
		{"secretKeyRef", "key"},
	};
	size_t n = 0;

	for (size_t i = 0; i < countof(forms); i++) {
		const struct json *f = json_get(from, forms[i].form);

		if (!f)
			continue;
		n++;
		if (!*json_text_or(f, forms[i].need, ""))
			required(field_sub(at, ".%s.%s", forms[i].form, forms[i].need)
					 .text,
				causes);
	}
	if (n != 1)
		cause_add(causes, CAUSE_INVALID, at,
			n ? "Invalid value: may not have more than one field specified "
			    "at a "
			    "time"
			  : "Invalid value: must specify one of: `fieldRef`, "
			    "`resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`");
}

static void check_env(const struct json *c, const char *at, struct json *causes)
{
	size_t i = 0;

	json_each(env, json_get(c, "env"))
	{
		struct field_path p = field_sub(at, ".env[%zu]", i++);
		const char *name = json_text_or(env, "name", "");
		const struct json *value = json_get(env, "value");

		if (!*name)
			required(field_sub(p.text, ".name").text, causes);
		else if (!is_env_name(name))
			cause_add(causes, CAUSE_INVALID,
				field_sub(p.text, ".name").text,
				"Invalid value: \"%s\": a valid environment variable "
				"name "
				"must consist only of printable ASCII characters other "
				"than "
				"'='",
				name);
		if (value && json_kind(value) != JSON_TEXT &&
			json_kind(value) != JSON_NULL)
			cause_add(causes, CAUSE_INVALID,
				field_sub(p.text, ".value").text,
				"Invalid value: must be a string");
		if (json_get(env, "valueFrom"))
			check_value_from(json_get(env, "valueFrom"),
				field_sub(p.text, ".valueFrom").text, causes);
		if (json_get(env, "valueFrom") && json_text(value) && *json_text(value))
			cause_add(causes, CAUSE_INVALID,
				field_sub(p.text, ".valueFrom").text,
				"Invalid value: may not be specified when `value` is "
				"not "
				"empty");
	}
}

static void check_port_number(
	const struct json *port, const char *at, struct json *causes)
{
	int64_t n = json_int(port, 0);

	if (json_kind(port) != JSON_TEXT && (n < 1 || n > 65535))
		cause_add(causes, CAUSE_INVALID, at,
			"Invalid value: %lld: must be between 1 and 65535, inclusive",
			(long long)n);
}

static void check_ports(const struct json *c, const char *at, struct json *causes)
{
	static const char *const protocols[] = {"TCP", "UDP", "SCTP", NULL};
	const struct json *ports = json_get(c, "ports");
	size_t i = 0;

	json_each(p, ports)
	{
		struct field_path f = field_sub(at, ".ports[%zu]", i++);
		const char *name = json_text_or(p, "name", "");

		if (json_get(p, "containerPort"))
			check_port_number(json_get(p, "containerPort"),
				field_sub(f.text, ".containerPort").text, causes);
		else
			required(field_sub(f.text, ".containerPort").text, causes);
		check_choice(p, "protocol", protocols, f.text, causes);
		if (*name && (!valid_dns_label(name) || strlen(name) > 15))
			cause_add(causes, CAUSE_INVALID,
				field_sub(f.text, ".name").text,
				"Invalid value: \"%s\": must be no more than 15 "
				"characters "
				"of a-z, 0-9 and '-'",
				name);
		json_each(o, ports)
		{
			if (o == p)
				break;
			if (*name && strcmp(json_text_or(o, "name", ""), name) == 0)
				cause_add(causes, CAUSE_DUPLICATE,
					field_sub(f.text, ".name").text,
					"Duplicate value: \"%s\"", name);
		}
	}
}

static void check_probe(
	const struct json *c, const char *key, const char *at, struct json *causes)
{
	static const char *const handlers[] = {"exec", "httpGet", "tcpSocket", "grpc"};
	const struct json *probe = json_get(c, key);
	struct field_path p = field_sub(at, ".%s", key);
	size_t n = 0;

	if (json_kind(probe) != JSON_OBJECT)
		return;
	for (size_t i = 0; i < countof(handlers); i++)
		n += json_get(probe, handlers[i]) != NULL;
	if (n == 0)
		cause_add(causes, CAUSE_REQUIRED, p.text,
			"Required value: must specify a handler type");
	if (n > 1)
		cause_add(causes, CAUSE_FORBIDDEN, p.text,
			"Forbidden: may not specify more than 1 handler type");
	if (json_get(probe, "httpGet"))
		check_port_number(json_path(probe, "httpGet.port"),
			field_sub(p.text, ".httpGet.port").text, causes);
	if (json_get(probe, "tcpSocket"))
		check_port_number(json_path(probe, "tcpSocket.port"),
			field_sub(p.text, ".tcpSocket.port").text, causes);
}

static bool has_volume(const struct json *spec, const char *name)
{
	json_each(v, json_get(spec, "volumes"))
	{
		if (strcmp(json_text_or(v, "name", ""), name) == 0)
			return true;
	}
	return false;
}

static void check_mounts(const struct json *spec, const struct json *c, const char *at,
	struct json *causes)
{
	size_t i = 0;

	json_each(m, json_get(c, "volumeMounts"))
	{
		struct field_path p = field_sub(at, ".volumeMounts[%zu]", i++);
		const char *name = json_text_or(m, "name", "");

		if (!*name)
			required(field_sub(p.text, ".name").text, causes);
		else if (!has_volume(spec, name))
			cause_add(causes, "FieldValueNotFound",
				field_sub(p.text, ".name").text, "Not found: \"%s\"",
				name);
		if (!*json_text_or(m, "mountPath", ""))
			required(field_sub(p.text, ".mountPath").text, causes);
	}
}

static void check_container(const struct json *spec, const struct json *c,
	const char *at, struct json *causes)
{
	static const char *const pulls[] = {"Always", "IfNotPresent", "Never", NULL};
	const char *name = json_text_or(c, "name", "");

	if (!*name)
		required(field_sub(at, ".name").text, causes);
	else if (!valid_dns_label(name))
		cause_add(causes, CAUSE_INVALID, field_sub(at, ".name").text,
			"Invalid value: \"%s\": a lowercase RFC 1123 label must "
			"consist of "
			"lower case alphanumeric characters or '-', and must start and "
			"end "
			"with an alphanumeric character",
			name);
	if (!*json_text_or(c, "image", ""))
		required(field_sub(at, ".image").text, causes);
	check_choice(c, "imagePullPolicy", pulls, at, causes);
	check_ports(c, at, causes);
	check_env(c, at, causes);
	check_mounts(spec, c, at, causes);
	check_probe(c, "livenessProbe", at, causes);
	check_probe(c, "readinessProbe", at, causes);
	check_probe(c, "startupProbe", at, causes);
}

static bool is_name_taken(
	const struct json *spec, const struct json *self, const char *name)
{
	static const char *const lists[] = {"initContainers", "containers"};

	for (size_t i = 0; i < countof(lists); i++)
		json_each(c, json_get(spec, lists[i]))
		{
			if (c == self)
				return false;
			if (strcmp(json_text_or(c, "name", ""), name) == 0)
				return true;
		}
	return false;
}

static void check_containers(
	const struct json *spec, const char *key, const char *at, struct json *causes)
{
	size_t i = 0;

	json_each(c, json_get(spec, key))
	{
		struct field_path p = field_sub(at, ".%s[%zu]", key, i++);
		const char *name = json_text_or(c, "name", "");

		check_container(spec, c, p.text, causes);
		if (*name && is_name_taken(spec, c, name))
			cause_add(causes, CAUSE_DUPLICATE,
				field_sub(p.text, ".name").text,
				"Duplicate value: \"%s\"", name);
	}
}

static void check_volumes(const struct json *spec, const char *at, struct json *causes)
{
	const struct json *volumes = json_get(spec, "volumes");
	size_t i = 0;

	json_each(v, volumes)
	{
		struct field_path p = field_sub(at, ".volumes[%zu].name", i++);
		const char *name = json_text_or(v, "name", "");

		if (!*name)
			required(p.text, causes);
		else if (!valid_dns_label(name))
			cause_add(causes, CAUSE_INVALID, p.text,
				"Invalid value: \"%s\": not a lowercase RFC 1123 label",
				name);
		json_each(o, volumes)
		{
			if (o == v)
				break;
			if (*name && strcmp(json_text_or(o, "name", ""), name) == 0)
				cause_add(causes, CAUSE_DUPLICATE, p.text,
					"Duplicate value: \"%s\"", name);
		}
	}
}

void valid_pod_spec(const struct json *spec, const char *at, struct json *causes)
{
	static const char *const restarts[] = {"Always", "OnFailure", "Never", NULL};
	static const char *const dns[] = {
		"ClusterFirst", "ClusterFirstWithHostNet", "Default", "None", NULL};

	if (!json_count(json_get(spec, "containers")))
		required(field_sub(at, ".containers").text, causes);
	check_choice(spec, "restartPolicy", restarts, at, causes);
	check_choice(spec, "dnsPolicy", dns, at, causes);
	check_volumes(spec, at, causes);
	check_containers(spec, "initContainers", at, causes);
	check_containers(spec, "containers", at, causes);
	if (json_int_at(spec, "terminationGracePeriodSeconds", 0) < 0)
		cause_add(causes, CAUSE_INVALID,
			field_sub(at, ".terminationGracePeriodSeconds").text,
			"Invalid value: must be greater than or equal to 0");
}
