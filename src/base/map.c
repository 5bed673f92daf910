/* SPDX-License-Identifier: Apache-2.0 */
#include "base/map.h"

#include <stdlib.h>
#include <sys/random.h>

static uint64_t seed[2];

__attribute__((constructor)) static void seed_once(void)
{
	if (getrandom(seed, sizeof seed, 0) != (ssize_t)sizeof seed)
		seed[0] = (uint64_t)(uintptr_t)&seed;
}

static uint64_t rotate(uint64_t x, int by)
{
	return x << by | x >> (64 - by);
}

static void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotate(v[1], 13) ^ v[0];
	v[0] = rotate(v[0], 32);
	v[2] += v[3];
	v[3] = rotate(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotate(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotate(v[1], 17) ^ v[2];
	v[2] = rotate(v[2], 32);
}

/* SipHash-1-3: keyed, so that nobody can choose keys that collide. */
uint64_t hash_bytes(const void *p, size_t n)
{
	uint64_t v[4] = {seed[0] ^ 0x736f6d6570736575u, seed[1] ^ 0x646f72616e646f6du,
		seed[0] ^ 0x6c7967656e657261u, seed[1] ^ 0x7465646279746573u};
	const unsigned char *b = p;
	uint64_t word = (uint64_t)n << 56;

	for (; n >= 8; b += 8, n -= 8) {
		uint64_t m;

		memcpy(&m, b, 8);
		v[3] ^= m;
		sip_round(v);
		v[0] ^= m;
	}
	for (size_t i = 0; i < n; i++)
		word |= (uint64_t)b[i] << (8 * i);
	v[3] ^= word;
	sip_round(v);
	v[0] ^= word;
	v[2] ^= 0xff;
	for (int i = 0; i < 3; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void map_fini(struct map *m)
{
	free(m->slots);
	*m = MAP_INIT;
}

static struct map_node **slot(const struct map *m, uint64_t hash)
{
	return &m->slots[hash & (m->nslots - 1)];
}

struct map_node *map_find(const struct map *m, struct slice key)
{
	uint64_t hash;

	if (m->count == 0)
		return NULL;
	hash = hash_bytes(key.p, key.n);
	for (struct map_node *n = *slot(m, hash); n; n = n->next)
		if (n->hash == hash && slice_eq(n->key, key))
			return n;
	return NULL;
}

static int resize(struct map *m, size_t nslots)
{
	struct map bigger = {calloc(nslots, sizeof *m->slots), nslots, m->count};

	if (!bigger.slots)
		return m->nslots ? 0
				 : -1; /* fuller than we like is better than failing */
	for (size_t i = 0; i < m->nslots; i++)
		for (struct map_node *n = m->slots[i], *next; n; n = next) {
			struct map_node **s = slot(&bigger, n->hash);

			next = n->next;
			n->next = *s;
			*s = n;
		}
	free(m->slots);
	*m = bigger;
	return 0;
}

int map_insert(struct map *m, struct map_node *node, struct slice key)
{
	struct map_node **s;

	if (m->count >= m->nslots && resize(m, m->nslots ? 2 * m->nslots : 8) < 0)
		return -1;
	node->key = key;
	node->hash = hash_bytes(key.p, key.n);
	s = slot(m, node->hash);
	node->next = *s;
	*s = node;
	m->count++;
	return 0;
}

void map_remove(struct map *m, struct map_node *node)
{
	for (struct map_node **at = slot(m, node->hash); *at; at = &(*at)->next)
		if (*at == node) {
			*at = node->next;
			m->count--;
			return;
		}
}

struct map_node *map_next(const struct map *m, struct map_iter *it)
{
	struct map_node *n = it->next;

	while (!n && it->slot < m->nslots)
		n = m->slots[it->slot++];
	it->next = n ? n->next : NULL;
	return n;
}
