/* SPDX-License-Identifier: Apache-2.0 */
#ifndef APP_TALLY_H
#define APP_TALLY_H

/*
 * What all replicas of the voting service counted together.  Each counts alone and a
 * question reaches one of them, so the newest answer of each is kept and added up; what
 * a replica that has gone had counted still counts.  When there are more than can be
 * kept, the one heard of least recently is forgotten.
 */
#include "emojis.h"
#include "emojivoto.pb-c.h"

#define TALLY_REPLICAS 32

struct tally {
	struct tally_replica {
		char name[96];
		uint64_t heard; /* 0: free */
		int32_t votes[EMOJI_COUNT];
	} replica[TALLY_REPLICAS];
	uint64_t turn;
};

void tally_hear(struct tally *t, const Emojivoto__V1__ResultsResponse *from);
int64_t tally_votes(const struct tally *t, enum emoji_id id);

#endif
