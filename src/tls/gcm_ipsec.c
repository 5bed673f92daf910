/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/gcm.h"

#include <cpuid.h>
#include <intel-ipsec-mb.h>
#include <mbedtls/gcm.h>
#include <mbedtls/platform_util.h>
#include <stdatomic.h>
#include <string.h>

#include "base/obj.h"

_Static_assert(sizeof(struct gcm_key_data) <= sizeof(struct gcm),
	"another version of IPsec-MB: GCM_STATE is not its size");

/* Global in the archive, but not in its header. */
void aes_gcm_precomp_128_sse(struct gcm_key_data *key);
void aes_gcm_precomp_128_avx_gen4(struct gcm_key_data *key);
void aes_gcm_precomp_128_vaes_avx512(struct gcm_key_data *key);

void aes_gcm_enc_128_vaes_avx512(const struct gcm_key_data *key,
	struct gcm_context_data *ctx, uint8_t *out, const uint8_t *in, uint64_t n,
	const uint8_t *iv, const uint8_t *aad, uint64_t aad_n, uint8_t *tag,
	uint64_t tag_n);
void aes_gcm_dec_128_vaes_avx512(const struct gcm_key_data *key,
	struct gcm_context_data *ctx, uint8_t *out, const uint8_t *in, uint64_t n,
	const uint8_t *iv, const uint8_t *aad, uint64_t aad_n, uint8_t *tag,
	uint64_t tag_n);

struct engine {
	const char *name;
	bool (*fits)(void);
	void (*expand)(const void *key, void *out); /* NULL: mbedTLS */
	void (*precomp)(struct gcm_key_data *key);
	aes_gcm_enc_dec_t seal, open;
};

static bool has_sse(void)
{
	return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("aes") &&
	       __builtin_cpu_supports("pclmul");
}

static bool has_avx2(void)
{
	return has_sse() && __builtin_cpu_supports("avx2");
}

/* Leaf 7 of CPUID; clang 14's __builtin_cpu_supports() does not know these two. */
static bool has_wide_aes(void)
{
	unsigned a, b, c, d;

	return __get_cpuid_count(7, 0, &a, &b, &c, &d) && c & bit_VAES &&
	       c & bit_VPCLMULQDQ;
}

static bool has_vaes(void)
{
	return has_avx2() && __builtin_cpu_supports("avx512f") &&
	       __builtin_cpu_supports("avx512dq") &&
	       __builtin_cpu_supports("avx512bw") &&
	       __builtin_cpu_supports("avx512vl") && has_wide_aes();
}

static bool always(void)
{
	return true;
}

/* Best first. */
static const struct engine engines[] = {
	{"vaes-avx512", has_vaes, aes_keyexp_128_enc_avx2,
		aes_gcm_precomp_128_vaes_avx512, aes_gcm_enc_128_vaes_avx512,
		aes_gcm_dec_128_vaes_avx512},
	{"avx2", has_avx2, aes_keyexp_128_enc_avx2, aes_gcm_precomp_128_avx_gen4,
		aes_gcm_enc_128_avx_gen4, aes_gcm_dec_128_avx_gen4},
	{"sse", has_sse, aes_keyexp_128_enc_sse, aes_gcm_precomp_128_sse,
		aes_gcm_enc_128_sse, aes_gcm_dec_128_sse},
	{"portable", always, NULL, NULL, NULL, NULL},
};

static const struct engine *_Atomic chosen;

static const struct engine *engine(void)
{
	const struct engine *en = atomic_load_explicit(&chosen, memory_order_relaxed);

	if (en)
		return en;
	__builtin_cpu_init();
	for (en = engines; !en->fits();)
		en++;
	atomic_store_explicit(&chosen, en, memory_order_relaxed);
	return en;
}

const char *gcm_engine(void)
{
	return engine()->name;
}

const char *gcm_engine_name(size_t i)
{
	return i < countof(engines) ? engines[i].name : NULL;
}

bool gcm_use(const char *name)
{
	for (size_t i = 0; i < countof(engines); i++) {
		if (strcmp(engines[i].name, name) == 0 && engines[i].fits()) {
			atomic_store(&chosen, &engines[i]);
			return true;
		}
	}
	return false;
}

/* ---- keys ---- */

static mbedtls_gcm_context **portable(struct gcm *g)
{
	return (mbedtls_gcm_context **)g->state;
}

static int portable_init(struct gcm *g, const uint8_t key[GCM_KEY])
{
	mbedtls_gcm_context *ctx = calloc(1, sizeof *ctx);

	*portable(g) = ctx;
	if (!ctx)
		return -1;
	mbedtls_gcm_init(ctx);
	return mbedtls_gcm_setkey(ctx, MBEDTLS_CIPHER_ID_AES, key, GCM_KEY * 8) ? -1
										: 0;
}

int gcm_init(struct gcm *g, const uint8_t key[GCM_KEY])
{
	struct gcm_key_data *data = (struct gcm_key_data *)g->state;

	if (!engine()->expand)
		return portable_init(g, key);
	engine()->expand(key, data->expanded_keys);
	engine()->precomp(data);
	return 0;
}

void gcm_fini(struct gcm *g)
{
	if (!engine()->expand && *portable(g)) {
		mbedtls_gcm_free(*portable(g));
		free(*portable(g));
	}
	mbedtls_platform_zeroize(g, sizeof *g);
}

/* ---- records ---- */

static bool same(const uint8_t *a, const uint8_t *b, size_t n)
{
	uint8_t diff = 0;

	while (n--)
		diff |= *a++ ^ *b++;
	return diff == 0;
}

void gcm_seal(struct gcm *g, const uint8_t nonce[GCM_NONCE], const void *aad,
	size_t aad_n, uint8_t *p, size_t n)
{
	struct gcm_context_data ctx;

	if (engine()->expand)
		engine()->seal((struct gcm_key_data *)g->state, &ctx, p, p, n, nonce,
			aad, aad_n, p + n, GCM_TAG);
	else
		must(mbedtls_gcm_crypt_and_tag(*portable(g), MBEDTLS_GCM_ENCRYPT, n,
			     nonce, GCM_NONCE, aad, aad_n, p, p, GCM_TAG, p + n) == 0);
}

bool gcm_open(struct gcm *g, const uint8_t nonce[GCM_NONCE], const void *aad,
	size_t aad_n, uint8_t *p, size_t n)
{
	struct gcm_context_data ctx;
	uint8_t tag[GCM_TAG];

	if (!engine()->expand)
		return mbedtls_gcm_auth_decrypt(*portable(g), n, nonce, GCM_NONCE, aad,
			       aad_n, p + n, GCM_TAG, p, p) == 0;
	engine()->open((struct gcm_key_data *)g->state, &ctx, p, p, n, nonce, aad,
		aad_n, tag, GCM_TAG);
	return same(tag, p + n, GCM_TAG);
}
