/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTL_RECONCILE_H
#define CTL_RECONCILE_H

/*
 * Pods that ask for a proxy and have none: they were made while the webhook was away
 * (failurePolicy Ignore), or before somebody asked.  Which those are is decided by what
 * the webhook decides by (inject.h), and by the selectors of its configuration.
 *
 * Each is told: an event on the pod with the reason and the command that mends it, a
 * gauge, a count in the log.  A pod that exists cannot be given containers, so what can
 * be done is to have it made anew: it is evicted, within its disruption budget, when
 *
 *	the values say so (proxyInjector.repairPods),
 *	its controller makes pods anew (ReplicaSet, StatefulSet, DaemonSet),
 *	it was made after the webhook's configuration and after it was asked for, as far
 *	as managedFields prove that: who annotates a namespace does not restart it,
 *	it is younger than RECONCILE_YOUNG,
 *	and the webhook answers: after an eviction nothing more is evicted until a pod
 *	was seen that was made with a proxy since.  So when the API server does not get
 *	through to the webhook at all, one pod is evicted in vain, and no more.
 *
 * A pod whose predecessor was evicted within the hour, and that came without a proxy
 * again, is only told.
 * Times are compared with each other as the API server gave them, never with our clock,
 * but for the age.
 *
 * Kept are pods without a proxy that could ask for one, at some 400 bytes each, never
 * their text.
 */
#include "kube/kube.h"

#define RECONCILE_YOUNG (UINT64_C(3600) * NS_PER_S)

struct reconcile_config {
	const char *hook; /* name of the MutatingWebhookConfiguration */
	/* The installation's values, borrowed for the moment. */
	const struct json *(*values)(void *arg);
	void *arg;
	uint64_t pace; /* ns between two looks, and two evictions; 0: five seconds */
};

struct reconcile;

/* `cfg` outlives it.  It reads and writes while it is active, and knows nothing
 * otherwise. */
struct reconcile *reconcile_new(
	struct loop *l, struct kube *k, const struct reconcile_config *cfg);
void reconcile_set_active(struct reconcile *r, bool active);
void reconcile_metrics(const struct reconcile *r, struct buf *out);
void reconcile_free(struct reconcile *r); /* NULL is fine */

#endif
