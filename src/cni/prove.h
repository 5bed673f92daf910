/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CNI_PROVE_H
#define CNI_PROVE_H

/*
 * Proves from within a pod that what leaves it is redirected (spec ext.md §2): a
 * connection to an address that is nobody's has to come back to our own port and bring
 * a token that only we know.  Blocks; needs no right at all.
 */
#include "base/addr.h"
#include "base/err.h"

struct proof {
	struct addr listen; /* where the rules send connections to */
	struct addr to;     /* nobody's */
	uint64_t deadline;  /* clock_mono() */
};

/* 1: this pod cannot reach any address of that family, so there is nothing to prove.
 * -1: e says what happened to the connection instead; ERR_TIMEOUT when `deadline` has
 * passed, ERR_BUSY when our port is taken. */
int prove_redirect(const struct proof *p, struct err *e);

#endif
