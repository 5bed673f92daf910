/* SPDX-License-Identifier: Apache-2.0 */
#include "ev/loop.h"

#include <pthread.h>
#include <unistd.h>

#include "base/clock.h"
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
