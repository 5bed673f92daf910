/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTL_POLICYROUTE_H
#define CTL_POLICYROUTE_H

/*
 * Routes by their parent, and the parts of messages that inbound and outbound routes
 * share.
 *
 * On the wire a filter of an inbound route, of a GRPCRoute and of an outbound HTTPRoute
 * are one message, and so are the backends of the latter two: the same fields under the
 * same numbers.  They are made as the outbound HTTPRoute's, and stand in for the others
 * when a message is written, which goes by each message's own description.
 */
#include "ctl/destint.h"
#include "ctl/policyview.h"

struct route_list {
	const struct route_view **v;
	size_t n;
};
/* HTTPRoutes or GRPCRoutes that name `parent` (and `port`, or none); oldest first, then
 * by name.  `ns` NULL or the routes' namespace. */
struct route_list routes_of(struct reader *r, const struct object_ref *parent,
	uint16_t port, bool grpc, const char *ns, struct arena *a);

/* To answer every request of a rule with an error instead of what it says. */
Outbound__HttpRoute__Filter *failure_filter(
	bool grpc, const char *message, struct arena *a);
/* The rule's own; with the failure before them where one of them is not known. */
Outbound__HttpRoute__Filter **rule_filters(
	const struct route_rule *rule, bool grpc, size_t *n, struct arena *a);
Meta__Metadata *route_metadata(const struct route_view *r, struct arena *a);

#endif
