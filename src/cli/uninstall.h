/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_UNINSTALL_H
#define CLI_UNINSTALL_H

/*
 * `mesh uninstall`: names of the objects that `mesh install` made and that belong to no
 * namespace, for `kubectl delete -f -`; with the namespace goes all that is in it.
 */
#include "base/buf.h"
#include "cli/ask.h"

/* The kinds, as `mesh install --crds` prints them. */
int install_crds(struct buf *out, struct err *e);

/* Appends YAML: the webhook first, so that it does not outlive who answers for it. */
int uninstall_render(const char *namespace, struct buf *out, struct err *e);

/*
 * How many pods have a proxy of the control plane and would be left with it; -1 when
 * the cluster does not say.  Appends their namespaces to `where`, each once.
 */
int uninstall_left(
	struct ask *a, const char *namespace, struct buf *where, struct err *e);

#endif
