/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOCAL_WEBHOOK_H
#define LOCAL_WEBHOOK_H

/*
 * Admission webhooks, without I/O: which ones a change must be shown to, what they are
 * asked (AdmissionReview v1), what their answer does.
 */
#include "local/change.h"

#define WEBHOOKS_MAX 32

struct webhook {
	struct object *config;   /* shared */
	const struct json *hook; /* of it */
	bool mutating;
};

/* Those whose rules and selectors fit, mutating ones first; returns how many. */
size_t webhooks_for(const struct change *c, struct webhook out[WEBHOOKS_MAX]);
void webhook_fini(struct webhook *w);

const char *webhook_name(const struct webhook *w);
bool webhook_may_fail(const struct webhook *w); /* failurePolicy: Ignore */
uint64_t webhook_timeout(const struct webhook *w);

/* The AdmissionReview for the change as it is now; returns owned. */
struct json *webhook_review(const struct change *c, const char *uid);
/*
 * Does what the answer says to c->obj.  NULL: go on; else the Status that refuses
 * (owned).  ERR in `e`: the answer cannot be used (the failure policy decides).
 */
struct json *webhook_apply(const struct webhook *w, struct change *c,
	const struct json *review, struct err *e);

#endif
