/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTL_ACCESS_H
#define CTL_ACCESS_H

/*
 * May we do what we are going to do?  Asked once at the start
 * (SelfSubjectAccessReview), so that a missing role is said then and not with the first
 * request.  Asks again while the API server does not answer.
 */
#include "kube/kube.h"

struct access;

struct access_what {
	const char *verb, *group, *resource;
};

/* `allowed` false: `why` says so.  A server without such reviews allows everything. */
typedef void access_done(void *arg, bool allowed, const char *why);

struct access *access_new(struct loop *l, struct kube *k,
	const struct access_what *what, access_done *done,
	void *arg);                 /* `what` outlives it */
void access_free(struct access *a); /* also while it asks; NULL is fine */

#endif
