/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_CONTROL_H
#define PROXY_CONTROL_H

/*
 * The control thread's parts: who asks the control plane, and who is asked by people
 * and probes.  All of it runs on one loop, apart from the workers.
 */
#include "http/channel.h"
#include "proxy/config.h"
#include "proxy/disco.h"
#include "proxy/metrics.h"

struct disco *disco_new(struct loop *l, const struct proxy_config *cfg,
	struct channel *destination, struct channel *policy);
/* For metrics_extra(): messages that could not be understood. */
void disco_metrics(void *disco, struct buf *out);
void disco_free(struct disco *d); /* after the workers have ended */

/* Counts the calls to one service in control_*, how its name was resolved and whether
 * there is a connection; lies in its owner, longer than the channel. */
enum control_client { CLIENT_DESTINATION, CLIENT_IDENTITY, CLIENT_POLICY };
struct control_meter {
	struct metrics *metrics;
	enum control_client client;
	char addr[280];
	char labels[640];
};
void control_meter_init(struct control_meter *m, struct metrics *metrics,
	enum control_client client, const struct control_addr *to);
/* For channel_config: `arg` is the meter. */
void control_meter_state(void *arg, bool up, const struct err *e);
void control_meter_lookup(void *arg, bool is_srv, bool found);
extern const struct filter control_meter_filter; /* shared: the above */

/* A channel to a control-plane service: mTLS with `creds` unless it is local. */
struct channel *control_channel(struct loop *l, struct dns *d,
	const struct control_addr *to, struct snap *creds, struct control_meter *meter,
	struct err *e);

/*
 * The proxy's own identity (spec proxy.md §12.1): key and request from the identity
 * directory (made there when absent), certified by the identity service, renewed at 70
 * % of its life for as long as the process lives.  `creds` always holds the newest; a
 * standing connection keeps those it was made with.  The trust anchors' file, when one
 * is named, is looked at every second, and what it holds is believed from then on: its
 * owner lets old and new overlap.
 */
struct identity;
struct identity *proxy_identity_start(struct loop *l, struct dns *d,
	const struct proxy_config *cfg, struct snap *creds, struct metrics *metrics,
	void (*ready)(void *arg), void *arg, struct err *e);
/* Why there is no certificate yet, or NULL when there is one. */
const char *proxy_identity_problem(const struct identity *id);
void proxy_identity_free(struct identity *id);

/* GET /live /ready /metrics, … (spec proxy.md §14). */
struct admin;
struct admin_hooks {
	/* What is missing before the proxy can do all it is for; NULL: nothing. */
	const char *(*missing)(void *arg);
	void (*shutdown)(void *arg);
	void *arg;
	struct report *report; /* for /ports */
};
/* Who may ask it, by the policy of its port. */
struct admin_policy;
struct call;
struct admin_policy *admin_policy_new(struct loop *l, struct disco *d, uint16_t port);
bool admin_policy_permits(const struct admin_policy *a, struct call *c);

struct admin *proxy_admin_start(struct loop *l, const struct proxy_config *cfg,
	struct metrics *metrics, struct snap *creds, const struct admin_hooks *hooks,
	struct err *e);
/* From now on its port's policy holds. */
int proxy_admin_guard(struct admin *a, struct disco *d, struct err *e);
void proxy_admin_free(struct admin *a);

/* process_*, proxy_build_info */
void proxy_process_metrics(void *arg, struct buf *out);

#endif
