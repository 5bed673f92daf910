/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_ADMIN_INT_H
#define PROXY_ADMIN_INT_H

/* The admin server's parts: admin.c (probes, shutdown), admin_tell.c (metrics, ports,
 * settings), admin_log.c (log level and stream). */
#include "base/list.h"
#include "http/site.h"
#include "proxy/control.h"

struct admin {
	struct site *site;
	const struct proxy_config *cfg;
	struct metrics *metrics;
	struct admin_hooks hooks;
	struct admin_policy *policy;
	struct loop *loop;
	unsigned followers; /* of the log */
};

static inline struct admin *admin_of(struct call *c)
{
	return c->site_arg;
}

/* For what changes the proxy or shows its log: only the pod itself may.  False: the
 * call is answered. */
bool admin_is_local(struct call *c);

void admin_get_metrics(struct call *c);
void admin_get_ports(struct call *c); /* as a table */
void admin_get_ports_json(struct call *c);
void admin_get_env(struct call *c);
void admin_log_level(struct call *c);
void admin_follow_log(struct call *c);

#endif
