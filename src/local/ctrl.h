/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOCAL_CTRL_H
#define LOCAL_CTRL_H

/*
 * The controllers: Deployments, ReplicaSets, Jobs, EndpointSlices, namespaces, the
 * binding of pods to the node, garbage collection.
 *
 * Level-triggered over one queue of object names: a change of anything puts the names
 * of what it may concern into the queue; a controller reads the state as it is, makes
 * one step towards what is wanted, and is called again for what that changed.  No clock
 * of their own: the store's.
 */
#include "local/kinds.h"
#include "local/store.h"

struct ctrls;

typedef void ctrl_created(void *ctx, const struct err *e); /* e NULL: it is there */

struct ctrls_config {
	struct store *store;
	const struct kinds *kinds;
	const char *ca_pem; /* for kube-root-ca.crt */
	/* Creates `obj` (takes it) as any client would: defaults, webhooks, checks. May
	 * answer at once or later, but answers. */
	void (*create)(void *arg, const char *res, struct json *obj, ctrl_created *done,
		void *ctx);
	/* There is work: call ctrls_run() soon, not from here. */
	void (*wake)(void *arg);
	void *arg;
};

struct ctrls *ctrls_new(const struct ctrls_config *cfg);
void ctrls_free(struct ctrls *c);
/* Does what is due; returns the wall time (ns) of the next thing due, or 0. */
uint64_t ctrls_run(struct ctrls *c);

#endif
