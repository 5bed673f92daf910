/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VIZ_PODS_H
#define VIZ_PODS_H

/*
 * The pods of the cluster as stat and edges look at them: whose they are, and what
 * their proxies told at two moments (spec viz.md §2.1, §3: there labels of Prometheus).
 */
#include "base/addr.h"
#include "base/arena.h"
#include "base/buf.h"
#include "wire/json.h"

enum viz_kind {
	VIZ_DEPLOYMENT,
	VIZ_DAEMONSET,
	VIZ_STATEFULSET,
	VIZ_JOB,
	VIZ_CRONJOB,
	VIZ_REPLICASET,
	VIZ_CONTROLLER, /* ReplicationController */
	VIZ_POD,
	VIZ_NAMESPACE,
	VIZ_SERVICE,
	VIZ_KINDS
};

struct viz_kind_name {
	const char *name; /* "deployment": in JSON, and as a label (behind "dst_") */
	const char *plural, *brief; /* "deployments", "deploy" */
};
extern const struct viz_kind_name viz_kinds[VIZ_KINDS];
/* By any of its names; false when nothing is called so. */
bool viz_kind_parse(struct slice text, enum viz_kind *out);

struct viz_pod {
	const char *ns, *name, *phase;
	const char *owner[VIZ_KINDS]; /* "" where it has none; [VIZ_POD] is its name */
	const char *identity;         /* of its proxy; "" when it has none */
	bool meshed;                  /* has a proxy of this control plane */
	bool counted;                 /* Pending or Running */
	struct addr admin;            /* of its proxy; family 0: no address yet */
	struct buf before, after;     /* its metrics; empty when not read */
};

struct viz_pods {
	struct arena arena;
	struct viz_pod *v;
	size_t n;
};

/* Of a PodList.  `control_ns`: of the control plane, "mesh". */
void viz_pods_read(
	const struct json *list, const char *control_ns, struct viz_pods *out);
void viz_pods_fini(struct viz_pods *p);

#endif
