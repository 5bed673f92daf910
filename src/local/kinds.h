/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOCAL_KINDS_H
#define LOCAL_KINDS_H

/*
 * What kinds of objects there are: one table of those built in, and one that grows with
 * CustomResourceDefinitions.  Discovery, routing, owner references and tables read it.
 */
#include "wire/json.h"

enum kind_flag {
	KIND_NAMESPACED = 1 << 0,
	KIND_STATUS = 1 << 1, /* has /status, which the main resource cannot write */
	KIND_SCALE = 1 << 2,
	KIND_POD = 1 << 3, /* log, exec, attach, portforward, binding, eviction */
	KIND_TOKEN = 1 << 4,
	KIND_FINALIZE = 1 << 5,
	KIND_REVIEW = 1 << 6, /* only create, nothing is stored */
	KIND_CUSTOM = 1 << 7,
};

struct kind {
	const char *group, *version; /* group "" is the core */
	const char *resource;        /* "deployments" */
	const char *kind, *singular;
	const char *shorts;     /* "deploy", several apart by commas, or "" */
	const char *categories; /* "all" or "" */
	const char *res;        /* the store's name: "deployments.apps" */
	unsigned flags;
};

struct kinds; /* the table with the custom ones */

struct kinds *kinds_new(void);
void kinds_free(struct kinds *k);
size_t kinds_count(const struct kinds *k);
const struct kind *kinds_at(const struct kinds *k, size_t i);

/* NULL when there is none.  What they return lives as long as the table. */
const struct kind *kind_find(const struct kinds *k, struct slice group,
	struct slice version, struct slice res);
const struct kind *kind_of_object(const struct kinds *k, const char *api_version,
	const char *kind); /* of apiVersion and kind */
/* By the store's name ("pods", "deployments.apps"). */
const struct kind *kind_of_store(const struct kinds *k, const char *res);
/* As a person writes it: plural, singular, short name, kind, with or without group. */
const struct kind *kind_named(const struct kinds *k, const char *word);

/* "v1" or "apps/v1". */
void kind_api_version(const struct kind *k, struct buf *out);

/* Puts the served versions of a CRD in, or takes them out. */
void kinds_add_crd(struct kinds *k, const struct json *crd);
void kinds_drop_crd(struct kinds *k, const char *group, const char *resource);

#endif
