/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EV_WORKER_H
#define EV_WORKER_H

/*
 * Threads that each run one loop and share nothing.  They talk by loop_post() and by
 * snapshots (base/snap.h).
 */
#include <pthread.h>

#include "ev/loop.h"

struct worker {
	struct loop *loop;
	unsigned index;
	void *state; /* the owner's */
	pthread_t thread;
};

/* Starts the thread: init(w) runs in it before its loop.  -1 when either fails. */
int worker_start(struct worker *w, unsigned index,
	int (*init)(struct worker *w, struct err *e), void *state, struct err *e);
void worker_stop(struct worker *w); /* stops the loop, joins */

#endif
