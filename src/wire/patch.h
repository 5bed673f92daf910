/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIRE_PATCH_H
#define WIRE_PATCH_H

/*
 * The three kinds of patch that a Kubernetes API server takes.  Each changes a copy of
 * *doc and puts it in *doc's place when all of it worked; on failure *doc is as it was.
 * The patch is borrowed.
 */
#include "wire/json.h"

#define PATCH_OPS_MAX 10000             /* operations of a JSON Patch */
#define PATCH_SPREAD  (4 * 1024 * 1024) /* bytes that its "copy" and "add" may make */
#define PATCH_DEPTH   100               /* levels of what a JSON Patch leaves behind */

/* What a JSON Pointer (RFC 6901) points at, borrowed from `j`; NULL when nothing. */
struct json *json_pointer(struct json *j, struct slice pointer);

/* JSON Patch (RFC 6902).  ERR_DENIED when a "test" fails, ERR_MISSING when a path is
 * not there, else ERR_SYNTAX or ERR_LIMIT. */
int patch_json(struct json **doc, const struct json *ops, struct err *e);

/* JSON Merge Patch (RFC 7386). */
int patch_merge(struct json **doc, const struct json *patch, struct err *e);

/*
 * Kubernetes' strategic merge: lists of the built-in kinds are merged by their keys
 * (containers by name, …); with $patch, $retainKeys, $deleteFromPrimitiveList and
 * $setElementOrder.
 */
int patch_strategic(struct json **doc, const struct json *patch, struct err *e);

#endif
