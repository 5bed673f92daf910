/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTL_IDENTITYINT_H
#define CTL_IDENTITYINT_H

/* Inside the identity service: identity.c (issuer, server) and certify.c (one call). */
#include "ctl/identity.h"
#include "ctl/signer.h"
#include "http/grpc.h"
#include "tls/cert.h"

struct identity {
	const struct identity_config *cfg;
	struct loop *loop;
	struct kube *kube;
	struct grpc_server *server;

	struct signer *signer; /* in use, or NULL */
	struct signer *coming; /* reads the files, or NULL */
	struct issuer issuer;  /* of `signer` */
	struct timer poll;
	char cert_path[4096], key_path[4096];
	uint64_t stamp; /* of the files that were read last */
	uint64_t seen;  /* at the last look; they are read when it is stable */
	uint64_t in_use, reading; /* of the issuer's files alone */
	unsigned looks;           /* without an issuer */
	bool waiting;             /* said: a new issuer waits for the anchors */

	struct cert *anchors; /* as last read, or NULL */
	uint64_t anchors_stamp;
	uint64_t anchors_since; /* the last came, by the loop's clock; 0: at the start
				 */
	uint64_t anchors_end;   /* of the first to end; 0: unknown */
	uint64_t warned;        /* of what ends soon, by the loop's clock; 0: not yet */

	uint64_t issued, refused, updates, skipped;
	uint64_t leaves_end, old_leaves_end; /* of this issuer's, of those before */
};

/* ERR_NONE when certificates can be signed now. */
int identity_check(struct identity *id, struct err *e);
/* An event on the deployment. */
void identity_event(
	struct identity *id, const char *type, const char *reason, const char *message);

/* ---- identityends.c ---- */
/* The anchors' file, when it has changed. */
void identity_look_at_anchors(struct identity *id);
/* The issuer in use chains to them. */
bool identity_is_trusted(const struct identity *id);
/* Once a day, while the issuer or an anchor ends soon: a log line and an event. */
void identity_warn(struct identity *id);

void certify_on_message(struct grpc_request *r, struct slice message);

/* "<sa>.<ns>.serviceaccount.identity.<namespace>.<trust domain>" from the name that the
 * API server knows a service account by; -1 when it is none. */
int certify_name(const struct identity_config *cfg, const char *username, char *ns,
	char *account, char *out, size_t size);

#endif
