/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_CNICMD_H
#define CLI_CNICMD_H

/* `mesh install-cni`: the chart of the CNI plugin, on stdout.  Returns the exit status.
 */
int cni_command(int argc, char **argv);

#endif
