/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_CHECKFILES_H
#define CLI_CHECKFILES_H

/*
 * A cluster as files: what `kubectl get … -o yaml` printed, in the files of a folder
 * (.yaml, .yml, .json; several documents and Lists in one are fine).
 *
 * It answers as a check_source.  A kind of which no object is among the files is one
 * that nobody asked kubectl for: the answer is ERR_CLOSED, as to all that only a living
 * cluster knows.
 */
#include "cli/check.h"

struct check_files;

/* -1 when a file cannot be read: it is named, with the line. */
struct check_files *check_files_new(const char *dir, struct err *e);
void check_files_free(struct check_files *f); /* NULL is fine */
struct check_source check_files_source(struct check_files *f);

#endif
