/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KUBE_KUBE_H
#define KUBE_KUBE_H

/*
 * A client of the Kubernetes API: REST calls, and watches that keep themselves current.
 *
 * In a cluster: the service account's token (read again when it changes) and CA,
 * address from KUBERNETES_SERVICE_HOST/PORT.  Elsewhere: a kubeconfig (KUBECONFIG's
 * files together, or ~/.kube/config): certificates, tokens, passwords, exec plugins
 * (execcred.h; they block); proxies by proxy-url or HTTPS_PROXY.  One loop.
 */
#include "ev/dns.h"
#include "wire/json.h"

struct kube;

#define KUBE_GROUPS_MAX 32

struct kube_config {
	const char *
		kubeconfig; /* NULL: KUBECONFIG, else in cluster, else ~/.kube/config */
	const char *context;   /* NULL: current-context */
	const char *component; /* who we are, in events and User-Agent; NULL: "mesh" */
	/* Whom to act for (impersonation); stronger than what the kubeconfig says. */
	const char *as;
	const char *as_groups[KUBE_GROUPS_MAX];
	size_t n_as_groups;
};
/*
 * For commands: `given`, or the kubeconfig of the `mesh local` that runs here where
 * nothing else says which cluster is meant; `out` is room for it.
 */
const char *kube_local_config(const char *given, char out[512]);
struct kube *kube_new(
	struct loop *l, struct dns *d, const struct kube_config *cfg, struct err *e);
void kube_free(struct kube *k); /* its watches are freed before */
/* The namespace of the pod or of the context; NULL when unknown. */
const char *kube_namespace(const struct kube *k);

/* Appends `text` with %XX for all but unreserved characters (RFC 3986, 2.3). */
void kube_escape(struct buf *out, const char *text);

struct kube_call;
/* status 0: it failed below HTTP, e says how.  `body` is borrowed; NULL when not JSON.
 */
typedef void kube_done(
	void *arg, int status, const struct json *body, const struct err *e);

/* `content_type` NULL: application/json; `body` NULL: none.  Never NULL, and never
 * calls `done` before it returned; gives up after a minute. */
struct kube_call *kube_request(struct kube *k, const char *method, const char *path,
	const char *content_type, const struct json *body, kube_done *done, void *arg);
void kube_cancel(struct kube_call *c); /* done is not called */

/* The same for what is not JSON: a pod's metrics through the API server. */
typedef void kube_text_done(
	void *arg, int status, struct slice body, const struct err *e);
struct kube_call *kube_get_text(
	struct kube *k, const char *path, kube_text_done *done, void *arg);

/* ---- watches ----
 *
 * Lists in pages, each object told as it comes (also of a list that breaks off and is
 * asked for again), then watches from there with bookmarks; resumes from the last
 * version after any break; lists again only on 410 Gone, and then reports what vanished
 * meanwhile.  Errors are logged once a change and retried with backoff.  An event that
 * cannot be understood is counted and skipped: it never stops the watch.  A kind that
 * the server does not have (404) counts as synced and empty, is said once in the log
 * and asked for again every minute.
 */
enum kube_event { KUBE_PUT, KUBE_GONE };

struct kube_watch_user {
	/* `object` is borrowed for the call: keep a small view, not the tree.  On
	 * KUBE_GONE it may hold only metadata.namespace and name. */
	void (*on_object)(void *arg, enum kube_event ev, const struct json *object);
	void (*on_synced)(void *arg); /* the first list is complete */
};
struct kube_watch;
/* `path` "/api/v1/pods", or several with blanks between (the versions of a kind): the
 * first that the server has; `query` "labelSelector=…" (encoded) or NULL. */
struct kube_watch *kube_watch_new(struct kube *k, const char *path, const char *query,
	const struct kube_watch_user *user, void *arg, struct err *e);
void kube_watch_free(struct kube_watch *w);
bool kube_watch_is_synced(const struct kube_watch *w);

/* Writes an Event about `regarding` (apiVersion, kind, namespace, name, uid are read
 * from it); the same event within ten minutes is counted up, not repeated, and its
 * count written every ten seconds at most.  Of all events fifty at once and then five a
 * second are written; the rest are dropped and counted. */
void kube_event(struct kube *k, const struct json *regarding, const char *type,
	const char *reason, const char *message);
uint64_t kube_events_dropped(const struct kube *k);

/* Appends Prometheus text: what each watch has heard, and whether it is interrupted. */
void kube_metrics(const struct kube *k, struct buf *out);

#endif
