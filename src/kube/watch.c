/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/obj.h"
#include "kube/call.h"
#include "kube/items.h"
#include "kube/lines.h"

#define PAGE         "500"
#define EVENT_MAX    ((size_t)4 * 1024 * 1024) /* bytes of one event or object */
#define REFUSAL_MAX  ((size_t)64 * 1024)
#define BACKOFF_MIN  (200 * NS_PER_MS)
#define BACKOFF_MAX  (5 * NS_PER_S)  /* all is right again 10 s after an outage */
#define ABSENT_EVERY (60 * NS_PER_S) /* asking for a kind the server does not have */
#define STREAM_FOR   300             /* s; the server ends the stream after it */
#define STREAM_QUIET ((STREAM_FOR + 60) * NS_PER_S)
#define LIST_FOR     (60 * NS_PER_S)

enum watch_at {
	AT_LIST,   /* a page is on its way */
	AT_STREAM, /* events come */
	AT_WAIT,   /* until the timer says to go on */
};

enum watch_next { NEXT_LIST, NEXT_STREAM };

/* An object that the user was told of. */
struct known {
	struct map_node node; /* key: namespace/name */
	uint32_t generation;  /* of the list that had it */
	char key[];
};

struct kube_watch {
	struct list node; /* of kube.watches */
	struct kube *kube;
	char *paths, *query;
	char *path;   /* the one of `paths` that is tried or watched; owned */
	size_t tried; /* how many of them the server did not have */
	const struct kube_watch_user *user;
	void *arg;

	enum watch_at at;
	enum watch_next next;
	struct fetch *fetch;
	struct timer timer; /* AT_WAIT: go on; else: nothing comes any more */
	struct later step;  /* go to `next`, outside of fetch's callbacks */
	uint64_t backoff;

	int status;
	struct buf body; /* of a refusal */
	struct items items;
	struct lines lines;
	char *version; /* resume from there */
	char *more;    /* "continue" of the list, or NULL */
	struct map known;
	uint32_t generation;
	bool synced;
	bool starting;     /* fetch_begin() has not returned */
	bool heard;        /* the stream gave something */
	uint64_t contact;  /* the server last answered, by the loop's clock; 0: never */
	bool absent;       /* it was said that the server does not have the kind */
	uint64_t began;    /* the request, by the loop's clock */
	uint64_t skipped;  /* events that could not be understood */
	char trouble[160]; /* the error last logged; "" when all is well */

	int calling; /* inside callbacks: kube_watch_free() then puts the end off */
	bool dead;
};

static void watch_destroy(struct kube_watch *w);
static void go(struct kube_watch *w, enum watch_next next);
static void go_later(struct kube_watch *w, enum watch_next next);

/* ---- what the log says ---- */

static void trouble(struct kube_watch *w, const char *what)
{
	if (strncmp(w->trouble, what, sizeof w->trouble - 1) == 0)
		return;
	snprintf(w->trouble, sizeof w->trouble, "%s", what);
	log_warn("kube", "watch interrupted", LS("path", w->path), LS("error", what),
		LS("served", w->synced ? "what was known before" : "nothing yet"));
}

static void all_well(struct kube_watch *w)
{
	w->backoff = BACKOFF_MIN;
	w->contact = loop_now(w->kube->loop);
	if (!*w->trouble)
		return;
	*w->trouble = '\0';
	log_info("kube", "watch goes on", LS("path", w->path));
}

/* ---- objects ---- */

static void known_drop(struct kube_watch *w, struct known *o)
{
	map_remove(&w->known, &o->node);
	free(o);
}

static bool key_of(const struct json *object, char *out, size_t size)
{
	const char *name = json_text_at(object, "metadata.name");
	int n;

	if (!name)
		return false;
	n = snprintf(out, size, "%s/%s", json_text_or(object, "metadata.namespace", ""),
		name);
	return n > 0 && (size_t)n < size;
}

static void known_add(struct kube_watch *w, const char *key)
{
	struct known *o = map_get(&w->known, slice_of(key), struct known, node);
	size_t n = strlen(key);

	if (!o) {
		o = malloc(sizeof *o + n + 1);
		must(o);
		memcpy(o->key, key, n + 1);
		must(map_insert(&w->known, &o->node, slice_bytes(o->key, n)) == 0);
	}
	o->generation = w->generation;
}

/* False when the user has freed the watch. */
static bool tell(struct kube_watch *w, enum kube_event ev, const struct json *object)
{
	w->user->on_object(w->arg, ev, object);
	return !w->dead;
}

/* One object as it is now. */
static bool put(struct kube_watch *w, const struct json *object)
{
	char key[600];

	if (!key_of(object, key, sizeof key)) {
		w->skipped++;
		log_warn("kube", "an object without a name", LS("path", w->path));
		return true;
	}
	known_add(w, key);
	return tell(w, KUBE_PUT, object);
}

static bool gone(struct kube_watch *w, const struct json *object)
{
	char key[600];
	struct known *o = NULL;

	if (key_of(object, key, sizeof key))
		o = map_get(&w->known, slice_of(key), struct known, node);
	if (!o) /* already told */
		return true;
	known_drop(w, o);
	return tell(w, KUBE_GONE, object);
}

static bool tell_vanished(struct kube_watch *w, struct known *o)
{
	struct json *object = json_object();
	struct json *meta = json_need_object(object, "metadata");
	const char *slash = strchr(o->key, '/');
	bool alive;

	if (slash > o->key)
		json_set(meta, "namespace",
			json_string_n(slice_bytes(o->key, (size_t)(slash - o->key))));
	json_set_text(meta, "name", slash + 1);
	known_drop(w, o);
	alive = tell(w, KUBE_GONE, object);
	json_free(object);
	return alive;
}

/* Whoever is not of this generation vanished while nobody watched. */
static bool sweep(struct kube_watch *w)
{
	struct known *o;

	map_each(o, &w->known, node)
	{
		if (o->generation != w->generation && !tell_vanished(w, o))
			return false;
	}
	return true;
}

static bool tell_synced(struct kube_watch *w)
{
	if (w->synced)
		return true;
	w->synced = true;
	if (!w->user->on_synced)
		return true;
	w->user->on_synced(w->arg);
	return !w->dead;
}

static void set_text(char **to, const char *text)
{
	char *copy = text && *text ? slice_dup(slice_of(text)) : NULL;

	free(*to);
	*to = copy;
}

/* ---- going on after a break ---- */

static void wait_for(struct kube_watch *w, enum watch_next next, uint64_t ns)
{
	w->at = AT_WAIT; /* what the old stream still says is not heard */
	w->next = next;
	timer_set(&w->timer, ns);
}

static void back_off(struct kube_watch *w, enum watch_next next)
{
	uint64_t ns = (uint64_t)((double)w->backoff * (0.75 + random_unit() / 2));

	w->backoff = w->backoff * 2 < BACKOFF_MAX ? w->backoff * 2 : BACKOFF_MAX;
	wait_for(w, next, ns);
}

/* A list from the beginning. */
static void list_again(struct kube_watch *w)
{
	set_text(&w->more, NULL);
	go_later(w, NEXT_LIST);
}

/* ---- lists ---- */

static void skip(struct kube_watch *w, const char *why)
{
	w->skipped++;
	log_warn("kube", "an object was skipped", LS("path", w->path), LS("error", why),
		LI("skipped", w->skipped));
}

/* False: no more of this list (the watch may be gone). */
static bool on_item(void *arg, struct slice item)
{
	struct kube_watch *w = arg;
	struct err e = {0};
	struct json *object = item.p ? json_parse(item, &e) : NULL;
	bool go_on = true;

	if (object)
		go_on = put(w, object);
	else
		skip(w, item.p ? e.msg : "larger than 4 MB");
	json_free(object);
	return go_on && !w->dead;
}

/* The items were taken in as they came; `page` is the rest.  True while the watch is
 * alive. */
static bool take_page(struct kube_watch *w, const struct json *page)
{
	set_text(&w->more, json_text_at(page, "metadata.continue"));
	if (w->more) {
		go_later(w, NEXT_LIST);
		return true;
	}
	set_text(&w->version, json_text_at(page, "metadata.resourceVersion"));
	if (!sweep(w) || !tell_synced(w))
		return false;
	go_later(w, NEXT_STREAM);
	return true;
}

/* The i-th of several paths; false: there are not so many. */
static bool path_take(struct kube_watch *w, size_t i)
{
	struct slice rest = slice_of(w->paths), part;

	for (size_t at = 0; slice_cut(&rest, ' ', &part); at++)
		if (at == i) {
			free(w->path);
			w->path = slice_dup(part);
			must(w->path);
			return true;
		}
	return false;
}

/* The kind is not there: nobody of it is, and the next look is in a minute. */
static void kind_absent(struct kube_watch *w)
{
	if (path_take(w, ++w->tried)) {
		list_again(w);
		return;
	}
	w->tried = 0;
	(void)path_take(w, 0);
	w->generation++;
	all_well(w);
	if (!w->absent)
		log_info("kube", "the server does not have this kind yet",
			LS("path", w->path));
	w->absent = true;
	if (sweep(w) && tell_synced(w))
		wait_for(w, NEXT_LIST, ABSENT_EVERY);
}

static void refused(struct kube_watch *w, enum watch_next next)
{
	struct json *j = json_parse(buf_slice(&w->body), NULL);
	char text[160];

	snprintf(text, sizeof text, "status %d: %s", w->status,
		json_text_or(j, "message", ""));
	json_free(j);
	trouble(w, text);
	back_off(w, next);
}

static void list_over(struct kube_watch *w)
{
	struct json *page = NULL;
	struct err e = {0};

	if (w->status == 404) {
		kind_absent(w);
		return;
	}
	if (w->status == 410) { /* the continue token is too old */
		set_text(&w->more, NULL);
		back_off(w, NEXT_LIST);
		return;
	}
	if (w->status == 200)
		page = json_parse(buf_slice(&w->items.rest), &e);
	items_reset(&w->items);
	if (page) {
		all_well(w);
		w->absent = false;
		w->tried = (size_t)-1; /* should it go, they are tried from the first */
		take_page(w, page);
	} else if (w->status == 200) {
		trouble(w, e.msg);
		back_off(w, NEXT_LIST);
	} else {
		refused(w, NEXT_LIST);
	}
	json_free(page);
}

/* ---- events ---- */

/* An ERROR event carries a Status. */
static bool on_error_event(struct kube_watch *w, const struct json *status)
{
	if (json_int_at(status, "code", 0) == 410) {
		log_debug("kube", "the watch is too old, listing again",
			LS("path", w->path));
		list_again(w);
		return false;
	}
	trouble(w, json_text_or(status, "message", "the server ended the watch"));
	back_off(w, NEXT_STREAM);
	return false;
}

static bool take_event(struct kube_watch *w, const struct json *ev)
{
	const char *type = json_text_or(ev, "type", "");
	const struct json *object = json_get(ev, "object");
	const char *version = json_text_at(object, "metadata.resourceVersion");

	if (strcmp(type, "ERROR") == 0)
		return on_error_event(w, object);
	all_well(w);
	w->heard = true;
	if (version)
		set_text(&w->version, version);
	if (strcmp(type, "ADDED") == 0 || strcmp(type, "MODIFIED") == 0)
		return put(w, object);
	if (strcmp(type, "DELETED") == 0)
		return gone(w, object);
	if (strcmp(type, "BOOKMARK") != 0)
		w->skipped++;
	return true;
}

/* False: no more of this stream (the watch may be gone). */
static bool on_line(void *arg, struct slice line)
{
	struct kube_watch *w = arg;
	struct err e = {0};
	struct json *ev;
	bool go_on;

	ev = line.p ? json_parse(line, &e) : NULL;
	if (!ev) {
		skip(w, line.p ? e.msg : "larger than 4 MB");
		return true;
	}
	go_on = take_event(w, ev);
	json_free(ev);
	return go_on && !w->dead;
}

/* ---- the exchange ---- */

static void on_head(void *arg, struct fetch *f, const struct rsp_head *head)
{
	struct kube_watch *w = arg;

	(void)f;
	w->status = head->status;
}

static void on_data(void *arg, struct fetch *f, struct slice bytes)
{
	struct kube_watch *w = arg;

	(void)f;
	if (w->at == AT_WAIT)
		return;
	if (w->status != 200) {
		(void)buf_adds(&w->body, bytes); /* cut short, it does not parse */
		return;
	}
	w->contact = loop_now(w->kube->loop);
	w->calling++;
	if (w->at == AT_LIST) {
		items_feed(&w->items, bytes);
	} else {
		timer_set(&w->timer, STREAM_QUIET);
		lines_feed(&w->lines, bytes);
	}
	w->calling--;
}

static void stream_over(struct kube_watch *w)
{
	if (w->status == 410 || w->status == 404)
		list_again(w);
	else if (w->status != 200)
		refused(w, NEXT_STREAM);
	else if (w->heard || loop_now(w->kube->loop) - w->began > NS_PER_S)
		go_later(w, NEXT_STREAM);
	else
		back_off(w, NEXT_STREAM);
}

static void broke(struct kube_watch *w, const struct err *e)
{
	trouble(w, e->msg);
	back_off(w, w->at == AT_STREAM ? NEXT_STREAM : NEXT_LIST);
}

static void on_over(void *arg, struct fetch *f, const struct err *e)
{
	struct kube_watch *w = arg;

	(void)f;
	w->fetch = NULL;
	w->starting = false;
	if (w->at == AT_WAIT) /* it was given up before */
		return;
	w->calling++;
	if (e->code != ERR_NONE)
		broke(w, e);
	else if (w->at == AT_LIST)
		list_over(w);
	else
		stream_over(w);
	w->calling--;
}

static const struct fetch_user watch_fetch = {on_head, on_data, on_over};

static void write_path(struct kube_watch *w, struct buf *out)
{
	buf_text(out, w->path);
	buf_printf(out, "?%s%s", w->query ? w->query : "", w->query ? "&" : "");
	if (w->next == NEXT_STREAM) {
		buf_text(out, "watch=true&allowWatchBookmarks=true&resourceVersion=");
		kube_escape(out, w->version ? w->version : "");
		buf_printf(out, "&timeoutSeconds=%d", STREAM_FOR);
		return;
	}
	buf_text(out, "limit=" PAGE);
	if (w->more) {
		buf_text(out, "&continue=");
		kube_escape(out, w->more);
	}
}

static void go(struct kube_watch *w, enum watch_next next)
{
	struct buf path = BUF_INIT;
	struct err e = {0};
	struct fetch *f;

	if (w->fetch)
		fetch_end(w->fetch);
	w->fetch = NULL;
	w->next = next;
	w->at = next == NEXT_LIST ? AT_LIST : AT_STREAM;
	w->status = 0;
	w->heard = false;
	w->began = loop_now(w->kube->loop);
	w->body.failed = false;
	buf_take(&w->body, buf_len(&w->body));
	items_reset(&w->items);
	lines_reset(&w->lines);
	if (next == NEXT_LIST && !w->more)
		w->generation++;
	write_path(w, &path);
	buf_char(&path, '\0');
	timer_set(&w->timer, next == NEXT_LIST ? LIST_FOR : STREAM_QUIET);
	w->starting = true;
	f = kube_fetch(w->kube, "GET", path.p, NULL, SLICE_NONE, &watch_fetch, w, &e);
	buf_fini(&path);
	if (!w->starting) /* it is over already */
		return;
	w->starting = false;
	w->fetch = f;
	if (!f)
		broke(w, &e);
}

static void go_later(struct kube_watch *w, enum watch_next next)
{
	w->at = AT_WAIT;
	w->next = next;
	timer_clear(&w->timer);
	loop_later(w->kube->loop, &w->step);
}

static void on_step(struct later *d)
{
	struct kube_watch *w = container_of(d, struct kube_watch, step);

	if (w->dead)
		watch_destroy(w);
	else
		go(w, w->next);
}

static void on_timer(struct timer *t)
{
	struct kube_watch *w = container_of(t, struct kube_watch, timer);
	struct err e = {0};

	if (w->at == AT_WAIT) {
		go(w, w->next);
		return;
	}
	err_set(&e, ERR_TIMEOUT, "nothing comes from the API server");
	broke(w, &e);
}

/* ---- the user's side ---- */

struct kube_watch *kube_watch_new(struct kube *k, const char *path, const char *query,
	const struct kube_watch_user *user, void *arg, struct err *e)
{
	struct kube_watch *w = calloc(1, sizeof *w);

	if (!w) {
		err_set(e, ERR_LIMIT, "out of memory");
		return NULL;
	}
	*w = (struct kube_watch){
		.kube = k,
		.user = user,
		.arg = arg,
		.backoff = BACKOFF_MIN,
		.body = BUF_LIMIT(REFUSAL_MAX),
		.items = {.max = EVENT_MAX, .fn = on_item, .arg = w},
		.lines = {.max = EVENT_MAX, .fn = on_line, .arg = w},
	};
	set_text(&w->paths, path);
	set_text(&w->query, query);
	must(w->paths && path_take(w, 0));
	timer_init(&w->timer, k->loop, on_timer);
	later_init(&w->step, on_step);
	list_push(&k->watches, &w->node);
	go_later(w, NEXT_LIST);
	return w;
}

static void watch_destroy(struct kube_watch *w)
{
	struct known *o;

	if (w->fetch)
		fetch_end(w->fetch);
	map_each(o, &w->known, node)
	{
		known_drop(w, o);
	}
	map_fini(&w->known);
	buf_fini(&w->body);
	items_fini(&w->items);
	lines_fini(&w->lines);
	free(w->paths);
	free(w->path);
	free(w->query);
	free(w->version);
	free(w->more);
	free(w);
}

void kube_watch_free(struct kube_watch *w)
{
	if (!w || w->dead)
		return;
	w->dead = true;
	w->at = AT_WAIT;
	list_remove(&w->node);
	timer_clear(&w->timer);
	later_clear(&w->step);
	if (w->calling)
		loop_later(w->kube->loop, &w->step);
	else
		watch_destroy(w);
}

bool kube_watch_is_synced(const struct kube_watch *w)
{
	return w->synced;
}

/* ---- /metrics ---- */

static double is_synced(const struct kube_watch *w)
{
	return w->synced;
}

static double is_interrupted(const struct kube_watch *w)
{
	return *w->trouble != '\0';
}

static double since_contact(const struct kube_watch *w)
{
	return (double)(loop_now(w->kube->loop) - w->contact) / (double)NS_PER_S;
}

static double skipped(const struct kube_watch *w)
{
	return (double)w->skipped;
}

static double objects(const struct kube_watch *w)
{
	return (double)w->known.count;
}

static const struct {
	const char *name, *kind;
	double (*of)(const struct kube_watch *w);
} families[] = {
	{"kube_watch_synced", "gauge", is_synced},
	{"kube_watch_interrupted", "gauge", is_interrupted},
	{"kube_watch_seconds_since_contact", "gauge", since_contact},
	{"kube_watch_events_skipped_total", "counter", skipped},
	{"kube_watch_objects", "gauge", objects},
};

void kube_metrics(const struct kube *k, struct buf *out)
{
	const struct kube_watch *w;

	for (size_t i = 0; i < countof(families); i++) {
		buf_printf(out, "# TYPE %s %s\n", families[i].name, families[i].kind);
		list_each(w, &k->watches, node)
		{
			buf_printf(out, "%s{path=\"%s\"} %.15g\n", families[i].name,
				w->path, families[i].of(w));
		}
	}
	buf_text(out, "# TYPE kube_events_dropped_total counter\n");
	buf_printf(out, "kube_events_dropped_total %llu\n",
		(unsigned long long)k->events_dropped);
}
