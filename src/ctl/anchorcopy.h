/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTL_ANCHORCOPY_H
#define CTL_ANCHORCOPY_H

/*
 * Trust anchors where the proxies are: the ConfigMap INJECT_ROOTS of the control
 * plane's namespace is copied into every namespace that the webhook serves.  A pod
 * mounts ConfigMaps of its own namespace only; the kubelet then renews the file in each
 * pod, and proxies follow it without a restart.
 *
 * Copies are labelled as ours, come back when somebody changes or deletes them, and go
 * with the control plane's namespace, which owns them.  A ConfigMap of that name which
 * is not labelled so (another tool hands out bundles) is left alone.  A bundle that is
 * no list of certificates is not handed out.
 */
#include "kube/kube.h"

struct anchorcopy;

/* `namespace` is the control plane's, and outlives it.  Reads from now on, and writes
 * while it is active. */
struct anchorcopy *anchorcopy_new(
	struct loop *l, struct kube *k, const char *namespace, struct err *e);
void anchorcopy_set_active(struct anchorcopy *a, bool active);
void anchorcopy_metrics(const struct anchorcopy *a, struct buf *out);
void anchorcopy_free(struct anchorcopy *a); /* NULL is fine */

#endif
