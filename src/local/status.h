/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOCAL_STATUS_H
#define LOCAL_STATUS_H

/*
 * The API's own kind of answer: Status objects, with reason, code and, for what is
 * wrong with an object, the causes by field path.
 */
#include "local/kinds.h"
#include "local/store.h"

/* Returns owned.  `code` also chooses status: below 300 is Success. */
struct json *status_new(int code, const char *reason, const char *fmt, ...)
	PRINTF_LIKE(3, 4);
int status_code(const struct json *status);

struct json *status_not_found(const struct kind *k, const char *name);
/* What a result of the store means for `name`; `e` has its text. */
struct json *status_of_store(enum store_result r, const struct kind *k,
	const char *name, const struct err *e);

/* ---- causes: mistakes in an object ---- */
#define CAUSES_MAX 50

/* A list that status_invalid() takes.  Reasons: "FieldValueRequired", … */
void cause_add(struct json *causes, const char *reason, const char *field,
	const char *fmt, ...) PRINTF_LIKE(4, 5);
#define CAUSE_REQUIRED  "FieldValueRequired"
#define CAUSE_INVALID   "FieldValueInvalid"
#define CAUSE_DUPLICATE "FieldValueDuplicate"
#define CAUSE_CHOICE    "FieldValueNotSupported"
#define CAUSE_FORBIDDEN "FieldValueForbidden"
/* 422 with the causes (takes them). */
struct json *status_invalid(
	const struct kind *k, const char *name, struct json *causes);

#endif
