/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_ISSUER_H
#define CLI_ISSUER_H

/* The certificates of an installation: from files, from values, from what is installed,
 * or made. */
#include "cli/install.h"

/*
 * Puts them into `values` (of the chart of the control plane), where they are not yet.
 * -1 when something is missing that must not be made, or does not fit together.
 */
int issuer_fill(const struct install_config *cfg, struct json *values, struct err *e);

/* Takes them out again: all but the trust anchors are secret, and have objects of their
 * own. */
void issuer_strip(struct json *values);

#endif
