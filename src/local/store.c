/* SPDX-License-Identifier: Apache-2.0 */
#include "local/store.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/obj.h"
#include "local/meta.h"
#include "local/storeint.h"

/* ---- objects ---- */

static void object_free(struct ref *r)
{
	struct object *o = container_of(r, struct object, ref);

	json_free(o->json);
	free(o);
}

struct object *object_new(struct json *json, uint64_t version)
{
	struct object *o = calloc(1, sizeof(*o));

	must(o);
	ref_init(&o->ref, object_free);
	o->json = json;
	o->ns = meta_ns(json);
	o->name = meta_name(json);
	o->uid = meta_uid(json);
	o->version = version;
	return o;
}

struct object *object_ref(struct object *o)
{
	ref_get(&o->ref);
	return o;
}

void object_unref(struct object *o)
{
	if (o)
		ref_put(&o->ref);
}

/* ---- buckets ---- */

struct bucket *store_bucket(struct store *s, const char *res, bool make)
{
	struct bucket *b;

	for (size_t i = 0; i < s->nbuckets; i++)
		if (strcmp(s->buckets[i]->res, res) == 0)
			return s->buckets[i];
	if (!make)
		return NULL;
	b = calloc(1, sizeof(*b));
	must(b && (b->res = slice_dup(slice_of(res))));
	s->buckets = reallocarray(s->buckets, s->nbuckets + 1, sizeof(struct bucket *));
	must(s->buckets);
	s->buckets[s->nbuckets++] = b;
	return b;
}

static int compare(const struct object *o, const char *ns, const char *name)
{
	int d = strcmp(o->ns, ns);

	return d ? d : strcmp(o->name, name);
}

size_t bucket_at(const struct bucket *b, const char *ns, const char *name, bool *found)
{
	size_t low = 0, high = b->n;

	*found = false;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int d = compare(b->v[mid], ns, name);

		if (d == 0) {
			*found = true;
			return mid;
		}
		if (d < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

void bucket_put(struct bucket *b, struct object *o)
{
	bool found;
	size_t i = bucket_at(b, o->ns, o->name, &found);

	if (found) {
		object_unref(b->v[i]);
		b->v[i] = o;
		return;
	}
	if (b->n == b->cap) {
		b->cap = b->cap ? 2 * b->cap : 16;
		b->v = reallocarray(b->v, b->cap, sizeof(struct object *));
		must(b->v);
	}
	memmove(b->v + i + 1, b->v + i, (b->n - i) * sizeof(struct object *));
	b->v[i] = o;
	b->n++;
}

void bucket_drop(struct bucket *b, const char *ns, const char *name)
{
	bool found;
	size_t i = bucket_at(b, ns, name, &found);

	if (!found)
		return;
	object_unref(b->v[i]);
	b->n--;
	memmove(b->v + i, b->v + i + 1, (b->n - i) * sizeof(struct object *));
}

/* ---- the store ---- */

struct store *store_new(const struct store_config *cfg, struct err *e)
{
	struct store *s = calloc(1, sizeof(*s));

	must(s);
	s->cfg = *cfg;
	if (!s->cfg.history)
		s->cfg.history = 2000;
	s->fd = -1;
	list_init(&s->watches);
	store_history_init(s);
	if (cfg->dir && store_log_open(s, e) < 0) {
		store_free(s);
		return NULL;
	}
	s->expired = s->version;
	return s;
}

void store_free(struct store *s)
{
	if (!s)
		return;
	store_log_close(s);
	store_history_fini(s);
	for (size_t i = 0; i < s->nbuckets; i++) {
		struct bucket *b = s->buckets[i];

		for (size_t k = 0; k < b->n; k++)
			object_unref(b->v[k]);
		free(b->v);
		free(b->res);
		free(b);
	}
	free(s->buckets);
	free(s);
}

uint64_t store_now(const struct store *s)
{
	return s->cfg.now ? s->cfg.now(s->cfg.arg) : clock_wall();
}

uint64_t store_version(const struct store *s)
{
	return s->version;
}

struct object *store_find(
	const struct store *s, const char *res, const char *ns, const char *name)
{
	const struct bucket *b = store_bucket((struct store *)s, res, false);
	bool found;
	size_t i;

	if (!b || !name)
		return NULL;
	i = bucket_at(b, ns ? ns : "", name, &found);
	return found ? b->v[i] : NULL;
}

const struct json *store_get(
	const struct store *s, const char *res, const char *ns, const char *name)
{
	const struct object *o = store_find(s, res, ns, name);

	return o ? o->json : NULL;
}

void store_list(
	const struct store *s, const char *res, const char *ns, struct store_list *out)
{
	const struct bucket *b = store_bucket((struct store *)s, res, false);
	size_t from = 0, to = b ? b->n : 0;
	bool found;

	*out = (struct store_list){0};
	if (b && ns) {
		from = bucket_at(b, ns, "", &found);
		for (to = from; to < b->n && strcmp(b->v[to]->ns, ns) == 0;)
			to++;
	}
	if (from == to)
		return;
	out->v = calloc(to - from, sizeof(struct object *));
	must(out->v);
	for (size_t i = from; i < to; i++)
		out->v[out->n++] = object_ref(b->v[i]);
}

void store_list_end(struct store_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		object_unref(list->v[i]);
	free(list->v);
	*list = (struct store_list){0};
}

void store_each_resource(
	const struct store *s, void (*fn)(void *arg, const char *res), void *arg)
{
	for (size_t i = 0; i < s->nbuckets; i++)
		fn(arg, s->buckets[i]->res);
}
