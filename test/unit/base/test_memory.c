/* SPDX-License-Identifier: Apache-2.0 */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/heap.h"
#include "base/memory.h"
#include "base/slice.h"
#include "t.h"

/* a sanitizer's malloc tells neither of the two */
#if !defined __SANITIZE_ADDRESS__ && !defined __SANITIZE_THREAD__

static size_t allocated(void)
{
	return mallinfo2().uordblks;
}

static void use_arenas(size_t n)
{
	struct arena a[60];

	for (size_t i = 0; i < n; i++) {
		arena_init(&a[i], 10000);
		OK(arena_alloc(&a[i], 2000));
	}
	for (size_t i = 0; i < n; i++)
		arena_fini(&a[i]);
}

TEST(memory_of_many_arenas_is_given_back_when_few_are_used)
{
	size_t before, few;

	use_arenas(2);
	before = allocated();
	use_arenas(60);
	OK(allocated() >= before + 50 * 4096);
	arena_give_back();
	few = allocated();
	use_arenas(2);
	EQ_INT(allocated(), few); /* these were there */
	arena_give_back();
	OK(allocated() <= before + 3 * 4096);
}

static void look(struct heap_watch *w, int n)
{
	while (n-- > 0)
		heap_give_back(w);
}

TEST(small_holes_are_given_back_once_nothing_happens)
{
	enum { N = 20, SIZE = 10000 };
	struct heap_watch w = {0};
	void *hole[N], *keep[N];
	long before, full;

	free(malloc(8 << 20)); /* much that is allocated is never touched */
	keep[0] = malloc(2 << 20);
	look(&w, 16);
	free(keep[0]);
	before = (long)memory_used();
	for (size_t i = 0; i < N; i++) {
		hole[i] = malloc(SIZE);
		keep[i] = malloc(64);
		OK(hole[i] && keep[i]);
		memset(hole[i], 1, SIZE);
	}
	for (size_t i = 0; i < N; i++)
		free(hole[i]);
	full = (long)memory_used();
	OK(full > before + 100000);
	look(&w, 12);
	OK((long)memory_used() < full - 100000);
	for (size_t i = 0; i < N; i++)
		free(keep[i]);
}

/* Free pieces that malloc keeps for the thread hold no page for themselves. */
TEST(what_malloc_keeps_for_the_thread_is_given_back)
{
	enum { N = 400, SIZE = 8000 };
	struct heap_watch w = {0};
	void *large[N], *small[N];
	long full;

	look(&w, 16);
	for (size_t i = 0; i < N; i++) {
		large[i] = malloc(SIZE);
		small[i] = malloc(24 + 16 * (i / 7));
		OK(large[i] && small[i]);
		memset(large[i], 1, SIZE);
	}
	full = (long)memory_used();
	for (size_t i = 0; i < N; i++) {
		free(large[i]);
		free(small[i]);
	}
	look(&w, 12);
	OK((long)memory_used() < full - (long)N * SIZE);
}

#endif
