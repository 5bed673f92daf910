/* SPDX-License-Identifier: Apache-2.0 */
/* mesh install: the control plane as manifests, for kubectl or for mesh local. */
#include "cli/installcmd.h"

int install_main(int argc, char **argv);

int install_main(int argc, char **argv)
{
	return install_command(argc, argv, false);
}
