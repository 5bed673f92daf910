/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_DISCO_H
#define PROXY_DISCO_H

/*
 * Discovery and policy for workers.  The watches run on the control thread (gRPC
 * streams with reconnect and backoff); a worker subscribes and is told of each new
 * snapshot in its own loop.  What is known stays known while the control plane is away;
 * a stream's first answer after a reconnect replaces it whole.  A message that makes no
 * sense ends its stream, which is asked anew: what was known stays.  Watches are shared
 * by all subscribers of the same key and end when unused for the idle time (outbound 5
 * s, inbound 90 s by default).
 */
#include "ev/loop.h"
#include "proxy/target.h"

struct disco;
struct sub; /* one subscription; belongs to the worker that made it */

/* `value` is borrowed for the call: take a reference to keep it.  Never called from
 * inside disco_*() itself.  After sub_end() it is not called again. */
typedef void sub_fn(void *arg, struct ref *value);

/* struct inbound_policy for a port: told at once (next turn) with the default policy,
 * then with what the policy service says. */
struct sub *disco_inbound(
	struct disco *d, struct loop *worker, uint16_t port, sub_fn *fn, void *arg);
/* struct outbound_policy for an original destination.  Told when the profile and policy
 * are known; with a forward-to-address policy when there is nothing to know (not
 * discoverable, NotFound) and after `wait` ns without any answer while the control
 * plane is away. */
struct sub *disco_outbound(struct disco *d, struct loop *worker, const struct addr *dst,
	sub_fn *fn, void *arg);
/* The same by authority "name:port" (ingress mode, gateway). */
struct sub *disco_outbound_name(struct disco *d, struct loop *worker,
	const char *authority, sub_fn *fn, void *arg);
/* struct endpoints for a backend's name. */
struct sub *disco_endpoints(
	struct disco *d, struct loop *worker, const char *name, sub_fn *fn, void *arg);
/* An address failed several times in a row: the stream is asked anew (at most every 10
 * s). */
void disco_distrust(struct disco *d, const char *name);
void sub_end(struct sub *s);

#endif
