/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_VERSIONS_H
#define CLI_VERSIONS_H

/* Versions in a cluster, as lines of text; "unavailable" where nobody says, and when
 * `a` is NULL. */
#include "base/buf.h"
#include "cli/ask.h"

void versions_server(struct ask *a, const char *namespace, bool brief, struct buf *out);
/* `workloads`: the namespace to look at, or NULL for all. */
void versions_proxies(struct ask *a, const char *namespace, const char *workloads,
	bool brief, struct buf *out);
/* The same of a PodList. */
void versions_count(const struct json *pods, bool brief, struct buf *out);

#endif
