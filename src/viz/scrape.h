/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VIZ_SCRAPE_H
#define VIZ_SCRAPE_H

/*
 * Reads the metrics of the proxies of many pods: through the API server where it
 * forwards to pods, else from the pods' own addresses.  A few at a time; a pod that
 * does not answer within five seconds is left out, and said.
 */
#include "kube/kube.h"
#include "viz/pods.h"

struct scrape;

struct scrape_user {
	void (*on_missing)(void *arg, const struct viz_pod *p, const struct err *e);
	void (*on_done)(void *arg); /* once, last, never before scrape_new() returned */
};

/* Fills `after` of those that `wanted` says; `pods` and the rest outlive it. */
struct scrape *scrape_new(struct loop *l, struct dns *d, struct kube *k,
	struct viz_pods *pods, bool (*wanted)(void *arg, const struct viz_pod *p),
	const struct scrape_user *user, void *arg);
void scrape_free(struct scrape *s); /* also while it reads; NULL is fine */

#endif
