/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_MAP_H
#define BASE_MAP_H

/*
 * Intrusive hash map from byte strings to objects.  A node lies in the object and
 * borrows its key from it; the map owns only its table.  Keyed hashing (seeded at
 * start-up) so that a peer who chooses keys cannot choose collisions.  Not thread-safe.
 */
#include "base/obj.h"
#include "base/slice.h"

struct map_node {
	struct map_node *next;
	struct slice key;
	uint64_t hash;
};

struct map {
	struct map_node **slots;
	size_t nslots; /* a power of two, or 0 */
	size_t count;
};

#define MAP_INIT ((struct map){0})

void map_fini(struct map *m); /* the nodes are the caller's */

/* NULL when absent. */
struct map_node *map_find(const struct map *m, struct slice key);

/* The key must not be there yet (look first).  -1 when memory is out. */
int map_insert(struct map *m, struct map_node *node, struct slice key);
void map_remove(struct map *m, struct map_node *node);

/* Any order; the node handed out may be removed before the next call.  Start with NULL.
 */
struct map_iter {
	size_t slot;
	struct map_node *next;
};
struct map_node *map_next(const struct map *m, struct map_iter *it);

#define map_get(m, key, type, member)                                                  \
	({                                                                             \
		struct map_node *node_ = map_find((m), (key));                         \
		node_ ? container_of(node_, type, member) : NULL;                      \
	})
#define map_each(it, m, member)                                                        \
	for (struct map_iter iter_ = {0}; ({                                           \
		     struct map_node *node_ = map_next((m), &iter_);                   \
		     (it) = node_ ? container_of(node_, __typeof__(*(it)), member)     \
				  : NULL;                                              \
		     (it) != NULL;                                                     \
	     });)

uint64_t hash_bytes(const void *p, size_t n); /* seeded per process */

#endif
