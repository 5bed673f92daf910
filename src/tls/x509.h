/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TLS_X509_H
#define TLS_X509_H

/*
 * Reading mbedTLS' certificates: names, times, and why one is refused.  Internal to
 * this floor.  What a certificate holds comes from a peer: names with a zero byte are
 * not names.
 */
#include <mbedtls/x509_crt.h>
#include <mbedtls/x509_csr.h>

#include "base/err.h"
#include "base/slice.h"
#include "tls/keyint.h"

#define TLS_NAME_TEXT 256 /* a name of a certificate as text */

struct cert {
	mbedtls_x509_crt crt; /* a list: crt.next */
};

static inline mbedtls_x509_crt *cert_crt(const struct cert *c)
{
	return (mbedtls_x509_crt *)&c->crt;
}

/* Adds the certificates of a PEM bundle or one of DER to `crt`. */
int x509_read(mbedtls_x509_crt *crt, struct slice pem_or_der, struct err *e);

/* Checks certificate `leaf` (which may be NULL) and key; says which does not fit. */
bool x509_matches_key(const mbedtls_x509_crt *leaf, const struct key *k);

enum x509_san {
	X509_SAN_DNS = 2,
	X509_SAN_URI = 6,
	X509_SAN_IP = 7,
};

/* The first SAN of that kind, or an empty slice; borrowed from the certificate. */
struct slice x509_san_first(const mbedtls_x509_sequence *sans, enum x509_san kind);
size_t x509_san_count(const mbedtls_x509_sequence *sans, enum x509_san kind);
size_t x509_san_total(const mbedtls_x509_sequence *sans);

/* First DNS SAN, else first URI SAN starting with `scheme` (NULL: any), else "". */
void x509_identity(
	const mbedtls_x509_crt *crt, const char *scheme, char *out, size_t size);
void x509_common_name(const mbedtls_x509_name *subject, char *out, size_t size);

/* A DNS (ASCII case ignored), URI or IP SAN equals `name`. */
bool x509_has_identity(const mbedtls_x509_crt *crt, const char *name);

uint64_t x509_wall(const mbedtls_x509_time *t); /* ns since 1970; 0 for before */

/*
 * Collects while mbedTLS verifies a chain: a callback for it, and the first reason
 * found. `expect` may be NULL.
 */
struct x509_verdict {
	const char *expect;
	struct err err; /* ERR_NONE while all is well */
};
int x509_verdict_cb(void *verdict, mbedtls_x509_crt *crt, int depth, uint32_t *flags);

/* Verifies outside a handshake; now 0: the clock. */
int x509_verify(const mbedtls_x509_crt *chain, const mbedtls_x509_crt *anchors,
	const char *expect, uint64_t now, struct err *e);

#endif
