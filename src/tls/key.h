/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TLS_KEY_H
#define TLS_KEY_H

/*
 * Private keys.  ECDSA P-256 is what we make; P-384 and RSA are read (issuers,
 * webhooks).
 */
#include "base/buf.h"
#include "base/err.h"

struct key;

struct key *key_generate(struct err *e); /* P-256; owned */
struct key *key_read(
	struct slice pem_or_der, struct err *e); /* PKCS#8, SEC1, PKCS#1; owned */
struct key *key_copy(const struct key *k, struct err *e);
void key_free(struct key *k); /* wipes it; NULL is fine */
int key_write_der(const struct key *k, struct buf *out, struct err *e); /* PKCS#8 */
int key_write_pem(const struct key *k, struct buf *out, struct err *e);

#define SHA256_SIZE 32
void sha256(struct slice s, uint8_t out[SHA256_SIZE]);
void sha256_hex(struct slice s, char out[2 * SHA256_SIZE + 1]);
void random_secret(void *p, size_t n); /* from the system's generator */

/* SHA-1, only for the WebSocket handshake (RFC 6455 §4.2.2). */
void sha1(struct slice s, uint8_t out[20]);

/* ECDSA-SHA256 over `s` with a P-256 key, raw r||s (JWS ES256); for service account
 * tokens. */
int key_sign_es256(const struct key *k, struct slice s, uint8_t out[64], struct err *e);
int key_verify_es256(const struct key *k, struct slice s, const uint8_t sig[64]);

#endif
