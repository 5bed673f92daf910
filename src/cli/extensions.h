/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_EXTENSIONS_H
#define CLI_EXTENSIONS_H

/*
 * Programs on PATH that are commands of `mesh`: `mesh-<name>`, and `linkerd-<name>`
 * where there is none (plugins of Linkerd keep working).  The first on PATH counts.
 */
#include <stdbool.h>
#include <stddef.h>

/* Where it is; false: nowhere. */
bool extension_find(const char *name, char *out, size_t size);

/* Runs it in our place, with argv[1..] as its words; returns only when there is none
 * (false) or it cannot be run (true: it is told). */
bool extension_run(const char *name, char **argv);

/* Each name once, in the order of the alphabet, but for those in `but`; returned owned
 * as a NULL-terminated list in one piece of memory. */
char **extensions_list(bool (*but)(const char *name));

#endif
