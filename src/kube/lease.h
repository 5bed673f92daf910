/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KUBE_LEASE_H
#define KUBE_LEASE_H

/*
 * One of several replicas writes: a Lease (coordination.k8s.io/v1) says which.
 *
 * Clocks of other machines are not believed: what counts is how long ago, by our own
 * steady clock, the Lease was seen to change.  The holder gives up writing well before
 * another may take over: it stops LEASE_STOP after its last renewal was sent, others
 * wait LEASE_FOR after they saw it.  A holder that ends hands it back (release), and
 * the next takes it within LEASE_LOOK.
 */
#include "base/clock.h"
#include "kube/kube.h"

#define KUBE_LEASE_FOR  (30 * NS_PER_S) /* nobody else takes it in this time */
#define KUBE_LEASE_STOP (10 * NS_PER_S) /* without a renewal the holder stops */
#define KUBE_LEASE_LOOK (2 * NS_PER_S)  /* between renewals, and between looks */

struct kube_lease_config {
	const char *namespace, *name;
	const char *holder; /* who we are: the pod's name and something unique */
	/* ns; 0: as above.  `retry` < `stop` < `lasts`. */
	uint64_t lasts, stop, retry;
};

struct kube_lease;

/* `changed` is told when it becomes ours and when it is no longer; never before this
 * returned.  `cfg` and its texts are copied. */
struct kube_lease *kube_lease_new(struct loop *l, struct kube *k,
	const struct kube_lease_config *cfg, void (*changed)(void *arg, bool ours),
	void *arg);
bool kube_lease_is_ours(const struct kube_lease *l);
/* Hands it back, if it is ours, and asks for it no more; `done` may come at once.
 * `changed` is told first, so that nothing more is written. */
void kube_lease_release(struct kube_lease *l, void (*done)(void *arg), void *arg);
void kube_lease_free(struct kube_lease *l); /* keeps silent; NULL is fine */

#endif
