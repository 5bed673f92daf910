/* SPDX-License-Identifier: Apache-2.0 */
/* Digests by nettle, which uses the CPU's SHA instructions where there are any. */
#include <nettle/sha1.h>
#include <nettle/sha2.h>

#include "tls/key.h"

void sha256(struct slice s, uint8_t out[SHA256_SIZE])
{
	struct sha256_ctx ctx;

	sha256_init(&ctx);
	sha256_update(&ctx, s.n, (const uint8_t *)s.p);
	sha256_digest(&ctx, SHA256_SIZE, out);
}

void sha256_hex(struct slice s, char out[2 * SHA256_SIZE + 1])
{
	static const char digits[] = "0123456789abcdef";
	uint8_t digest[SHA256_SIZE];

	sha256(s, digest);
	for (size_t i = 0; i < SHA256_SIZE; i++) {
		out[2 * i] = digits[digest[i] >> 4];
		out[2 * i + 1] = digits[digest[i] & 15];
	}
	out[2 * SHA256_SIZE] = 0;
}

void sha1(struct slice s, uint8_t out[20])
{
	struct sha1_ctx ctx;

	sha1_init(&ctx);
	sha1_update(&ctx, s.n, (const uint8_t *)s.p);
	sha1_digest(&ctx, SHA1_DIGEST_SIZE, out);
}
