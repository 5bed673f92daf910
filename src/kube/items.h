/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KUBE_ITEMS_H
#define KUBE_ITEMS_H

/*
 * A list of objects as it comes, cut into its items: {"metadata": …, "items":
 * [{…},{…}]}. One object is in memory at a time, however long the list is.  Without
 * I/O.
 *
 * Only brackets and texts are looked at: an item may turn out to be no JSON, that is
 * for who parses it.  Limits: `max` bytes of an item, and of all that is not in items.
 */
#include "base/buf.h"

struct items {
	struct buf item; /* of an object whose end has not come */
	struct buf rest; /* the list without its items: whole once all has come */
	size_t max;
	int depth; /* of brackets that are open */
	bool in_text, escaped;
	bool in_items; /* between the brackets of "items" */
	bool failed;   /* too long: what comes after is dropped */
	/* `item` is borrowed for the call; p is NULL for one that was too long.
	 * False: stop. */
	bool (*fn)(void *arg, struct slice item);
	void *arg;
};

void items_fini(struct items *l);
void items_reset(struct items *l); /* for the next list; gives its memory back */

/* False when fn said so; what is left of `bytes` is dropped then. */
bool items_feed(struct items *l, struct slice bytes);

#endif
