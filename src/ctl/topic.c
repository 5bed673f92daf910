/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/topic.h"

#include <inttypes.h>
#include <stdlib.h>

#include "api/api.h"
#include "base/log.h"
#include "base/map.h"
#include "base/obj.h"

#define WAITING_MAX ((size_t)8 * 1024 * 1024) /* bytes a subscriber has not read */

struct topics {
	struct index *index;
	const void *context;
	unsigned queue;
	struct map map;
	uint64_t overflows;
};

struct subscriber {
	struct list node;
	struct topic *topic;
	struct grpc_request *r;
	unsigned waiting; /* messages since everything was sent */
	bool once, told;
};

/* ---- messages ---- */

void messages_add(struct messages *m, const void *message)
{
	size_t at = buf_len(&m->bytes), n;
	uint32_t length;

	must(buf_add(&m->bytes, &(uint32_t){0}, sizeof length) == 0);
	must(api_write(message, &m->bytes) == 0);
	n = buf_len(&m->bytes) - at - sizeof length;
	length = (uint32_t)n;
	memcpy(m->bytes.p + m->bytes.at + at, &length, sizeof length);
}

static bool messages_next(struct slice *rest, struct slice *message)
{
	uint32_t length;

	if (!rest->p || rest->n < sizeof length)
		return false;
	memcpy(&length, rest->p, sizeof length);
	*message = (struct slice){rest->p + sizeof length, length};
	rest->p += sizeof length + length;
	rest->n -= sizeof length + length;
	return true;
}

enum verdict refuse(struct answer *a, int status, const char *text)
{
	a->status = status;
	snprintf(a->text, sizeof a->text, "%s", text);
	return REFUSE;
}

/* ---- subscribers ---- */

static void topic_drop_unused(struct topic *t)
{
	if (t->held || !list_is_empty(&t->subscribers))
		return;
	map_remove(&t->all->map, &t->node);
	reader_fini(&t->reader);
	if (t->kind->fini)
		t->kind->fini(t);
	buf_fini(&t->last.bytes);
	free((void *)t->node.key.p);
	free((void *)t->ask);
	free(t->state);
	free(t);
}

static void on_gone(struct grpc_request *r)
{
	struct subscriber *s = grpc_get(r);
	struct topic *t = s->topic;

	list_remove(&s->node);
	free(s);
	topic_drop_unused(t);
}

static bool is_too_slow(struct subscriber *s)
{
	size_t backlog = grpc_backlog(s->r);

	if (backlog == 0)
		s->waiting = 0;
	return s->waiting++ >= s->topic->all->queue || backlog > WAITING_MAX;
}

/* The subscriber may be gone after. */
static void tell(struct subscriber *s, const struct messages *m)
{
	struct grpc_request *r = s->r;
	struct slice rest = buf_slice(&m->bytes), message;
	bool once = s->once;

	s->told = true;
	while (messages_next(&rest, &message)) {
		if (is_too_slow(s)) {
			s->topic->all->overflows++;
			grpc_end(r, GRPC_UNAVAILABLE, "updates are read too slowly");
			return;
		}
		grpc_send(r, message);
	}
	if (once)
		grpc_end(r, GRPC_OK, NULL);
}

static void tell_all(struct topic *t, const struct messages *change)
{
	struct subscriber *s;

	list_each(s, &t->subscribers, node)
	{
		tell(s, s->told && change ? change : &t->last);
	}
}

static void end_all(struct topic *t, int status, const char *text)
{
	struct subscriber *s;

	list_each(s, &t->subscribers, node)
	{
		grpc_end(s->r, status, text);
	}
}

/* ---- answers ---- */

static bool is_new(const struct topic *t, const struct answer *a)
{
	struct slice before = buf_slice(&t->last.bytes),
		     now = buf_slice(&a->whole.bytes);

	return !t->answered || !before.p || !now.p || !slice_eq(before, now);
}

/* In no more memory than it needs: it is there for as long as somebody listens. */
static void keep(struct topic *t, const struct messages *m)
{
	struct slice s = buf_slice(&m->bytes);

	buf_fini(&t->last.bytes);
	t->last.bytes =
		(struct buf){.p = malloc(s.n ? s.n : 1), .end = s.n, .cap = s.n};
	must(t->last.bytes.p);
	if (s.n)
		memcpy(t->last.bytes.p, s.p, s.n);
}

static void take(struct topic *t, enum verdict v, struct answer *a)
{
	if (v == REFUSE) {
		t->answered = false;
		end_all(t, a->status, a->text);
	} else if (v == TELL && is_new(t, a)) {
		bool has_change = buf_len(&a->change.bytes) > 0;

		t->answered = true;
		t->updates++;
		keep(t, &a->whole);
		tell_all(t, has_change ? &a->change : NULL);
	}
}

static void renew(struct topic *t)
{
	struct answer a = {.arena.limit = SIZE_MAX};
	enum verdict v;

	t->held++;
	reader_reset(&t->reader);
	v = t->kind->answer(t, &a);
	take(t, v, &a);
	buf_fini(&a.whole.bytes);
	buf_fini(&a.change.bytes);
	arena_fini(&a.arena);
	t->held--;
	topic_drop_unused(t);
}

static void on_stale(struct reader *r)
{
	struct topic *t = container_of(r, struct topic, reader);

	if (index_is_synced(r->index))
		renew(t);
}

/* ---- topics ---- */

const void *topic_context(const struct topic *t)
{
	return t->all->context;
}

static struct topic *topic_new(struct topics *all, const struct topic_kind *kind,
	struct slice key, const void *ask)
{
	struct topic *t = calloc(1, sizeof *t);
	void *copy = malloc(kind->ask_size);
	char *own_key = slice_dup(key);

	must(t && copy && own_key);
	memcpy(copy, ask, kind->ask_size);
	t->ask = copy;
	t->state = calloc(1, kind->state_size ? kind->state_size : 1);
	must(t->state);
	t->kind = kind;
	t->all = all;
	list_init(&t->subscribers);
	reader_init(&t->reader, all->index, on_stale);
	must(map_insert(&all->map, &t->node, slice_bytes(own_key, key.n)) == 0);
	return t;
}

void topics_join(struct topics *all, const struct topic_kind *kind, const char *key,
	const void *ask, struct grpc_request *r, bool once)
{
	struct subscriber *s;
	char full[1024];
	struct topic *t;

	if (grpc_get(r)) {
		grpc_end(r, GRPC_INVALID_ARGUMENT, "more than one request in a call");
		return;
	}
	s = calloc(1, sizeof *s);
	must(s);
	snprintf(full, sizeof full, "%s %s", kind->name, key);
	t = map_get(&all->map, slice_of(full), struct topic, node);
	if (!t)
		t = topic_new(all, kind, slice_of(full), ask);
	*s = (struct subscriber){.topic = t, .r = r, .once = once};
	list_init(&s->node);
	list_push(&t->subscribers, &s->node);
	grpc_set(r, s, on_gone);
	if (!index_is_synced(all->index))
		return;
	if (t->answered)
		tell(s, &t->last);
	else
		renew(t);
}

void topics_synced(struct topics *all)
{
	struct topic *t;

	map_each(t, &all->map, node)
	{
		renew(t);
	}
}

void topics_end(struct topics *all, int status, const char *text)
{
	struct topic *t;

	map_each(t, &all->map, node)
	{
		t->held++;
		end_all(t, status, text);
		t->held--;
		topic_drop_unused(t);
	}
}

struct topics *topics_new(struct index *ix, const void *context, unsigned queue)
{
	struct topics *all = calloc(1, sizeof *all);

	must(all);
	all->index = ix;
	all->context = context;
	all->queue = queue;
	return all;
}

void topics_free(struct topics *all)
{
	if (!all)
		return;
	must(all->map.count == 0);
	map_fini(&all->map);
	free(all);
}

/* ---- metrics ---- */

static size_t subscriber_count(const struct topic *t)
{
	const struct subscriber *s;
	size_t n = 0;

	list_each(s, &t->subscribers, node)
	{
		n++;
	}
	return n;
}

enum { METRIC_SUBSCRIBERS, METRIC_UPDATES, METRIC_GAUGES };

static void metric(const struct topics *all, const struct topic_kind *kind,
	const char *name, unsigned which, struct buf *out)
{
	const struct topic *t;

	map_each(t, &all->map, node)
	{
		if (t->kind != kind)
			continue;
		buf_printf(out, "%s{", name);
		kind->labels(t, out);
		buf_printf(out, "} %" PRIu64 "\n",
			which == METRIC_SUBSCRIBERS ? subscriber_count(t)
			: which == METRIC_UPDATES   ? t->updates
						    : t->gauge[which - METRIC_GAUGES]);
	}
}

void topics_metrics(const struct topics *all, const struct topic_kind *const *k,
	size_t n, struct buf *out)
{
	char name[80];

	for (size_t i = 0; i < n; i++) {
		snprintf(name, sizeof name, "%s_subscribers", k[i]->name);
		buf_printf(out, "# TYPE %s gauge\n", name);
		metric(all, k[i], name, METRIC_SUBSCRIBERS, out);
		snprintf(name, sizeof name, "%s_updates", k[i]->name);
		buf_printf(out, "# TYPE %s counter\n", name);
		metric(all, k[i], name, METRIC_UPDATES, out);
		for (unsigned g = 0; g < 2 && k[i]->gauges[g]; g++) {
			buf_printf(out, "# TYPE %s gauge\n", k[i]->gauges[g]);
			metric(all, k[i], k[i]->gauges[g], METRIC_GAUGES + g, out);
		}
	}
	buf_text(out, "# TYPE endpoint_updates_queue_overflow counter\n");
	buf_printf(
		out, "endpoint_updates_queue_overflow %" PRIu64 "\n", all->overflows);
}
