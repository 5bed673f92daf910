/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OpenAPI, as little as kubectl needs: that each kind's PATCH takes fieldValidation (so
 * that it leaves checking to us), and objects of any shape.
 */
#include <stdio.h>

#include "base/obj.h"
#include "local/restint.h"

#define kinds_each(it, r)                                                              \
	for (size_t i_ = 0; i_ < kinds_count((r)->env.kinds); i_++)                    \
		if (((it) = kinds_at((r)->env.kinds, i_)))

static void gv_path(const struct kind *k, char out[300])
{
	if (*k->group)
		snprintf(out, 300, "apis/%s/%s", k->group, k->version);
	else
		snprintf(out, 300, "api/%s", k->version);
}

static void answer_index(const struct rest *r, struct rest_call *c)
{
	struct json *all = json_object();
	struct json *paths = json_need_object(all, "paths");
	const struct kind *k;

	kinds_each(k, r)
	{
		char at[300], url[400];

		gv_path(k, at);
		/* The hash is what clients keep documents by: it changes with the
		 * kinds. */
		snprintf(url, sizeof(url), "/openapi/v3/%s?hash=%zu-" MESH_VERSION, at,
			kinds_count(r->env.kinds));
		json_set_text(json_need_object(paths, at), "serverRelativeURL", url);
	}
	rest_answer(c, 200, all);
}

static struct json *gvk(const struct kind *k)
{
	struct json *j = json_object();

	json_set_text(j, "group", k->group);
	json_set_text(j, "version", k->version);
	json_set_text(j, "kind", k->kind);
	return j;
}

static void add_parameter(struct json *op, const char *name, bool v3)
{
	struct json *p = json_push(json_need_list(op, "parameters"), json_object());

	json_set_text(p, "name", name);
	json_set_text(p, "in", "query");
	if (v3)
		json_set_text(json_need_object(p, "schema"), "type", "string");
	else
		json_set_text(p, "type", "string");
}

static void add_path(struct json *paths, const struct kind *k, bool v3)
{
	static const char *const methods[] = {"patch", "put"};
	char at[300], path[500];

	gv_path(k, at);
	snprintf(path, sizeof(path), "/%s%s/%s/{name}", at,
		k->flags & KIND_NAMESPACED ? "/namespaces/{namespace}" : "",
		k->resource);
	for (size_t i = 0; i < countof(methods); i++) {
		struct json *op =
			json_need_object(json_need_object(paths, path), methods[i]);

		json_set(op, "x-kubernetes-group-version-kind", gvk(k));
		json_set_text(op, "x-kubernetes-action", methods[i]);
		add_parameter(op, "dryRun", v3);
		add_parameter(op, "fieldValidation", v3);
		json_set_text(
			json_need_object(json_need_object(op, "responses"), "200"),
			"description", "OK");
	}
}

static void add_schema(struct json *schemas, const struct kind *k)
{
	struct json *s;
	char name[300];

	snprintf(name, sizeof(name), "%s.%s.%s", *k->group ? k->group : "core",
		k->version, k->kind);
	s = json_need_object(schemas, name);
	json_set_text(s, "type", "object");
	json_set_bool(s, "x-kubernetes-preserve-unknown-fields", true);
	json_push(json_need_list(s, "x-kubernetes-group-version-kind"), gvk(k));
}

static struct json *new_document(const char *key, const char *version)
{
	struct json *doc = json_object();
	struct json *info;

	json_set_text(doc, key, version);
	info = json_need_object(doc, "info");
	json_set_text(info, "title", "mesh local");
	json_set_text(info, "version", MESH_VERSION);
	json_need_object(doc, "paths");
	return doc;
}

static bool answer_v3(const struct rest *r, struct rest_call *c, struct slice gv)
{
	struct json *doc = new_document("openapi", "3.0.0"), *schemas;
	const struct kind *k;
	bool any = false;

	schemas = json_need_object(json_need_object(doc, "components"), "schemas");
	kinds_each(k, r)
	{
		char at[300];

		gv_path(k, at);
		if (!slice_is(gv, at))
			continue;
		any = true;
		add_path(json_get(doc, "paths"), k, true);
		add_schema(schemas, k);
	}
	if (any)
		rest_answer(c, 200, doc);
	else
		json_free(doc);
	return any;
}

static void answer_v2(const struct rest *r, struct rest_call *c)
{
	struct json *doc = new_document("swagger", "2.0");
	struct json *schemas = json_need_object(doc, "definitions");
	const struct kind *k;

	kinds_each(k, r)
	{
		add_path(json_get(doc, "paths"), k, false);
		add_schema(schemas, k);
	}
	rest_answer(c, 200, doc);
}

bool rest_openapi(const struct rest *r, struct rest_call *c)
{
	static const char prefix[] = "/openapi/v3/";
	struct slice p = c->path;

	if (slice_is(p, "/openapi/v3")) {
		answer_index(r, c);
		return true;
	}
	if (slice_is(p, "/openapi/v2")) {
		answer_v2(r, c);
		return true;
	}
	if (!slice_starts(p, SLICE(prefix)))
		return false;
	return answer_v3(r, c,
		slice_bytes(p.p + sizeof(prefix) - 1, p.n - (sizeof(prefix) - 1)));
}
