/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_OUTBOUND_INT_H
#define PROXY_OUTBOUND_INT_H

/*
 * Shared by outbound.c (connections), outbound_target.c (what discovery says of an
 * address) and outbound_http.c (requests).
 */
#include "http/server.h"
#include "net/relay.h"
#include "proxy/balancer.h"
#include "proxy/seen.h"
#include "proxy/sniff.h"

/* The balancers of one policy's backends, found once. */
struct out_backend {
	const struct backend *of;  /* in the policy */
	struct balancer *balancer; /* a reference */
	const struct policy_route
		*route; /* what it is a backend of; NULL: of streams */
	struct route_meter *route_meter, *meter; /* references; NULL until used */
};

/* One original destination and what is known of it, as of now. */
struct out_target {
	struct map_node node; /* by address as text, in the worker */
	char key[ADDR_TEXT];
	struct pworker *worker;
	struct addr dst;
	struct sub *sub;
	struct seen *seen;              /* owned; may be NULL */
	struct outbound_policy *policy; /* a reference; NULL until told */
	struct out_backend *backends;
	size_t nbackends;
	struct list waiting; /* out_conn: until there is a policy */
	unsigned refs;
	uint64_t unused_since;
	bool client_first; /* its clients speak HTTP: no hurry to listen to the server
			    */
};

struct out_target *out_target_get(struct pworker *w, const struct addr *dst);
void out_target_put(struct out_target *t);
/* Picks a backend of `d` (weights; first with a ready endpoint); NULL when there is
 * none. */
struct out_backend *out_target_pick(struct out_target *t, const struct distribution *d);

enum out_at {
	OUT_POLICY,
	OUT_DETECT,
	OUT_DIAL,
	OUT_RELAY,
	OUT_HTTP,
	OUT_OVER,
};

struct out_conn {
	unsigned magic;
	enum out_at at;
	struct client client;
	struct list node; /* in the target's waiting */
	struct out_target *target;
	struct conn *conn;
	struct addr dst;
	struct flow_count flow;
	uint64_t since; /* loop time when its bytes were first looked at */
	bool told_peer; /* the report knows the endpoint it spoke HTTP to */
	bool streaming; /* counted as a byte stream of the target's route */

	struct sniff *sniff;
	struct stream *stream;
	struct conn *server;
	struct flow_count server_flow;
	struct relay *relay;
	struct http_server *http;
};
#define OUT_CONN_MAGIC 0x0bc00001u

void out_conn_policy(struct out_conn *c);
void out_conn_free(struct out_conn *c, const struct err *why);
void out_http_begin(struct out_conn *c, enum http_kind kind);

#endif
