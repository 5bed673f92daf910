/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOCAL_META_H
#define LOCAL_META_H

/*
 * Small views of API objects: metadata, owners, labels, conditions.  All borrow from
 * the object; texts are "" when absent.
 */
#include "wire/json.h"

const char *meta_ns(const struct json *obj);
const char *meta_name(const struct json *obj);
const char *meta_uid(const struct json *obj);
bool meta_is_deleted(const struct json *obj); /* has a deletionTimestamp */
const char *meta_label(const struct json *obj, const char *key); /* NULL when absent */
const char *meta_annotation(const struct json *obj, const char *key);
uint64_t meta_time(
	const struct json *obj, const char *path); /* wall ns; 0 when absent */

/* The owner with controller: true, or NULL. */
const struct json *meta_controller(const struct json *obj);
bool meta_is_owned_by(const struct json *obj, const char *uid);
/* Makes `owner` the controller of `obj`. */
void meta_set_controller(struct json *obj, const struct json *owner);
struct json *meta_new(const char *api_version, const char *kind, const char *ns,
	const char *name); /* returns owned */

/* status.conditions[type]; NULL when absent. */
const struct json *condition_get(const struct json *obj, const char *type);
bool condition_is(const struct json *obj, const char *type, const char *status);
/*
 * Sets a condition in `status` (of an object being built); lastTransitionTime moves
 * only when the status text changes.
 */
void condition_set(struct json *status, const char *type, const char *value,
	const char *reason, const char *message, uint64_t now);

bool pod_is_ready(const struct json *pod);
bool pod_is_over(const struct json *pod); /* Succeeded or Failed */

#endif
