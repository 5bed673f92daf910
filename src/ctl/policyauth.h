/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTL_POLICYAUTH_H
#define CTL_POLICYAUTH_H

/*
 * Who may use a port or a route (spec control-plane.md §4.2): default policies,
 * ServerAuthorizations and AuthorizationPolicies as the messages that proxies take.
 *
 * A policy of which something cannot be found or understood authorizes nobody.
 */
#include "api/inbound.pb-c.h"
#include "ctl/destint.h"
#include "ctl/policyview.h"

struct default_policy;
/* NULL when none is called so. */
const struct default_policy *default_policy_find(const char *name);
extern const struct default_policy default_policy_deny;
const char *default_policy_name(const struct default_policy *p);

/* What is being answered.  Lists grow in `arena`. */
struct authorizing {
	struct reader *reader;
	const struct destination_config *cfg;
	struct arena *arena;
};

struct authz_list {
	Inbound__Authz **v;
	size_t n, room;
};

void authorize_default(
	struct authorizing *z, const struct default_policy *p, struct authz_list *out);
/* Everybody of the probe networks. */
void authorize_probes(struct authorizing *z, struct authz_list *out);
/* By the policies that name the server, its namespace, or select it. */
void authorize_server(
	struct authorizing *z, const struct server_view *s, struct authz_list *out);
/* By the policies that name the route. */
void authorize_route(
	struct authorizing *z, const struct route_view *r, struct authz_list *out);

/* group, kind and name, as metrics have them. */
Common__Label **authz_labels(
	const char *group, const char *kind, const char *name, struct arena *a);

#endif
