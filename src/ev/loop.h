/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EV_LOOP_H
#define EV_LOOP_H

/*
 * One event loop per thread.
 *
 * A turn is: wait for events, run the callbacks of what is ready, run what was put off
 * with loop_later().  What a turn has written to connections leaves at its end (they
 * put their flush off), so that one wake-up costs one system call per connection.
 *
 * Everything here belongs to the thread that runs the loop, but for loop_post(),
 * loop_stop() and what mailbox.h says.  Embedded handles (`struct watch`, `timer`,
 * `later`) are the caller's storage, zeroed before init; they may be initialised, set
 * and ended in any callback, their own included.
 */
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"

struct loop;

struct loop *loop_new(struct err *e);        /* returns owned */
void loop_free(struct loop *l);              /* after loop_run() returned */
int loop_run(struct loop *l, struct err *e); /* until loop_stop() */
void loop_stop(struct loop *l);              /* from any thread */

/* CLOCK_MONOTONIC at the start of this turn, in ns; costs no system call. */
uint64_t loop_now(const struct loop *l);
/* As it is now; and as it was when somebody last looked in this turn, which may well be
 * at the end of what ran before, and costs nothing. */
uint64_t loop_look(struct loop *l);
uint64_t loop_looked(const struct loop *l);

/* ---- file descriptors: level-triggered, persistent until changed ---- */
enum {
	WATCH_IN = 1,
	WATCH_OUT = 2,
	WATCH_HUP = 4, /* alone: something may have happened to the connection (a
			  reset); also called now and then for nothing */
};

struct watch {
	struct loop *loop;
	void (*fn)(struct watch *w, int what);
	int fd;
	int armed;   /* WATCH_* now asked for */
	void *event; /* private */
};

void watch_init(
	struct watch *w, struct loop *l, int fd, void (*fn)(struct watch *w, int what));
int watch_set(struct watch *w, int what); /* 0: none */
void watch_end(struct watch *w);          /* does not close the fd */

/* ---- timers ---- */
struct timer {
	struct loop *loop;
	void (*fn)(struct timer *t);
	size_t slot; /* private: place in the heap, 0 when not set */
	uint64_t when;
};

void timer_init(struct timer *t, struct loop *l, void (*fn)(struct timer *t));
void timer_set(struct timer *t, uint64_t in_ns); /* one shot; moves when set already */
void timer_clear(struct timer *t);
static inline int timer_is_set(const struct timer *t)
{
	return t->slot != 0;
}

/* ---- at the end of this turn, in order of asking; again-asking while set is nothing
 * ---- */
struct later {
	struct list node;
	void (*fn)(struct later *d);
};
void later_init(struct later *d, void (*fn)(struct later *d));
void loop_later(struct loop *l, struct later *d);
void later_clear(struct later *d);

/*
 * For one that had its part of a turn and has more: in order of asking, when what the
 * others were given has left, and for two shares a turn.  So who has little to do waits
 * for that much at most, however much others have.
 */
void loop_backlog(struct loop *l, struct later *d);
bool loop_is_backlogged(const struct later *d);
void loop_backlog_clear(struct loop *l, struct later *d);
/* How long one of them may take (ns): the less the more there are, but that much. */
#define LOOP_SHARE_LEAST (50 * NS_PER_US)
uint64_t loop_share(const struct loop *l);

/*
 * For work that takes long, as a TLS handshake's: one a turn, in order of asking, when
 * a wait has found nothing else to do; one each LOOP_SPARE_EVERY where there is always
 * something.  What is short never waits for more than one of them.
 */
#define LOOP_SPARE_EVERY (2 * NS_PER_MS)
void loop_spare(struct loop *l, struct later *d); /* later_clear() takes it back */

/* ---- signals, delivered in the loop (one loop per process takes them) ---- */
int loop_on_signal(struct loop *l, int signo, void (*fn)(void *arg, int signo),
	void *arg, struct err *e);

/* ---- from other threads: runs fn(arg) in the loop's thread, in order of posting ----
 */
int loop_post(struct loop *l, void (*fn)(void *arg), void *arg);
/* The same with the caller's storage, so that it cannot fail; it is the loop's until
 * `fn` is called, which may free it. */
struct post {
	struct post *next;
	void (*fn)(void *arg);
	void *arg;
	bool is_ours; /* private: the loop frees it */
};
void loop_post_with(struct loop *l, struct post *p, void (*fn)(void *arg), void *arg);

/* Per-loop scratch, valid within one callback: read into it, seal into it. */
#define LOOP_SCRATCH (128 * 1024)
uint8_t *loop_scratch(struct loop *l, int which); /* which: 0, 1 or 2 */

#endif
