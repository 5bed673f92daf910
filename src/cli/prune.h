/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_PRUNE_H
#define CLI_PRUNE_H

/*
 * `mesh prune`: objects of the installation that its present version and values no
 * longer have, for `kubectl delete -f -`.
 *
 * Ours are those with the label linkerd.io/control-plane-ns, of the kinds that the
 * chart has had, in the namespace of the control plane or in none.
 */
#include "cli/install.h"

/* Appends YAML.  -1 when the cluster does not say what it has. */
int prune_render(struct ask *a, const struct install_config *cfg, struct buf *out,
	struct err *e);

#endif
