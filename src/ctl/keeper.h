/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTL_KEEPER_H
#define CTL_KEEPER_H

/*
 * What one of the injector's replicas does for all, under the Lease KEEPER_LEASE: trust
 * anchors into namespaces (anchorcopy.h), the webhook's certificate (hookcert.h), pods
 * that came without their proxy (reconcile.h).  It stands apart from answering the API
 * server, which every replica does.
 */
#include "kube/kube.h"

#define KEEPER_LEASE "mesh-injector-write"

struct keeper;

struct keeper_config {
	const char *namespace; /* of the control plane */
	/* The installation's values, borrowed for the moment. */
	const struct json *(*values)(void *arg);
	void *arg;
};

/* `cfg` is copied, its text outlives it. */
struct keeper *keeper_new(
	struct loop *l, struct kube *k, const struct keeper_config *cfg, struct err *e);
/* Stops writing, and hands the Lease back; `done` may come at once. */
void keeper_release(struct keeper *k, void (*done)(void *arg), void *arg);
void keeper_metrics(const struct keeper *k, struct buf *out);
void keeper_free(struct keeper *k); /* NULL is fine */

#endif
