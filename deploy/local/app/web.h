/* SPDX-License-Identifier: Apache-2.0 */
#ifndef APP_WEB_H
#define APP_WEB_H

/* What web.c (the role) and ask.c (its /api/) share. */
#include "app.h"
#include "http/site.h"
#include "tally.h"

struct web {
	struct app *app;
	struct site *site;
	struct channel *emoji, *voting;
	struct tally tally;
};

/* ---- ask.c: each answers by asking the other services ---- */
void ask_list(struct call *c);
void ask_vote(struct call *c);
void ask_leaderboard(struct call *c);

#endif
