/* SPDX-License-Identifier: Apache-2.0 */
/* ServiceProfiles: strictly, for a field that is spelt wrong would only be without
 * effect. */
#include "base/obj.h"
#include "ctl/validateint.h"

#define CONDITION_DEPTH 8

static int only(const struct json *j, const char *path, const char *const *fields,
	struct err *e)
{
	json_each(member, j)
	{
		if (!is_one_of(json_key(member), fields))
			return invalid(e, path, "field \"%.60s\" is not known",
				json_key(member));
	}
	return 0;
}

/* ---- conditions ---- */

typedef int condition_check(
	const struct json *j, const char *path, int depth, struct err *e);

/* What all conditions may be made of: all, any, not. */
static int parts(const struct json *j, const char *path, int depth,
	condition_check *check, struct err *e)
{
	static const char *const lists[] = {"all", "any"};
	const struct json *not = json_get(j, "not");
	char at[PATH_MAX_];

	if (json_kind(j) != JSON_OBJECT || json_count(j) == 0)
		return invalid(e, path, "an empty condition");
	if (depth == 0)
		return invalid(e, path, "conditions within conditions, too deep");
	for (size_t k = 0; k < countof(lists); k++) {
		size_t i = 0;

		if (json_get(j, lists[k]) && !json_count(json_get(j, lists[k])))
			return invalid(e, path, "%s: no conditions in it", lists[k]);
		json_each(x, json_get(j, lists[k]))
		{
			snprintf(at, sizeof at, "%s.%s[%zu]", path, lists[k], i++);
			if (check(x, at, depth - 1, e))
				return -1;
		}
	}
	snprintf(at, sizeof at, "%s.not", path);
	return not ? check(not, at, depth - 1, e) : 0;
}

static int request(const struct json *j, const char *path, int depth, struct err *e)
{
	static const char *const fields[] = {
		"all", "any", "not", "pathRegex", "method", NULL};
	static const char *const methods[] = {"GET", "POST", "PUT", "DELETE", "PATCH",
		"OPTIONS", "CONNECT", "HEAD", "TRACE", NULL};
	const char *method = json_text_or(j, "method", "GET");
	const char *regex = json_text_at(j, "pathRegex");
	char at[PATH_MAX_];

	if (only(j, path, fields, e) || parts(j, path, depth, request, e))
		return -1;
	if (!is_one_of(method, methods))
		return invalid(e, path, "method: \"%.40s\" is none of HTTP", method);
	snprintf(at, sizeof at, "%s.pathRegex", path);
	return regex ? validate_regex(regex, at, e) : 0;
}

static int response(const struct json *j, const char *path, int depth, struct err *e)
{
	static const char *const fields[] = {"all", "any", "not", "status", NULL};
	const struct json *status = json_get(j, "status");
	int64_t min = json_int_at(status, "min", 100),
		max = json_int_at(status, "max", 599);

	if (only(j, path, fields, e) || parts(j, path, depth, response, e))
		return -1;
	if (!status)
		return 0;
	if (min < 100 || min > 599 || max < 100 || max > 599)
		return invalid(e, path, "status: not from 100 to 599");
	return json_get(status, "min") && json_get(status, "max") && min > max
		       ? invalid(e, path, "status: min is above max")
		       : 0;
}

/* ---- routes ---- */

static int response_class(const struct json *j, const char *path, struct err *e)
{
	static const char *const fields[] = {"condition", "isFailure", NULL};
	char at[PATH_MAX_];

	if (only(j, path, fields, e))
		return -1;
	snprintf(at, sizeof at, "%s.condition", path);
	return response(json_get(j, "condition"), at, CONDITION_DEPTH, e);
}

static int route(const struct json *j, const char *path, struct err *e)
{
	static const char *const fields[] = {
		"name", "condition", "responseClasses", "isRetryable", "timeout", NULL};
	char at[PATH_MAX_];
	uint64_t ns;

	if (only(j, path, fields, e))
		return -1;
	if (!*json_text_or(j, "name", ""))
		return invalid(e, path, "name is absent");
	if (validate_duration(j, path, "timeout", &ns, e))
		return -1;
	snprintf(at, sizeof at, "%s.condition", path);
	if (request(json_get(j, "condition"), at, CONDITION_DEPTH, e))
		return -1;
	return validate_each(j, path, "responseClasses", response_class, e);
}

static int budget(const struct json *j, struct err *e)
{
	static const char path[] = "spec.retryBudget";
	static const char *const fields[] = {
		"retryRatio", "minRetriesPerSecond", "ttl", NULL};
	uint64_t ns;

	if (only(j, path, fields, e))
		return -1;
	if (json_real(json_get(j, "retryRatio"), 0) < 0)
		return invalid(e, path, "retryRatio: less than 0");
	if (!json_get(j, "ttl"))
		return invalid(e, path, "ttl is absent");
	return validate_duration(j, path, "ttl", &ns, e);
}

static int override(const struct json *j, const char *path, struct err *e)
{
	static const char *const fields[] = {"authority", "weight", NULL};

	if (only(j, path, fields, e))
		return -1;
	if (!*json_text_or(j, "authority", ""))
		return invalid(e, path, "authority is absent");
	return json_get(j, "weight") ? 0 : invalid(e, path, "weight is absent");
}

/* "svc.ns.svc.cluster.local": labels of a-z, 0-9 and -. */
static bool is_dns_name(const char *s)
{
	struct slice rest = slice_of(s), part;

	if (rest.n == 0 || rest.n > 253)
		return false;
	while (slice_cut(&rest, '.', &part)) {
		if (part.n == 0 || part.p[0] == '-' || part.p[part.n - 1] == '-')
			return false;
		for (size_t i = 0; i < part.n; i++)
			if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789-", part.p[i]))
				return false;
	}
	return true;
}

int validate_profile(const struct json *o, struct err *e)
{
	static const char *const fields[] = {
		"routes", "retryBudget", "dstOverrides", "opaquePorts", NULL};
	const struct json *spec = json_get(o, "spec"),
			  *retries = json_get(spec, "retryBudget");

	if (!is_dns_name(json_text_or(o, "metadata.name", "")))
		return invalid(e, "metadata.name", "not a Service's name in DNS");
	if (only(spec, "spec", fields, e) ||
		validate_each(spec, "spec", "routes", route, e) ||
		validate_each(spec, "spec", "dstOverrides", override, e))
		return -1;
	return retries ? budget(retries, e) : 0;
}
