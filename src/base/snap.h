/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_SNAP_H
#define BASE_SNAP_H

/*
 * Immutable values shared between threads.
 *
 * A value that embeds `struct ref` is complete before anybody else sees it, never
 * changes after, and is freed by whoever drops the last reference.  A `struct snap` is
 * the place where the current value hangs: the control thread swaps, workers take.
 * The lock inside is held for a pointer copy and a count, and is taken only when a
 * worker is told of a change (it keeps its own reference between), never per request.
 */
#include <pthread.h>
#include <stdatomic.h>

struct ref {
	atomic_uint count;
	void (*free)(struct ref *r);
};

static inline void ref_init(struct ref *r, void (*free_fn)(struct ref *r))
{
	atomic_init(&r->count, 1);
	r->free = free_fn;
}

static inline void ref_get(struct ref *r)
{
	atomic_fetch_add_explicit(&r->count, 1, memory_order_relaxed);
}

static inline void ref_put(struct ref *r) /* NULL is fine */
{
	if (r && atomic_fetch_sub_explicit(&r->count, 1, memory_order_acq_rel) == 1)
		r->free(r);
}

struct snap {
	pthread_mutex_t lock;
	struct ref *now; /* NULL before the first value */
};

#define SNAP_INIT ((struct snap){.lock = PTHREAD_MUTEX_INITIALIZER})

void snap_set(struct snap *s, struct ref *value); /* takes `value`; drops the old one */
struct ref *snap_get(struct snap *s);             /* returns owned, or NULL */

#endif
