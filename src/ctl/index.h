/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTL_INDEX_H
#define CTL_INDEX_H

/*
 * What the cluster holds, by the keys that discovery and policy ask with, kept current
 * by watches.
 *
 * Whoever computes something from it is a reader.  Every question is asked in a
 * reader's name and remembered, also when the answer was "nothing": when an answer may
 * have changed, the reader is told that it is stale, once, shortly after (many changes
 * make one telling), and has to ask everything again.  Nobody else has to know what
 * depends on what.
 *
 * Views are borrowed until the loop turns.  One loop.
 */
#include "ctl/view.h"
#include "kube/kube.h"

struct index;

struct index_user {
	void (*on_synced)(void *arg); /* every kind was listed; once */
	void *arg;
};

struct index *index_new(struct loop *l, const struct index_user *user);
/* Lists and watches.  `k` NULL: there is nothing to list, it is synced. */
int index_watch(struct index *ix, struct kube *k, struct err *e);
bool index_is_synced(const struct index *ix);
void index_free(struct index *ix); /* the readers were ended before; NULL is fine */

/* The watch's doing: an object came, changed or went. */
void index_put(struct index *ix, enum view_kind kind, const struct json *object);
void index_gone(struct index *ix, enum view_kind kind, const struct json *object);
size_t index_count(const struct index *ix, enum view_kind kind);
const char *view_kind_name(enum view_kind kind); /* "pod" */

/* ---- readers ---- */
struct reader {
	struct index *index;
	struct list interests;
	struct list node; /* among the stale */
	void (*on_stale)(struct reader *r);
};
void reader_init(
	struct reader *r, struct index *ix, void (*on_stale)(struct reader *r));
void reader_reset(struct reader *r); /* forgets its questions; before it asks again */
void reader_fini(struct reader *r);

/* ---- questions: NULL or an empty list when nothing is known ---- */
const struct pod_view *index_pod(struct reader *r, const char *ns, const char *name);
const struct service_view *index_service(
	struct reader *r, const char *ns, const char *name);
const struct node_view *index_node(struct reader *r, const char *name);
const struct namespace_view *index_namespace(struct reader *r, const char *name);
/* `kind` as in struct owner: "replicaset" or "job"; others have no owner we know of. */
const struct owned_view *index_owned(
	struct reader *r, const char *kind, const char *ns, const char *name);
/* Any kind, by its name: for those that have no question of their own. */
const struct view *index_named(
	struct reader *r, enum view_kind kind, const char *ns, const char *name);
#define index_named_as(r, kind, type, ns, name)                                        \
	({                                                                             \
		const struct view *named_ = index_named((r), (kind), (ns), (name));    \
		named_ ? container_of(named_, const struct type, view) : NULL;         \
	})

struct place {
	struct list node;    /* in its slot */
	struct list of_view; /* view.places */
	struct slot *slot;
	struct view *view;
};
/* Lists of struct place (member `node`), in no order. */
const struct list *index_slices(struct reader *r, const char *ns, const char *service);
const struct list *index_services_at(struct reader *r, const struct ip *ip);
const struct list *index_pods_at(struct reader *r, const struct ip *ip);
/* Servers, ServerAuthorizations or AuthorizationPolicies of a namespace. */
const struct list *index_all(struct reader *r, enum view_kind kind, const char *ns);
/* Routes of every kind that name this parent: "Server" or "Service". */
const struct list *index_routes(
	struct reader *r, const char *parent_kind, const char *ns, const char *name);
/* Pods that have `at` as a host port on their node's address. */
const struct list *index_host_ports_at(struct reader *r, const struct addr *at);

#define place_as(p, type)                                                              \
	((const struct type *)container_of((p)->view, struct type, view))

#endif
