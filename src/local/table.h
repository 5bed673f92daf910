/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOCAL_TABLE_H
#define LOCAL_TABLE_H

/*
 * What `kubectl get` prints: Table objects (meta.k8s.io/v1), columns by kind.
 */
#include "local/kinds.h"

struct column {
	const char *name;
	bool wide;        /* only with -o wide */
	const char *type; /* NULL: "string" */
	/* Appends the cell's text; `now` is wall ns. */
	void (*cell)(const struct json *obj, uint64_t now, struct buf *out);
	const char *path; /* instead of cell: the value at this path */
};

struct columns {
	const char *res;
	size_t n;
	const struct column *v;
	bool nameless; /* it does not begin with the name */
};
/* NAME and AGE for kinds that have no own. */
const struct columns *columns_of(const struct kind *k);

enum table_include { TABLE_META, TABLE_OBJECT, TABLE_NONE };

/* A Table without rows; `crd` (may be NULL) gives the columns of a custom kind. */
struct json *table_new(const struct kind *k, const struct json *crd, bool with_columns);
void table_add(struct json *table, const struct kind *k, const struct json *crd,
	const struct json *obj, uint64_t now, enum table_include include);

/* "5d", "3m20s": as kubectl says ages. */
void age_text(uint64_t ns, struct buf *out);

#endif
