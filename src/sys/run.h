/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SYS_RUN_H
#define SYS_RUN_H

/* A program that is run for what it writes.  Blocks; for commands. */
#include "base/buf.h"

struct run {
	char *const *argv; /* argv[0] with a slash: that file; else looked up in PATH */
	char *const *envp;
	bool gives_input;  /* it has our standard input; else none */
	uint64_t patience; /* ns; 0: none.  Then it is killed */
	size_t max;        /* of what it writes */
};

/* Its standard output is appended to `out`, its standard error is ours.  ERR_MISSING
 * when there is no such program; ERR_DENIED when it says that it failed. */
int run_for_output(const struct run *r, struct buf *out, struct err *e);

#endif
