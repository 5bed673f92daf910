/* SPDX-License-Identifier: Apache-2.0 */
#ifndef APP_EMOJIS_H
#define APP_EMOJIS_H

/* What there is to vote for: emojis.def as a table. */
#include "base/slice.h"

enum emoji_id {
#define EMOJI(name, shown, method) EMOJI_##name,
#include "emojis.def"
#undef EMOJI
	EMOJI_COUNT,
};

struct emoji {
	const char *shortcode; /* ":pizza:" */
	const char *shown;     /* UTF-8 */
	const char *path;      /* of the call that votes for it */
};

extern const struct emoji emojis[EMOJI_COUNT];

/* NULL when there is none. */
const struct emoji *emoji_find(struct slice shortcode);

#endif
