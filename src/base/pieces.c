/* SPDX-License-Identifier: Apache-2.0 */
#include "base/pieces.h"

#include <malloc.h>
#include <stdlib.h>

#include "base/obj.h"

/* Sizes as glibc's malloc rounds them: LEAST, and STEP more each. */
#define LEAST ((size_t)24)
#define STEP  ((size_t)16)
#define SIZES 64

struct piece {
	struct piece *next;
};

static __thread struct kept {
	struct piece *first;
	unsigned n, unneeded; /* the fewest of them since pieces_give_back() */
} kept[SIZES];

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
	size_t i = n <= LEAST ? 0 : (n - LEAST + STEP - 1) / STEP;

	return i < SIZES && kept[i].first ? take(&kept[i]) : malloc(n);
}

void piece_free(void *p)
{
	size_t size = MAY_KEEP && p ? malloc_usable_size(p) : 0;
	size_t i = (size - LEAST) / STEP;
	struct kept *k = &kept[i < SIZES ? i : 0];
	struct piece *one = p;

	if (size < LEAST || i >= SIZES || (k->n + 1) * size > PIECES_KEPT) {
		free(p);
		return;
	}
	one->next = k->first;
	k->first = one;
	k->n++;
}

void pieces_give_back(void)
{
	for (size_t i = 0; i < SIZES; i++) {
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
