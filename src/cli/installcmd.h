/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_INSTALLCMD_H
#define CLI_INSTALLCMD_H

/* `mesh install` and `mesh upgrade` as commands: options in, manifests on stdout, exit
 * status. */
#include <stdbool.h>

int install_command(int argc, char **argv, bool upgrade);

#endif
