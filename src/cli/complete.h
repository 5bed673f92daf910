/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_COMPLETE_H
#define CLI_COMPLETE_H

/*
 * Scripts that make a shell complete the words of `mesh`: commands, what follows them,
 * their options.  Everything comes from tables; nothing is asked at the time.
 */
#include "base/buf.h"
#include "base/opt.h"

#define COMPLETE_OPTIONS 128

struct complete_command {
	const char *name, *help;
	const char *words; /* of the first word behind it, blanks between; or "" */
	struct opt option[COMPLETE_OPTIONS];
	size_t n;
};

/* "bash", "zsh" or "fish"; -1: another. */
int complete_write(
	const char *shell, const struct complete_command *v, size_t n, struct buf *out);

#endif
