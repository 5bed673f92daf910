/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOCAL_TOKEN_H
#define LOCAL_TOKEN_H

/*
 * Service account tokens: JWTs (RFC 7519) signed with ES256 by a key of ours, bound to
 * the account and, when asked, to a pod: a token ends with either.
 */
#include "local/api.h"
#include "tls/key.h"

#define TOKEN_ISSUER "https://kubernetes.default.svc"

/* Appends the token; ERR_MISSING when the account or pod is not there.  `expires` (wall
 * ns) may be NULL. */
int token_make(const struct store *s, const struct key *k,
	const struct token_spec *spec, struct buf *out, uint64_t *expires,
	struct err *e);

struct token_claims {
	char user[300]; /* "system:serviceaccount:ns:name" */
	char ns[64], account[254], uid[64], pod[254], pod_uid[64];
	struct json *audiences; /* owned by the caller; those of the token */
};
/* ERR_DENIED says why.  `audience` NULL or "": the API server's own. */
int token_verify(const struct store *s, const struct key *k, struct slice token,
	struct token_claims *out, struct err *e);
bool token_is_for(const struct token_claims *t, const char *audience);

/* Base64url without padding; for kubeconfigs and tests too. */
int base64url(struct buf *b, struct slice s);

#endif
