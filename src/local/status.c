/* SPDX-License-Identifier: Apache-2.0 */
#include "local/status.h"

#include <stdarg.h>

#include "base/obj.h"

static struct json *build(int code, const char *reason, const char *message)
{
	struct json *s = json_object();

	json_set_text(s, "kind", "Status");
	json_set_text(s, "apiVersion", "v1");
	json_set(s, "metadata", json_object());
	json_set_text(s, "status", code < 300 ? "Success" : "Failure");
	if (*message)
		json_set_text(s, "message", message);
	if (*reason)
		json_set_text(s, "reason", reason);
	json_set_int(s, "code", code);
	return s;
}

struct json *status_new(int code, const char *reason, const char *fmt, ...)
{
	char message[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	return build(code, reason, message);
}

int status_code(const struct json *status)
{
	return (int)json_int_at(status, "code", 500);
}

static struct json *set_details(struct json *s, const struct kind *k, const char *name)
{
	struct json *d = json_need_object(s, "details");

	if (name && *name)
		json_set_text(d, "name", name);
	if (k && *k->group)
		json_set_text(d, "group", k->group);
	if (k)
		json_set_text(d, "kind", k->resource);
	return s;
}

struct json *status_not_found(const struct kind *k, const char *name)
{
	return set_details(
		status_new(404, "NotFound", "%s \"%s\" not found", k->res, name), k,
		name);
}

struct json *status_of_store(enum store_result r, const struct kind *k,
	const char *name, const struct err *e)
{
	struct json *s = NULL;

	switch (r) {
	case STORE_OK:
		return set_details(build(200, "", ""), k, name);
	case STORE_MISSING:
		return status_not_found(k, name);
	case STORE_EXISTS:
		s = status_new(
			409, "AlreadyExists", "%s \"%s\" already exists", k->res, name);
		break;
	case STORE_CONFLICT:
		s = status_new(409, "Conflict",
			"Operation cannot be fulfilled on %s \"%s\": %s", k->res, name,
			e->msg);
		break;
	case STORE_INVALID:
		s = status_new(422, "Invalid", "%s", e->msg);
		break;
	case STORE_FAILED:
		s = status_new(500, "InternalError", "%s", e->msg);
		break;
	}
	return set_details(s, k, name);
}

void cause_add(struct json *causes, const char *reason, const char *field,
	const char *fmt, ...)
{
	char message[512];
	struct json *c;
	va_list ap;

	if (json_count(causes) >= CAUSES_MAX)
		return;
	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	c = json_push(causes, json_object());
	json_set_text(c, "reason", reason);
	json_set_text(c, "message", message);
	json_set_text(c, "field", field);
}

static void causes_text(const struct json *causes, struct buf *b)
{
	bool many = json_count(causes) > 1;
	bool first = true;

	if (many)
		buf_char(b, '[');
	json_each(c, causes)
	{
		buf_printf(b, "%s%s: %s", first ? "" : ", ",
			json_text_or(c, "field", ""), json_text_or(c, "message", ""));
		first = false;
	}
	buf_printf(b, "%s", many ? "]" : "");
}

struct json *status_invalid(const struct kind *k, const char *name, struct json *causes)
{
	struct buf b = BUF_INIT;
	struct json *s;
	char *text;

	buf_printf(&b, "%s%s%s \"%s\" is invalid: ", k->kind, *k->group ? "." : "",
		k->group, name);
	causes_text(causes, &b);
	text = buf_steal(&b);
	s = set_details(build(422, "Invalid", text ? text : ""), k, name);
	free(text);
	json_set_text(json_get(s, "details"), "kind", k->kind);
	json_set(json_get(s, "details"), "causes", causes);
	return s;
}
