/* SPDX-License-Identifier: Apache-2.0 */
/* HTTPRoutes and GRPCRoutes, as far as a Server or a Service is their parent: others
 * are not ours to judge. */
#include "base/obj.h"
#include "ctl/validateint.h"

static bool has_parent(const struct json *o, const char *kind)
{
	bool ours = slice_starts(slice_of(json_text_or(o, "apiVersion", "")),
		SLICE("policy.linkerd.io/"));

	json_each(p, json_path(o, "spec.parentRefs"))
	{
		if (strcmp(json_text_or(p, "kind", ours ? "Server" : "Gateway"),
			    kind) == 0)
			return true;
	}
	return false;
}

static bool is_regex(const struct json *j)
{
	return strcmp(json_text_or(j, "type", ""), "RegularExpression") == 0;
}

/* ---- matches ---- */

static int field(const struct json *j, const char *path, struct err *e)
{
	if (!*json_text_or(j, "name", ""))
		return invalid(e, path, "name is absent");
	return is_regex(j) ? validate_regex(json_text_or(j, "value", ""), path, e) : 0;
}

static int path_match(const struct json *j, const char *path, struct err *e)
{
	const char *value = json_text_or(j, "value", "/");

	if (is_regex(j))
		return validate_regex(value, path, e);
	return *value == '/' ? 0
			     : invalid(e, path, "path \"%.80s\" does not begin with /",
				       value);
}

static int http_match(const struct json *j, const char *path, struct err *e)
{
	const struct json *where = json_get(j, "path");
	char at[PATH_MAX_];

	snprintf(at, sizeof at, "%s.path.value", path);
	if (where && path_match(where, at, e))
		return -1;
	if (validate_each(j, path, "headers", field, e))
		return -1;
	return validate_each(j, path, "queryParams", field, e);
}

static int grpc_match(const struct json *j, const char *path, struct err *e)
{
	const struct json *method = json_get(j, "method");

	if (method && is_regex(method))
		return invalid(
			e, path, "method.type: RegularExpression is not supported");
	if (method && !*json_text_or(method, "service", "") &&
		!*json_text_or(method, "method", ""))
		return invalid(e, path, "method: neither service nor method is given");
	return validate_each(j, path, "headers", field, e);
}

/* ---- filters ---- */

static int redirect(const struct json *j, const char *path, struct err *e)
{
	int64_t status = json_int_at(j, "statusCode", 302),
		port = json_int_at(j, "port", 80);
	const char *full = json_text_or(j, "path.replaceFullPath", "/"),
		   *prefix = json_text_or(j, "path.replacePrefixMatch", "/");

	if (status < 300 || status > 399)
		return invalid(
			e, path, "requestRedirect.statusCode: not from 300 to 399");
	if (port < 1 || port > 65535)
		return invalid(e, path, "requestRedirect.port: not from 1 to 65535");
	if (*full != '/' || *prefix != '/')
		return invalid(e, path, "requestRedirect.path: does not begin with /");
	return 0;
}

static int filter(const struct json *j, const char *path, struct err *e)
{
	static const char *const known[] = {"RequestHeaderModifier",
		"ResponseHeaderModifier", "RequestRedirect", NULL};
	const char *type = json_text_or(j, "type", "");
	char key[64];

	if (!is_one_of(type, known))
		return invalid(e, path, "filter \"%.60s\" is not supported", type);
	snprintf(key, sizeof key, "%c%s", *type | 32, type + 1);
	if (!json_get(j, key))
		return invalid(e, path, "%s is absent", key);
	return strcmp(type, "RequestRedirect") == 0
		       ? redirect(json_get(j, key), path, e)
		       : 0;
}

static int inbound_filter(const struct json *j, const char *path, struct err *e)
{
	if (strcmp(json_text_or(j, "type", ""), "ResponseHeaderModifier") == 0)
		return invalid(e, path,
			"filter ResponseHeaderModifier is not supported for a Server");
	return filter(j, path, e);
}

static int grpc_filter(const struct json *j, const char *path, struct err *e)
{
	if (strcmp(json_text_or(j, "type", ""), "RequestHeaderModifier") != 0)
		return invalid(e, path, "filter \"%.60s\" is not supported for gRPC",
			json_text_or(j, "type", ""));
	return filter(j, path, e);
}

/* ---- rules ---- */

static int backend(const struct json *j, const char *path, struct err *e)
{
	const char *kind = json_text_or(j, "kind", "Service");
	int64_t weight = json_int_at(j, "weight", 1);

	if (strcmp(kind, "Service") == 0 && !json_get(j, "port"))
		return invalid(e, path, "port is absent");
	if (weight < 0 || weight > 1000000)
		return invalid(e, path, "weight: not from 0 to 1000000");
	return validate_each(j, path, "filters", filter, e);
}

static int timeouts(const struct json *rule, const char *path, struct err *e)
{
	const struct json *t = json_get(rule, "timeouts");
	uint64_t whole, one;
	char at[PATH_MAX_];

	snprintf(at, sizeof at, "%s.timeouts", path);
	if (validate_duration(t, at, "request", &whole, e) ||
		validate_duration(t, at, "backendRequest", &one, e))
		return -1;
	return whole && one > whole
		       ? invalid(e, at, "backendRequest: longer than request")
		       : 0;
}

static int rule_of(const struct json *j, const char *path, validate_one *match,
	validate_one *change, struct err *e)
{
	if (validate_each(j, path, "matches", match, e) ||
		validate_each(j, path, "filters", change, e) ||
		validate_each(j, path, "backendRefs", backend, e))
		return -1;
	return timeouts(j, path, e);
}

static int http_rule(const struct json *j, const char *path, struct err *e)
{
	return rule_of(j, path, http_match, filter, e);
}

static int inbound_rule(const struct json *j, const char *path, struct err *e)
{
	return rule_of(j, path, http_match, inbound_filter, e);
}

static int grpc_rule(const struct json *j, const char *path, struct err *e)
{
	return rule_of(j, path, grpc_match, grpc_filter, e);
}

int validate_route(const struct json *o, struct err *e)
{
	bool inbound = has_parent(o, "Server");
	bool grpc = strcmp(json_text_or(o, "kind", ""), "GRPCRoute") == 0;

	if (!inbound && !has_parent(o, "Service"))
		return 0;
	return validate_each(json_get(o, "spec"), "spec", "rules",
		grpc      ? grpc_rule
		: inbound ? inbound_rule
			  : http_rule,
		e);
}
