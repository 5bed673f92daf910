/* SPDX-License-Identifier: Apache-2.0 */
/* mesh install-cni: the CNI plugin as manifests. */
#include "cli/cnicmd.h"

int install_cni_main(int argc, char **argv);

int install_cni_main(int argc, char **argv)
{
	return cni_command(argc, argv);
}
