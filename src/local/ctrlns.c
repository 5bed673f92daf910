/* SPDX-License-Identifier: Apache-2.0 */
/* Namespaces: what each has from birth, and their end.  Garbage collection. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/obj.h"
#include "local/ctrlint.h"
#include "local/meta.h"

/* ---- birth ---- */

static void furnish(struct ctrls *c, const char *ns)
{
	struct json *obj;

	if (!store_find(c->store, "serviceaccounts", ns, "default"))
		(void)store_create(c->store, "serviceaccounts",
			meta_new("v1", "ServiceAccount", ns, "default"), NULL, NULL);
	if (!c->cfg.ca_pem)
		return;
	obj = meta_new("v1", "ConfigMap", ns, "kube-root-ca.crt");
	json_set_text(json_need_object(obj, "data"), "ca.crt", c->cfg.ca_pem);
	if (store_find(c->store, "configmaps", ns, "kube-root-ca.crt"))
		(void)store_update(
			c->store, "configmaps", obj, STORE_WHOLE, NULL, NULL);
	else
		(void)store_create(c->store, "configmaps", obj, NULL, NULL);
}

/* ---- end ---- */

struct emptying {
	struct ctrls *c;
	const char *ns;
	size_t left;
};

static void empty_one(void *arg, const char *res)
{
	struct emptying *m = arg;
	struct store_list all;

	store_list(m->c->store, res, m->ns, &all);
	for (size_t i = 0; i < all.n; i++) {
		struct object *left = NULL;

		if (meta_is_deleted(all.v[i]->json)) {
			m->left++;
			continue;
		}
		(void)store_delete(
			m->c->store, res, m->ns, all.v[i]->name, NULL, &left, NULL);
		m->left += left != NULL;
	}
	store_list_end(&all);
}

static void set_terminating(struct ctrls *c, const struct object *ns)
{
	struct json *status = json_object();

	json_set_text(status, "phase", "Terminating");
	(void)store_set_status(c->store, "namespaces", "", ns->name, status, NULL);
}

static void finish(struct ctrls *c, const char *name)
{
	const struct json *ns = store_get(c->store, "namespaces", "", name);
	struct json *obj = json_copy(ns);

	if (!obj)
		return;
	json_remove(json_get(obj, "metadata"), "resourceVersion");
	json_remove(json_need_object(obj, "spec"), "finalizers");
	(void)store_update(c->store, "namespaces", obj, STORE_NO_STATUS, NULL, NULL);
}

static void terminate(struct ctrls *c, const struct object *ns)
{
	struct emptying m = {.c = c, .ns = ns->name};

	set_terminating(c, ns);
	store_each_resource(c->store, empty_one, &m);
	if (!m.left)
		finish(c, ns->name);
}

void ctrl_ns(struct ctrls *c, const char *unused, const char *name)
{
	struct object *ns = store_find(c->store, "namespaces", "", name);

	(void)unused;
	if (!ns)
		return;
	object_ref(ns);
	if (meta_is_deleted(ns->json))
		terminate(c, ns);
	else
		furnish(c, name);
	object_unref(ns);
}

/* ---- garbage ---- */

struct search {
	struct ctrls *c;
	const char *uid;
	struct object *found; /* the object of that uid, with a reference */
	char res[128];
};

static void find_one(void *arg, const char *res)
{
	struct search *s = arg;
	struct store_list all;

	if (s->found)
		return;
	store_list(s->c->store, res, NULL, &all);
	for (size_t i = 0; i < all.n && !s->found; i++)
		if (strcmp(all.v[i]->uid, s->uid) == 0) {
			s->found = object_ref(all.v[i]);
			snprintf(s->res, sizeof(s->res), "%s", res);
		}
	store_list_end(&all);
}

static bool exists(struct ctrls *c, const char *uid)
{
	struct search s = {.c = c, .uid = uid};

	store_each_resource(c->store, find_one, &s);
	object_unref(s.found);
	return s.found != NULL;
}

static bool has_other_owner(struct ctrls *c, const struct json *obj, const char *uid)
{
	json_each(o, json_path(obj, "metadata.ownerReferences"))
	{
		const char *other = json_text_or(o, "uid", "");

		if (strcmp(other, uid) != 0 && exists(c, other))
			return true;
	}
	return false;
}

struct reaping {
	struct ctrls *c;
	const char *uid;
	size_t left; /* dependents that still are */
};

static void reap_one(void *arg, const char *res)
{
	struct reaping *r = arg;
	struct store_list all;

	store_list(r->c->store, res, NULL, &all);
	for (size_t i = 0; i < all.n; i++) {
		struct object *left = all.v[i];

		if (!meta_is_owned_by(left->json, r->uid) ||
			has_other_owner(r->c, left->json, r->uid))
			continue;
		if (!meta_is_deleted(left->json))
			(void)store_delete(r->c->store, res, all.v[i]->ns,
				all.v[i]->name, NULL, &left, NULL);
		r->left += left != NULL;
	}
	store_list_end(&all);
}

static bool waits_for_dependents(const struct json *obj)
{
	json_each(f, json_path(obj, "metadata.finalizers"))
	{
		if (json_text(f) && strcmp(json_text(f), "foregroundDeletion") == 0)
			return meta_is_deleted(obj);
	}
	return false;
}

static void release(struct ctrls *c, const char *res, const struct object *o)
{
	struct json *obj = json_copy(store_get(c->store, res, o->ns, o->name));
	struct json *list = json_path(obj, "metadata.finalizers");

	if (!obj)
		return;
	json_remove(json_get(obj, "metadata"), "resourceVersion");
	for (struct json *f = json_first(list), *next; f; f = next) {
		next = json_next(f);
		if (json_text(f) && strcmp(json_text(f), "foregroundDeletion") == 0)
			json_free(json_detach(list, f));
	}
	(void)store_update(c->store, res, obj, STORE_NO_STATUS, NULL, NULL);
}

void ctrl_gc(struct ctrls *c, const char *unused, const char *uid)
{
	struct search s = {.c = c, .uid = uid};
	struct reaping r = {.c = c, .uid = uid};

	(void)unused;
	if (!*uid)
		return;
	store_each_resource(c->store, find_one, &s);
	if (!s.found || waits_for_dependents(s.found->json))
		store_each_resource(c->store, reap_one, &r);
	if (s.found && !r.left && waits_for_dependents(s.found->json))
		release(c, s.res, s.found);
	object_unref(s.found);
}
