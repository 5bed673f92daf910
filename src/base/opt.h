/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_OPT_H
#define BASE_OPT_H

/*
 * Options from one table: defaults, then environment, then argv, into a struct.
 *
 * Every mistake is reported, not only the first.  `--help` is made from the table.
 * Flags are `--name value`, `--name=value`, `-name=value` (Go's flag style, as the
 * control plane's flags are used) and `-x` for the short form; `--` ends them.
 */
#include <stddef.h>
#include <stdio.h>

#include "base/err.h"
#include "base/slice.h"

enum opt_kind {
	OPT_TEXT,     /* const char * (owned by argv, environ or the table) */
	OPT_BOOL,     /* bool; the flag alone means true */
	OPT_INT,      /* int64_t between min and max */
	OPT_DURATION, /* uint64_t ns, duration_parse() or duration_parse_go() */
	OPT_CUSTOM,   /* parse() stores at the offset */
};

struct opt {
	const char *flag; /* "proxy-uid", or NULL when only the environment sets it */
	char brief;       /* 'u', or 0 */
	const char *env;  /* "LINKERD2_PROXY_LOG", or NULL */
	enum opt_kind kind;
	size_t offset;
	const char *preset; /* as text; NULL leaves the field as the caller set it */
	bool needed;        /* absent or empty is a mistake */
	int64_t min, max;   /* OPT_INT; both 0: any */
	const char *arg;    /* "PORT", for --help */
	const char *help;
	int (*parse)(void *field, const char *text, struct err *e);
};

/* What to do with the mistakes found: called once for each, with "NAME: reason". */
typedef void opt_complain(void *arg, const char *what);

/*
 * Fills `into` from the table.  `argv` may be NULL (environment only); words that are
 * no option are moved to the front of argv[1..] and counted in *nrest (NULL: they are a
 * mistake).  Returns the number of mistakes.
 */
int opt_read(const struct opt *table, size_t n, void *into, int argc, char **argv,
	int *nrest, opt_complain *complain, void *arg);

/* Prints "usage: <synopsis>", the text, then the table. */
void opt_help(FILE *to, const char *synopsis, const char *text, const struct opt *table,
	size_t n);

/*
 * What opt_help() would print is told to `fn` instead, until it is NULL: for those who
 * want the table.  `words`: what opt_help_words() said before; or NULL.
 */
typedef void opt_help_fn(
	void *arg, const char *words, const struct opt *table, size_t n);
void opt_help_to(opt_help_fn *fn, void *arg);
/* The first words that the next opt_help() is about, blanks between: "up down". */
void opt_help_words(const char *words);

/* True when argv asks for help (-h, --help). */
bool opt_asks_help(int argc, char **argv);

#endif
