/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TLS_RECORD_H
#define TLS_RECORD_H

/*
 * TLS 1.3's record protection in one direction (RFC 8446 §5, §7): a traffic secret, the
 * key made from it, a sequence number.  Knows nothing of what records say.
 */
#include "base/slice.h"
#include "tls/gcm.h"

#define RECORD_HEAD      5
#define RECORD_PLAIN_MAX 16384
#define RECORD_BODY_MAX  (RECORD_PLAIN_MAX + 256) /* RFC 8446 §5.2 */
#define RECORD_SECRET    32
#define RECORD_EXTRA     (RECORD_HEAD + 1 + GCM_TAG)

enum record_type {
	RECORD_CCS = 20,
	RECORD_ALERT = 21,
	RECORD_HANDSHAKE = 22,
	RECORD_DATA = 23,
};

struct flow {
	struct gcm gcm;
	uint8_t secret[RECORD_SECRET];
	uint8_t iv[GCM_NONCE];
	uint64_t seq; /* of the next record */
};

int flow_init(struct flow *f, const uint8_t secret[RECORD_SECRET]);
void flow_fini(struct flow *f); /* a zeroed one is fine */

/* The next generation of keys (§7.2). */
int flow_renew(struct flow *f);

/* So many records were sealed that the key should be renewed (§5.5: 2^24.5). */
bool flow_is_worn(const struct flow *f);

/*
 * `n` bytes lie at rec + RECORD_HEAD; makes them a record of RECORD_EXTRA + n bytes at
 * `rec`. Returns its size.
 */
size_t flow_seal(struct flow *f, enum record_type type, uint8_t *rec, size_t n);

/* Bytes of the record that starts at `in`: 0: more are needed to know; -1: too large,
 * too small or not protected. */
int record_size(const uint8_t *in, size_t n);

/*
 * Opens a whole record in place.  False: it does not decrypt.  *type is 0 when it holds
 * nothing but padding; the plaintext is at rec + RECORD_HEAD, *n bytes.
 */
bool flow_open(struct flow *f, uint8_t *rec, size_t size, uint8_t *type, size_t *n);

#endif
