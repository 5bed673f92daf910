/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_DISCOVER_H
#define CLI_DISCOVER_H

/*
 * What the control plane tells proxies, asked in their place (spec api.md, cli.md §3):
 * the endpoints of a Service, the profile of an address, the policy of a port.
 */
#include "cli/ask.h"

struct discover {
	struct ask *ask;
	const char *control_ns;
	const char *pod;   /* of the component destination; NULL: one that is ready */
	const char *token; /* who asks, as a proxy's context token; NULL: nobody */
	const char *form;  /* "table", "json" or "yaml", what each takes */
};

/* Each appends to `out`. */

/* Of authorities as "web.shop.svc.cluster.local:80"; *found counts them. */
int discover_endpoints(const struct discover *d, size_t n, char *const *authority,
	struct buf *out, size_t *found, struct err *e);
/* Of "host:port"; JSON. */
int discover_profile(const struct discover *d, const char *authority, struct buf *out,
	struct err *e);
/* Of "po/NAME" (what it lets in) or "svc/NAME" (how clients route to it). */
int discover_policy(const struct discover *d, const char *ns, const char *resource,
	uint16_t port, struct buf *out, struct err *e);

#endif
