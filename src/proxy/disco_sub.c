/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/disco_int.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"

#define DISTRUST (10 * NS_PER_S)
#define RETELL   (100 * NS_PER_MS)

static void sub_unref(struct sub *s)
{
	if (atomic_fetch_sub(&s->refs, 1) == 1)
		free(s);
}

struct telling {
	struct sub *sub;
	struct ref *value;
};

static void told(void *arg) /* worker */
{
	struct telling *t = arg;

	if (!t->sub->ended)
		t->sub->fn(t->sub->arg, t->value);
	ref_put(t->value);
	sub_unref(t->sub);
	free(t);
}

/* Without memory for it they are told again, all of them: once more does no harm. */
void sub_tell(struct sub *s, struct ref *value)
{
	struct telling *t = malloc(sizeof *t);

	if (!t) {
		timer_set(&s->watch->retell, RETELL);
		return;
	}
	ref_get(value);
	atomic_fetch_add(&s->refs, 1);
	*t = (struct telling){s, value};
	if (loop_post(s->worker, told, t) == 0)
		return;
	timer_set(&s->watch->retell, RETELL);
	ref_put(value);
	sub_unref(s);
	free(t);
}

void watch_retell(struct timer *t)
{
	struct disco_watch *w = container_of(t, struct disco_watch, retell);
	struct sub *s;

	if (w->value)
		list_each(s, &w->subs, node) sub_tell(s, w->value);
}

/* Takes `value`. */
void watch_publish(struct disco_watch *w, struct ref *value)
{
	struct sub *s;

	if (!value)
		return;
	timer_clear(&w->wait);
	ref_put(w->value);
	w->value = value;
	list_each(s, &w->subs, node) sub_tell(s, value);
}

static void attach(void *arg) /* control */
{
	struct sub *s = arg;
	struct disco *d = s->disco;
	struct disco_watch *w =
		map_get(&d->watches, slice_of(s->key.text), struct disco_watch, node);

	if (!w)
		w = watch_new(d, &s->key);
	if (!w) {
		timer_set(&s->again, RETELL);
		return;
	}
	s->watch = w;
	list_push(&w->subs, &s->node);
	timer_clear(&w->idle);
	if (w->value)
		sub_tell(s, w->value);
}

static void on_again(struct timer *t)
{
	attach(container_of(t, struct sub, again));
}

static void detach(void *arg) /* control */
{
	struct sub *s = arg;
	struct disco_watch *w = s->watch;

	timer_clear(&s->again);
	list_remove(&s->node);
	if (w && list_is_empty(&w->subs))
		timer_set(&w->idle, w->key.kind == WATCH_INBOUND
					    ? w->disco->cfg->in.discovery_idle
					    : w->disco->cfg->out.discovery_idle);
	sub_unref(s);
}

static struct sub *subscribe(struct disco *d, struct loop *worker, enum watch_kind kind,
	const char *prefix, const char *name, sub_fn *fn, void *arg)
{
	struct sub *s = calloc(1, sizeof *s);

	if (!s)
		return NULL;
	s->disco = d;
	s->worker = worker;
	s->fn = fn;
	s->arg = arg;
	s->key.kind = kind;
	snprintf(s->key.text, sizeof s->key.text, "%s %s", prefix, name);
	list_init(&s->node);
	timer_init(&s->again, d->loop, on_again);
	atomic_init(&s->refs, 2);
	if (loop_post(d->loop, attach, s) == 0)
		return s;
	free(s);
	return NULL;
}

struct sub *disco_inbound(
	struct disco *d, struct loop *worker, uint16_t port, sub_fn *fn, void *arg)
{
	char text[8];

	snprintf(text, sizeof text, "%u", port);
	return subscribe(d, worker, WATCH_INBOUND, "in", text, fn, arg);
}

struct sub *disco_outbound(struct disco *d, struct loop *worker, const struct addr *dst,
	sub_fn *fn, void *arg)
{
	char text[ADDR_TEXT];

	return subscribe(
		d, worker, WATCH_OUTBOUND, "out", addr_text(dst, text), fn, arg);
}

struct sub *disco_outbound_name(struct disco *d, struct loop *worker,
	const char *authority, sub_fn *fn, void *arg)
{
	return subscribe(d, worker, WATCH_OUTBOUND, "outname", authority, fn, arg);
}

struct sub *disco_endpoints(
	struct disco *d, struct loop *worker, const char *name, sub_fn *fn, void *arg)
{
	return subscribe(d, worker, WATCH_ENDPOINTS, "eps", name, fn, arg);
}

void sub_end(struct sub *s)
{
	struct disco *d = s->disco;

	s->ended = true;
	loop_post_with(d->loop, &s->leave, detach, s);
	sub_unref(s);
}

struct distrust {
	struct disco *disco;
	char key[320];
};

static void distrusted(void *arg) /* control */
{
	struct distrust *m = arg;
	struct disco_watch *w =
		map_get(&m->disco->watches, slice_of(m->key), struct disco_watch, node);
	uint64_t now = loop_now(m->disco->loop);

	if (w && now - w->asked_anew > DISTRUST) {
		w->asked_anew = now;
		stream_open(&w->main);
	}
	free(m);
}

void disco_distrust(struct disco *d, const char *name)
{
	struct distrust *m = malloc(sizeof *m);

	if (!m)
		return;
	m->disco = d;
	snprintf(m->key, sizeof m->key, "eps %s", name);
	if (loop_post(d->loop, distrusted, m) < 0)
		free(m);
}
