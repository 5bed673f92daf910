/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOCAL_NODE_H
#define LOCAL_NODE_H

/*
 * The one node of the local runtime: runs the store's pods as processes, each pod in
 * its own network namespace with an address; keeps Service addresses in nf_tables and
 * answers cluster DNS.
 *
 * Pods, their links and namespaces end with the process that runs the node, however it
 * ends.  What can be left then (a pair of links, one nf_tables table, folders) has
 * fixed names: local_node_sweep() takes it away.  Needs root.
 */
#include "base/addr.h"
#include "ev/loop.h"
#include "local/api.h"
#include "local/podio.h"
#include "local/store.h"

#define LOCAL_NODE_LINK  "mesh-local"
#define LOCAL_NODE_TABLE "mesh_local"
#define LOCAL_NODE_SHM   "/dev/shm/mesh-local" /* emptyDir with medium Memory */

struct local_node;

struct local_node_config {
	const char *dir;      /* the state directory; "pods" below it is ours */
	const char *images;   /* file or folder; see image.h.  NULL: only paths */
	const char *self;     /* this binary; NULL: /proc/self/exe */
	const char *name;     /* of the node; NULL: "mesh-local" */
	const char *pod_cidr; /* NULL: "10.244.0.0/16" */
	const char *dns;      /* where cluster DNS answers; NULL: "10.96.0.10" */
	const char *domain;   /* NULL: "cluster.local" */
	const char *ca_pem;   /* of the API server; may be NULL */
	struct addr api;      /* where the API server listens */
	/* Makes tokens for projected volumes; local_api_token(). */
	int (*token)(void *arg, const struct token_spec *spec, struct buf *out,
		struct err *e);
	void *arg;
};

struct local_node *local_node_start(struct loop *l, struct store *s,
	const struct local_node_config *cfg, struct err *e);
/* Ends every pod's processes at once; objects in the store stay as they are. */
void local_node_stop(struct local_node *n);
/* What a node that was killed may have left; for `down`.  `dir` may be NULL.  Leaves
 * the machine's links and rules alone while another node runs. */
void local_node_sweep(const char *dir);

/* The hooks for logs, exec, attach and port-forward; `*out` borrows the node. */
void local_node_podio(struct local_node *n, struct podio *out);

#endif
