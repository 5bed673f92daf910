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
 * standing connection keeps those it was made with.
 */
struct identity;
struct identity *proxy_identity_start(struct loop *l, struct dns *d,
	const struct proxy_config *cfg, struct snap *creds, struct metrics *metrics,
	void (*ready)(void *arg), void *arg, struct err *e);
void proxy_identity_free(struct identity *id);

/* GET /live /ready /metrics, … (spec proxy.md §14). */
struct admin;
struct admin_hooks {
	bool (*is_ready)(void *arg);
	void (*shutdown)(void *arg);
	void *arg;
	struct report *report; /* for /ports */
};
struct admin *proxy_admin_start(struct loop *l, const struct proxy_config *cfg,
	struct metrics *metrics, struct snap *creds, const struct admin_hooks *hooks,
	struct err *e);
void proxy_admin_free(struct admin *a);

/* process_*, proxy_build_info */
void proxy_process_metrics(void *arg, struct buf *out);

#endif
