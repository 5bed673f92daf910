/* SPDX-License-Identifier: Apache-2.0 */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "base/obj.h"
#include "base/pieces.h"
#include "t.h"

TEST(pieces_of_all_sizes_are_large_enough_and_apart)
{
	enum { N = 1200 };
	static unsigned char *p[N];

	for (int round = 0; round < 3; round++) {
		for (size_t n = 0; n < N; n++) {
			p[n] = piece_alloc(n);
			OK(p[n] && malloc_usable_size(p[n]) >= n);
			memset(p[n], (int)(n + (size_t)round), n);
		}
		for (size_t n = 0; n < N; n++) {
			for (size_t i = 0; i < n; i++)
				if (p[n][i] != (unsigned char)(n + (size_t)round))
					T_FAIL("byte %zu of %zu", i, n);
			piece_free(p[n]);
		}
	}
	pieces_give_back();
	pieces_give_back();
}

TEST(a_piece_is_one_of_malloc)
{
	char *p = piece_alloc(40);

	strcpy(p, "what realloc is to find again");
	p = realloc(p, 4000);
	OK(strcmp(p, "what realloc is to find again") == 0);
	piece_free(p);
	free(piece_alloc(100));
	piece_free(malloc(100));
	piece_free(NULL);
	pieces_give_back();
	pieces_give_back();
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
static size_t used(void)
{
	return mallinfo2().uordblks;
}

TEST(no_more_is_kept_than_is_said_and_it_is_given_back_when_it_is_not_needed)
{
	enum { N = 2000, SIZE = 232 };
	static void *p[N];
	size_t before;

	pieces_give_back();
	pieces_give_back();
	before = used();
	for (size_t i = 0; i < N; i++)
		p[i] = piece_alloc(SIZE);
	for (size_t i = 0; i < N; i++)
		piece_free(p[i]);
	/* and what malloc itself keeps */
	OK(used() <= before + PIECES_KEPT + (size_t)8 * (SIZE + 16) + PIECES_KEPT / 8);
	OK(used() > before + PIECES_KEPT / 2);
	pieces_give_back(); /* they were needed since the last time */
	OK(used() > before + PIECES_KEPT / 2);
	pieces_give_back();
	OK(used() <= before + (size_t)8 * (SIZE + 16));
}
#endif
