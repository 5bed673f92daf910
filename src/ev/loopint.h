/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EV_LOOPINT_H
#define EV_LOOPINT_H

/* What the files of a loop share: loop.c (its turns, descriptors, signals, posts of
 * other threads), looptimer.c (timers), looplater.c (what was put off).  For ev/ only.
 */
#include <event2/event_struct.h>
#include <pthread.h>
#include <stdatomic.h>

#include "ev/loop.h"

struct on_signal;

struct loop {
	struct event_base *base;
	uint64_t now, looked;
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
void loop_wake_up(struct loop *l);

int timers_open(struct loop *l); /* -1 with errno; close in either case */
void timers_close(struct loop *l);
void timers_run(struct loop *l); /* those that are due */
void timers_arm(struct loop *l); /* makes the wait end when the first is due */

void later_run(struct loop *l);
void backlog_run(struct loop *l); /* its part of a turn */
void spare_run(struct loop *l, bool is_idle);

#endif
