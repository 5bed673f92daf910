/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTL_DESTINATION_H
#define CTL_DESTINATION_H

/*
 * Discovery and policy (spec control-plane.md §2 and §4): where a Service's endpoints
 * are and what they speak, what a port may be asked by whom, and how a client is to
 * route.  Two gRPC servers over one index of the cluster; plain, the mesh proxy beside
 * them does TLS.
 */
#include "base/addr.h"
#include "ctl/index.h"

struct cidr_list {
	struct cidr *v; /* owned */
	size_t n;
};

struct destination_config {
	struct addr at, policy_at;
	const char *namespace; /* of the control plane */
	const char *trust_domain, *cluster_domain;
	const char *opaque_ports;   /* where neither object nor namespace says */
	const char *default_policy; /* "all-unauthenticated", … */
	struct cidr_list cluster_networks, probe_networks;
	bool transport_header;      /* else clients keep the port they meant */
	bool h2_upgrade;            /* HTTP/1 between proxies over HTTP/2 */
	bool allow_request_headers; /* l5d-retry-… and l5d-timeout of clients */
	bool ipv6;
	int64_t queue; /* updates that may wait for one client */
};

/* False when no inbound policy is called so. */
bool default_policy_is_known(const char *name);
/* "10.0.0.0/8,fd00::/8" into a list; the caller's to free. */
int cidr_list_parse(const char *text, struct cidr_list *out, struct err *e);

struct destination;

/* `cfg` with its texts outlives it.  `k` NULL: nothing is watched, the cluster is what
 * destination_index() is given. */
struct destination *destination_new(struct loop *l, struct kube *k,
	const struct destination_config *cfg, struct err *e);
struct index *destination_index(struct destination *d);
const struct addr *destination_addr(const struct destination *d);
const struct addr *destination_policy_addr(const struct destination *d);
bool destination_is_ready(void *destination); /* the cluster was listed */
void destination_metrics(void *destination, struct buf *out);
/* Ends every call: clients go on elsewhere. */
void destination_drain(struct destination *d, void (*done)(void *arg), void *arg);
void destination_free(struct destination *d);

#endif
