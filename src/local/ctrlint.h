/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOCAL_CTRLINT_H
#define LOCAL_CTRLINT_H

/* Among the controllers. */
#include "local/ctrl.h"

enum ctrl_which {
	CTRL_DEPLOY,
	CTRL_REPLICAS, /* ReplicaSets */
	CTRL_RC,
	CTRL_JOB,
	CTRL_SLICE, /* of a Service */
	CTRL_NS,
	CTRL_BIND, /* of a pod */
	CTRL_GC,   /* name: a uid */
	CTRL_UNSERVED,
	CTRL_COUNT
};

struct ctrls {
	struct ctrls_config cfg;
	struct store *store;
	struct store_watch watch;
	struct list queue;
	/* Creations that have not been answered, by owner. */
	struct list pending;
};

/* Puts a name in; `in_ns` from now; an earlier due time wins. */
void ctrl_queue(struct ctrls *c, enum ctrl_which which, const char *ns,
	const char *name, uint64_t in_ns);

/* Creates `obj` (takes) for `owner`; ctrl_pending() counts it until it is answered.  A
 * failure is told as an event of the owner and tried again after a while. */
void ctrl_create(struct ctrls *c, enum ctrl_which which, const struct json *owner,
	const char *res, struct json *obj);
size_t ctrl_pending(const struct ctrls *c, const char *owner_uid);

/* A pod of `owner` made by its template; returns owned. */
struct json *ctrl_pod_of(const struct json *owner, const struct json *template);
/* The objects of `res` whose controller is `uid`. */
void ctrl_owned(const struct ctrls *c, const char *res, const char *ns, const char *uid,
	struct store_list *out);
/* Deletes and tells so as an event of `owner`. */
void ctrl_delete_pod(
	struct ctrls *c, const struct json *owner, const struct object *pod);
bool ctrl_pod_is_active(const struct json *pod); /* neither over nor being deleted */

void ctrl_deploy(struct ctrls *c, const char *ns, const char *name);
void ctrl_replicas(struct ctrls *c, const char *ns, const char *name);
void ctrl_rc(struct ctrls *c, const char *ns, const char *name);
void ctrl_job(struct ctrls *c, const char *ns, const char *name);
void ctrl_slice(struct ctrls *c, const char *ns, const char *name);
void ctrl_ns(struct ctrls *c, const char *ns, const char *name);
void ctrl_bind(struct ctrls *c, const char *ns, const char *name);
void ctrl_gc(struct ctrls *c, const char *ns, const char *uid);
void ctrl_unserved(struct ctrls *c, const char *res, const char *name);

#endif
