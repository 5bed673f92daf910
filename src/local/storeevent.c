/* SPDX-License-Identifier: Apache-2.0 */
/* Event objects: what `kubectl describe` shows under "Events". */
#include <stdlib.h>

#include "base/clock.h"
#include "local/meta.h"
#include "local/store.h"

#define EVENTS_MAX 500

static bool is_same(const struct json *ev, const struct json *about, const char *type,
	const char *reason, const char *message)
{
	return strcmp(json_text_or(ev, "involvedObject.uid", ""), meta_uid(about)) ==
		       0 &&
	       strcmp(json_text_or(ev, "reason", ""), reason) == 0 &&
	       strcmp(json_text_or(ev, "type", ""), type) == 0 &&
	       strcmp(json_text_or(ev, "message", ""), message) == 0;
}

/* Counts an equal event up; true when there was one.  Removes the oldest of too many.
 */
static bool count_up(struct store *s, const char *ns, const struct json *about,
	const char *type, const char *reason, const char *message, const char *when)
{
	struct store_list all;
	const struct object *oldest = NULL;
	bool done = false;

	store_list(s, "events", ns, &all);
	for (size_t i = 0; i < all.n && !done; i++) {
		struct json *ev = all.v[i]->json;

		if (!oldest || all.v[i]->version < oldest->version)
			oldest = all.v[i];
		if (!is_same(ev, about, type, reason, message))
			continue;
		ev = json_copy(ev);
		json_set_int(ev, "count", json_int_at(ev, "count", 1) + 1);
		json_set_text(ev, "lastTimestamp", when);
		(void)store_update(s, "events", ev, STORE_WHOLE, NULL, NULL);
		done = true;
	}
	if (!done && all.n >= EVENTS_MAX)
		(void)store_delete(s, "events", ns, oldest->name, NULL, NULL, NULL);
	store_list_end(&all);
	return done;
}

static void set_about(struct json *ev, const struct json *about, const char *ns)
{
	struct json *ref = json_need_object(ev, "involvedObject");

	json_set_text(ref, "apiVersion", json_text_or(about, "apiVersion", "v1"));
	json_set_text(ref, "kind", json_text_or(about, "kind", ""));
	if (*meta_ns(about))
		json_set_text(ref, "namespace", ns);
	json_set_text(ref, "name", meta_name(about));
	json_set_text(ref, "uid", meta_uid(about));
}

void store_tell(struct store *s, const char *component, const struct json *about,
	const char *type, const char *reason, const char *message)
{
	const char *ns = *meta_ns(about) ? meta_ns(about) : "default";
	char when[CLOCK_TEXT], name[320];
	struct json *ev;

	clock_rfc3339(store_now(s), false, when);
	if (count_up(s, ns, about, type, reason, message, when))
		return;
	snprintf(name, sizeof(name), "%.200s.%016llx", meta_name(about),
		(unsigned long long)random_u64());
	ev = meta_new("v1", "Event", ns, name);
	set_about(ev, about, ns);
	json_set_text(ev, "type", type);
	json_set_text(ev, "reason", reason);
	json_set_text(ev, "message", message);
	json_set_text(json_need_object(ev, "source"), "component", component);
	json_set_text(ev, "reportingComponent", component);
	json_set_text(ev, "reportingInstance", "");
	json_set_text(ev, "firstTimestamp", when);
	json_set_text(ev, "lastTimestamp", when);
	json_set_int(ev, "count", 1);
	/* An event that cannot be written is no reason to fail what it tells of. */
	(void)store_create(s, "events", ev, NULL, NULL);
}
