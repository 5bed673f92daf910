/* SPDX-License-Identifier: Apache-2.0 */
#include "tally.h"

#include <stdio.h>

static struct tally_replica *place_of(struct tally *t, const char *name)
{
	struct tally_replica *oldest = &t->replica[0];

	for (size_t i = 0; i < TALLY_REPLICAS; i++) {
		if (t->replica[i].heard && strcmp(t->replica[i].name, name) == 0)
			return &t->replica[i];
		if (t->replica[i].heard < oldest->heard)
			oldest = &t->replica[i];
	}
	*oldest = (struct tally_replica){0};
	snprintf(oldest->name, sizeof oldest->name, "%s", name);
	return oldest;
}

void tally_hear(struct tally *t, const Emojivoto__V1__ResultsResponse *from)
{
	struct tally_replica *r = place_of(t, from->replica);

	r->heard = ++t->turn;
	for (size_t i = 0; i < from->n_results; i++) {
		const Emojivoto__V1__VotingResult *v = from->results[i];
		const struct emoji *e = emoji_find(slice_of(v->shortcode));

		/* two answers may overtake each other: counts only grow */
		if (e && v->votes > r->votes[e - emojis])
			r->votes[e - emojis] = v->votes;
	}
}

int64_t tally_votes(const struct tally *t, enum emoji_id id)
{
	int64_t sum = 0;

	for (size_t i = 0; i < TALLY_REPLICAS; i++)
		sum += t->replica[i].votes[id];
	return sum;
}
