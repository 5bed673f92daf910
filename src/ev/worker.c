/* SPDX-License-Identifier: Apache-2.0 */
#include "ev/worker.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>

struct starting {
	struct worker *w;
	int (*init)(struct worker *w, struct err *e);
	struct err *e;
	int result;
	pthread_mutex_t lock;
	pthread_cond_t done;
	bool is_done;
};

static void tell(struct starting *s, int result)
{
	pthread_mutex_lock(&s->lock);
	s->result = result;
	s->is_done = true;
	pthread_cond_signal(&s->done);
	pthread_mutex_unlock(&s->lock);
}

static void *worker_main(void *arg)
{
	struct starting *s = arg;
	struct worker *w = s->w;
	char name[16];
	sigset_t all;
	struct err e;

	sigfillset(&all); /* signals are the control thread's */
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	snprintf(name, sizeof name, "worker-%u", w->index);
	pthread_setname_np(pthread_self(), name);
	if (s->init(w, s->e) < 0) {
		tell(s, -1);
		return NULL;
	}
	tell(s, 0); /* `s` is gone from here on */
	if (loop_run(w->loop, &e) < 0)
		fprintf(stderr, "%s: %s\n", name, e.msg);
	return NULL;
}

int worker_start(struct worker *w, unsigned index,
	int (*init)(struct worker *w, struct err *e), void *state, struct err *e)
{
	struct starting s = {.w = w,
		.init = init,
		.e = e,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.done = PTHREAD_COND_INITIALIZER};

	w->index = index;
	w->state = state;
	w->loop = loop_new(e);
	if (!w->loop)
		return -1;
	errno = pthread_create(&w->thread, NULL, worker_main, &s);
	if (errno) {
		loop_free(w->loop);
		return err_sys(e, "start worker %u", index);
	}
	pthread_mutex_lock(&s.lock);
	while (!s.is_done)
		pthread_cond_wait(&s.done, &s.lock);
	pthread_mutex_unlock(&s.lock);
	if (s.result < 0) {
		pthread_join(w->thread, NULL);
		loop_free(w->loop);
	}
	return s.result;
}

void worker_stop(struct worker *w)
{
	loop_stop(w->loop);
	pthread_join(w->thread, NULL);
	loop_free(w->loop);
	w->loop = NULL;
}
