/* SPDX-License-Identifier: Apache-2.0 */
#include "emojis.h"

const struct emoji emojis[EMOJI_COUNT] = {
#define EMOJI(name, shown, method)                                                     \
	{":" #name ":", shown, "/emojivoto.v1.VotingService/" #method},
#include "emojis.def"
#undef EMOJI
};

const struct emoji *emoji_find(struct slice shortcode)
{
	for (size_t i = 0; i < EMOJI_COUNT; i++)
		if (slice_is(shortcode, emojis[i].shortcode))
			return &emojis[i];
	return NULL;
}
