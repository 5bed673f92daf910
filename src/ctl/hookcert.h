/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTL_HOOKCERT_H
#define CTL_HOOKCERT_H

/*
 * The webhook's certificate renews itself: a self-signed one, its own caBundle, is made
 * anew when two thirds of its life are over.
 *
 * First the API server learns to believe it beside the old one, then the Secret
 * changes; the replicas load it as the kubelet gives it to them, at different times,
 * and are believed all along.  The old one is forgotten SETTLE after.  Every step looks
 * at what is there, so that it may be interrupted anywhere and by anybody.
 *
 * A Secret without the annotation HOOKCERT_OURS is somebody else's (cert-manager, a
 * person) and is not touched, nor is the caBundle then.
 */
#include "kube/kube.h"

#define HOOKCERT_OURS   "linkerd.io/cert-renewed-by"
#define HOOKCERT_SETTLE (3600 * NS_PER_S)

/* ---- what is to be done; pure ---- */

enum hookcert_step {
	HOOKCERT_NOTHING,
	HOOKCERT_RENEW,  /* a new one is due */
	HOOKCERT_BUNDLE, /* the API server should believe `bundle` */
};

/* `crt` and `key`: what the Secret has; `bundle`: what the API server believes; all
 * PEM.  For HOOKCERT_BUNDLE `out` gets what it should believe. */
enum hookcert_step hookcert_decide(struct slice crt, struct slice key,
	struct slice bundle, uint64_t now, struct buf *out);

/* ---- doing it ---- */

struct hookcert_config {
	const char *namespace;
	const char *secret;     /* kubernetes.io/tls */
	const char *hook_kind;  /* "mutatingwebhookconfigurations" */
	const char *hook;       /* its name */
	const char *service;    /* the certificate is for <service>.<namespace>.svc */
	const char *deployment; /* events are about it */
	uint64_t poll;          /* ns; 0: a minute */
};

struct hookcert;

/* `cfg` and its texts outlive it.  Looks and writes while it is active. */
struct hookcert *hookcert_new(
	struct loop *l, struct kube *k, const struct hookcert_config *cfg);
void hookcert_set_active(struct hookcert *h, bool active);
void hookcert_metrics(const struct hookcert *h, struct buf *out);
void hookcert_free(struct hookcert *h); /* NULL is fine */

#endif
