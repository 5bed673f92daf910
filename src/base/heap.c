/* SPDX-License-Identifier: Apache-2.0 */
#include "base/heap.h"

#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/obj.h"
#include "base/pieces.h"

#define LOOK_EVERY  4 /* calls */
#define WORTH       ((int64_t)256 * 1024)
/* What is worth it where nothing happens, and how little may happen there. */
#define WORTH_STILL ((int64_t)32 * 1024)
#define STILL       ((int64_t)4096)

#ifdef __SANITIZE_ADDRESS__
size_t __sanitizer_get_current_allocated_bytes(void); /* malloc is ASan's */

uint64_t heap_used(void)
{
	return __sanitizer_get_current_allocated_bytes();
}
#else
uint64_t heap_used(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
}
#endif

void heap_is_one(void)
{
	mallopt(M_ARENA_MAX, 1); /* else it has more of them, and is right too */
}

/* Negative where much that is allocated was never touched: it is the difference between
 * two of them that tells. */
static int64_t waste(void)
{
	uint64_t used = memory_used();

	return used ? (int64_t)used - (int64_t)heap_used() : 0;
}

/*
 * glibc keeps some free pieces of each small size for the thread that freed them,
 * wherever they lie: after a flood each may be all that still holds a page.  There is
 * no call for it to let go of them, but a thread that ends does; so one takes them
 * along.
 */
#define KEPT_EACH 7

static void *take_along(void *arg)
{
	void **kept = arg;

	for (size_t i = 0; i < (size_t)PIECE_SIZES * KEPT_EACH; i++)
		free(kept[i]);
	return NULL;
}

static void give_up_kept(void)
{
	void *kept[PIECE_SIZES * KEPT_EACH];
	pthread_t t;

	for (size_t i = 0; i < countof(kept); i++)
		kept[i] = malloc(PIECE_LEAST + PIECE_STEP * (i / KEPT_EACH));
	if (pthread_create(&t, NULL, take_along, kept) != 0)
		take_along(kept);
	else
		pthread_join(t, NULL);
}

void heap_give_back(struct heap_watch *w)
{
	int64_t now, last = w->last;

	if (++w->calls % LOOK_EVERY)
		return;
	now = w->last = waste();
	if (now > w->waste + (llabs(now - last) < STILL ? WORTH_STILL : WORTH)) {
		give_up_kept();
		malloc_trim(0);
		w->waste = w->last = waste();
	} else if (now < w->waste) {
		w->waste = now;
	}
}
