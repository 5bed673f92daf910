/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CNI_CHAINFILE_H
#define CNI_CHAINFILE_H

/*
 * The runtime's directory of network configurations: which files are there, in the
 * order in which it looks, and one of them edited in place.
 *
 * A file is exchanged, not overwritten: what comes out of the exchange is compared with
 * what was read, and put back when another program was faster.  A *.conf gives way to
 * the *.conflist made of it; it is kept under a name that runtimes do not read, and
 * comes back when we leave.
 */
#include "wire/json.h"

struct chain_files {
	char **names; /* sorted; owned */
	size_t n;
};
int chain_list(const char *dir, struct chain_files *out, struct err *e);
void chain_files_fini(struct chain_files *f);

enum chain_done {
	CHAIN_SAME, /* nothing was to be done */
	CHAIN_WRITTEN,
	CHAIN_DISTURBED, /* somebody else wrote it just now: do it again */
	CHAIN_BROKEN,    /* no configuration; it is left as it is; e says why */
	CHAIN_FAILED,    /* e says why */
};
enum chain_done chain_enter(
	const char *dir, const char *file, const struct json *entry, struct err *e);
enum chain_done chain_leave(const char *dir, const char *file, struct err *e);

#endif
