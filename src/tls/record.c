/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/record.h"

#include <mbedtls/platform_util.h>
#include <nettle/hmac.h>

#include "base/obj.h"

#define WORN_AFTER (UINT64_C(1) << 24)

/* HKDF-Expand-Label with no context, at most one block (RFC 8446 §7.1, RFC 5869 §2.3).
 */
static void expand_label(
	const uint8_t secret[RECORD_SECRET], const char *label, uint8_t *out, size_t n)
{
	struct hmac_sha256_ctx ctx;
	uint8_t info[64];
	size_t label_n = strlen(label), at = 0;

	must(n <= SHA256_DIGEST_SIZE && label_n < 20);
	info[at++] = 0;
	info[at++] = (uint8_t)n;
	info[at++] = (uint8_t)(6 + label_n);
	memcpy(info + at, "tls13 ", 6);
	memcpy(info + at + 6, label, label_n);
	at += 6 + label_n;
	info[at++] = 0; /* context */
	info[at++] = 1; /* the first block */
	hmac_sha256_set_key(&ctx, RECORD_SECRET, secret);
	hmac_sha256_update(&ctx, at, info);
	hmac_sha256_digest(&ctx, n, out);
	mbedtls_platform_zeroize(&ctx, sizeof ctx);
}

static int set_keys(struct flow *f)
{
	uint8_t key[GCM_KEY];
	int ret;

	expand_label(f->secret, "key", key, sizeof key);
	expand_label(f->secret, "iv", f->iv, sizeof f->iv);
	f->seq = 0;
	ret = gcm_init(&f->gcm, key);
	mbedtls_platform_zeroize(key, sizeof key);
	return ret;
}

int flow_init(struct flow *f, const uint8_t secret[RECORD_SECRET])
{
	memcpy(f->secret, secret, RECORD_SECRET);
	return set_keys(f);
}

void flow_fini(struct flow *f)
{
	gcm_fini(&f->gcm);
	mbedtls_platform_zeroize(f, sizeof *f);
}

int flow_renew(struct flow *f)
{
	uint8_t next[RECORD_SECRET];

	expand_label(f->secret, "traffic upd", next, sizeof next);
	memcpy(f->secret, next, sizeof next);
	mbedtls_platform_zeroize(next, sizeof next);
	gcm_fini(&f->gcm);
	return set_keys(f);
}

bool flow_is_worn(const struct flow *f)
{
	return f->seq >= WORN_AFTER;
}

static void next_nonce(struct flow *f, uint8_t nonce[GCM_NONCE])
{
	uint64_t seq = f->seq++;

	must(seq != UINT64_MAX);
	memcpy(nonce, f->iv, GCM_NONCE);
	for (size_t i = GCM_NONCE; seq; seq >>= 8)
		nonce[--i] ^= (uint8_t)seq;
}

size_t flow_seal(struct flow *f, enum record_type type, uint8_t *rec, size_t n)
{
	size_t body = n + 1 + GCM_TAG;
	uint8_t nonce[GCM_NONCE];

	must(n <= RECORD_PLAIN_MAX);
	rec[0] = RECORD_DATA;
	rec[1] = rec[2] = 3;
	rec[3] = (uint8_t)(body >> 8);
	rec[4] = (uint8_t)body;
	rec[RECORD_HEAD + n] = (uint8_t)type;
	next_nonce(f, nonce);
	gcm_seal(&f->gcm, nonce, rec, RECORD_HEAD, rec + RECORD_HEAD, n + 1);
	return RECORD_HEAD + body;
}

int record_size(const uint8_t *in, size_t n)
{
	size_t body;

	if (n < RECORD_HEAD)
		return 0;
	body = (size_t)in[3] << 8 | in[4];
	if (in[0] != RECORD_DATA || body <= GCM_TAG || body > RECORD_BODY_MAX)
		return -1;
	return n < RECORD_HEAD + body ? 0 : (int)(RECORD_HEAD + body);
}

bool flow_open(struct flow *f, uint8_t *rec, size_t size, uint8_t *type, size_t *n)
{
	size_t inner = size - RECORD_HEAD - GCM_TAG;
	uint8_t *p = rec + RECORD_HEAD, nonce[GCM_NONCE];

	next_nonce(f, nonce);
	if (!gcm_open(&f->gcm, nonce, rec, RECORD_HEAD, p, inner))
		return false;
	while (inner > 0 && p[inner - 1] == 0)
		inner--;
	*type = inner ? p[inner - 1] : 0;
	*n = inner ? inner - 1 : 0;
	return true;
}
