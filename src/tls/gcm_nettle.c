/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where there is no IPsec-MB: nettle, which finds out by itself whether the CPU has
 * instructions for AES and for GHASH's multiplication (on arm64 most have; the
 * Raspberry Pi 4 has not).  A key is on the heap: nettle's is of some 4 KB, most of it
 * a table that only the way without instructions reads.
 */
#include "tls/gcm.h"

#include <mbedtls/platform_util.h>
#include <nettle/gcm.h>
#include <nettle/memops.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(GCM_STATE >= sizeof(struct gcm_aes128_ctx *), "no room for a pointer");

static const char name[] = "nettle";

const char *gcm_engine(void)
{
	return name;
}

const char *gcm_engine_name(size_t i)
{
	return i ? NULL : name;
}

bool gcm_use(const char *engine)
{
	return strcmp(engine, name) == 0;
}

static struct gcm_aes128_ctx **key_of(struct gcm *g)
{
	return (struct gcm_aes128_ctx **)g->state;
}

int gcm_init(struct gcm *g, const uint8_t key[GCM_KEY])
{
	struct gcm_aes128_ctx *ctx = calloc(1, sizeof *ctx);

	*key_of(g) = ctx;
	if (!ctx)
		return -1;
	gcm_aes128_set_key(ctx, key);
	return 0;
}

void gcm_fini(struct gcm *g)
{
	struct gcm_aes128_ctx *ctx = *key_of(g);

	if (ctx)
		mbedtls_platform_zeroize(ctx, sizeof *ctx);
	free(ctx);
	*key_of(g) = NULL;
}

static void begin(
	struct gcm_aes128_ctx *ctx, const uint8_t *nonce, const void *aad, size_t aad_n)
{
	gcm_aes128_set_iv(ctx, GCM_NONCE, nonce);
	gcm_aes128_update(ctx, aad_n, aad);
}

void gcm_seal(struct gcm *g, const uint8_t nonce[GCM_NONCE], const void *aad,
	size_t aad_n, uint8_t *p, size_t n)
{
	struct gcm_aes128_ctx *ctx = *key_of(g);

	begin(ctx, nonce, aad, aad_n);
	gcm_aes128_encrypt(ctx, n, p, p);
	gcm_aes128_digest(ctx, GCM_TAG, p + n);
}

bool gcm_open(struct gcm *g, const uint8_t nonce[GCM_NONCE], const void *aad,
	size_t aad_n, uint8_t *p, size_t n)
{
	struct gcm_aes128_ctx *ctx = *key_of(g);
	uint8_t tag[GCM_TAG];

	begin(ctx, nonce, aad, aad_n);
	gcm_aes128_decrypt(ctx, n, p, p);
	gcm_aes128_digest(ctx, GCM_TAG, tag);
	return memeql_sec(tag, p + n, GCM_TAG);
}
