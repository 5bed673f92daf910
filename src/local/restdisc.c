/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Discovery: /version, /healthz, /api, /apis and the lists of resources, in the plain
 * form and aggregated (apidiscovery.k8s.io/v2), all from the table of kinds.
 */
#include <stdio.h>

#include "base/obj.h"
#include "local/restint.h"

#define AGGREGATED                                                                     \
	"application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"

/* ---- one resource ---- */

static const struct {
	unsigned flag; /* 0: always */
	const char *name;
	const char *group, *version, *kind; /* NULL kind: the resource's own */
	const char *verbs;
} subs[] = {
	{KIND_STATUS, "status", "", "", NULL, "get,patch,update"},
	{KIND_SCALE, "scale", "autoscaling", "v1", "Scale", "get,patch,update"},
	{KIND_POD, "log", "", "v1", "Pod", "get"},
	{KIND_POD, "exec", "", "v1", "PodExecOptions", "create,get"},
	{KIND_POD, "attach", "", "v1", "PodAttachOptions", "create,get"},
	{KIND_POD, "portforward", "", "v1", "PodPortForwardOptions", "create,get"},
	{KIND_POD, "binding", "", "v1", "Binding", "create"},
	{KIND_POD, "eviction", "policy", "v1", "Eviction", "create"},
	{KIND_TOKEN, "token", "authentication.k8s.io", "v1", "TokenRequest", "create"},
	{KIND_FINALIZE, "finalize", "", "v1", "Namespace", "update"},
};

static void set_words(struct json *obj, const char *key, const char *words)
{
	struct slice rest = slice_of(words), part;
	struct json *list;

	if (!*words)
		return;
	list = json_need_list(obj, key);
	while (rest.n && slice_cut(&rest, ',', &part))
		json_push(list, json_string_n(part));
}

static const char *verbs_of(const struct kind *k)
{
	return k->flags & KIND_REVIEW
		       ? "create"
		       : "create,delete,deletecollection,get,list,patch,update,watch";
}

static void add_plain(struct json *list, const struct kind *k)
{
	struct json *res = json_push(list, json_object());
	char name[200];

	json_set_text(res, "name", k->resource);
	json_set_text(res, "singularName", k->singular);
	json_set_bool(res, "namespaced", k->flags & KIND_NAMESPACED);
	json_set_text(res, "kind", k->kind);
	set_words(res, "verbs", verbs_of(k));
	set_words(res, "shortNames", k->shorts);
	set_words(res, "categories", k->categories);
	for (size_t i = 0; i < countof(subs); i++) {
		if (!(k->flags & subs[i].flag))
			continue;
		res = json_push(list, json_object());
		snprintf(name, sizeof(name), "%s/%s", k->resource, subs[i].name);
		json_set_text(res, "name", name);
		json_set_text(res, "singularName", "");
		json_set_bool(res, "namespaced", k->flags & KIND_NAMESPACED);
		json_set_text(res, "kind", subs[i].kind ? subs[i].kind : k->kind);
		if (*subs[i].group) {
			json_set_text(res, "group", subs[i].group);
			json_set_text(res, "version", subs[i].version);
		}
		set_words(res, "verbs", subs[i].verbs);
	}
}

static void set_kind(
	struct json *obj, const char *group, const char *version, const char *kind)
{
	struct json *r = json_need_object(obj, "responseKind");

	json_set_text(r, "group", group);
	json_set_text(r, "version", version);
	json_set_text(r, "kind", kind);
}

static void add_aggregated(struct json *list, const struct kind *k)
{
	struct json *res = json_push(list, json_object()), *sub;

	json_set_text(res, "resource", k->resource);
	set_kind(res, k->group, k->version, k->kind);
	json_set_text(
		res, "scope", k->flags & KIND_NAMESPACED ? "Namespaced" : "Cluster");
	json_set_text(res, "singularResource", k->singular);
	set_words(res, "verbs", verbs_of(k));
	set_words(res, "shortNames", k->shorts);
	set_words(res, "categories", k->categories);
	for (size_t i = 0; i < countof(subs); i++) {
		if (!(k->flags & subs[i].flag))
			continue;
		sub = json_push(json_need_list(res, "subresources"), json_object());
		json_set_text(sub, "subresource", subs[i].name);
		set_kind(sub, subs[i].kind ? subs[i].group : k->group,
			subs[i].kind ? subs[i].version : k->version,
			subs[i].kind ? subs[i].kind : k->kind);
		set_words(sub, "verbs", subs[i].verbs);
	}
}

/* ---- groups ---- */

#define kinds_each(it, r)                                                              \
	for (size_t i_ = 0; i_ < kinds_count((r)->env.kinds); i_++)                    \
		if (((it) = kinds_at((r)->env.kinds, i_)))

static struct json *find_text(struct json *list, const char *path, const char *text)
{
	json_each(it, list)
	{
		if (strcmp(json_text_or(it, path, ""), text) == 0)
			return it;
	}
	return NULL;
}

static void add_group_version(struct json *groups, const struct kind *k)
{
	struct json *g = find_text(groups, "name", k->group), *versions, *v;
	char text[200];

	if (!g) {
		g = json_push(groups, json_object());
		json_set_text(g, "name", k->group);
	}
	versions = json_need_list(g, "versions");
	if (find_text(versions, "version", k->version))
		return;
	v = json_push(versions, json_object());
	snprintf(text, sizeof(text), "%s/%s", k->group, k->version);
	json_set_text(v, "groupVersion", text);
	json_set_text(v, "version", k->version);
	if (!json_get(g, "preferredVersion"))
		json_set(g, "preferredVersion", json_copy(v));
}

static void answer_groups(const struct rest *r, struct rest_call *c)
{
	struct json *all = json_object(), *groups;
	const struct kind *k;

	json_set_text(all, "kind", "APIGroupList");
	json_set_text(all, "apiVersion", "v1");
	groups = json_need_list(all, "groups");
	kinds_each(k, r)
	{
		if (*k->group)
			add_group_version(groups, k);
	}
	rest_answer(c, 200, all);
}

static void answer_group(const struct rest *r, struct rest_call *c, struct slice name)
{
	struct json *groups = json_list(), *g;
	const struct kind *k;

	kinds_each(k, r)
	{
		if (slice_is(name, k->group))
			add_group_version(groups, k);
	}
	g = json_first(groups);
	if (g) {
		g = json_detach(groups, g);
		json_set_text(g, "kind", "APIGroup");
		json_set_text(g, "apiVersion", "v1");
		rest_answer(c, 200, g);
	} else
		rest_refuse(
			c, status_new(404, "NotFound",
				   "the server could not find the requested resource"));
	json_free(groups);
}

static void answer_aggregated(const struct rest *r, struct rest_call *c, bool core)
{
	struct json *all = json_object(), *items, *g, *v;
	const struct kind *k;

	json_set_text(all, "kind", "APIGroupDiscoveryList");
	json_set_text(all, "apiVersion", "apidiscovery.k8s.io/v2");
	json_set(all, "metadata", json_object());
	items = json_need_list(all, "items");
	kinds_each(k, r)
	{
		if (!*k->group != core)
			continue;
		g = find_text(items, "metadata.name", k->group);
		if (!g) {
			g = json_push(items, json_object());
			json_set_text(
				json_need_object(g, "metadata"), "name", k->group);
		}
		v = find_text(json_need_list(g, "versions"), "version", k->version);
		if (!v) {
			v = json_push(json_need_list(g, "versions"), json_object());
			json_set_text(v, "version", k->version);
			json_set_text(v, "freshness", "Current");
		}
		add_aggregated(json_need_list(v, "resources"), k);
	}
	c->type = AGGREGATED;
	rest_answer(c, 200, all);
}

static void answer_core_versions(struct rest_call *c)
{
	struct json *all = json_object();

	json_set_text(all, "kind", "APIVersions");
	json_push(json_need_list(all, "versions"), json_string("v1"));
	json_set(all, "serverAddressByClientCIDRs", json_list());
	rest_answer(c, 200, all);
}

static bool answer_resources(const struct rest *r, struct rest_call *c,
	struct slice group, struct slice version)
{
	struct json *all = json_object(), *list;
	const struct kind *k;
	struct buf b = BUF_INIT;

	if (group.n)
		buf_printf(&b, "%.*s/", SLICE_FMT(group));
	buf_adds(&b, version);
	json_set_text(all, "kind", "APIResourceList");
	json_set_text(all, "apiVersion", "v1");
	json_set(all, "groupVersion", json_string_n(buf_slice(&b)));
	buf_fini(&b);
	list = json_need_list(all, "resources");
	kinds_each(k, r)
	{
		if (slice_is(group, k->group) && slice_is(version, k->version))
			add_plain(list, k);
	}
	if (!json_first(list)) {
		json_free(all);
		return false;
	}
	rest_answer(c, 200, all);
	return true;
}

static void answer_version(struct rest_call *c)
{
	struct json *v = json_object();

	json_set_text(v, "major", "1");
	json_set_text(v, "minor", "31");
	json_set_text(v, "gitVersion", "v1.31.0+mesh-" MESH_VERSION);
	json_set_text(v, "gitCommit", "");
	json_set_text(v, "gitTreeState", "clean");
	json_set_text(v, "buildDate", "2026-01-01T00:00:00Z");
	json_set_text(v, "goVersion", "none");
	json_set_text(v, "compiler", "gcc");
	json_set_text(v, "platform", "linux/" MESH_ARCH);
	rest_answer(c, 200, v);
}

static void answer_health(struct rest_call *c)
{
	c->then = REST_ANSWER;
	c->status = 200;
	c->type = "text/plain";
	buf_text(&c->out, "ok");
}

static bool wants_aggregated(const struct rest_call *c)
{
	return c->accept.n &&
	       memmem(c->accept.p, c->accept.n, "APIGroupDiscoveryList", 21) &&
	       memmem(c->accept.p, c->accept.n, "v=v2;", 5);
}

static bool answer_apis(const struct rest *r, struct rest_call *c, struct slice rest)
{
	struct slice group = SLICE_NONE, version = SLICE_NONE;

	slice_cut(&rest, '/', &group);
	if (!group.n && wants_aggregated(c))
		answer_aggregated(r, c, false);
	else if (!group.n)
		answer_groups(r, c);
	else if (!slice_cut(&rest, '/', &version) || !version.n)
		answer_group(r, c, group);
	else
		return !rest.n && answer_resources(r, c, group, version);
	return true;
}

bool rest_discovery(const struct rest *r, struct rest_call *c)
{
	static const char *const health[] = {"/healthz", "/readyz", "/livez"};
	struct slice p = c->path;

	for (size_t i = 0; i < countof(health); i++)
		if (slice_starts(p, slice_of(health[i]))) {
			answer_health(c);
			return true;
		}
	if (!rest_is(c, "GET"))
		return false;
	if (slice_is(p, "/version") || slice_is(p, "/version/"))
		answer_version(c);
	else if ((slice_is(p, "/api") || slice_is(p, "/api/")) && wants_aggregated(c))
		answer_aggregated(r, c, true);
	else if (slice_is(p, "/api") || slice_is(p, "/api/"))
		answer_core_versions(c);
	else if (slice_is(p, "/api/v1") || slice_is(p, "/api/v1/"))
		return answer_resources(r, c, SLICE(""), SLICE("v1"));
	else if (slice_is(p, "/apis"))
		return answer_apis(r, c, SLICE_NONE);
	else if (slice_starts(p, SLICE("/apis/")))
		return answer_apis(r, c, slice_bytes(p.p + 6, p.n - 6));
	else
		return false;
	return true;
}
