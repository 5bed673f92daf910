/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_FLAGS_H
#define CLI_FLAGS_H

/*
 * Values from the command line, as helm takes them, and flags that stand for one value.
 *
 * From the weakest: flags, files in their order, --set, --set-string, --set-file.
 */
#include "base/opt.h"
#include "wire/json.h"

#define FLAG_FILES    16
#define FLAG_SETS     64
#define FLAG_FILE_MAX ((size_t)1024 * 1024) /* bytes of a file of values, or of PEM */
#define FLAG_ONES     40

/* A flag, the values that it stands for (with commas), what it is, an argument, help.
 */
struct value_flag {
	const char *flag, *paths;
	const char *when_true; /* of a flag without an argument: the value as --set has
				  it */
	const char *arg, *help;
};

struct value_flags {
	const char *files[FLAG_FILES];
	const char *sets[3][FLAG_SETS]; /* by enum values_set */
	size_t nfiles, nsets[3];
	const char *ones[FLAG_ONES]; /* of the table, in its order; NULL: not given */
	bool on[FLAG_ONES];
};

/* Options -f, --set, --set-string, --set-file of a struct value_flags at `offset`. */
#define FLAG_OPTIONS 4
void value_flags_options(struct opt out[FLAG_OPTIONS], size_t offset);
/* And of the table; `n` is at most FLAG_ONES. */
void value_flag_options(
	const struct value_flag *table, size_t n, struct opt *out, size_t offset);

/* Puts all of it over `into`. */
int value_flags_apply(const struct value_flags *f, const struct value_flag *table,
	size_t n, struct json *into, struct err *e);

#endif
