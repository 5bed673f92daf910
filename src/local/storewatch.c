/* SPDX-License-Identifier: Apache-2.0 */
/* The window of events, and those who read it. */
#include <stdlib.h>

#include "base/obj.h"
#include "local/storeint.h"

void store_history_init(struct store *s)
{
	s->events = calloc(s->cfg.history, sizeof(*s->events));
	must(s->events);
}

static struct store_event *event_at(const struct store *s, size_t i)
{
	return &s->events[(s->first + i) % s->cfg.history];
}

static void drop_first(struct store *s)
{
	struct store_event *ev = event_at(s, 0);

	s->expired = ev->version;
	object_unref(ev->now);
	object_unref(ev->old);
	s->first = (s->first + 1) % s->cfg.history;
	s->count--;
}

void store_history_fini(struct store *s)
{
	while (s->count)
		drop_first(s);
	free(s->events);
}

static bool is_of_interest(const struct store_watch *w, const char *res)
{
	return !w->res[0] || strcmp(w->res, res) == 0;
}

void store_publish(struct store *s, enum store_what what, const char *res,
	struct object *now, struct object *old)
{
	struct store_watch *w;

	if (s->count == s->cfg.history)
		drop_first(s);
	*event_at(s, s->count++) = (struct store_event){
		.what = what,
		.version = s->version,
		.res = res,
		.now = object_ref(now),
		.old = old ? object_ref(old) : NULL,
	};
	list_each(w, &s->watches, node)
	{
		if (w->awake || !is_of_interest(w, res))
			continue;
		w->awake = true;
		w->wake(w);
	}
}

void store_watch_begin(struct store_watch *w, struct store *s, const char *res,
	uint64_t since, void (*wake)(struct store_watch *w))
{
	memset(w, 0, sizeof(*w));
	w->store = s;
	w->at = since;
	w->wake = wake;
	snprintf(w->res, sizeof(w->res), "%s", res ? res : "");
	list_push(&s->watches, &w->node);
}

void store_watch_end(struct store_watch *w)
{
	if (w->store)
		list_remove(&w->node);
	w->store = NULL;
}

bool store_has_since(const struct store *s, uint64_t since)
{
	return since >= s->expired;
}

/* The place of the first event after version `at`. */
static size_t find_after(const struct store *s, uint64_t at)
{
	size_t low = 0, high = s->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (event_at(s, mid)->version <= at)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

enum store_next store_watch_next(struct store_watch *w, struct store_event *ev)
{
	struct store *s = w->store;

	if (!store_has_since(s, w->at))
		return STORE_EXPIRED;
	for (size_t i = find_after(s, w->at); i < s->count; i++) {
		const struct store_event *next = event_at(s, i);

		w->at = next->version;
		if (!is_of_interest(w, next->res))
			continue;
		*ev = *next;
		return STORE_MORE;
	}
	w->at = s->version > w->at ? s->version : w->at;
	w->awake = false;
	return STORE_NO_MORE;
}

/* ---- the past ---- */

static void undo(struct bucket *b, const struct store_event *ev)
{
	if (ev->old)
		bucket_put(b, object_ref(ev->old));
	else
		bucket_drop(b, ev->now->ns, ev->now->name);
}

bool store_list_at(const struct store *s, const char *res, const char *ns,
	uint64_t version, struct store_list *out)
{
	size_t from = find_after(s, version);
	struct bucket past = {0};

	*out = (struct store_list){0};
	if (!store_has_since(s, version))
		return false;
	store_list(s, res, ns, out);
	past.v = out->v;
	past.n = past.cap = out->n;
	for (size_t i = s->count; i > from; i--) {
		const struct store_event *ev = event_at(s, i - 1);

		if (strcmp(ev->res, res) == 0 && (!ns || strcmp(ev->now->ns, ns) == 0))
			undo(&past, ev);
	}
	out->v = past.v;
	out->n = past.n;
	return true;
}
