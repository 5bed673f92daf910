/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KUBE_EXECCRED_H
#define KUBE_EXECCRED_H

/*
 * Credentials that a program says (client.authentication.k8s.io/v1 and v1beta1): how
 * the clusters of most clouds are logged in to.  The program is run when the first
 * request needs it, again when what it said has expired or was refused; it blocks the
 * caller meanwhile.  Nothing is stored: the programs do that.
 */
#include "base/buf.h"
#include "wire/json.h"

struct exec_plugin;

struct exec_creds {
	char *token;          /* or NULL */
	struct buf cert, key; /* PEM, both or none */
	uint64_t expires;     /* wall; 0: it does not say */
};
void exec_creds_fini(struct exec_creds *c);

/*
 * `spec`: a user's `exec`; `cluster`: the cluster's entry, for provideClusterInfo;
 * `dir`: of the file, for relative paths.  What cannot work is said now.
 */
struct exec_plugin *exec_plugin_new(const struct json *spec, const struct json *cluster,
	const char *dir, struct err *e);
void exec_plugin_free(struct exec_plugin *p);

/* Runs it; fills `out`, the caller's storage. */
int exec_plugin_ask(const struct exec_plugin *p, struct exec_creds *out, struct err *e);

#endif
