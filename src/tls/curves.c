/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nettle's curves behind mbedTLS' names: ECDSA and ECDH by the ALT macros of
 * mbedtls_config.h, scalar multiplication (PSA makes key shares with it) by
 * `-Wl,--wrap=mbedtls_ecp_mul`.  Five to seven times faster than mbedTLS' own.
 *
 * Secrets are only imported and exported here; nettle's multiplications neither branch
 * nor index by them.  Points and lengths from a peer are checked: nettle refuses a
 * point that is not on its curve, and an all-zero X25519 result is refused (RFC 7748
 * §6.1).
 */
#include <mbedtls/ecdh.h>
#include <mbedtls/ecdsa.h>
#include <mbedtls/platform_util.h>
#include <nettle/bignum.h>
#include <nettle/curve25519.h>
#include <nettle/ecc-curve.h>
#include <nettle/ecc.h>
#include <nettle/ecdsa.h>

#include "tls/key.h"
#include "tls/sigmemo.h"

#define SCALAR_MAX 66 /* bytes of a P-521 number */

/* The linker gives these their meaning, see above. */
int __real_mbedtls_ecp_mul(mbedtls_ecp_group *grp, mbedtls_ecp_point *r,
	const mbedtls_mpi *m, const mbedtls_ecp_point *p,
	int (*f_rng)(void *, unsigned char *, size_t), void *p_rng);
int __wrap_mbedtls_ecp_mul(mbedtls_ecp_group *grp, mbedtls_ecp_point *r,
	const mbedtls_mpi *m, const mbedtls_ecp_point *p,
	int (*f_rng)(void *, unsigned char *, size_t), void *p_rng);

struct curve {
	mbedtls_ecp_group_id id;
	const struct ecc_curve *(*nettle)(void);
	size_t size; /* bytes of a coordinate and of a scalar */
};

static const struct curve curves[] = {
	{MBEDTLS_ECP_DP_SECP256R1, nettle_get_secp_256r1, 32},
	{MBEDTLS_ECP_DP_SECP384R1, nettle_get_secp_384r1, 48},
	{MBEDTLS_ECP_DP_SECP521R1, nettle_get_secp_521r1, 66},
};

static const struct curve *curve_find(const mbedtls_ecp_group *grp)
{
	for (size_t i = 0; i < sizeof curves / sizeof *curves; i++) {
		if (curves[i].id == grp->id)
			return &curves[i];
	}
	return NULL;
}

static void rng(void *unused, size_t n, uint8_t *out)
{
	(void)unused;
	random_secret(out, n);
}

/* ---- numbers between the two libraries ---- */

static bool mpz_from(mpz_t out, const mbedtls_mpi *in, size_t size)
{
	uint8_t bytes[SCALAR_MAX];
	bool fits = mbedtls_mpi_write_binary(in, bytes, size) == 0 &&
		    mbedtls_mpi_cmp_int(in, 0) >= 0;

	if (fits)
		mpz_import(out, size, 1, 1, 0, 0, bytes);
	mbedtls_platform_zeroize(bytes, sizeof bytes);
	return fits;
}

static int mpz_to(mbedtls_mpi *out, const mpz_t in, size_t size)
{
	uint8_t bytes[SCALAR_MAX];
	int ret;

	nettle_mpz_get_str_256(size, bytes, in);
	ret = mbedtls_mpi_read_binary(out, bytes, size);
	mbedtls_platform_zeroize(bytes, sizeof bytes);
	return ret;
}

/* Limbs of a secret are wiped before GMP frees them. */
static void mpz_wipe(mpz_t z)
{
	mbedtls_platform_zeroize(mpz_limbs_modify(z, (mp_size_t)mpz_size(z)),
		mpz_size(z) * sizeof(mp_limb_t));
	mpz_limbs_finish(z, 0);
	mpz_clear(z);
}

/* `out` is initialised by this in any case; ecc_scalar_clear() ends it. */
static bool scalar_from(
	struct ecc_scalar *out, const struct curve *c, const mbedtls_mpi *in)
{
	mpz_t z;
	bool ok;

	ecc_scalar_init(out, c->nettle());
	mpz_init(z);
	ok = mpz_from(z, in, c->size) && ecc_scalar_set(out, z);
	mpz_wipe(z);
	return ok;
}

static bool point_from(
	struct ecc_point *out, const struct curve *c, const mbedtls_ecp_point *in)
{
	mpz_t x, y;
	bool ok;

	ecc_point_init(out, c->nettle());
	mpz_inits(x, y, NULL);
	ok = mbedtls_mpi_cmp_int(&in->MBEDTLS_PRIVATE(Z), 1) == 0 &&
	     mpz_from(x, &in->MBEDTLS_PRIVATE(X), c->size) &&
	     mpz_from(y, &in->MBEDTLS_PRIVATE(Y), c->size) && ecc_point_set(out, x, y);
	mpz_clears(x, y, NULL);
	return ok;
}

static int point_to(
	mbedtls_ecp_point *out, const struct curve *c, const struct ecc_point *in)
{
	mpz_t x, y;
	int ret;

	mpz_inits(x, y, NULL);
	ecc_point_get(in, x, y);
	ret = mpz_to(&out->MBEDTLS_PRIVATE(X), x, c->size);
	if (ret == 0)
		ret = mpz_to(&out->MBEDTLS_PRIVATE(Y), y, c->size);
	if (ret == 0)
		ret = mbedtls_mpi_lset(&out->MBEDTLS_PRIVATE(Z), 1);
	mpz_wipe(x); /* a shared secret, maybe */
	mpz_clear(y);
	return ret;
}

/* ---- scalar multiplication ---- */

/* P NULL: the base point. */
static int mul_weierstrass(const struct curve *c, mbedtls_ecp_point *r,
	const mbedtls_mpi *m, const mbedtls_ecp_point *p)
{
	int ret = MBEDTLS_ERR_ECP_INVALID_KEY;
	struct ecc_scalar n;
	struct ecc_point at;

	if (!p)
		ecc_point_init(&at, c->nettle());
	if (p && !point_from(&at, c, p))
		goto clear_point;
	if (!scalar_from(&n, c, m))
		goto clear_scalar;
	if (p)
		ecc_point_mul(&at, &n, &at);
	else
		ecc_point_mul_g(&at, &n);
	ret = point_to(r, c, &at);
clear_scalar:
	ecc_scalar_clear(&n);
clear_point:
	ecc_point_clear(&at);
	return ret;
}

static bool is_zero(const uint8_t *p, size_t n)
{
	uint8_t any = 0;

	while (n--)
		any |= *p++;
	return any == 0;
}

static int mul_x25519(
	mbedtls_ecp_point *r, const mbedtls_mpi *m, const mbedtls_ecp_point *p)
{
	uint8_t n[CURVE25519_SIZE], u[CURVE25519_SIZE], q[CURVE25519_SIZE];
	int ret = mbedtls_mpi_write_binary_le(m, n, sizeof n);

	if (ret == 0 && p)
		ret = mbedtls_mpi_write_binary_le(&p->MBEDTLS_PRIVATE(X), u, sizeof u);
	if (ret != 0)
		goto wipe;
	if (p)
		curve25519_mul(q, n, u);
	else
		curve25519_mul_g(q, n);
	ret = is_zero(q, sizeof q)
		      ? MBEDTLS_ERR_ECP_INVALID_KEY
		      : mbedtls_mpi_read_binary_le(&r->MBEDTLS_PRIVATE(X), q, sizeof q);
	mbedtls_mpi_free(&r->MBEDTLS_PRIVATE(Y));
	if (ret == 0)
		ret = mbedtls_mpi_lset(&r->MBEDTLS_PRIVATE(Z), 1);
wipe:
	mbedtls_platform_zeroize(n, sizeof n);
	mbedtls_platform_zeroize(q, sizeof q);
	return ret;
}

static int mul(const mbedtls_ecp_group *grp, mbedtls_ecp_point *r, const mbedtls_mpi *m,
	const mbedtls_ecp_point *p)
{
	const struct curve *c = curve_find(grp);

	if (c)
		return mul_weierstrass(c, r, m, p);
	if (grp->id == MBEDTLS_ECP_DP_CURVE25519)
		return mul_x25519(r, m, p);
	return MBEDTLS_ERR_ECP_FEATURE_UNAVAILABLE;
}

int __wrap_mbedtls_ecp_mul(mbedtls_ecp_group *grp, mbedtls_ecp_point *r,
	const mbedtls_mpi *m, const mbedtls_ecp_point *p,
	int (*f_rng)(void *, unsigned char *, size_t), void *p_rng)
{
	bool base = p == &grp->G || mbedtls_ecp_point_cmp(p, &grp->G) == 0;
	int ret = mbedtls_ecp_check_privkey(grp, m);

	if (ret == 0)
		ret = mul(grp, r, m, base ? NULL : p);
	if (ret == MBEDTLS_ERR_ECP_FEATURE_UNAVAILABLE)
		ret = __real_mbedtls_ecp_mul(grp, r, m, p, f_rng, p_rng);
	return ret;
}

/* ---- ECDH ---- */

int mbedtls_ecdh_gen_public(mbedtls_ecp_group *grp, mbedtls_mpi *d,
	mbedtls_ecp_point *q, int (*f_rng)(void *, unsigned char *, size_t),
	void *p_rng)
{
	int ret = mbedtls_ecp_gen_privkey(grp, d, f_rng, p_rng);

	return ret ? ret : mul(grp, q, d, NULL);
}

int mbedtls_ecdh_compute_shared(mbedtls_ecp_group *grp, mbedtls_mpi *z,
	const mbedtls_ecp_point *q, const mbedtls_mpi *d,
	int (*f_rng)(void *, unsigned char *, size_t), void *p_rng)
{
	mbedtls_ecp_point at;
	int ret;

	(void)f_rng; /* no blinding is needed: constant-time */
	(void)p_rng;
	mbedtls_ecp_point_init(&at);
	ret = mul(grp, &at, d, q);
	if (ret == 0)
		ret = mbedtls_mpi_copy(z, &at.MBEDTLS_PRIVATE(X));
	mbedtls_ecp_point_free(&at);
	return ret;
}

/* ---- ECDSA ---- */

int mbedtls_ecdsa_sign(mbedtls_ecp_group *grp, mbedtls_mpi *r, mbedtls_mpi *s,
	const mbedtls_mpi *d, const unsigned char *buf, size_t blen,
	int (*f_rng)(void *, unsigned char *, size_t), void *p_rng)
{
	const struct curve *c = curve_find(grp);
	int ret = MBEDTLS_ERR_ECP_INVALID_KEY;
	struct dsa_signature sig;
	struct ecc_scalar key;

	(void)f_rng;
	(void)p_rng;
	if (!c)
		return MBEDTLS_ERR_ECP_FEATURE_UNAVAILABLE;
	dsa_signature_init(&sig);
	if (scalar_from(&key, c, d)) {
		ecdsa_sign(&key, NULL, rng, blen, buf, &sig);
		ret = mpz_to(r, sig.r, c->size);
		if (ret == 0)
			ret = mpz_to(s, sig.s, c->size);
	}
	ecc_scalar_clear(&key);
	dsa_signature_clear(&sig);
	return ret;
}

static bool verify(const struct curve *c, const unsigned char *buf, size_t blen,
	const mbedtls_ecp_point *q, const mbedtls_mpi *r, const mbedtls_mpi *s)
{
	struct dsa_signature sig;
	struct ecc_point pub;
	bool ok;

	dsa_signature_init(&sig);
	ok = point_from(&pub, c, q) && mpz_from(sig.r, r, c->size) &&
	     mpz_from(sig.s, s, c->size) && ecdsa_verify(&pub, blen, buf, &sig);
	ecc_point_clear(&pub);
	dsa_signature_clear(&sig);
	return ok;
}

/* The arguments as one run of bytes, each number at its full size; 0: they do not fit.
 */
static size_t verify_args(const struct curve *c, const unsigned char *buf, size_t blen,
	const mbedtls_ecp_point *q, const mbedtls_mpi *r, const mbedtls_mpi *s,
	uint8_t *out)
{
	const mbedtls_mpi *const numbers[] = {
		&q->MBEDTLS_PRIVATE(X), &q->MBEDTLS_PRIVATE(Y), r, s};
	size_t n = 0;

	out[n++] = (uint8_t)c->id;
	for (size_t i = 0; i < 4; i++, n += c->size) {
		if (mbedtls_mpi_cmp_int(numbers[i], 0) < 0 ||
			mbedtls_mpi_write_binary(numbers[i], out + n, c->size) != 0)
			return 0;
	}
	memcpy(out + n, buf, blen);
	return n + blen;
}

int mbedtls_ecdsa_verify(mbedtls_ecp_group *grp, const unsigned char *buf, size_t blen,
	const mbedtls_ecp_point *q, const mbedtls_mpi *r, const mbedtls_mpi *s)
{
	uint8_t args[1 + 4 * SCALAR_MAX + MBEDTLS_MD_MAX_SIZE];
	const struct curve *c = curve_find(grp);
	uint8_t digest[SHA256_SIZE];
	size_t n;

	if (!c || blen > MBEDTLS_MD_MAX_SIZE)
		return MBEDTLS_ERR_ECP_FEATURE_UNAVAILABLE;
	n = verify_args(c, buf, blen, q, r, s, args);
	if (n == 0)
		return MBEDTLS_ERR_ECP_VERIFY_FAILED;
	sha256(slice_bytes(args, n), digest);
	if (sigmemo_has(digest))
		return 0;
	if (!verify(c, buf, blen, q, r, s))
		return MBEDTLS_ERR_ECP_VERIFY_FAILED;
	sigmemo_add(digest);
	return 0;
}
