/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TLS_KEYINT_H
#define TLS_KEYINT_H

/* What struct key is, for the other files of this floor. */
#include <mbedtls/pk.h>

#include "tls/key.h"

struct key {
	mbedtls_pk_context pk;
};

/*
 * mbedTLS' functions do not change a key that they use (RSA blinding locks itself), but
 * take it without const.
 */
static inline mbedtls_pk_context *key_pk(const struct key *k)
{
	return (mbedtls_pk_context *)&k->pk;
}

/* SubjectPublicKeyInfo, DER, appended. */
int key_write_public(const struct key *k, struct buf *out, struct err *e);

/* mbedTLS' PEM readers want a terminating zero: true when `s` looks like PEM. */
bool pem_looks(struct slice s);

#endif
