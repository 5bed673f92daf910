/* SPDX-License-Identifier: Apache-2.0 */
/* mesh upgrade: the control plane of this version, with what was chosen for the last.
 */
#include "cli/installcmd.h"

int upgrade_main(int argc, char **argv);

int upgrade_main(int argc, char **argv)
{
	return install_command(argc, argv, true);
}
