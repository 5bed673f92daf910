/* SPDX-License-Identifier: Apache-2.0 */
/* create, update, patch, delete. */
#include <stdio.h>
#include <stdlib.h>

#include "base/obj.h"
#include "local/restint.h"
#include "wire/patch.h"
#include "wire/yaml.h"

#define COPY(to, from) snprintf(to, sizeof(to), "%s", from)

void rest_change(const struct rest *r, struct rest_call *c, enum change_verb verb,
	struct object *old)
{
	struct change *ch = &c->change;
	const char *how = rest_param(c, "fieldValidation");
	struct json *bad;

	ch->strict = how && strcmp(how, "Strict") == 0;
	ch->env = &r->env;
	ch->kind = c->kind;
	ch->verb = verb;
	ch->dry_run = rest_param(c, "dryRun") != NULL;
	COPY(ch->ns, c->ns);
	COPY(ch->name, c->name);
	COPY(ch->sub, c->sub);
	COPY(ch->user, c->user ? c->user : "");
	if (old)
		ch->old = object_ref(old);
	if (strcmp(c->sub, "status") == 0)
		ch->part = STORE_STATUS;
	else if (c->kind->flags & KIND_STATUS)
		ch->part = STORE_NO_STATUS;
	bad = change_prepare(ch);
	if (bad)
		rest_refuse(c, bad);
	else
		c->then = REST_ADMIT;
}

/* What the kinds table is made of changes with its definitions. */
static void set_established(const struct rest *r, const struct object *crd)
{
	struct json *status = json_object();
	uint64_t now = store_now(r->env.store);
	const struct json *names = json_path(crd->json, "spec.names");

	condition_set(status, "NamesAccepted", "True", "NoConflicts",
		"no conflicts found", now);
	condition_set(status, "Established", "True", "InitialNamesAccepted",
		"the initial names have been accepted", now);
	json_set(status, "acceptedNames", names ? json_copy(names) : json_object());
	json_each(v, json_path(crd->json, "spec.versions"))
	{
		if (json_bool_at(v, "storage", false))
			json_push(json_need_list(status, "storedVersions"),
				json_string(json_text_or(v, "name", "")));
	}
	(void)store_set_status(r->env.store,
		"customresourcedefinitions.apiextensions.k8s.io", "", crd->name, status,
		NULL);
}

static bool is_crd(const struct kind *k)
{
	return strcmp(k->resource, "customresourcedefinitions") == 0;
}

void rest_commit(const struct rest *r, struct rest_call *c, struct json *refused)
{
	struct change *ch = &c->change;
	int status = ch->verb == CHANGE_CREATE ? 201 : 200;

	if (!refused)
		refused = change_commit(ch);
	if (refused) {
		rest_refuse(c, refused);
		return;
	}
	if (!ch->out) {
		/* The update took the last finalizer of an object being deleted. */
		rest_answer_object(r, c, 200, ch->old->json);
		return;
	}
	if (is_crd(ch->kind) && ch->part != STORE_STATUS && !ch->dry_run)
		set_established(r, ch->out);
	rest_answer_object(r, c, status, ch->out->json);
}

void rest_create(const struct rest *r, struct rest_call *c)
{
	struct json *obj = rest_body(c);

	if (!obj)
		return;
	c->change.obj = obj;
	/* The namespace may be in the object only. */
	if (c->kind->flags & KIND_NAMESPACED && !*c->ns)
		COPY(c->ns, *meta_ns(obj) ? meta_ns(obj) : "default");
	rest_change(r, c, CHANGE_CREATE, NULL);
}

void rest_update(const struct rest *r, struct rest_call *c)
{
	struct object *old = rest_find(r, c);

	if (!old)
		return;
	c->change.obj = rest_body(c);
	if (c->change.obj)
		rest_change(r, c, CHANGE_UPDATE, old);
}

/* ---- patches ---- */

static int apply(
	struct rest_call *c, struct json **doc, const struct json *patch, struct err *e)
{
	static const struct {
		const char *type;
		int (*apply)(
			struct json **doc, const struct json *patch, struct err *e);
	} kinds[] = {
		{"application/json-patch+json", patch_json},
		{"application/merge-patch+json", patch_merge},
		{"application/strategic-merge-patch+json", patch_strategic},
	};
	struct slice type = c->content_type, part;

	slice_cut(&type, ';', &part);
	part = slice_trim(part);
	for (size_t i = 0; i < countof(kinds); i++) {
		if (!slice_is(part, kinds[i].type))
			continue;
		if (c->kind->flags & KIND_CUSTOM && kinds[i].apply == patch_strategic)
			break;
		return kinds[i].apply(doc, patch, e);
	}
	return err_set(e, ERR_CLOSED,
		"the body of the request was in an unknown format - accepted media "
		"types "
		"include: application/json-patch+json, application/merge-patch+json%s; "
		"server-side apply is not served here",
		c->kind->flags & KIND_CUSTOM
			? ""
			: ", application/strategic-merge-patch+json");
}

static struct json *read_patch(struct rest_call *c)
{
	struct err e = {0};
	struct json *patch = NULL;

	if (memmem(c->content_type.p ? c->content_type.p : "", c->content_type.n,
		    "apply-patch", 11)) {
		rest_refuse(c, status_new(415, "UnsupportedMediaType",
				       "server-side apply is not served here: use "
				       "client-side apply (--server-side=false)"));
		return NULL;
	}
	patch = yaml_parse(c->body, &e);
	if (!patch)
		rest_refuse(c, status_new(400, "BadRequest",
				       "the patch cannot be read: %s", e.msg));
	return patch;
}

struct json *rest_apply_patch(struct rest_call *c, struct json *doc)
{
	struct json *patch = read_patch(c);
	struct err e = {0};
	int r;

	if (!patch) {
		json_free(doc);
		return NULL;
	}
	r = apply(c, &doc, patch, &e);
	json_free(patch);
	if (r == 0)
		return doc;
	json_free(doc);
	if (e.code == ERR_CLOSED)
		rest_refuse(c, status_new(415, "UnsupportedMediaType", "%s", e.msg));
	else if (e.code == ERR_SYNTAX)
		rest_refuse(c, status_new(400, "BadRequest", "%s", e.msg));
	else
		rest_refuse(
			c, status_new(422, "Invalid",
				   "the server rejected our request due to an error in "
				   "our request: %s",
				   e.msg));
	return NULL;
}

void rest_patch(const struct rest *r, struct rest_call *c)
{
	struct object *old = rest_find(r, c);
	struct json *doc;

	if (!old)
		return;
	doc = json_copy(old->json);
	/* Only a version that the patch names is compared. */
	json_remove(json_get(doc, "metadata"), "resourceVersion");
	if (c->kind->flags & KIND_CUSTOM) {
		struct json *view = rest_view(c, doc);

		json_free(doc);
		doc = view;
	}
	c->change.obj = rest_apply_patch(c, doc);
	if (c->change.obj)
		rest_change(r, c, CHANGE_UPDATE, old);
}

/* ---- delete ---- */

static void read_options(
	struct rest_call *c, struct json *opts, struct store_delete *how, bool *orphan)
{
	const char *policy = rest_param(c, "propagationPolicy");
	const char *grace = rest_param(c, "gracePeriodSeconds");

	*how = (struct store_delete){
		.grace = json_int_at(opts, "gracePeriodSeconds", -1),
		.uid = json_text_at(opts, "preconditions.uid"),
		.version = json_text_at(opts, "preconditions.resourceVersion"),
	};
	if (grace && *grace)
		how->grace = strtoll(grace, NULL, 10);
	policy = json_text_or(opts, "propagationPolicy", policy ? policy : "");
	how->foreground = strcmp(policy, "Foreground") == 0;
	*orphan = strcmp(policy, "Orphan") == 0 ||
		  json_bool_at(opts, "orphanDependents", false);
}

struct freeing {
	struct store *store;
	const char *uid;
};

/* Dependents of an owner that goes without them. */
static void free_dependents(void *arg, const char *res)
{
	struct freeing *f = arg;
	struct store_list all;

	store_list(f->store, res, NULL, &all);
	for (size_t i = 0; i < all.n; i++) {
		struct json *obj, *list;

		if (!meta_is_owned_by(all.v[i]->json, f->uid))
			continue;
		obj = json_copy(all.v[i]->json);
		list = json_path(obj, "metadata.ownerReferences");
		for (struct json *o = json_first(list), *next; o; o = next) {
			next = json_next(o);
			if (strcmp(json_text_or(o, "uid", ""), f->uid) == 0)
				json_free(json_detach(list, o));
		}
		(void)store_update(f->store, res, obj, STORE_WHOLE, NULL, NULL);
	}
	store_list_end(&all);
}

static bool is_forbidden(const struct rest_call *c, const char *name)
{
	return strcmp(c->kind->res, "namespaces") == 0 &&
	       (strcmp(name, "default") == 0 || strcmp(name, "kube-system") == 0);
}

static enum store_result delete_one(const struct rest *r, struct rest_call *c,
	struct object *o, const struct store_delete *how, bool orphan,
	struct object **left, struct err *e)
{
	struct freeing f = {r->env.store, o->uid};

	*left = o;
	if (rest_param(c, "dryRun"))
		return STORE_OK;
	if (orphan)
		store_each_resource(r->env.store, free_dependents, &f);
	return store_delete(r->env.store, c->kind->res, o->ns, o->name, how, left, e);
}

static struct json *read_delete_body(struct rest_call *c)
{
	return c->body.n ? rest_body(c) : json_object();
}

void rest_delete(const struct rest *r, struct rest_call *c)
{
	struct object *o = rest_find(r, c), *left = NULL;
	struct store_delete how;
	struct json *opts, *status;
	struct err e = {0};
	enum store_result result;
	bool orphan;

	if (!o)
		return;
	if (is_forbidden(c, c->name)) {
		rest_refuse(
			c, status_new(403, "Forbidden",
				   "namespaces \"%s\" is forbidden: this namespace may "
				   "not be deleted",
				   c->name));
		return;
	}
	opts = read_delete_body(c);
	if (!opts)
		return;
	object_ref(o);
	read_options(c, opts, &how, &orphan);
	result = delete_one(r, c, o, &how, orphan, &left, &e);
	json_free(opts);
	if (result == STORE_OK && left)
		rest_answer_object(r, c, 200, left->json);
	else {
		status = status_of_store(result, c->kind, c->name, &e);
		if (result == STORE_OK)
			json_set_text(
				json_need_object(status, "details"), "uid", o->uid);
		rest_refuse(c, status);
	}
	object_unref(o);
}

void rest_delete_all(const struct rest *r, struct rest_call *c)
{
	struct store_delete how;
	struct store_list all;
	struct json *opts;
	bool orphan;

	if (!rest_selectors(c))
		return;
	opts = read_delete_body(c);
	if (!opts)
		return;
	read_options(c, opts, &how, &orphan);
	store_list(r->env.store, c->kind->res, *c->ns ? c->ns : NULL, &all);
	for (size_t i = 0; i < all.n; i++) {
		struct object *left;

		if (rest_selects(c, all.v[i]->json) && !is_forbidden(c, all.v[i]->name))
			(void)delete_one(r, c, all.v[i], &how, orphan, &left, NULL);
	}
	store_list_end(&all);
	json_free(opts);
	rest_answer(c, 200, status_new(200, "", "%s", ""));
}
