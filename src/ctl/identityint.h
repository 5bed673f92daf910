/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTL_IDENTITYINT_H
#define CTL_IDENTITYINT_H

/* Inside the identity service: identity.c (issuer, server) and certify.c (one call). */
#include "ctl/identity.h"
#include "ctl/signer.h"
#include "http/grpc.h"

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

	uint64_t issued, refused;
};

/* ERR_NONE when certificates can be signed now. */
int identity_check(struct identity *id, struct err *e);
/* An event on the deployment. */
void identity_event(
	struct identity *id, const char *type, const char *reason, const char *message);

void certify_on_message(struct grpc_request *r, struct slice message);

/* "<sa>.<ns>.serviceaccount.identity.<namespace>.<trust domain>" from the name that the
 * API server knows a service account by; -1 when it is none. */
int certify_name(const struct identity_config *cfg, const char *username, char *ns,
	char *account, char *out, size_t size);

#endif
