/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_OUTBOUND_INT_H
#define PROXY_OUTBOUND_INT_H

/*
 * Shared by outbound.c (connections), outbound_target.c (what discovery says of an
 * address) and outbound_http.c (requests).
 */
#include "proxy/duct.h"
#include "proxy/seen.h"

/* The balancers of one policy's backends, found once. */
struct out_backend {
	const struct backend *of;  /* in the policy */
	struct balancer *balancer; /* a reference */
	struct route_meter *meter; /* a reference; NULL until used */
};

/* Somebody who waits for a target's first policy: `ready` is called once, out of the
 * list. */
struct out_wait {
	struct list node;
	void (*ready)(struct out_wait *w);
};

/* One original destination, or name, and what is known of it, as of now. */
struct out_target {
	struct map_node node; /* by address or "host:port", in the worker */
	char *key;
	struct pworker *worker;
	struct sub *sub;
	struct seen *seen;              /* owned; may be NULL */
	struct outbound_policy *policy; /* a reference; NULL until told */
	struct out_backend *backends;
	size_t nbackends;
	struct route_meter **meters; /* of the policy's routes, HTTP/1's first */
	size_t nmeters;              /* references; NULL until used */
	struct list waiting;         /* out_wait: until there is a policy */
	unsigned refs;
	uint64_t unused_since;
	bool client_first; /* its clients speak HTTP: no hurry to listen to the server
			    */
};

/* A reference; NULL when memory is out, or there are too many names. */
struct out_target *out_target_get(struct pworker *w, const struct addr *dst);
struct out_target *out_target_named(struct pworker *w, const char *authority);
struct out_target *out_target_ref(struct out_target *t);
void out_target_put(struct out_target *t);
/* Picks a backend of `d` (weights; first with a ready endpoint); NULL when there is
 * none. */
struct out_backend *out_target_pick(struct out_target *t, const struct distribution *d);
/* What PROTO_TLS has for this server name; NULL: nothing. */
const struct policy_route *out_target_tls(struct out_target *t, const char *sni);
/* Where a byte stream goes, by its TLS route or by none (NULL); borrowed; NULL and `e`
 * when it may not go anywhere. */
struct balancer *out_target_stream(
	struct out_target *t, const struct policy_route *tls, struct err *e);

struct out_conn {
	unsigned magic;
	struct duct duct;
	struct out_wait wait;
	struct out_target *target;
	struct addr dst;
	uint64_t since;     /* loop time when its bytes were first looked at */
	bool streaming;     /* counted as a byte stream of the target's route */
	struct ref *policy; /* keeps the route below; a reference, or NULL */
	const struct policy_route *tls; /* of a client whose server name has one */
};
#define OUT_CONN_MAGIC 0x0bc00001u

void out_conn_free(struct out_conn *c, const struct err *why);
/* Route and backend of px->target (else of the client's destination); fields that are
 * between proxies only. */
extern const struct filter route_filter, peer_filter;
/* Before it: px->target from l5d-dst-override. */
extern const struct filter ingress_filter;
void out_http_begin(struct out_conn *c, enum http_kind kind);

#endif
