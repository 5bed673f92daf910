/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/gcm.h"

#include <mbedtls/gcm.h>

#include "base/clock.h"
#include "base/obj.h"
#include "t.h"
#include "tls/key.h"

#define SIZE_MAX_TESTED 20000

/* Test case 4 of the GCM specification (McGrew and Viega), AES-128. */
static const uint8_t key4[] = {0xfe, 0xff, 0xe9, 0x92, 0x86, 0x65, 0x73, 0x1c, 0x6d,
	0x6a, 0x8f, 0x94, 0x67, 0x30, 0x83, 0x08};
static const uint8_t iv4[] = {
	0xca, 0xfe, 0xba, 0xbe, 0xfa, 0xce, 0xdb, 0xad, 0xde, 0xca, 0xf8, 0x88};
static const uint8_t aad4[] = {0xfe, 0xed, 0xfa, 0xce, 0xde, 0xad, 0xbe, 0xef, 0xfe,
	0xed, 0xfa, 0xce, 0xde, 0xad, 0xbe, 0xef, 0xab, 0xad, 0xda, 0xd2};
static const uint8_t plain4[] = {0xd9, 0x31, 0x32, 0x25, 0xf8, 0x84, 0x06, 0xe5, 0xa5,
	0x59, 0x09, 0xc5, 0xaf, 0xf5, 0x26, 0x9a, 0x86, 0xa7, 0xa9, 0x53, 0x15, 0x34,
	0xf7, 0xda, 0x2e, 0x4c, 0x30, 0x3d, 0x8a, 0x31, 0x8a, 0x72, 0x1c, 0x3c, 0x0c,
	0x95, 0x95, 0x68, 0x09, 0x53, 0x2f, 0xcf, 0x0e, 0x24, 0x49, 0xa6, 0xb5, 0x25,
	0xb1, 0x6a, 0xed, 0xf5, 0xaa, 0x0d, 0xe6, 0x57, 0xba, 0x63, 0x7b, 0x39};
static const uint8_t sealed4[] = {0x42, 0x83, 0x1e, 0xc2, 0x21, 0x77, 0x74, 0x24, 0x4b,
	0x72, 0x21, 0xb7, 0x84, 0xd0, 0xd4, 0x9c, 0xe3, 0xaa, 0x21, 0x2f, 0x2c, 0x02,
	0xa4, 0xe0, 0x35, 0xc1, 0x7e, 0x23, 0x29, 0xac, 0xa1, 0x2e, 0x21, 0xd5, 0x14,
	0xb2, 0x54, 0x66, 0x93, 0x1c, 0x7d, 0x8f, 0x6a, 0x5a, 0xac, 0x84, 0xaa, 0x05,
	0x1b, 0xa3, 0x0b, 0x39, 0x6a, 0x0a, 0xac, 0x97, 0x3d, 0x58, 0xe0, 0x91, 0x5b,
	0xc9, 0x4f, 0xbc, 0x32, 0x21, 0xa5, 0xdb, 0x94, 0xfa, 0xe9, 0x5a, 0xe7, 0x12,
	0x1a, 0x47};

TEST(every_engine_gives_the_specification_s_bytes)
{
	const char *name;

	for (size_t i = 0; (name = gcm_engine_name(i)); i++) {
		uint8_t p[sizeof sealed4];
		struct gcm g;

		if (!gcm_use(name))
			continue;
		OK(gcm_init(&g, key4) == 0);
		memcpy(p, plain4, sizeof plain4);
		gcm_seal(&g, iv4, aad4, sizeof aad4, p, sizeof plain4);
		OK(memcmp(p, sealed4, sizeof p) == 0);
		OK(gcm_open(&g, iv4, aad4, sizeof aad4, p, sizeof plain4));
		OK(memcmp(p, plain4, sizeof plain4) == 0);
		gcm_fini(&g);
	}
}

static void reference_seal(
	const uint8_t *key, const uint8_t *nonce, uint8_t *p, size_t n)
{
	mbedtls_gcm_context ctx;

	mbedtls_gcm_init(&ctx);
	OK(mbedtls_gcm_setkey(&ctx, MBEDTLS_CIPHER_ID_AES, key, GCM_KEY * 8) == 0);
	OK(mbedtls_gcm_crypt_and_tag(&ctx, MBEDTLS_GCM_ENCRYPT, n, nonce, GCM_NONCE,
		   key, 5, p, p, GCM_TAG, p + n) == 0);
	mbedtls_gcm_free(&ctx);
}

TEST(every_engine_seals_as_mbedtls_does_and_opens_it)
{
	static uint8_t plain[SIZE_MAX_TESTED], want[SIZE_MAX_TESTED + GCM_TAG],
		p[SIZE_MAX_TESTED + GCM_TAG];
	uint8_t key[GCM_KEY], nonce[GCM_NONCE];
	const char *name;

	random_secret(key, sizeof key);
	random_secret(nonce, sizeof nonce);
	random_secret(plain, sizeof plain);
	for (int round = 0; round < 60; round++) {
		size_t n = round < 40 ? (size_t)round : random_u64() % SIZE_MAX_TESTED;

		memcpy(want, plain, n);
		reference_seal(key, nonce, want, n);
		for (size_t i = 0; (name = gcm_engine_name(i)); i++) {
			struct gcm g;

			if (!gcm_use(name))
				continue;
			OK(gcm_init(&g, key) == 0);
			memcpy(p, plain, n);
			gcm_seal(&g, nonce, key, 5, p, n);
			OK(memcmp(p, want, n + GCM_TAG) == 0);
			OK(gcm_open(&g, nonce, key, 5, p, n));
			OK(memcmp(p, plain, n) == 0);
			gcm_fini(&g);
		}
	}
}

TEST(every_engine_sees_a_changed_bit)
{
	const char *name;

	for (size_t i = 0; (name = gcm_engine_name(i)); i++) {
		struct gcm g;

		if (!gcm_use(name))
			continue;
		OK(gcm_init(&g, key4) == 0);
		for (size_t at = 0; at < sizeof sealed4; at++) {
			uint8_t p[sizeof sealed4];

			memcpy(p, sealed4, sizeof p);
			p[at] ^= 1;
			OK(!gcm_open(&g, iv4, aad4, sizeof aad4, p, sizeof plain4));
		}
		gcm_fini(&g);
	}
}

TEST(the_fastest_engine_that_runs_here_is_chosen)
{
	size_t i = 0;
	const char *chosen = gcm_engine();

	while (!gcm_use(gcm_engine_name(i)))
		i++;
	EQ_STR(gcm_engine_name(i), chosen);
	OK(!gcm_use("no such engine"));
}
