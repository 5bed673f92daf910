/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOCAL_VERBS_H
#define LOCAL_VERBS_H

/*
 * What `mesh local` does as a client: apply, delete, get, logs, exec.  Each prints what
 * it did and returns an exit status.
 */
#include "local/client.h"

struct verb_opts {
	const char *ns;        /* NULL: "default" */
	bool all_namespaces;   /* get */
	const char *output;    /* get: "", "wide", "json", "yaml", "name" */
	const char *selector;  /* get, delete */
	const char *file;      /* apply, delete: a file, a directory or "-" */
	const char *container; /* logs */
	bool in, tty;          /* exec */
	bool follow, previous, timestamps;
	int64_t tail; /* -1: all */
};

int verb_apply(struct client *c, const struct verb_opts *o, int argc, char **argv);
int verb_delete(struct client *c, const struct verb_opts *o, int argc, char **argv);
int verb_get(struct client *c, const struct verb_opts *o, int argc, char **argv);
int verb_logs(struct client *c, const struct verb_opts *o, int argc, char **argv);
/* POD COMMAND [word...]; returns the command's exit status. */
int verb_exec(struct client *c, const struct verb_opts *o, int argc, char **argv);

/*
 * The patch that makes `live` what `want` says, given what was applied before (`last`,
 * may be NULL): all of `want`, and a null for what `last` had and `want` has not.
 * Returns owned.  For verb_apply, and tests.
 */
struct json *apply_patch(const struct json *last, const struct json *want);

/* Prints a Table as kubectl does; `with_ns`: a column of namespaces in front. */
void table_print(const struct json *table, bool wide, bool with_ns, struct buf *out);

#endif
