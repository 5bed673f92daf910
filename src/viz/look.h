/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VIZ_LOOK_H
#define VIZ_LOOK_H

/*
 * One look at the cluster, for a command: its pods, and what their proxies tell now, or
 * now and a while later.  Blocks; says on standard error which pods did not answer and,
 * at a terminal, how long it will take.
 */
#include "kube/kube.h"
#include "viz/pods.h"

struct look_config {
	const char *command;        /* in messages: "mesh stat" */
	struct kube_config cluster; /* zeroed: as kube.h says, and `mesh local`'s */
	const char *control_ns;
	uint64_t window; /* ns between two readings; 0: one reading */
	bool (*wanted)(void *arg, const struct viz_pod *p); /* NULL: all */
	void *arg;
};

/* -1 when the pods cannot be listed, or none of those wanted could be read. */
int look(const struct look_config *cfg, struct viz_pods *out, struct err *e);

#endif
