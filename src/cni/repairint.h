/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CNI_REPAIRINT_H
#define CNI_REPAIRINT_H

/* Inside the repairs: repair.c (which pods there are, when they are looked at) and
 * repairpod.c (one pod). */
#include "base/map.h"
#include "cni/repair.h"
#include "sys/podproc.h"

/* A pod of this node that has a proxy and no init container of its own. */
struct repair_pod {
	struct map_node node; /* by its uid */
	char uid[POD_UID];
	struct json *view;  /* what its rules depend on, and its reference; owned */
	pid_t pid;          /* found in this sweep; 0: none */
	bool fine;          /* its rules were seen */
	bool failed;        /* they could not be looked at, and it was said */
	bool validated_not; /* its validator has failed for want of rules */
	bool deleting;
};

#define REPAIR_COUNTERS(X)                                                             \
	X(checks, "Pods whose rules were read.")                                       \
	X(repaired, "Pods whose rules were missing, and written.")                     \
	X(failed, "Times that rules could not be read or written.")                    \
	X(deleted, "Pods that were deleted, to be made anew.")                         \
	X(unmeshed, "Pods that were found without the proxy they ask for.")

struct repair {
	const struct repair_config *cfg;
	struct loop *loop;
	struct kube_watch *pods_watch, *spaces_watch;
	struct map pods;   /* struct repair_pod */
	struct map spaces; /* struct repair_space */
	struct timer sweep;
	struct json *values; /* presets of the injection */
	struct json *api;    /* the Service of the API server; NULL */
	struct kube_call *ask;
	struct {
#define X(name, help) uint64_t name;
		REPAIR_COUNTERS(X)
#undef X
	} count;
};

/* What of a pod is kept.  Returns owned. */
struct json *repair_view(const struct json *pod);
/* Its namespace as an object with metadata, borrowed; NULL: not seen yet. */
const struct json *repair_space_of(const struct repair *r, const char *name);
/* Looks at its rules, writes them when they are missing. */
void repair_look(struct repair *r, struct repair_pod *p);
/* Asks for a proxy and has none: says so. */
void repair_tell_unmeshed(struct repair *r, const struct json *pod);

#endif
