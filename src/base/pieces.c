/* SPDX-License-Identifier: Apache-2.0 */
#include "base/pieces.h"

#include <malloc.h>
#include <stdlib.h>

struct piece {
	struct piece *next;
};

static __thread struct kept {
	struct piece *first;
	unsigned n, unneeded; /* the fewest of them since pieces_give_back() */
} kept[PIECE_SIZES];

#ifdef __SANITIZE_ADDRESS__
#define MAY_KEEP 0
#else
#define MAY_KEEP 1
#endif

static struct piece *take(struct kept *k)
{
	struct piece *p = k->first;

	k->first = p->next;
	if (--k->n < k->unneeded)
		k->unneeded = k->n;
	return p;
}

void *piece_alloc(size_t n)
{
	size_t i =
		n <= PIECE_LEAST ? 0 : (n - PIECE_LEAST + PIECE_STEP - 1) / PIECE_STEP;

	return i < PIECE_SIZES && kept[i].first ? take(&kept[i]) : malloc(n);
}

/* Those of this size; NULL: it is none of them. */
static struct kept *kept_of(size_t size)
{
	size_t i = (size - PIECE_LEAST) / PIECE_STEP;

	return size >= PIECE_LEAST && i < PIECE_SIZES ? &kept[i] : NULL;
}

void piece_free(void *p)
{
	size_t size = MAY_KEEP ? malloc_usable_size(p) : 0;
	struct kept *k = kept_of(size);
	struct piece *one = p;

	if (!k || (k->n + 1) * size > PIECES_KEPT) {
		free(p);
		return;
	}
	one->next = k->first;
	k->first = one;
	k->n++;
}

void pieces_give_back(void)
{
	for (size_t i = 0; i < PIECE_SIZES; i++) {
		struct kept *k = &kept[i];

		for (; k->unneeded > 0; k->unneeded--) {
			struct piece *p = k->first;

			k->first = p->next;
			k->n--;
			free(p);
		}
		k->unneeded = k->n;
	}
}
