/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTL_REVIEW_H
#define CTL_REVIEW_H

/*
 * AdmissionReview (admission.k8s.io v1 and v1beta1), without I/O: what the API server
 * asks, and what is answered.
 */
#include "wire/json.h"

struct review {
	struct json *json; /* the whole; the rest is borrowed from it */
	const char *version, *uid, *kind, *namespace;
	const struct json *object;
	bool dry_run;
};

/* Fills `r`, the caller's storage.  -1: it is no review, e says why. */
int review_read(struct review *r, struct slice body, struct err *e);
void review_fini(struct review *r);

struct review_answer {
	const struct json *patch;    /* a list; NULL or empty: none */
	const struct json *warnings; /* a list of texts, or NULL; shown by kubectl */
	int refused;                 /* 0: allowed; else a status such as 400 */
	const char *message;         /* why it is refused */
};
/* Appends the answer's text. */
void review_write(
	const struct review *r, const struct review_answer *answer, struct buf *out);

#endif
