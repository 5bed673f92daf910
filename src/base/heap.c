/* SPDX-License-Identifier: Apache-2.0 */
#include "base/heap.h"

#include <malloc.h>
#include <stdlib.h>

#include "base/memory.h"

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

void heap_give_back(struct heap_watch *w)
{
	int64_t now, last = w->last;

	if (++w->calls % LOOK_EVERY)
		return;
	now = w->last = waste();
	if (now > w->waste + (llabs(now - last) < STILL ? WORTH_STILL : WORTH)) {
		malloc_trim(0);
		w->waste = w->last = waste();
	} else if (now < w->waste) {
		w->waste = now;
	}
}
