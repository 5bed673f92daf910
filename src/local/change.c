/* SPDX-License-Identifier: Apache-2.0 */
#include "local/change.h"

#include <stdlib.h>

#include "local/defaults.h"
#include "local/meta.h"
#include "local/shape.h"
#include "local/status.h"
#include "local/storeint.h"
#include "local/valid.h"

void change_fini(struct change *c)
{
	json_free(c->obj);
	object_unref(c->old);
	object_unref(c->out);
	json_free(c->warnings);
	c->obj = c->warnings = NULL;
	c->old = c->out = NULL;
}

/* ---- before the webhooks ---- */

static struct json *check_kind(struct change *c)
{
	struct buf b = BUF_INIT;
	const char *kind = json_text_or(c->obj, "kind", "");
	const char *version = json_text_or(c->obj, "apiVersion", "");
	struct json *bad = NULL;
	char *want;

	kind_api_version(c->kind, &b);
	want = buf_steal(&b);
	if (*kind && strcmp(kind, c->kind->kind) != 0)
		bad = status_new(400, "BadRequest",
			"the kind of the object (%s) does not match the kind of the "
			"request (%s)",
			kind, c->kind->kind);
	else if (*version && strcmp(version, want) != 0)
		bad = status_new(400, "BadRequest",
			"the API version in the data (%s) does not match the expected "
			"API "
			"version (%s)",
			version, want);
	if (!*version)
		json_set_text(c->obj, "apiVersion", want);
	if (!*kind)
		json_set_text(c->obj, "kind", c->kind->kind);
	free(want);
	return bad;
}

static struct json *check_place(struct change *c)
{
	struct json *meta = json_need_object(c->obj, "metadata");
	const char *ns = meta_ns(c->obj), *name = meta_name(c->obj);

	if (*c->name && *name && strcmp(name, c->name) != 0)
		return status_new(400, "BadRequest",
			"the name of the object (%s) does not match the name on the "
			"URL (%s)",
			name, c->name);
	if (*c->name)
		json_set_text(meta, "name", c->name);
	if (!(c->kind->flags & KIND_NAMESPACED)) {
		json_remove(meta, "namespace");
		return NULL;
	}
	if (*ns && strcmp(ns, c->ns) != 0)
		return status_new(400, "BadRequest",
			"the namespace of the provided object does not match the "
			"namespace "
			"sent on the request");
	json_set_text(meta, "namespace", c->ns);
	return NULL;
}

static struct json *check_namespace(const struct change *c)
{
	const struct json *ns;

	if (c->verb != CHANGE_CREATE || !(c->kind->flags & KIND_NAMESPACED))
		return NULL;
	ns = store_get(c->env->store, "namespaces", "", c->ns);
	if (!ns)
		return status_not_found(
			kind_of_store(c->env->kinds, "namespaces"), c->ns);
	if (meta_is_deleted(ns))
		return status_new(403, "Forbidden",
			"unable to create new content in namespace %s because it is "
			"being "
			"terminated",
			c->ns);
	return NULL;
}

struct json *change_prepare(struct change *c)
{
	struct json *bad;

	if (json_kind(c->obj) != JSON_OBJECT)
		return status_new(400, "BadRequest", "the body is not an object");
	bad = check_kind(c);
	if (!bad)
		bad = check_place(c);
	if (!bad && c->part != STORE_STATUS)
		bad = shape_check(c->kind, c->obj, c->strict);
	if (!bad)
		bad = check_namespace(c);
	if (bad)
		return bad;
	json_remove(json_get(c->obj, "metadata"), "managedFields");
	defaults_set(c->kind, c->obj);
	if (c->verb == CHANGE_CREATE) {
		/* The API has no status from a client, but for what defaults say. */
		if (c->kind->flags & KIND_STATUS &&
			strcmp(c->kind->res, "nodes") != 0 &&
			!(c->kind->flags & KIND_CUSTOM))
			json_remove(c->obj, "status");
		defaults_set(c->kind, c->obj);
		defaults_set_new(c->kind, c->obj);
	}
	return NULL;
}

/* ---- Service addresses ---- */

static uint32_t ip_number(const struct ip *ip)
{
	return (uint32_t)ip->b[0] << 24 | (uint32_t)ip->b[1] << 16 |
	       (uint32_t)ip->b[2] << 8 | ip->b[3];
}

static void ip_of_number(uint32_t n, char out[ADDR_TEXT])
{
	struct ip ip = {.family = 4,
		.b = {(uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8),
			(uint8_t)n}};

	ip_text(&ip, out);
}

static const struct object *service_at(const struct change *c, const char *ip)
{
	const struct object *found = NULL;
	struct store_list all;

	store_list(c->env->store, "services", NULL, &all);
	for (size_t i = 0; i < all.n && !found; i++)
		if (strcmp(json_text_or(all.v[i]->json, "spec.clusterIP", ""), ip) == 0)
			found = all.v[i];
	store_list_end(&all);
	return found;
}

/* The first free one from the tenth on: those before are for well-known Services. */
static bool allocate(const struct change *c, char out[ADDR_TEXT])
{
	uint32_t base = ip_number(&c->env->services.ip);
	uint32_t size = UINT32_C(1) << (32 - c->env->services.bits);

	if (size > 65536)
		size = 65536;
	for (uint32_t i = 11; i + 1 < size; i++) {
		ip_of_number(base + i, out);
		if (!service_at(c, out))
			return true;
	}
	return false;
}

static struct json *check_address(const struct change *c, const char *text)
{
	const struct object *has;
	struct json *causes;
	struct ip ip;

	if (!ip_parse(slice_of(text), &ip) || !cidr_has(&c->env->services, &ip)) {
		causes = json_list();
		cause_add(causes, CAUSE_INVALID, "spec.clusterIPs",
			"Invalid value: [\"%s\"]: the provided IP is not in the valid "
			"range",
			text);
		return status_invalid(c->kind, c->name, causes);
	}
	has = service_at(c, text);
	if (!has || (strcmp(has->ns, c->ns) == 0 &&
			    strcmp(has->name, meta_name(c->obj)) == 0))
		return NULL;
	causes = json_list();
	cause_add(causes, CAUSE_INVALID, "spec.clusterIPs",
		"Invalid value: [\"%s\"]: provided IP is already allocated", text);
	return status_invalid(c->kind, c->name, causes);
}

/* Gives a Service its address, or keeps the one it has. */
static struct json *set_address(struct change *c)
{
	struct json *spec = json_get(c->obj, "spec");
	const char *ip = json_text_or(spec, "clusterIP", "");
	const char *had =
		c->old ? json_text_or(c->old->json, "spec.clusterIP", "") : "";
	struct json *bad = NULL, *list;
	char text[ADDR_TEXT];

	if (strcmp(json_text_or(spec, "type", ""), "ExternalName") == 0)
		return NULL;
	if (!*ip && *had)
		snprintf(text, sizeof(text), "%s", had);
	else if (!*ip && !allocate(c, text))
		return status_new(500, "InternalError", "no Service address is free");
	else if (*ip)
		snprintf(text, sizeof(text), "%s", ip);
	if (*ip && strcmp(ip, "None") != 0 && strcmp(ip, had) != 0)
		bad = check_address(c, ip);
	if (bad)
		return bad;
	json_set_text(spec, "clusterIP", text);
	list = json_set(spec, "clusterIPs", json_list());
	json_push(list, json_string(text));
	return NULL;
}

/* ---- after the webhooks ---- */

static struct json *check(struct change *c)
{
	struct json *causes = json_list();
	const char *name = meta_name(c->obj);

	if (!*name)
		name = json_text_or(c->obj, "metadata.generateName", "");
	valid_object(c->kind, c->obj, c->old ? c->old->json : NULL, causes);
	if (json_count(causes))
		return status_invalid(c->kind, name, causes);
	json_free(causes);
	return NULL;
}

static struct json *store_it(struct change *c)
{
	struct store *s = c->env->store;
	struct object *out = NULL;
	struct err e = {0};
	enum store_result r;
	char name[300];

	snprintf(name, sizeof(name), "%s", meta_name(c->obj));
	if (c->verb == CHANGE_CREATE)
		r = store_create(s, c->kind->res, c->obj, &out, &e);
	else
		r = store_update(s, c->kind->res, c->obj, c->part, &out, &e);
	c->obj = NULL;
	if (r != STORE_OK)
		return status_of_store(r, c->kind, name, &e);
	c->out = out ? object_ref(out) : NULL;
	return NULL;
}

/* A creation in a store that nobody sees. */
static struct json *pretend_create(struct change *c)
{
	struct store_config cfg = {.history = 1};
	const struct change_env *env = c->env;
	struct change_env other = *env;
	struct json *bad;

	if (store_find(env->store, c->kind->res, meta_ns(c->obj), meta_name(c->obj)))
		return status_of_store(STORE_EXISTS, c->kind, meta_name(c->obj), NULL);
	other.store = store_new(&cfg, NULL);
	c->env = &other;
	bad = store_it(c);
	c->env = env;
	store_free(other.store);
	return bad;
}

/* The object that a dry run would have stored. */
static struct json *pretend(struct change *c)
{
	if (c->verb == CHANGE_CREATE)
		return pretend_create(c);
	c->out = object_new(
		store_updated(c->old->json, c->obj, c->part), c->old->version);
	c->obj = NULL;
	return NULL;
}

struct json *change_commit(struct change *c)
{
	struct json *bad = NULL;

	defaults_set(c->kind, c->obj);
	if (c->part != STORE_STATUS)
		bad = check(c);
	if (!bad && strcmp(c->kind->res, "services") == 0 && c->part != STORE_STATUS)
		bad = set_address(c);
	if (bad)
		return bad;
	return c->dry_run ? pretend(c) : store_it(c);
}
