/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOCAL_PODFDS_H
#define LOCAL_PODFDS_H

/* The streams of a process in a pod: pipes, or a terminal of its own. */
#include "base/err.h"
#include "base/slice.h"

struct podfds {
	int in[2], out[2], err[2]; /* [0] is read from, [1] written to; -1: none */
};

/* With a terminal in[1] and out[0] are its master, and there is no err[0].  What could
 * be opened before a failure is there to be closed. */
int podfds_open(struct podfds *f, bool in, bool tty, struct err *e);
/* Closes the side that the process has; repeatable. */
void podfds_close_its(struct podfds *f);
void podfds_close_ours(struct podfds *f);

/* The terminal's size is as the client's message says. */
void podfds_resize(int master, struct slice message);

#endif
