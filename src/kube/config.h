/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KUBE_CONFIG_H
#define KUBE_CONFIG_H

/*
 * Where the API server is and how to prove who we are: from a kubeconfig or from what a
 * pod is given.  Read once; what may change later (the token, the CA of a pod) is kept
 * as a path.
 */
#include "base/buf.h"
#include "kube/kube.h"

struct kube_target {
	bool tls;
	char *host; /* name or literal address, without brackets */
	uint16_t port;
	char *prefix;             /* of every path: "" or "/k8s/c-1" */
	char *server_name;        /* for the certificate, or NULL: host */
	char *namespace;          /* of the context or the pod, or NULL */
	struct buf ca, cert, key; /* PEM; empty when there is none */
	char *ca_file;            /* read again when it changes, or NULL */
	char *token;              /* or NULL */
	char *token_file;         /* read again when it changes; wins over token */
};

/* Fills `t`, the caller's storage; kube_target_fini() also after a failure. */
int kube_target_read(
	struct kube_target *t, const struct kube_config *cfg, struct err *e);
void kube_target_fini(struct kube_target *t);

/* One kubeconfig text; relative paths are relative to `dir`. */
int kube_target_parse(struct kube_target *t, struct slice yaml, const char *dir,
	const char *context, struct err *e);

#endif
