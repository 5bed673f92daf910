/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TLS_CREDSINT_H
#define TLS_CREDSINT_H

/* What struct creds is, for session.c. */
#include "tls/creds.h"
#include "tls/x509.h"

struct creds {
	struct ref ref;
	mbedtls_x509_crt anchors; /* empty when there are none: nobody is believed */
	mbedtls_x509_crt chain;   /* leaf first; only when key is there */
	struct key *key;          /* NULL: anonymous */
};

static inline mbedtls_x509_crt *creds_anchors(const struct creds *c)
{
	return (mbedtls_x509_crt *)&c->anchors;
}

#endif
