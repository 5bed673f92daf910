/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CNI_REPAIR_H
#define CNI_REPAIR_H

/*
 * Finds the pods of one node that run outside the mesh (spec ext.md §3.5):
 *
 *	redirection is missing   the plugin was not chained when the pod was made, or
 *	                         somebody has removed rules: they are written in place;
 *	                         only where that fails, and the pod's validator has seen
 *	                         it too, the pod is deleted
 *	there is no proxy        the webhook was away: told by an event, for a proxy
 *	                         cannot be put into a pod that exists
 *
 * Needs the node's processes (hostPID) and network namespace, CAP_SYS_ADMIN to enter
 * the pods', CAP_SYS_PTRACE to find them, CAP_NET_ADMIN to write rules.
 */
#include "cni/podrules.h"
#include "kube/kube.h"

struct repair_config {
	struct kube *kube;
	const char *node;
	const struct cni_conf *conf;
};

struct repair;
/* `cfg` and what it points to outlive it. */
struct repair *repair_new(
	struct loop *l, const struct repair_config *cfg, struct err *e);
bool repair_is_ready(void *repair); /* it knows the node's pods */
void repair_metrics(void *repair, struct buf *out);
void repair_free(struct repair *r); /* NULL is fine */

#endif
