/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KUBE_SELECTOR_H
#define KUBE_SELECTOR_H

/*
 * Label and field selectors.
 *
 * A parsed selector is a list of requirements as in matchExpressions: key, operator
 * (In, NotIn, Exists, DoesNotExist), values; for fields the key is a path.  All must
 * hold.
 */
#include "wire/json.h"

/* "a=b,c!=d,e in (f,g),h notin (i),j,!k".  Returns owned; NULL when malformed. */
struct json *selector_parse(struct slice text, struct err *e);
/* "metadata.name=a,status.phase!=Running". */
struct json *selector_parse_fields(struct slice text, struct err *e);

bool selector_labels(const struct json *requirements, const struct json *labels);
bool selector_fields(const struct json *requirements, const struct json *obj);

/* A LabelSelector {matchLabels, matchExpressions}; an empty one matches everything. */
bool selector_matches(const struct json *selector, const struct json *labels);
/* A plain map, as a Service has; an empty or absent one matches nothing. */
bool selector_map(const struct json *map, const struct json *labels);
/* The LabelSelector as text ("a=b,c in (d)"), for tables and scale. */
void selector_text(const struct json *selector, struct buf *out);

#endif
