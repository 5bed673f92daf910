/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <event2/event.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "ev/loopint.h"

/* The poller's own clock has ticks of up to 4 ms; a timer due sooner than this gets the
 * kernel's, which is exact and costs a system call. */
#define EXACT_BELOW (5 * NS_PER_MS)

/*
 * ---- timers: a binary heap, so that setting one costs no system call ----
 *
 * Its addresses are reserved at the start and its pages come as they are used, so that
 * setting one never fails; other things run out long before there are so many.
 */
#define TIMERS_MAX ((size_t)8 << 20)

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

void timers_run(struct loop *l)
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

/* ---- the end of a wait ---- */

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct loop *l = arg;

	(void)fd, (void)what;
	l->timer_at = 0;
	loop_wake_up(l);
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

void timers_arm(struct loop *l)
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

/* ---- life ---- */

int timers_open(struct loop *l)
{
	static const struct timeval soon = {0};
	void *p =
		mmap(NULL, TIMERS_MAX * sizeof(struct timer *), PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return -1;
	l->heap = p;
	l->exact = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (l->exact < 0)
		return -1;
	event_assign(&l->timer_ev, l->base, -1, 0, on_timer, l);
	event_assign(&l->exact_ev, l->base, l->exact, EV_READ | EV_PERSIST | EV_ET,
		on_timer, l);
	if (event_add(&l->timer_ev, &soon) < 0) /* what it needs stays for the next */
		return -1;
	event_del(&l->timer_ev);
	return event_add(&l->exact_ev, NULL);
}

void timers_close(struct loop *l)
{
	if (event_initialized(&l->exact_ev)) {
		event_del(&l->timer_ev);
		event_del(&l->exact_ev);
	}
	if (l->exact >= 0)
		close(l->exact);
	if (l->heap)
		munmap(l->heap, TIMERS_MAX * sizeof(struct timer *));
}
