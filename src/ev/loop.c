/* SPDX-License-Identifier: Apache-2.0 */
#include "ev/loop.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "ev/eventmem.h"

/* The poller's own clock has ticks of up to 4 ms; a timer due sooner than this gets the
 * kernel's, which is exact and costs a system call. */
#define EXACT_BELOW (5 * NS_PER_MS)
#define SCRATCHES   3
/* One's share of a turn where no more than FEW are ready. */
#define SHARE       (NS_PER_MS / 4)
#define FEW         8

struct on_signal {
	struct on_signal *next;
	struct loop *loop;
	struct event ev;
	void (*fn)(void *arg, int signo);
	void *arg;
};

struct loop {
	struct event_base *base;
	uint64_t now;
	bool stale;            /* a wait lies between `now` and now */
	unsigned ready, crowd; /* descriptors that were so this turn; in the last one */
	unsigned waiting;      /* in `backlog` */
	bool stopping;
	struct list later, backlog, spare;
	uint64_t
		spare_due; /* when the first of `spare` is run whatever else there is */

	struct timer **heap; /* heap[1] is due first; [0] is unused */
	size_t ntimers;
	struct event timer_ev; /* ends the wait when the first timer is due */
	int exact;             /* timerfd: does the same for a timer that is due soon */
	struct event exact_ev;
	uint64_t timer_at; /* what one of the two is set to; 0: not set */

	int wake; /* eventfd: other threads have posted */
	struct event wake_ev;
	pthread_mutex_t lock;
	struct post *posts, **posts_end;
	atomic_bool asked_to_stop;

	struct on_signal *signals;
	uint8_t *
		scratch; /* SCRATCHES of them; pages that nobody touches cost nothing */
};

/* The clock is read once a turn, by whatever event comes first. */
static void wake_up(struct loop *l)
{
	if (l->stale)
		l->now = clock_mono();
	l->stale = false;
}

/*
 * ---- timers: a binary heap, so that setting one costs no system call ----
 *
 * Its addresses are reserved at the start and its pages come as they are used, so that
 * setting one never fails; other things run out long before there are so many.
 */
#define TIMERS_MAX ((size_t)8 << 20)

static struct timer **heap_new(void)
{
	void *p =
		mmap(NULL, TIMERS_MAX * sizeof(struct timer *), PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static void heap_put(struct loop *l, size_t i, struct timer *t)
{
	l->heap[i] = t;
	t->slot = i;
}

static void heap_up(struct loop *l, size_t i, struct timer *t)
{
	while (i > 1 && l->heap[i / 2]->when > t->when) {
		heap_put(l, i, l->heap[i / 2]);
		i /= 2;
	}
	heap_put(l, i, t);
}

static void heap_down(struct loop *l, size_t i, struct timer *t)
{
	for (size_t child; (child = 2 * i) <= l->ntimers; i = child) {
		if (child < l->ntimers &&
			l->heap[child + 1]->when < l->heap[child]->when)
			child++;
		if (l->heap[child]->when >= t->when)
			break;
		heap_put(l, i, l->heap[child]);
	}
	heap_put(l, i, t);
}

static void heap_move(struct loop *l, size_t i, struct timer *t)
{
	if (i > 1 && l->heap[i / 2]->when > t->when)
		heap_up(l, i, t);
	else
		heap_down(l, i, t);
}

void timer_init(struct timer *t, struct loop *l, void (*fn)(struct timer *t))
{
	*t = (struct timer){.loop = l, .fn = fn};
}

void timer_set(struct timer *t, uint64_t in_ns)
{
	struct loop *l = t->loop;

	t->when = l->now + in_ns < l->now ? UINT64_MAX : l->now + in_ns;
	if (t->slot) {
		heap_move(l, t->slot, t);
		return;
	}
	must(l->ntimers + 1 < TIMERS_MAX);
	heap_up(l, ++l->ntimers, t);
}

void timer_clear(struct timer *t)
{
	struct loop *l = t->loop;
	size_t i = t->slot;
	struct timer *last;

	if (!i)
		return;
	t->slot = 0;
	last = l->heap[l->ntimers--];
	if (last != t)
		heap_move(l, i, last);
}

static void run_timers(struct loop *l)
{
	uint64_t due = l->now;

	/* one that is set to nothing again and again must not keep events waiting */
	for (size_t n = l->ntimers; n > 0 && !l->stopping; n--) {
		if (!l->ntimers || l->heap[1]->when > due)
			return;

		struct timer *t = l->heap[1];

		timer_clear(t);
		t->fn(t);
	}
}

/* ---- later ---- */

void later_init(struct later *d, void (*fn)(struct later *d))
{
	list_init(&d->node);
	d->fn = fn;
}

void loop_later(struct loop *l, struct later *d)
{
	if (list_is_empty(&d->node))
		list_push(&l->later, &d->node);
}

void later_clear(struct later *d)
{
	list_remove(&d->node);
}

/* What is put off while this runs is run too, but not without end: events come first.
 */
#define LATER_ROUNDS 10000

static void run_later(struct loop *l)
{
	struct later *d;

	for (int i = 0; i < LATER_ROUNDS; i++) {
		d = list_first(&l->later, struct later, node);
		if (!d)
			return;
		list_remove(&d->node);
		d->fn(d);
	}
}

void loop_backlog(struct loop *l, struct later *d)
{
	if (!list_is_empty(&d->node))
		return;
	list_push(&l->backlog, &d->node);
	l->waiting++;
}

bool loop_is_backlogged(const struct later *d)
{
	return !list_is_empty(&d->node);
}

void loop_backlog_clear(struct loop *l, struct later *d)
{
	if (!loop_is_backlogged(d))
		return;
	list_remove(&d->node);
	l->waiting--;
}

uint64_t loop_share(const struct loop *l)
{
	unsigned crowd = l->crowd + l->waiting;
	uint64_t share = crowd <= FEW ? SHARE : SHARE * FEW / crowd;

	return share < LOOP_SHARE_LEAST ? LOOP_SHARE_LEAST : share;
}

static void run_backlog(struct loop *l)
{
	uint64_t end;
	struct later *d;

	if (list_is_empty(&l->backlog))
		return;
	end = clock_mono() + 2 * loop_share(l);
	do {
		d = list_first(&l->backlog, struct later, node);
		loop_backlog_clear(l, d);
		d->fn(d);
	} while (!list_is_empty(&l->backlog) && clock_mono() < end);
	run_later(l);
}

void loop_spare(struct loop *l, struct later *d)
{
	if (!list_is_empty(&d->node))
		return;
	if (list_is_empty(&l->spare))
		l->spare_due = l->now + LOOP_SPARE_EVERY;
	list_push(&l->spare, &d->node);
}

static void run_spare(struct loop *l, bool is_idle)
{
	struct later *d = list_first(&l->spare, struct later, node);

	if (!d || (!is_idle && l->now < l->spare_due))
		return;
	list_remove(&d->node);
	d->fn(d);
	l->now = clock_mono(); /* much later */
	l->spare_due = l->now + LOOP_SPARE_EVERY;
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
	wake_up(l);
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
	wake_up(w->loop);
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
	wake_up(s->loop);
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

uint8_t *loop_scratch(struct loop *l, int which)
{
	must(which >= 0 && which < SCRATCHES);
	return l->scratch + (size_t)which * LOOP_SCRATCH;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct loop *l = arg;

	(void)fd, (void)what;
	l->timer_at = 0;
	wake_up(l);
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

static int add_events(struct loop *l)
{
	static const struct timeval soon = {0};

	event_assign(&l->timer_ev, l->base, -1, 0, on_timer, l);
	event_assign(&l->wake_ev, l->base, l->wake, EV_READ | EV_PERSIST, on_wake, l);
	event_assign(&l->exact_ev, l->base, l->exact, EV_READ | EV_PERSIST | EV_ET,
		on_timer, l);
	if (event_add(&l->timer_ev, &soon) < 0) /* what it needs stays for the next */
		return -1;
	event_del(&l->timer_ev);
	if (event_add(&l->wake_ev, NULL) < 0)
		return -1;
	return event_add(&l->exact_ev, NULL);
}

static void loop_close(struct loop *l)
{
	if (l->wake >= 0)
		close(l->wake);
	if (l->exact >= 0)
		close(l->exact);
	if (l->base)
		event_base_free(l->base);
	free(l->scratch);
	if (l->heap)
		munmap(l->heap, TIMERS_MAX * sizeof(struct timer *));
	pthread_mutex_destroy(&l->lock);
	free(l);
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
	l->now = clock_mono();
	l->base = base_new();
	l->heap = heap_new();
	l->scratch = aligned_alloc(64, SCRATCHES * LOOP_SCRATCH);
	l->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	l->exact = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (!l->base || l->wake < 0 || l->exact < 0 || !l->heap || !l->scratch ||
		add_events(l) < 0) {
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
	event_del(&l->wake_ev);
	event_del(&l->timer_ev);
	event_del(&l->exact_ev);
	loop_close(l);
}

/* Not read when it has fired: it is edge-triggered. */
static void set_exact(struct loop *l, uint64_t when)
{
	struct itimerspec at = {.it_value.tv_sec = (time_t)(when / NS_PER_S),
		.it_value.tv_nsec = (long)(when % NS_PER_S)};

	must(timerfd_settime(l->exact, TFD_TIMER_ABSTIME, &at, NULL) == 0);
}

static void set_coarse(struct loop *l, uint64_t ns)
{
	struct timeval tv;

	ns += NS_PER_US - 1;
	tv.tv_sec = (time_t)(ns / NS_PER_S);
	tv.tv_usec = (suseconds_t)(ns % NS_PER_S / NS_PER_US);
	event_add(&l->timer_ev, &tv);
}

/* Makes the wait end when the first timer is due. */
static void set_timer(struct loop *l)
{
	uint64_t when = l->ntimers ? l->heap[1]->when : 0;
	uint64_t ns;

	if (when == l->timer_at)
		return;
	if (!when || (l->timer_at && l->timer_at < when))
		return; /* it wakes up early, once, and finds nothing due */
	l->timer_at = when;
	ns = when > l->now ? when - l->now : 0;
	if (ns < EXACT_BELOW)
		set_exact(l, when);
	else
		set_coarse(l, ns);
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

		run_timers(l);
		run_later(l);
		run_backlog(l);
		if (l->stopping)
			break;
		set_timer(l);
		next_turn(l);
		if (!list_is_empty(&l->later) || !list_is_empty(&l->spare) ||
			!list_is_empty(&l->backlog))
			how |= EVLOOP_NONBLOCK;
		if (event_base_loop(l->base, how) < 0)
			return err_sys(e, "wait for events");
		is_idle = l->stale; /* no event has asked for the time */
		wake_up(l);
		run_spare(l, is_idle);
	}
	return 0;
}
