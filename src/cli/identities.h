/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_IDENTITIES_H
#define CLI_IDENTITIES_H

/*
 * `mesh identity PODS`: the certificates that proxies have, as they show them in a TLS
 * handshake on their admin port (spec cli.md §3).
 */
#include "cli/ask.h"

struct identities {
	struct ask *ask;
	const char *ns, *control_ns;
	const char *selector; /* of labels; NULL: the pods by name */
	char *const *pod;
	size_t n;
};

/* Appends the text of each; *failed counts the pods of which there is none, and `out`
 * says why there.  -1: the pods cannot be read, or there are none. */
int identities_write(
	const struct identities *q, struct buf *out, size_t *failed, struct err *e);

#endif
