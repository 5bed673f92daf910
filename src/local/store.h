/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOCAL_STORE_H
#define LOCAL_STORE_H

/*
 * The objects of the local API server: what etcd is to Kubernetes, in process.
 *
 * A resource is named as kubectl names it: "pods", "deployments.apps".  Objects are
 * immutable once stored and shared by reference count: a change stores a new one with a
 * higher version.  Every change has an event in a window of history; watchers read it
 * at their own pace, and those that fell behind the window must list again.
 *
 * With a directory, each change is appended to a log there before it is visible; it is
 * read back at start (a torn last line is dropped) and rewritten when it has grown.  A
 * change that cannot be written is refused and nothing is changed.
 *
 * One thread.  Writers and watchers of the process (controllers, kubelet) and the REST
 * handlers all use this.
 */
#include "base/err.h"
#include "base/list.h"
#include "base/slice.h"
#include "base/snap.h"
#include "wire/json.h"

struct store;

struct store_config {
	const char *dir;            /* NULL: in memory only */
	size_t history;             /* events kept for watchers; 0: 2000 */
	uint64_t (*now)(void *arg); /* wall ns; NULL: the system's clock */
	void *arg;
};
struct store *store_new(const struct store_config *cfg, struct err *e);
void store_free(struct store *s);
uint64_t store_now(const struct store *s);     /* wall ns, of the configured clock */
uint64_t store_version(const struct store *s); /* of the newest change */

struct object {
	struct ref ref;
	struct json *json; /* never changed */
	/* Borrowed from it; "" when it has none. */
	const char *ns, *name, *uid;
	uint64_t version;
};
struct object *object_ref(struct object *o); /* shares */
void object_unref(struct object *o);         /* NULL is fine */

/* ---- reading ---- */
/* Borrowed until the store changes; NULL when absent.  `ns` "" for cluster objects. */
struct object *store_find(
	const struct store *s, const char *res, const char *ns, const char *name);
/* The same object's tree. */
const struct json *store_get(
	const struct store *s, const char *res, const char *ns, const char *name);

/* A list of references in order of namespace and name, that changes do not disturb. */
struct store_list {
	struct object **v;
	size_t n;
};
/* `ns` NULL: of all namespaces. */
void store_list(
	const struct store *s, const char *res, const char *ns, struct store_list *out);
/* As it was at `version`.  False when changes since then may have left the window. */
bool store_list_at(const struct store *s, const char *res, const char *ns,
	uint64_t version, struct store_list *out);
void store_list_end(struct store_list *list);
/* Calls fn for every resource that has or had objects. */
void store_each_resource(
	const struct store *s, void (*fn)(void *arg, const char *res), void *arg);

/* ---- writing; each takes `obj`, whatever the result ---- */
enum store_result {
	STORE_OK,
	STORE_MISSING,  /* no such object */
	STORE_EXISTS,   /* create: the name is taken */
	STORE_CONFLICT, /* the version or uid asked for is not the current one */
	STORE_INVALID,  /* no name */
	STORE_FAILED,   /* could not be written to the state directory; e says why */
};
/*
 * `out` (may be NULL) gets the stored object, borrowed until the store changes.
 * metadata.namespace and name (or generateName) are read from `obj`; uid,
 * creationTimestamp, generation and resourceVersion are made here.
 */
enum store_result store_create(struct store *s, const char *res, struct json *obj,
	struct object **out, struct err *e);

enum store_part {
	STORE_WHOLE,     /* everything but what the store keeps */
	STORE_NO_STATUS, /* everything but .status, which stays */
	STORE_STATUS,    /* only .status (and metadata.finalizers stay) */
};
/*
 * A metadata.resourceVersion in `obj` must be the current one (none: any).  A change of
 * anything but metadata and status raises the generation; no change at all makes no
 * event.  Removing the last finalizer of an object being deleted deletes it: then *out
 * is NULL.
 */
enum store_result store_update(struct store *s, const char *res, struct json *obj,
	enum store_part part, struct object **out, struct err *e);
/* Takes `status`; the usual call of a controller or kubelet. */
enum store_result store_set_status(struct store *s, const char *res, const char *ns,
	const char *name, struct json *status, struct err *e);

struct store_delete {
	int64_t grace;       /* seconds; -1: what the object's spec says */
	const char *uid;     /* must be this one; NULL: any */
	const char *version; /* the same of resourceVersion */
	bool foreground;     /* dependents first */
};
/*
 * An object with finalizers, or a pod bound to a node with a grace period above 0, is
 * only marked (deletionTimestamp): the kubelet ends the pod, then deletes it with grace
 * 0.  *out is the marked object, or NULL when it is gone.
 */
enum store_result store_delete(struct store *s, const char *res, const char *ns,
	const char *name, const struct store_delete *how, struct object **out,
	struct err *e);

/* ---- watching ---- */
enum store_what { STORE_ADDED, STORE_MODIFIED, STORE_DELETED };

struct store_event {
	enum store_what what;
	uint64_t version;
	const char *res;
	/* Borrowed until the store changes.  `now` of a deletion is the last state with
	 * the deletion's version; `old` is NULL when added. */
	struct object *now, *old;
};

struct store_watch {
	struct list node;
	struct store *store;
	char res[128]; /* "": of all resources */
	uint64_t at;   /* the last version seen */
	bool awake;
	/* There is something to read.  Called in the middle of a write: only put work
	 * off (loop_later), do not touch the store.  Not called again before
	 * store_watch_next() has said STORE_NO_MORE. */
	void (*wake)(struct store_watch *w);
};
/* `since`: the version from which on; store_version() for "from now".  `res` NULL: all.
 */
void store_watch_begin(struct store_watch *w, struct store *s, const char *res,
	uint64_t since, void (*wake)(struct store_watch *w));
enum store_next { STORE_NO_MORE, STORE_MORE, STORE_EXPIRED /* list again */ };
enum store_next store_watch_next(struct store_watch *w, struct store_event *ev);
void store_watch_end(struct store_watch *w);
/* False when events after `since` may have left the window. */
bool store_has_since(const struct store *s, uint64_t since);

/* ---- Events (the API's) ---- */
/* Writes one about `about`; the same one again is counted up.  `component` "kubelet".
 */
void store_tell(struct store *s, const char *component, const struct json *about,
	const char *type, const char *reason, const char *message);

#endif
