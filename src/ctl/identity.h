/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTL_IDENTITY_H
#define CTL_IDENTITY_H

/*
 * The identity service (spec control-plane.md §3): proves with the API server whose
 * token it was given, and has a certificate for that service account signed.
 *
 * Files of the issuer are looked at every second; a new issuer is taken when it is
 * good, else the old one stays, and an event says which it was.  Plain gRPC: the mesh
 * proxy beside it does TLS.
 *
 * Trust anchors reach proxies one by one.  A new issuer is therefore not used before
 * the anchors have been the same for a while (`settle`): who gives both at once does
 * not have certificates refused by those who know the old anchors only.
 */
#include "base/addr.h"
#include "base/opt.h"
#include "ev/dns.h"
#include "kube/kube.h"

struct identity_config {
	struct addr at;
	const char *namespace;    /* of the control plane */
	const char *trust_domain; /* "cluster.local" */
	const char *scheme;       /* "linkerd.io/tls" or "kubernetes.io/tls" */
	const char *issuer_dir;
	const char *anchors;     /* file */
	const char *deployment;  /* events about the issuer are on it */
	uint64_t lifetime, skew; /* ns */
	uint64_t settle;         /* ns; until every proxy has new anchors */
	uint64_t poll;           /* ns; 0: a second */
};

struct identity;

/* `cfg` (with its texts) and `k` outlive it. */
struct identity *identity_new(struct loop *l, struct kube *k,
	const struct identity_config *cfg, struct err *e);
const struct addr *identity_addr(const struct identity *id);
bool identity_is_ready(void *identity); /* it has an issuer that is valid now */
void identity_metrics(void *identity, struct buf *out);
void identity_drain(struct identity *id, void (*done)(void *arg), void *arg);
void identity_free(struct identity *id);

#endif
