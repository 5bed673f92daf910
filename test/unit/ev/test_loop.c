/* SPDX-License-Identifier: Apache-2.0 */
#include "ev/loop.h"

#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "ev/worker.h"
#include "t.h"

static struct loop *loop;
static char order[16];
static size_t norder;

static void note(char c)
{
	order[norder++] = c;
}

static void run(void)
{
	struct err e;

	if (loop_run(loop, &e) < 0)
		T_FAIL("%s", e.msg);
}

static struct timer a, b, c;

static void on_a(struct timer *t)
{
	(void)t;
	note('a');
	timer_clear(&b);
}

static void on_b(struct timer *t)
{
	(void)t;
	note('b');
}

static void on_c(struct timer *t)
{
	(void)t;
	note('c');
	loop_stop(loop);
}

TEST(timers_run_in_order_and_can_be_cleared)
{
	loop = loop_new(NULL);
	timer_init(&a, loop, on_a);
	timer_init(&b, loop, on_b);
	timer_init(&c, loop, on_c);
	timer_set(&c, 15 * NS_PER_MS);
	timer_set(&b, 10 * NS_PER_MS);
	timer_set(&a, 5 * NS_PER_MS);
	run();
	EQ_STR(order, "ac");
	loop_free(loop);
}

static uint64_t fired;
static void on_late(struct timer *t)
{
	(void)t;
	fired = loop_now(loop);
	loop_stop(loop);
}

TEST(a_moved_timer_fires_at_its_new_time)
{
	uint64_t start;

	loop = loop_new(NULL);
	start = loop_now(loop);
	timer_init(&a, loop, on_late);
	timer_set(&a, 1 * NS_PER_MS);
	timer_set(&a, 30 * NS_PER_MS);
	run();
	OK(fired - start >= 30 * NS_PER_MS);
	loop_free(loop);
}

static struct later d1, d2;
static void on_d2(struct later *d)
{
	(void)d;
	note('2');
	loop_stop(loop);
}
static void on_d1(struct later *d)
{
	(void)d;
	note('1');
	loop_later(loop, &d2);
	loop_later(loop, &d2);
}

TEST(what_is_put_off_runs_once_and_in_order)
{
	loop = loop_new(NULL);
	later_init(&d1, on_d1);
	later_init(&d2, on_d2);
	loop_later(loop, &d1);
	run();
	EQ_STR(order, "12");
	loop_free(loop);
}

/* ---- spare time ---- */

static void burn(uint64_t ns)
{
	uint64_t end = clock_mono() + ns;

	while (clock_mono() < end)
		;
}

static void on_spare(struct later *d)
{
	(void)d;
	note('s');
	burn(3 * NS_PER_MS);
}

static struct watch ready;
static int ends[2];
static void on_ready(struct watch *w, int what)
{
	char one;

	(void)what;
	if (read(w->fd, &one, 1) == 1)
		note(one);
	if (one == '.')
		loop_stop(loop);
}

/* Something is ready before each turn, or right from the start. */
static void spare_begin(void)
{
	loop = loop_new(NULL);
	OK(pipe(ends) == 0);
	watch_init(&ready, loop, ends[0], on_ready);
	watch_set(&ready, WATCH_IN);
	later_init(&d1, on_spare);
	later_init(&d2, on_spare);
	loop_spare(loop, &d1);
	loop_spare(loop, &d2);
}

static void spare_end(void)
{
	watch_end(&ready);
	close(ends[0]);
	close(ends[1]);
	loop_free(loop);
}

static void on_write(struct timer *t)
{
	(void)t;
	OK(write(ends[1], "x.", 2) == 2);
}

static void write_now(void)
{
	OK(write(ends[1], "xx.", 3) == 3);
}

static void write_soon(void)
{
	timer_init(&a, loop, on_write);
	timer_set(&a, NS_PER_MS); /* while the first is at it */
}

/* A machine that holds us up for as long as the turns may take changes their order:
 * that it came so once is enough. */
static bool comes_to(const char *want, void (*begin)(void))
{
	bool came = false;

	for (int i = 0; i < 100 && !came; i++) {
		spare_begin();
		begin();
		memset(order, 0, sizeof order);
		norder = 0;
		run();
		came = strcmp(order, want) == 0;
		later_clear(&d1);
		later_clear(&d2);
		spare_end();
	}
	return came;
}

TEST(what_is_long_waits_until_there_is_nothing_else_to_do)
{
	OK(comes_to("xx.", write_now));
}

TEST(what_is_short_waits_for_one_that_is_long_and_no_more)
{
	OK(comes_to("sx.", write_soon));
}

static int turns;
static void on_busy(struct watch *w, int what)
{
	(void)w, (void)what;
	burn(NS_PER_MS / 2);
	if (++turns == 40)
		loop_stop(loop);
}

TEST(what_is_long_has_a_part_where_there_is_always_something_to_do)
{
	spare_begin();
	OK(write(ends[1], "x", 1) == 1);
	ready.fn = on_busy;
	run();
	EQ_STR(order, "ss");
	spare_end();
}

/* ---- backlog ---- */

static uint64_t piece;
static int pieces;

static void on_backlog(struct later *d)
{
	note(d == &d1 ? '1' : '2');
	burn(piece);
	if (--pieces > 0)
		loop_backlog(loop, d);
}

/* Two that have more, `n` pieces in all, and one that has something in each turn. */
static void backlog(int n, uint64_t took, const char *want)
{
	loop = loop_new(NULL);
	OK(pipe(ends) == 0);
	OK(write(ends[1], "xx.", 3) == 3);
	watch_init(&ready, loop, ends[0], on_ready);
	watch_set(&ready, WATCH_IN);
	later_init(&d1, on_backlog);
	later_init(&d2, on_backlog);
	piece = took;
	pieces = n;
	memset(order, 0, sizeof order);
	norder = 0;
	loop_backlog(loop, &d1);
	loop_backlog(loop, &d2);
	loop_backlog(loop, &d2);
	run();
	EQ_STR(order, want);
	loop_backlog_clear(loop, &d1);
	loop_backlog_clear(loop, &d2);
	OK(!loop_is_backlogged(&d1) && !loop_is_backlogged(&d2));
	spare_end();
}

TEST(who_has_more_goes_on_when_the_others_had_theirs)
{
	backlog(5, NS_PER_MS / 2, "1x2x1.2");
	backlog(3, 0, "1212xx.");
}

/* ---- memory ---- */

#define CROWD   2000
#define BLOCK   ((size_t)2000)
#define REMAINS ((size_t)1 << 20)

static size_t resident(void)
{
	unsigned long pages = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	OK(f && fscanf(f, "%*u %lu", &pages) == 1);
	fclose(f);
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void on_nothing(struct watch *w, int what)
{
	(void)w, (void)what;
}

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define KEEPS_FREED true
#else
#define KEEPS_FREED false
#endif

/* As connections do: each has memory of its own, then is watched, then is gone. */
TEST(a_crowd_of_descriptors_leaves_no_pages_behind)
{
	static struct watch crowd[CROWD];
	static void *blocks[CROWD];
	const struct rlimit files = {CROWD + 100, CROWD + 100};
	size_t before;

	OK(setrlimit(RLIMIT_NOFILE, &files) == 0);
	loop = loop_new(NULL);
	before = resident();
	for (size_t i = 0; i < CROWD; i++) {
		blocks[i] = calloc(1, BLOCK);
		watch_init(&crowd[i], loop, dup(0), on_nothing);
		EQ_INT(watch_set(&crowd[i], WATCH_IN), 0);
	}
	for (size_t i = 0; i < CROWD; i++) {
		watch_end(&crowd[i]);
		close(crowd[i].fd);
		free(blocks[i]);
	}
	malloc_trim(0);
	if (!KEEPS_FREED && resident() > before + REMAINS)
		T_FAIL("%zu bytes, were %zu", resident(), before);
	loop_free(loop);
}

#define POSTS 10000
static int seen;
static void on_post(void *arg)
{
	if ((int)(intptr_t)arg != seen++)
		T_FAIL("out of order");
	if (seen == POSTS)
		loop_stop(loop);
}
static void *poster(void *arg)
{
	for (intptr_t i = 0; i < POSTS; i++)
		loop_post(loop, on_post, (void *)i);
	return arg;
}

TEST(posts_from_another_thread_come_all_and_in_order)
{
	pthread_t t;

	loop = loop_new(NULL);
	pthread_create(&t, NULL, poster, NULL);
	run();
	pthread_join(t, NULL);
	EQ_INT(seen, POSTS);
	loop_free(loop);
}

static int fds[2];
static struct watch w;
static void on_readable(struct watch *watch, int what)
{
	char x;

	EQ_INT(what, WATCH_IN);
	EQ_INT(read(watch->fd, &x, 1), 1);
	note(x);
	if (x == 'z') {
		watch_end(watch);
		loop_stop(loop);
	}
}

TEST(a_watch_sees_each_byte)
{
	loop = loop_new(NULL);
	EQ_INT(pipe(fds), 0);
	watch_init(&w, loop, fds[0], on_readable);
	EQ_INT(watch_set(&w, WATCH_IN), 0);
	EQ_INT(write(fds[1], "xyz", 3), 3);
	run();
	EQ_STR(order, "xyz");
	loop_free(loop);
}

/* ---- many timers, moved and cleared as they come ---- */

#define TIMERS 400
static struct timer many[TIMERS];
static uint64_t last_due;
static size_t nfired;

static void on_many(struct timer *t)
{
	size_t i = (size_t)random() % TIMERS;

	OK(t->when >= last_due && t->when <= loop_now(loop));
	OK(!timer_is_set(t));
	last_due = t->when;
	nfired++;
	if (random() % 2)
		timer_clear(&many[i]);
	else if (timer_is_set(&many[i]))
		timer_set(&many[i], (uint64_t)random() % (20 * NS_PER_MS));
	for (i = 0; i < TIMERS && !timer_is_set(&many[i]); i++)
		;
	if (i == TIMERS)
		loop_stop(loop);
}

TEST(any_number_of_timers_fires_in_order)
{
	loop = loop_new(NULL);
	srandom(3);
	for (size_t i = 0; i < TIMERS; i++) {
		timer_init(&many[i], loop, on_many);
		timer_set(&many[i], (uint64_t)random() % (40 * NS_PER_MS));
	}
	run();
	OK(nfired > TIMERS / 3);
	loop_free(loop);
}

static void again_at_once(struct timer *t)
{
	if (++seen < 100000)
		timer_set(t, 0);
}

TEST(a_timer_that_sets_itself_to_nothing_leaves_room_for_events)
{
	loop = loop_new(NULL);
	EQ_INT(pipe(fds), 0);
	watch_init(&w, loop, fds[0], on_readable);
	EQ_INT(watch_set(&w, WATCH_IN), 0);
	EQ_INT(write(fds[1], "z", 1), 1);
	timer_init(&a, loop, again_at_once);
	timer_set(&a, 0);
	run();
	EQ_STR(order, "z");
	OK(seen < 1000);
	timer_clear(&a);
	loop_free(loop);
}

static void again_later(struct later *d)
{
	seen++;
	loop_later(loop, d);
}

TEST(what_is_put_off_for_ever_leaves_room_for_events)
{
	loop = loop_new(NULL);
	EQ_INT(pipe(fds), 0);
	watch_init(&w, loop, fds[0], on_readable);
	EQ_INT(watch_set(&w, WATCH_IN), 0);
	EQ_INT(write(fds[1], "z", 1), 1);
	later_init(&d1, again_later);
	loop_later(loop, &d1);
	run();
	EQ_STR(order, "z");
	later_clear(&d1);
	loop_free(loop);
}

/* ---- a watch may go in any callback ---- */

static struct watch other;
static void end_both(struct watch *watch, int what)
{
	(void)watch, (void)what;
	note('x');
	watch_end(&w);
	watch_end(&other);
	loop_stop(loop);
}

TEST(a_watch_that_was_ended_is_not_called_any_more)
{
	int more[2];

	loop = loop_new(NULL);
	EQ_INT(pipe(fds), 0);
	EQ_INT(pipe(more), 0);
	watch_init(&w, loop, fds[0], end_both);
	watch_init(&other, loop, more[0], end_both);
	watch_set(&w, WATCH_IN);
	watch_set(&other, WATCH_IN);
	EQ_INT(write(fds[1], "x", 1), 1);
	EQ_INT(write(more[1], "x", 1), 1);
	run(); /* both are ready in the same turn */
	EQ_STR(order, "x");
	loop_free(loop);
}

TEST(a_descriptor_that_is_opened_again_is_watched_again)
{
	int was;

	loop = loop_new(NULL);
	for (int i = 0; i < 3; i++) {
		EQ_INT(pipe(fds), 0);
		if (i > 0)
			EQ_INT(fds[0], was);
		was = fds[0];
		watch_init(&w, loop, fds[0], on_readable);
		watch_set(&w, WATCH_IN);
		EQ_INT(write(fds[1], "z", 1), 1);
		run();
		close(fds[0]);
		close(fds[1]);
	}
	EQ_STR(order, "zzz");
	loop_free(loop);
}

/* ---- signals, workers ---- */

static void on_sig(void *arg, int signo)
{
	(void)arg;
	EQ_INT(signo, SIGUSR1);
	note('s');
	loop_stop(loop);
}

TEST(a_signal_comes_in_the_loop)
{
	struct err e;

	loop = loop_new(NULL);
	EQ_INT(loop_on_signal(loop, SIGUSR1, on_sig, NULL, &e), 0);
	EQ_INT(raise(SIGUSR1), 0);
	EQ_STR(order, "");
	run();
	EQ_STR(order, "s");
	loop_free(loop);
}

static int worker_init(struct worker *k, struct err *e)
{
	if (k->index == 7)
		return err_set(e, ERR_BUSY, "seven");
	*(int *)k->state = 1;
	return 0;
}

static void in_worker(void *arg)
{
	struct worker *k = arg;

	OK(pthread_equal(pthread_self(), k->thread));
	*(int *)k->state = 2;
}

static void on_own(void *arg)
{
	free(arg);
	loop_stop(loop);
}

TEST(a_post_of_its_owner_may_be_freed_by_what_it_calls)
{
	struct post *p = malloc(sizeof *p);

	loop = loop_new(NULL);
	loop_post_with(loop, p, on_own, p);
	run();
	loop_free(loop);
}

TEST(a_worker_runs_what_is_posted_and_stops)
{
	struct worker k = {0};
	struct err e;
	int state = 0;

	EQ_INT(worker_start(&k, 1, worker_init, &state, &e), 0);
	EQ_INT(state, 1);
	EQ_INT(loop_post(k.loop, in_worker, &k), 0);
	worker_stop(&k);
	EQ_INT(state, 2);
	EQ_INT(worker_start(&k, 7, worker_init, &state, &e), -1);
	EQ_STR(e.msg, "seven");
}

static struct timer tick;
static uint64_t tick_at, least;
static int ticks;

static void on_tick(struct timer *t)
{
	uint64_t took = clock_mono() - tick_at;

	OK(took >= NS_PER_MS);
	least = took < least ? took : least;
	if (++ticks == 50)
		loop_stop(loop);
	tick_at = clock_mono();
	timer_set(t, NS_PER_MS + tick_at - loop_now(loop));
}

TEST(a_millisecond_is_one_and_not_two)
{
	loop = loop_new(NULL);
	least = UINT64_MAX;
	timer_init(&tick, loop, on_tick);
	tick_at = clock_mono();
	timer_set(&tick, NS_PER_MS + tick_at - loop_now(loop));
	run();
	OK(least < 1700 * NS_PER_US); /* the others may have met a busy machine */
	loop_free(loop);
}
