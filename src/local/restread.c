/* SPDX-License-Identifier: Apache-2.0 */
/* get, list, watch. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "local/restint.h"

void rest_get(const struct rest *r, struct rest_call *c)
{
	const struct object *o = rest_find(r, c);

	if (o)
		rest_answer_object(r, c, 200, o->json);
}

static void set_version(struct json *list, uint64_t version)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)version);
	json_set_text(json_need_object(list, "metadata"), "resourceVersion", text);
}

static struct json *new_list(const struct rest_call *c)
{
	struct json *list = json_object();
	struct buf b = BUF_INIT;

	buf_printf(&b, "%sList", c->kind->kind);
	json_set(list, "kind", json_string_n(buf_slice(&b)));
	buf_clear(&b);
	kind_api_version(c->kind, &b);
	json_set(list, "apiVersion", json_string_n(buf_slice(&b)));
	buf_fini(&b);
	json_set(list, "metadata", json_object());
	json_set(list, "items", json_list());
	return list;
}

/* "" stands for every namespace; cluster objects have none. */
static const char *namespace_of(const struct rest_call *c)
{
	return *c->ns ? c->ns : NULL;
}

/* ---- lists, whole or by the page ---- */

/* Where a list goes on.  Its token is "version:namespace/name" of the last one shown,
 * in base64: the pages after the first are of the same version as that. */
struct page {
	uint64_t limit; /* 0: none */
	uint64_t version;
	char ns[254], name[254]; /* begin after it */
	bool goes_on;
};

static bool read_token(struct slice token, struct page *p)
{
	struct buf text = BUF_INIT;
	struct slice rest, version, ns;
	bool ok;

	ok = buf_unbase64(&text, token) == 0;
	rest = buf_slice(&text);
	ok = ok && slice_cut(&rest, ':', &version) && slice_cut(&rest, '/', &ns) &&
	     slice_u64(version, UINT64_MAX, &p->version) && rest.n &&
	     ns.n < sizeof(p->ns) && rest.n < sizeof(p->name);
	if (ok) {
		snprintf(p->ns, sizeof(p->ns), "%.*s", SLICE_FMT(ns));
		snprintf(p->name, sizeof(p->name), "%.*s", SLICE_FMT(rest));
		p->goes_on = true;
	}
	buf_fini(&text);
	return ok;
}

static void write_token(struct json *list, uint64_t version, const struct object *last)
{
	struct buf text = BUF_INIT, token = BUF_INIT;

	buf_printf(
		&text, "%llu:%s/%s", (unsigned long long)version, last->ns, last->name);
	buf_base64(&token, buf_slice(&text));
	json_set(json_get(list, "metadata"), "continue",
		json_string_n(buf_slice(&token)));
	buf_fini(&text);
	buf_fini(&token);
}

/* False when answered. */
static bool read_page(const struct rest *r, struct rest_call *c, struct page *p)
{
	const char *limit = rest_param(c, "limit");
	const char *token = rest_param(c, "continue");
	const char *version = rest_param(c, "resourceVersion");
	const char *bad = NULL;

	*p = (struct page){.version = store_version(r->env.store)};
	if (limit && *limit && !slice_u64(slice_of(limit), INT64_MAX, &p->limit))
		bad = "limit: not a number";
	else if (token && *token && version && *version && strcmp(version, "0") != 0)
		bad = "resourceVersion: not allowed together with continue";
	else if (token && *token && !read_token(slice_of(token), p))
		bad = "continue: not a token of this server";
	if (bad)
		rest_refuse(c, status_new(400, "BadRequest", "%s", bad));
	return !bad;
}

/* The place of the first one of the page. */
static size_t find_start(const struct store_list *all, const struct page *p)
{
	size_t i = 0;

	while (p->goes_on && i < all->n) {
		int d = strcmp(all->v[i]->ns, p->ns);

		if (d > 0 || (d == 0 && strcmp(all->v[i]->name, p->name) > 0))
			break;
		i++;
	}
	return i;
}

static void add_item(const struct rest *r, struct rest_call *c, struct json *list,
	const struct json *obj)
{
	if (c->table)
		table_add(list, c->kind, rest_crd(r, c->kind), obj,
			store_now(r->env.store), c->include);
	else
		json_push(json_get(list, "items"), rest_view(c, obj));
}

/* How many are left is known only where nothing selects among them. */
static void add_items(const struct rest *r, struct rest_call *c, const struct page *p,
	const struct store_list *all, struct json *list)
{
	const struct object *last = NULL;
	uint64_t n = 0;

	for (size_t i = find_start(all, p); i < all->n; i++) {
		if (!rest_selects(c, all->v[i]->json))
			continue;
		if (p->limit && n == p->limit) {
			write_token(list, p->version, last);
			if (!c->labels && !c->fields)
				json_set_int(json_get(list, "metadata"),
					"remainingItemCount", (int64_t)(all->n - i));
			return;
		}
		add_item(r, c, list, all->v[i]->json);
		last = all->v[i];
		n++;
	}
}

void rest_list(const struct rest *r, struct rest_call *c)
{
	struct store_list all;
	struct json *list;
	struct page p;

	if (!rest_selectors(c) || !read_page(r, c, &p))
		return;
	if (!store_list_at(
		    r->env.store, c->kind->res, namespace_of(c), p.version, &all)) {
		rest_refuse(c, status_new(410, "Expired",
				       "the list that this continues is too old: "
				       "list again from its beginning"));
		return;
	}
	list = c->table ? table_new(c->kind, rest_crd(r, c->kind), true) : new_list(c);
	set_version(list, p.version);
	add_items(r, c, &p, &all, list);
	store_list_end(&all);
	rest_answer(c, 200, list);
}

/* ---- watch ---- */

static void only_name(struct rest_call *c)
{
	struct json *term, *values;

	if (!*c->name)
		return;
	if (!c->fields)
		c->fields = json_list();
	term = json_push(c->fields, json_object());
	json_set_text(term, "key", "metadata.name");
	json_set_text(term, "operator", "In");
	values = json_need_list(term, "values");
	json_push(values, json_string(c->name));
}

void rest_watch(const struct rest *r, struct rest_call *c)
{
	const char *version = rest_param(c, "resourceVersion");
	const char *seconds = rest_param(c, "timeoutSeconds");
	uint64_t n = 0;

	if (!rest_selectors(c))
		return;
	only_name(c);
	if (version && *version && !slice_u64(slice_of(version), UINT64_MAX, &n)) {
		rest_refuse(c, status_new(400, "BadRequest",
				       "invalid resource version \"%s\"", version));
		return;
	}
	c->initial = n == 0 || rest_flag(c, "sendInitialEvents");
	c->initial_end = rest_flag(c, "sendInitialEvents");
	c->since = c->initial ? store_version(r->env.store) : n;
	c->bookmarks = rest_flag(c, "allowWatchBookmarks");
	if (!store_has_since(r->env.store, c->since)) {
		rest_refuse(
			c, status_new(410, "Expired", "too old resource version: %llu",
				   (unsigned long long)n));
		return;
	}
	if (seconds && slice_u64(slice_of(seconds), 86400, &n))
		c->timeout = n * NS_PER_S;
	c->then = REST_WATCH;
	c->status = 200;
	c->type = "application/json";
}

static void event(const struct rest *r, struct rest_call *c, const char *type,
	const struct json *obj, struct buf *out)
{
	const struct json *crd = rest_crd(r, c->kind);
	struct json *shown;

	if (c->table) {
		shown = table_new(c->kind, crd, !c->sent_columns);
		table_add(
			shown, c->kind, crd, obj, store_now(r->env.store), c->include);
		c->sent_columns = true;
		json_set_text(json_get(shown, "metadata"), "resourceVersion",
			json_text_or(obj, "metadata.resourceVersion", ""));
	} else
		shown = rest_view(c, obj);
	buf_printf(out, "{\"type\":\"%s\",\"object\":", type);
	json_write(shown, 0, out);
	buf_text(out, "}\n");
	json_free(shown);
}

void rest_watch_begin(const struct rest *r, struct rest_call *c, struct buf *out)
{
	struct store_list all;

	if (!c->initial)
		return;
	store_list(r->env.store, c->kind->res, namespace_of(c), &all);
	for (size_t i = 0; i < all.n; i++)
		if (rest_selects(c, all.v[i]->json))
			event(r, c, "ADDED", all.v[i]->json, out);
	store_list_end(&all);
	if (c->initial_end)
		rest_watch_bookmark(r, c, c->since, out);
}

void rest_watch_event(const struct rest *r, struct rest_call *c,
	const struct store_event *ev, struct buf *out)
{
	bool was = ev->old && rest_selects(c, ev->old->json);
	bool is = ev->what != STORE_DELETED && rest_selects(c, ev->now->json);

	if (*c->ns && strcmp(ev->now->ns, c->ns) != 0)
		return;
	if (is)
		event(r, c, was ? "MODIFIED" : "ADDED", ev->now->json, out);
	else if (was)
		event(r, c, "DELETED", ev->now->json, out);
}

void rest_watch_bookmark(
	const struct rest *r, struct rest_call *c, uint64_t version, struct buf *out)
{
	struct json *obj = json_object();
	struct buf b = BUF_INIT;

	(void)r;
	kind_api_version(c->kind, &b);
	json_set_text(obj, "kind", c->kind->kind);
	json_set(obj, "apiVersion", json_string_n(buf_slice(&b)));
	buf_fini(&b);
	set_version(obj, version);
	if (c->initial_end) {
		json_set_text(
			json_need_object(json_get(obj, "metadata"), "annotations"),
			"k8s.io/initial-events-end", "true");
		c->initial_end = false;
	}
	/* Tables have none: kubectl would print it as a row. */
	if (!c->table) {
		buf_text(out, "{\"type\":\"BOOKMARK\",\"object\":");
		json_write(obj, 0, out);
		buf_text(out, "}\n");
	}
	json_free(obj);
}

void rest_watch_expired(struct buf *out)
{
	struct json *s = status_new(410, "Expired", "too old resource version");

	buf_text(out, "{\"type\":\"ERROR\",\"object\":");
	json_write(s, 0, out);
	buf_text(out, "}\n");
	json_free(s);
}
