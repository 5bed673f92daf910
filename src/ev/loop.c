/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "ev/eventmem.h"
#include "ev/loopint.h"

#define SCRATCHES 3

struct on_signal {
	struct on_signal *next;
	struct loop *loop;
	struct event ev;
	void (*fn)(void *arg, int signo);
	void *arg;
};

void loop_wake_up(struct loop *l)
{
	if (l->stale)
		l->now = clock_mono();
	l->stale = false;
}

/* ---- other threads ---- */

static void wake(struct loop *l)
{
	const uint64_t one = 1;
	ssize_t n;

	do /* EAGAIN: the counter is full, the loop is awake already */
		n = write(l->wake, &one, sizeof one);
	while (n < 0 && errno == EINTR);
}

static void post(struct loop *l, struct post *p)
{
	bool first;

	pthread_mutex_lock(&l->lock);
	first = l->posts == NULL;
	*l->posts_end = p;
	l->posts_end = &p->next;
	pthread_mutex_unlock(&l->lock);
	if (first)
		wake(l);
}

void loop_post_with(struct loop *l, struct post *p, void (*fn)(void *arg), void *arg)
{
	*p = (struct post){.fn = fn, .arg = arg};
	post(l, p);
}

int loop_post(struct loop *l, void (*fn)(void *arg), void *arg)
{
	struct post *p = malloc(sizeof *p);

	if (!p)
		return -1;
	*p = (struct post){.fn = fn, .arg = arg, .is_ours = true};
	post(l, p);
	return 0;
}

static struct post *take_posts(struct loop *l)
{
	struct post *p;

	pthread_mutex_lock(&l->lock);
	p = l->posts;
	l->posts = NULL;
	l->posts_end = &l->posts;
	pthread_mutex_unlock(&l->lock);
	return p;
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct loop *l = arg;
	uint64_t n;
	bool stop;

	(void)what;
	loop_wake_up(l);
	if (read(fd, &n, sizeof n) < 0 && errno != EAGAIN)
		return;
	stop = atomic_exchange(&l->asked_to_stop, false);
	for (struct post *p = take_posts(l), *next; p; p = next) {
		bool is_ours = p->is_ours;

		next = p->next;
		p->fn(p->arg);
		if (is_ours)
			free(p);
	}
	if (stop) {
		l->stopping = true;
		event_base_loopbreak(l->base);
	}
}

void loop_stop(struct loop *l)
{
	atomic_store(&l->asked_to_stop, true);
	wake(l);
}

/* ---- file descriptors ---- */

static void on_event(evutil_socket_t fd, short what, void *arg)
{
	struct watch *w = arg;

	(void)fd;
	loop_wake_up(w->loop);
	w->loop->ready++;
	if (w->armed == WATCH_HUP)
		w->fn(w, WATCH_HUP);
	else
		w->fn(w, (what & EV_READ ? WATCH_IN : 0) |
				 (what & EV_WRITE ? WATCH_OUT : 0));
}

void watch_init(
	struct watch *w, struct loop *l, int fd, void (*fn)(struct watch *w, int what))
{
	*w = (struct watch){.loop = l, .fn = fn, .fd = fd};
}

/* epoll tells of errors always; libevent passes them on only to who waits for
 * something: writing, which is told of once where readiness is edge-triggered. */
static short events_of(int what)
{
	if (what == WATCH_HUP)
		return EV_PERSIST | EV_WRITE | EV_ET;
	return (short)(EV_PERSIST | (what & WATCH_IN ? EV_READ : 0) |
		       (what & WATCH_OUT ? EV_WRITE : 0));
}

int watch_set(struct watch *w, int what)
{

	if (what == w->armed)
		return 0;
	if (!w->event) {
		w->event = event_new(w->loop->base, w->fd, EV_PERSIST, on_event, w);
		if (!w->event)
			return -1;
	}
	if (w->armed)
		event_del(w->event);
	w->armed = what;
	if (!what)
		return 0;
	if (event_assign(w->event, w->loop->base, w->fd, events_of(what), on_event, w) <
		0)
		return -1;
	return event_add(w->event, NULL);
}

void watch_end(struct watch *w)
{
	if (w->event)
		event_free(w->event);
	w->event = NULL;
	w->armed = 0;
}

/* ---- signals ---- */

static void on_signal(evutil_socket_t signo, short what, void *arg)
{
	struct on_signal *s = arg;

	(void)what;
	loop_wake_up(s->loop);
	s->fn(s->arg, (int)signo);
}

int loop_on_signal(struct loop *l, int signo, void (*fn)(void *arg, int signo),
	void *arg, struct err *e)
{
	struct on_signal *s = calloc(1, sizeof *s);

	if (!s)
		return err_set(e, ERR_LIMIT, "no memory for a signal handler");
	s->loop = l;
	s->fn = fn;
	s->arg = arg;
	s->next = l->signals;
	if (event_assign(&s->ev, l->base, signo, EV_SIGNAL | EV_PERSIST, on_signal, s) <
			0 ||
		event_add(&s->ev, NULL) < 0) {
		free(s);
		return err_set(e, ERR_SYS, "cannot take signal %d", signo);
	}
	l->signals = s;
	return 0;
}

/* ---- life ---- */

uint64_t loop_now(const struct loop *l)
{
	return l->now;
}

uint64_t loop_look(struct loop *l)
{
	return l->looked = clock_mono();
}

uint64_t loop_looked(const struct loop *l)
{
	return l->looked > l->now ? l->looked : l->now;
}

uint8_t *loop_scratch(struct loop *l, int which)
{
	must(which >= 0 && which < SCRATCHES);
	return l->scratch + (size_t)which * LOOP_SCRATCH;
}

static struct event_base *base_new(void)
{
	struct event_config *cfg;
	struct event_base *base = NULL;

	eventmem_use();
	cfg = event_config_new();
	if (!cfg)
		return NULL;
	event_config_set_flag(cfg, EVENT_BASE_FLAG_NOLOCK);
	event_config_set_flag(cfg, EVENT_BASE_FLAG_NO_CACHE_TIME);
	event_config_set_flag(cfg, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST);
	base = event_base_new_with_config(cfg);
	event_config_free(cfg);
	return base;
}

static void loop_close(struct loop *l)
{
	timers_close(l);
	if (event_initialized(&l->wake_ev))
		event_del(&l->wake_ev);
	if (l->wake >= 0)
		close(l->wake);
	if (l->base)
		event_base_free(l->base);
	free(l->scratch);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

static int take_wakes(struct loop *l)
{
	l->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->wake < 0)
		return -1;
	event_assign(&l->wake_ev, l->base, l->wake, EV_READ | EV_PERSIST, on_wake, l);
	return event_add(&l->wake_ev, NULL);
}

struct loop *loop_new(struct err *e)
{
	struct loop *l = calloc(1, sizeof *l);

	if (!l) {
		err_set(e, ERR_LIMIT, "no memory for a loop");
		return NULL;
	}
	list_init(&l->later);
	list_init(&l->backlog);
	list_init(&l->spare);
	pthread_mutex_init(&l->lock, NULL);
	l->posts_end = &l->posts;
	l->wake = l->exact = -1;
	l->now = clock_mono();
	l->base = base_new();
	l->scratch = aligned_alloc(64, SCRATCHES * LOOP_SCRATCH);
	if (!l->base || !l->scratch || timers_open(l) < 0 || take_wakes(l) < 0) {
		err_sys(e, "make an event loop");
		loop_close(l);
		return NULL;
	}
	return l;
}

void loop_free(struct loop *l)
{
	for (struct post *p = take_posts(l), *next; p; p = next) {
		next = p->next;
		if (p->is_ours)
			free(p);
	}
	for (struct on_signal *s = l->signals, *next; s; s = next) {
		next = s->next;
		event_del(&s->ev);
		free(s);
	}
	loop_close(l);
}

static void next_turn(struct loop *l)
{
	l->crowd = l->ready;
	l->ready = 0;
	l->stale = true;
}

int loop_run(struct loop *l, struct err *e)
{
	l->stopping = false;
	l->now = clock_mono();
	while (!l->stopping) {
		int how = EVLOOP_ONCE;
		bool is_idle;

		timers_run(l);
		later_run(l);
		backlog_run(l);
		if (l->stopping)
			break;
		timers_arm(l);
		next_turn(l);
		if (!list_is_empty(&l->later) || !list_is_empty(&l->spare) ||
			!list_is_empty(&l->backlog))
			how |= EVLOOP_NONBLOCK;
		if (event_base_loop(l->base, how) < 0)
			return err_sys(e, "wait for events");
		is_idle = l->stale; /* no event has asked for the time */
		loop_wake_up(l);
		spare_run(l, is_idle);
	}
	return 0;
}
