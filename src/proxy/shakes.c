/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/shakes.h"

void shakes_init(struct shakes *s)
{
	*s = (struct shakes){.n = 0};
	for (size_t i = 0; i < SHAKES_SOURCES; i++)
		list_init(&s->sources[i].open);
}

/* Of IPv6 the network: one machine may have all of its addresses. */
static unsigned source_of(const struct ip *from)
{
	unsigned h = 2166136261u; /* FNV-1a */

	for (size_t i = 0; i < 8; i++)
		h = (h ^ from->b[i]) * 16777619u;
	return (h ^ h >> 16) % SHAKES_SOURCES;
}

void shake_begin(struct shakes *s, struct shake *k, const struct ip *from)
{
	k->source = &s->sources[source_of(from)];
	list_push(&k->source->open, &k->node);
	k->source->n++;
	s->n++;
}

void shake_over(struct shakes *s, struct shake *k)
{
	if (!k->source)
		return;
	list_remove(&k->node);
	k->source->n--;
	s->n--;
	k->source = NULL;
}

struct shake *shakes_surplus(const struct shakes *s)
{
	const struct shakes_source *most = s->sources;

	if (s->n <= SHAKES_MAX)
		return NULL;
	for (size_t i = 1; i < SHAKES_SOURCES; i++)
		if (s->sources[i].n > most->n)
			most = &s->sources[i];
	return list_first(&most->open, struct shake, node);
}
