/* SPDX-License-Identifier: Apache-2.0 */
#include "local/rest.h"

#include <stdio.h>

#include "base/obj.h"
#include "kube/selector.h"
#include "local/restint.h"
#include "wire/yaml.h"

/* ---- the request ---- */

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static const char *decode(struct rest_call *c, struct slice s)
{
	char *out = arena_alloc(c->arena, s.n + 1), *p = out;

	for (size_t i = 0; out && i < s.n; i++) {
		if (s.p[i] == '%' && i + 2 < s.n && hex(s.p[i + 1]) >= 0 &&
			hex(s.p[i + 2]) >= 0) {
			*p++ = (char)(hex(s.p[i + 1]) << 4 | hex(s.p[i + 2]));
			i += 2;
		} else
			*p++ = s.p[i] == '+' ? ' ' : s.p[i];
	}
	return out;
}

const char *rest_param_at(struct rest_call *c, const char *name, size_t i)
{
	struct slice rest = c->query, part;

	while (rest.n && slice_cut(&rest, '&', &part)) {
		struct slice key;

		if (!memchr(part.p ? part.p : "", '=', part.n)) {
			if (slice_is(part, name) && i-- == 0)
				return "";
			continue;
		}
		slice_cut(&part, '=', &key);
		if (slice_is(key, name) && i-- == 0)
			return decode(c, part);
	}
	return NULL;
}

const char *rest_param(struct rest_call *c, const char *name)
{
	return rest_param_at(c, name, 0);
}

bool rest_flag(struct rest_call *c, const char *name)
{
	const char *v = rest_param(c, name);

	return v && (strcmp(v, "true") == 0 || strcmp(v, "1") == 0);
}

bool rest_is(const struct rest_call *c, const char *method)
{
	return slice_is(c->method, method);
}

static bool has(struct slice s, const char *what)
{
	return s.n && memmem(s.p, s.n, what, strlen(what));
}

struct json *rest_body(struct rest_call *c)
{
	struct err e = {0};
	struct json *j = NULL;

	if (has(c->content_type, "protobuf")) {
		rest_refuse(c, status_new(415, "UnsupportedMediaType",
				       "the body must be JSON or YAML"));
		return NULL;
	}
	if (has(c->content_type, "yaml"))
		j = yaml_parse(c->body, &e);
	else
		j = json_parse(c->body, &e);
	if (!j)
		rest_refuse(
			c, status_new(400, "BadRequest",
				   "the object provided cannot be read: %s", e.msg));
	return j;
}

bool rest_selectors(struct rest_call *c)
{
	const char *labels = rest_param(c, "labelSelector");
	const char *fields = rest_param(c, "fieldSelector");
	struct err e = {0};

	if (labels && *labels)
		c->labels = selector_parse(slice_of(labels), &e);
	if (fields && *fields && !e.code)
		c->fields = selector_parse_fields(slice_of(fields), &e);
	if (!e.code)
		return true;
	rest_refuse(c, status_new(400, "BadRequest", "%s", e.msg));
	return false;
}

bool rest_selects(const struct rest_call *c, const struct json *obj)
{
	if (c->labels && !selector_labels(c->labels, json_path(obj, "metadata.labels")))
		return false;
	return !c->fields || selector_fields(c->fields, obj);
}

/* ---- the answer ---- */

void rest_answer(struct rest_call *c, int status, struct json *body)
{
	c->then = REST_ANSWER;
	c->status = status;
	if (!c->type)
		c->type = "application/json";
	buf_clear(&c->out);
	json_write(body, 0, &c->out);
	buf_char(&c->out, '\n');
	json_free(body);
}

void rest_refuse(struct rest_call *c, struct json *status)
{
	rest_answer(c, status_code(status), status);
}

const struct json *rest_crd(const struct rest *r, const struct kind *k)
{
	if (!(k->flags & KIND_CUSTOM))
		return NULL;
	return store_get(r->env.store, "customresourcedefinitions.apiextensions.k8s.io",
		"", k->res);
}

struct json *rest_view(const struct rest_call *c, const struct json *obj)
{
	struct json *copy = json_copy(obj);
	struct buf b = BUF_INIT;

	if (c->kind->flags & KIND_CUSTOM) {
		kind_api_version(c->kind, &b);
		json_set(copy, "apiVersion", json_string_n(buf_slice(&b)));
		buf_fini(&b);
	}
	return copy;
}

void rest_answer_object(
	const struct rest *r, struct rest_call *c, int status, const struct json *obj)
{
	const struct json *crd = rest_crd(r, c->kind);
	struct json *t;

	if (!c->table) {
		rest_answer(c, status, rest_view(c, obj));
		return;
	}
	t = table_new(c->kind, crd, true);
	table_add(t, c->kind, crd, obj, store_now(r->env.store), c->include);
	json_set_text(json_get(t, "metadata"), "resourceVersion",
		json_text_or(obj, "metadata.resourceVersion", ""));
	rest_answer(c, status, t);
}

struct object *rest_find(const struct rest *r, struct rest_call *c)
{
	struct object *o = store_find(r->env.store, c->kind->res, c->ns, c->name);

	if (!o)
		rest_refuse(c, status_not_found(c->kind, c->name));
	return o;
}

void rest_call_fini(struct rest_call *c)
{
	buf_fini(&c->out);
	json_free(c->labels);
	json_free(c->fields);
	change_fini(&c->change);
	c->labels = c->fields = NULL;
}

/* ---- the path ---- */

static bool take(struct slice *rest, struct slice *part)
{
	return rest->n && slice_cut(rest, '/', part) && part->n;
}

static void put(char *out, size_t size, struct slice s)
{
	snprintf(out, size, "%.*s", SLICE_FMT(s));
}

/* "/api/v1/…" or "/apis/group/version/…"; the rest goes on behind the version. */
static bool read_version(struct rest_call *c, struct slice *rest)
{
	struct slice part;

	*rest = c->path;
	if (rest->n && rest->p[0] == '/')
		*rest = slice_bytes(rest->p + 1, rest->n - 1);
	if (!take(rest, &part))
		return false;
	c->group = SLICE("");
	if (slice_is(part, "apis")) {
		if (!take(rest, &c->group))
			return false;
	} else if (!slice_is(part, "api"))
		return false;
	return take(rest, &c->version);
}

/* "namespaces/ns/pods/name/sub", "nodes/name", "pods". */
static bool read_resource(const struct rest *r, struct rest_call *c, struct slice rest)
{
	struct slice part, second;

	if (!take(&rest, &c->resource))
		return false;
	if (slice_is(c->resource, "namespaces") && !c->group.n) {
		struct slice after = rest;

		/* What follows the name is a resource, or a part of the namespace. */
		if (take(&after, &second) && take(&after, &part) &&
			!slice_is(part, "status") && !slice_is(part, "finalize")) {
			put(c->ns, sizeof(c->ns), second);
			c->resource = part;
			rest = after;
		}
	} else if (slice_is(c->resource, "namespaces")) {
		if (!take(&rest, &second) || !take(&rest, &c->resource))
			return false;
		put(c->ns, sizeof(c->ns), second);
	}
	if (take(&rest, &part))
		put(c->name, sizeof(c->name), part);
	if (take(&rest, &part))
		put(c->sub, sizeof(c->sub), part);
	if (rest.n)
		return false;
	c->kind = kind_find(r->env.kinds, c->group, c->version, c->resource);
	return c->kind != NULL;
}

static void read_accept(struct rest_call *c)
{
	const char *include = rest_param(c, "includeObject");

	c->table = has(c->accept, "as=Table");
	if (include && strcmp(include, "Object") == 0)
		c->include = TABLE_OBJECT;
	else if (include && strcmp(include, "None") == 0)
		c->include = TABLE_NONE;
}

/* ---- dispatch ---- */

static void not_allowed(struct rest_call *c)
{
	rest_refuse(c, status_new(405, "MethodNotAllowed",
			       "the server does not allow this method on the requested "
			       "resource"));
}

static void not_found(struct rest_call *c)
{
	rest_refuse(c, status_new(404, "NotFound",
			       "the server could not find the requested resource"));
}

static const struct subresource {
	const char *name;
	unsigned flag;
	void (*handle)(const struct rest *r, struct rest_call *c);
} subresources[] = {
	{"scale", KIND_SCALE, rest_scale},
	{"log", KIND_POD, rest_pod},
	{"exec", KIND_POD, rest_pod},
	{"attach", KIND_POD, rest_pod},
	{"portforward", KIND_POD, rest_pod},
	{"binding", KIND_POD, rest_bind},
	{"eviction", KIND_POD, rest_evict},
	{"token", KIND_TOKEN, rest_token},
	{"finalize", KIND_FINALIZE, rest_finalize},
};

static void handle_object(const struct rest *r, struct rest_call *c)
{
	if (rest_is(c, "GET") && rest_flag(c, "watch")) {
		rest_watch(r, c);
		return;
	}
	if (rest_is(c, "GET"))
		rest_get(r, c);
	else if (rest_is(c, "PUT"))
		rest_update(r, c);
	else if (rest_is(c, "PATCH"))
		rest_patch(r, c);
	else if (rest_is(c, "DELETE") && !*c->sub)
		rest_delete(r, c);
	else
		not_allowed(c);
}

static void handle_sub(const struct rest *r, struct rest_call *c)
{
	if (strcmp(c->sub, "status") == 0 && c->kind->flags & KIND_STATUS) {
		handle_object(r, c);
		return;
	}
	for (size_t i = 0; i < countof(subresources); i++) {
		const struct subresource *s = &subresources[i];

		if (strcmp(c->sub, s->name) == 0 && c->kind->flags & s->flag) {
			s->handle(r, c);
			return;
		}
	}
	not_found(c);
}

static void handle_all(const struct rest *r, struct rest_call *c)
{
	if (rest_is(c, "GET") && rest_flag(c, "watch"))
		rest_watch(r, c);
	else if (rest_is(c, "GET"))
		rest_list(r, c);
	else if (rest_is(c, "POST"))
		rest_create(r, c);
	else if (rest_is(c, "DELETE"))
		rest_delete_all(r, c);
	else
		not_allowed(c);
}

static void handle_resource(const struct rest *r, struct rest_call *c)
{
	read_accept(c);
	if (c->kind->flags & KIND_REVIEW)
		rest_review(r, c);
	else if (*c->sub)
		handle_sub(r, c);
	else if (*c->name)
		handle_object(r, c);
	else
		handle_all(r, c);
}

/* The old form "/api/v1/watch/…". */
static void drop_watch_prefix(struct rest_call *c, struct slice *rest)
{
	struct slice after = *rest, part;

	if (take(&after, &part) && slice_is(part, "watch")) {
		*rest = after;
		c->query = SLICE("watch=1");
	}
}

void rest_handle(const struct rest *r, struct rest_call *c)
{
	struct slice rest;

	if (rest_discovery(r, c) || rest_openapi(r, c))
		return;
	if (!read_version(c, &rest)) {
		not_found(c);
		return;
	}
	drop_watch_prefix(c, &rest);
	if (read_resource(r, c, rest))
		handle_resource(r, c);
	else
		not_found(c);
}
