/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CNI_NODE_H
#define CNI_NODE_H

/*
 * Our files on a node: the plugin's binary, its kubeconfig, and our entry in the chain
 * that the container runtime reads (spec ext.md §3.3).
 *
 * node_put() makes them as they should be and may be called at any time, whoever has
 * changed what in the meantime; what is in order is not written again.  Every file is
 * replaced as a whole.  Another program that rewrites its chain at the same moment does
 * not lose what it wrote.
 */
#include "base/buf.h"
#include "wire/json.h"

struct node_config {
	const char *net_dir, *bin_dir; /* as this process sees them */
	const char *kubeconfig;        /* name of the file in net_dir */
	const char *binary;            /* what is copied */
	const char *account;           /* directory with token and ca.crt */
	const char *ca;                /* file; NULL: account/ca.crt */
	const char *server;            /* https://… */
	const struct json *entry;      /* of the chain */
};

struct node {
	const struct node_config *cfg;
	uint64_t binary_stamp; /* of the one we wrote */
	uint64_t broken[8];    /* states of files that we complained of */
	size_t nbroken;
	char chain[256]; /* the file we are in; "" */
	uint64_t writes; /* how often a file had to be written */
};

/* -1: something is not in order yet, e says what.  ERR_MISSING: there is no network
 * configuration to chain to. */
int node_put(struct node *n, struct err *e);

/* Takes all of it away, in the order that leaves no time in which the chain names a
 * plugin that is gone.  -1: something is left, e says what. */
int node_undo(struct node *n, struct err *e);

#endif
