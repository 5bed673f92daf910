/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_ASK_H
#define CLI_ASK_H

/*
 * Questions to a cluster's API server, one after the other, for commands that have
 * nothing else to do meanwhile: each blocks.
 */
#include "kube/kube.h"

struct ask;

/* `cluster` zeroed: as kube.h says, and `mesh local`'s when there is no other. */
struct ask *ask_new(const struct kube_config *cluster, struct err *e);
void ask_free(struct ask *a); /* NULL is fine */

/* Owned, of an answer 200; else NULL, ERR_MISSING for 404, ERR_DENIED for 401 and 403.
 */
struct json *ask_get(struct ask *a, const char *path, struct err *e);
/* The same for what is not JSON, appended to `out`. */
int ask_text(struct ask *a, const char *path, struct buf *out, struct err *e);
/* What becomes of `object` when it is made at the collection `path`, as a dry run.
 * Owned; NULL when it is refused. */
struct json *ask_would(
	struct ask *a, const char *path, const struct json *object, struct err *e);
/* May we do that?  `namespace` "": of no namespace.  -1 when not. */
int ask_may(struct ask *a, const char *verb, const char *group, const char *resource,
	const char *namespace, struct err *e);

/* ---- for those who ask more than the API server; borrowed ---- */
struct loop *ask_loop(struct ask *a);
struct dns *ask_dns(struct ask *a);
struct kube *ask_kube(struct ask *a);
/* What was put off until the end of a turn of the loop is done now. */
void ask_settle(struct ask *a);

#endif
