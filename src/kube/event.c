/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/obj.h"
#include "kube/call.h"

#define REPEAT_WITHIN (600 * NS_PER_S)
#define TOLD_MAX      512 /* events remembered; beyond, the oldest is forgotten */
#define MESSAGE_MAX   1024
#define AGAIN_AFTER   (10 * NS_PER_S) /* between two writes of one event's count */
#define BURST         50              /* events that are written at once … */
#define KEPT          10              /* … of which these are for warnings only … */
#define EVERY         (NS_PER_S / 5)  /* … and then one in this time */

/* An event that was written, to count it up when it happens again. */
struct kube_told {
	struct map_node node;
	char *key, *path, *name;
	uint64_t since;   /* wall */
	uint64_t written; /* its count, by the loop's clock; 0: not yet */
	int64_t count;
	struct kube *kube;
};

static void told_drop(struct kube *k, struct kube_told *t)
{
	map_remove(&k->events, &t->node);
	free(t->key);
	free(t->path);
	free(t->name);
	free(t);
}

void kube_events_drop(struct kube *k)
{
	struct kube_told *t;

	map_each(t, &k->events, node)
	{
		told_drop(k, t);
	}
	map_fini(&k->events);
}

static void make_room(struct kube *k)
{
	struct kube_told *t, *oldest = NULL;

	if (k->events.count < TOLD_MAX)
		return;
	map_each(t, &k->events, node)
	{
		if (!oldest || t->since < oldest->since)
			oldest = t;
	}
	told_drop(k, oldest);
}

static void on_written(
	void *arg, int status, const struct json *body, const struct err *e)
{
	(void)arg;
	if (status >= 200 && status < 300)
		return;
	log_debug("kube", "an event was not written", LI("status", status),
		LS("error", status ? json_text_or(body, "message", "") : e->msg));
}

static struct json *reference(const struct json *regarding)
{
	static const char *const paths[][2] = {
		{"apiVersion", "apiVersion"},
		{"kind", "kind"},
		{"namespace", "metadata.namespace"},
		{"name", "metadata.name"},
		{"uid", "metadata.uid"},
	};
	struct json *j = json_object();

	for (size_t i = 0; i < countof(paths); i++) {
		const char *text = json_text_at(regarding, paths[i][1]);

		if (text)
			json_set_text(j, paths[i][0], text);
	}
	return j;
}

static struct json *write_event(struct kube_told *t, const struct json *regarding,
	const char *ns, const char *type, const char *reason, const char *message)
{
	struct json *ev = json_object(), *meta;
	char now[CLOCK_TEXT];

	clock_rfc3339(t->since, false, now);
	json_set_text(ev, "apiVersion", "v1");
	json_set_text(ev, "kind", "Event");
	meta = json_need_object(ev, "metadata");
	json_set_text(meta, "name", t->name);
	json_set_text(meta, "namespace", ns);
	json_set(ev, "involvedObject", reference(regarding));
	json_set_text(ev, "type", type);
	json_set_text(ev, "reason", reason);
	json_set_text(ev, "message", message);
	json_set_text(json_need_object(ev, "source"), "component", t->kube->component);
	json_set_text(ev, "reportingComponent", t->kube->component);
	json_set_text(ev, "reportingInstance", "");
	json_set_text(ev, "firstTimestamp", now);
	json_set_text(ev, "lastTimestamp", now);
	json_set_int(ev, "count", 1);
	return ev;
}

static void tell_again(struct kube *k, struct kube_told *t)
{
	struct json *patch = json_object();
	struct buf path = BUF_INIT;
	char now[CLOCK_TEXT];
	char *text;

	clock_rfc3339(clock_wall(), false, now);
	t->written = loop_now(k->loop);
	json_set_int(patch, "count", t->count);
	json_set_text(patch, "lastTimestamp", now);
	buf_printf(&path, "%s/%s", t->path, t->name);
	text = buf_steal(&path);
	must(text);
	kube_request(k, "PATCH", text, "application/merge-patch+json", patch,
		on_written, NULL);
	free(text);
	json_free(patch);
}

static char *printed(const char *fmt, ...) PRINTF_LIKE(1, 2);
static char *printed(const char *fmt, ...)
{
	struct buf b = BUF_INIT;
	va_list ap;
	char *text;

	va_start(ap, fmt);
	buf_vprintf(&b, fmt, ap);
	va_end(ap);
	text = buf_steal(&b);
	must(text);
	return text;
}

/* Remembers it; takes `key`. */
static struct kube_told *told_add(
	struct kube *k, char *key, const char *ns, const char *name)
{
	struct kube_told *t = calloc(1, sizeof *t);

	must(t);
	make_room(k);
	*t = (struct kube_told){
		.key = key, .since = clock_wall(), .count = 1, .kube = k};
	t->path = printed("/api/v1/namespaces/%s/events", ns);
	t->name = printed("%.200s.%016" PRIx64, name, random_u64());
	must(map_insert(&k->events, &t->node, slice_of(t->key)) == 0);
	return t;
}

/*
 * A crash loop of a thousand pods must not become a load on the API server.  False:
 * this one is not written.
 */
static bool may_write(struct kube *k, const char *type)
{
	uint64_t most = strcmp(type, "Warning") == 0 ? BURST : BURST - KEPT;
	uint64_t now = loop_now(k->loop);
	uint64_t due = k->events_due > now ? k->events_due : now;

	if (due - now > (most - 1) * EVERY) {
		k->events_dropped++;
		return false;
	}
	k->events_due = due + EVERY;
	return true;
}

uint64_t kube_events_dropped(const struct kube *k)
{
	return k->events_dropped;
}

void kube_event(struct kube *k, const struct json *regarding, const char *type,
	const char *reason, const char *message)
{
	const char *ns = json_text_or(regarding, "metadata.namespace", "default");
	const char *name = json_text_or(regarding, "metadata.name", "unknown");
	char *key = printed("%s/%s/%s/%s/%s/%s", ns,
		json_text_or(regarding, "kind", ""), name, type, reason, message);
	struct kube_told *t =
		map_get(&k->events, slice_of(key), struct kube_told, node);
	char cut[MESSAGE_MAX + 1];
	struct json *ev;

	if (t && clock_wall() - t->since < REPEAT_WITHIN) {
		free(key);
		t->count++;
		if (loop_now(k->loop) - t->written >= AGAIN_AFTER && may_write(k, type))
			tell_again(k, t);
		return;
	}
	if (!may_write(k, type)) {
		free(key);
		return;
	}
	if (t)
		told_drop(k, t);
	snprintf(cut, sizeof cut, "%s", message);
	t = told_add(k, key, ns, name);
	ev = write_event(t, regarding, ns, type, reason, cut);
	kube_request(k, "POST", t->path, NULL, ev, on_written, NULL);
	json_free(ev);
}
