/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KUBE_LINES_H
#define KUBE_LINES_H

/*
 * Bytes as they come, cut into lines: the events of a watch.  A line longer than `max`
 * is thrown away as it comes, and reported once.
 */
#include "base/buf.h"

struct lines {
	struct buf part; /* of a line whose end has not come */
	size_t max;
	bool skipping;
	/* `line` is borrowed for the call, without its end; p is NULL for a line that
	 * was too long.  Empty lines are not reported.  False: stop. */
	bool (*fn)(void *arg, struct slice line);
	void *arg;
};

void lines_fini(struct lines *l);
void lines_reset(struct lines *l);

/* False when fn said so; what is left of `bytes` is dropped then. */
bool lines_feed(struct lines *l, struct slice bytes);

#endif
