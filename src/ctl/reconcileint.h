/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTL_RECONCILEINT_H
#define CTL_RECONCILEINT_H

/* Inside the reconciler: reconcile.c (what is watched, when it is looked at),
 * reconcileview.c (what of an object counts), reconcileevict.c (one pod). */
#include "base/clock.h"
#include "base/map.h"
#include "ctl/reconcile.h"

/* Why a pod without its proxy is evicted or is not; text for people. */
#define RECONCILE_VERDICTS(X)                                                          \
	X(EVICT,                                                                       \
		"it was made while the injector could not be reached, and is evicted " \
		"so that it is made anew")                                             \
	X(BEFORE, "it was made before it was asked for, or before the mesh was "       \
		  "installed")                                                         \
	X(ALONE, "it was made while the injector could not be reached, and is of no "  \
		 "ReplicaSet, StatefulSet or DaemonSet that would make it anew")       \
	X(PINNED, "it was made while the injector could not be reached, and is "       \
		  "annotated not to be evicted")                                       \
	X(OLD, "it was made while the injector could not be reached, and has run for " \
	       "too long to be evicted unasked")                                       \
	X(AGAIN, "it was made anew and came without one again: the API server does "   \
		 "not get through to the injector, or something takes the proxy out")  \
	X(OFF, "it was made while the injector could not be reached, and "             \
	       "proxyInjector.repairPods is off")

enum reconcile_verdict {
#define X(name, text) RECONCILE_##name,
	RECONCILE_VERDICTS(X)
#undef X
		RECONCILE_VERDICT_COUNT
};

/* The webhook's configuration, as far as it says who is served. */
struct reconcile_hook {
	struct json *spaces, *objects; /* selectors; owned; NULL: not read yet */
	uint64_t since;                /* it serves them at least since then */
};
/* True when others are served than before. */
bool reconcile_hook_take(struct reconcile_hook *h, const struct json *object);
void reconcile_hook_drop(struct reconcile_hook *h);

/* ---- what is kept, and pure questions about it ---- */

struct reconcile_space {
	struct map_node node;
	char *name;
	bool there;      /* seen; else only its pods are */
	bool served;     /* the webhook is asked about its pods */
	bool hands_down; /* pods that say nothing get a proxy */
	bool allows;     /* pods that ask get one: its own annotation is no nonsense */
	bool from_birth; /* it was made with its annotation */
	uint64_t since;  /* it has had its annotation at least since then; 0: unknown */
	uint64_t changed; /* what is asked of its pods did, after this one was made */
	size_t pods;      /* struct reconcile_pod in it */
	size_t unmeshed;  /* of those, while metrics are written */
};

struct reconcile_pod {
	struct map_node node;
	char *namespace, *name; /* one text with a NUL between, the key */
	struct reconcile_space *space;
	char *uid, *owner;   /* its controller's uid, or NULL */
	char *workload;      /* "deployment/web": what is restarted; or NULL */
	uint64_t made;       /* by the API server's clock */
	uint64_t not_before; /* of a try, by the loop's */
	bool own;            /* asks itself */
	bool own_from_birth; /* has done so since it was made */
	bool pinned;         /* annotated not to be evicted */
	bool gone;           /* while its eviction is on its way */
	int told;            /* the verdict + 1; 0: none */
};

/* Fills what of the namespace counts. */
void reconcile_view_space(struct reconcile_space *s, const struct json *object,
	const struct reconcile_hook *hook, const struct json *values);
/* The pod runs, is served and has no proxy, and would have one if its namespace asked
 * for it. */
bool reconcile_is_bare(const struct json *pod, const struct reconcile_hook *hook,
	const struct json *values);
/* Fills what of the pod counts; its texts are owned. */
void reconcile_view_pod(
	struct reconcile_pod *p, const struct json *pod, const struct json *values);
/* What may change while it is the same pod. */
void reconcile_view_asks(
	struct reconcile_pod *p, const struct json *pod, const struct json *values);
bool reconcile_is_same(const struct reconcile_pod *p, const struct json *pod);
/* Made by our injector with a proxy. */
bool reconcile_is_injected(const struct json *pod);
uint64_t reconcile_made(const struct json *object); /* its creationTimestamp, or 0 */

/* The pod asks for a proxy, now. */
bool reconcile_is_unmeshed(const struct reconcile_pod *p);
/* It was made after it was asked for, and after the webhook was there. */
bool reconcile_was_asked_first(const struct reconcile_pod *p, uint64_t hook_since);

/* ---- the whole ---- */

struct reconcile {
	struct loop *loop;
	struct kube *kube;
	const struct reconcile_config *cfg;
	uint64_t pace;
	struct timer step;
	struct kube_call *ask; /* for the webhook's configuration */
	uint64_t ask_at;       /* the next time, by the loop's clock */
	struct reconcile_hook hook;
	struct kube_watch *spaces_watch, *pods_watch;
	struct map spaces, pods;
	size_t said;      /* how many were last logged … */
	uint64_t said_at; /* … and when, by the loop's clock */

	/* Creation, by the API server: of any pod that was seen, of any with a proxy,
	 * of any at the last eviction. */
	uint64_t newest, proved, mark;
	struct kube_call *evicting;
	struct reconcile_pod *evicted; /* by that call */
	struct map owners;             /* whose pods were evicted */
	uint64_t quiet; /* nothing is evicted until then, by the loop's clock */
	bool unproved;  /* since the last eviction no pod was made with a proxy */
	int trouble;    /* the status that was last complained about */
	uint64_t evictions, refused, failed;
};

void reconcile_pod_free(struct reconcile_pod *p);

/* ---- reconcileevict.c ---- */
enum reconcile_verdict reconcile_judge(
	const struct reconcile *r, const struct reconcile_pod *p);
/* The event about an unmeshed pod, once for each verdict; false: it was told. */
bool reconcile_tell(struct reconcile *r, struct reconcile_pod *p);
/* Evicts it, unless it is to stay or to wait. */
void reconcile_evict(struct reconcile *r, struct reconcile_pod *p);
/* What all pods together say of the webhook, before any is evicted. */
void reconcile_weigh(struct reconcile *r);
void reconcile_evict_end(struct reconcile *r); /* forgets all of this */

#endif
