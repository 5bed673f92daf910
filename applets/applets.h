/* SPDX-License-Identifier: Apache-2.0 */
#ifndef APPLETS_H
#define APPLETS_H

/* The list of applets.def as a table, for those that speak of all of them. */
#include <stdbool.h>
#include <stddef.h>

struct applet {
	const char *name;
	int (*main)(int argc, char **argv);
	const char *help;
};
extern const struct applet applets[];
extern const size_t applets_count;

bool applet_is(const char *name); /* one is called so */

/* `mesh identity` has two sides: the authority (identity.c), and its clients' view. */
int identities_main(int argc, char **argv);
void identities_help(void);

#endif
