/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOCAL_RESTINT_H
#define LOCAL_RESTINT_H

/* Between the files of the REST view. */
#include "local/meta.h"
#include "local/rest.h"
#include "local/status.h"

/* The decoded value of a query parameter, from the call's arena; NULL when absent. */
const char *rest_param(struct rest_call *c, const char *name);
/* The i-th of several. */
const char *rest_param_at(struct rest_call *c, const char *name, size_t i);
bool rest_flag(struct rest_call *c, const char *name); /* "true" or "1" */
bool rest_is(const struct rest_call *c, const char *method);

void rest_answer(struct rest_call *c, int status, struct json *body); /* takes body */
/* One object in the version of the request; a Table when asked for. */
void rest_answer_object(
	const struct rest *r, struct rest_call *c, int status, const struct json *obj);
/* Owned copy in the version of the request. */
struct json *rest_view(const struct rest_call *c, const struct json *obj);
const struct json *rest_crd(const struct rest *r, const struct kind *k);
/* The body as JSON or YAML, owned; answers 400 or 415 and returns NULL otherwise. */
struct json *rest_body(struct rest_call *c);
/* The object of the path, or a 404 is answered. */
struct object *rest_find(const struct rest *r, struct rest_call *c);
/* Reads labelSelector and fieldSelector; false when answered with 400. */
bool rest_selectors(struct rest_call *c);
bool rest_selects(const struct rest_call *c, const struct json *obj);

void rest_get(const struct rest *r, struct rest_call *c);
void rest_list(const struct rest *r, struct rest_call *c);
void rest_watch(const struct rest *r, struct rest_call *c);
void rest_create(const struct rest *r, struct rest_call *c);
void rest_update(const struct rest *r, struct rest_call *c);
void rest_patch(const struct rest *r, struct rest_call *c);
void rest_delete(const struct rest *r, struct rest_call *c);
void rest_delete_all(const struct rest *r, struct rest_call *c);
/* Begins the way through the webhooks with c->change.obj set. */
void rest_change(const struct rest *r, struct rest_call *c, enum change_verb verb,
	struct object *old);
/* Applies the body's patch to `doc` (taken); NULL when answered. */
struct json *rest_apply_patch(struct rest_call *c, struct json *doc);

void rest_scale(const struct rest *r, struct rest_call *c);
void rest_pod(const struct rest *r, struct rest_call *c);
void rest_bind(const struct rest *r, struct rest_call *c);
void rest_evict(const struct rest *r, struct rest_call *c);
void rest_token(const struct rest *r, struct rest_call *c);
void rest_review(const struct rest *r, struct rest_call *c);
void rest_finalize(const struct rest *r, struct rest_call *c);

/* Paths that name no resource; false when there is nothing there. */
bool rest_discovery(const struct rest *r, struct rest_call *c);
bool rest_openapi(const struct rest *r, struct rest_call *c);

#endif
