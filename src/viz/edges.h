/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VIZ_EDGES_H
#define VIZ_EDGES_H

/*
 * Who has connections to whom, and with which identities, as `linkerd viz edges` shows
 * them (spec cli.md §5, viz.md §2.1).  Values in, text out.
 */
#include "viz/pods.h"

struct edge {
	const char *src, *src_ns, *dst, *dst_ns;
	const char *client_id, *server_id; /* "" when it is not TLS of the mesh */
	const char *reason;                /* why it is not; "" when it is */
};

struct edges {
	struct edge *v; /* sorted by the names */
	size_t n;
};

/* Of what the pods' second reading says; `ns` "": any, else at either end. */
void edges_make(
	struct viz_pods *pods, enum viz_kind kind, const char *ns, struct edges *out);
void edges_fini(struct edges *e);
void edges_write_table(const struct edges *e, bool wide, struct buf *out);
struct json *edges_json(const struct edges *e); /* owned */

#endif
