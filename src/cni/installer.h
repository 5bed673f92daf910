/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CNI_INSTALLER_H
#define CNI_INSTALLER_H

/*
 * Keeps a node's files as node.h makes them: looks whenever one of their directories
 * changes (inotify), whenever the token does, and now and then.
 *
 * When it is told to end it has to know why.  A pod that is replaced leaves everything
 * as it is: until the next one is there the plugin fails for want of a valid token, and
 * pods wait, instead of starting outside the mesh.  A pod whose DaemonSet is gone, or
 * goes, takes everything away.
 */
#include "cni/node.h"
#include "kube/kube.h"

enum installer_undo { UNDO_AUTO, UNDO_ALWAYS, UNDO_NEVER };

struct installer_config {
	struct node_config node;
	enum installer_undo undo;
	struct kube *kube;     /* UNDO_AUTO: who is asked; NULL: nothing is undone */
	const char *namespace; /* of the DaemonSet */
	const char *daemonset;
};

struct installer;
/* `cfg` outlives it. */
struct installer *installer_new(
	struct loop *l, const struct installer_config *cfg, struct err *e);
bool installer_is_ready(void *installer);
/* It has stopped the loop: the directory that it keeps is gone. */
bool installer_is_lost(const struct installer *in);
void installer_metrics(void *installer, struct buf *out);
/* Decides, undoes or does not, and calls `done`. */
void installer_stop(struct installer *in, void (*done)(void *arg), void *arg);
void installer_free(struct installer *in); /* NULL is fine */

#endif
