/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/key.h"

#include <mbedtls/ecdsa.h>
#include <mbedtls/ecp.h>
#include <mbedtls/platform_util.h>

#include "base/obj.h"
#include "tls/cert.h"
#include "tls/der.h"
#include "tls/init.h"
#include "tls/keyint.h"

#define KEY_FILE_MAX 16384 /* an RSA-8192 key as PEM is 6.5 KB */

/* DER may hold those words in a name; it holds control characters before them. */
bool pem_looks(struct slice s)
{
	const char *begin = s.p ? memmem(s.p, s.n, "-----BEGIN ", 11) : NULL;

	if (!begin)
		return false;
	for (const char *c = s.p; c < begin; c++) {
		if ((uint8_t)*c < ' ' && *c != '\t' && *c != '\r' && *c != '\n')
			return false;
	}
	return true;
}

static struct key *key_new(struct err *e)
{
	struct key *k = calloc(1, sizeof *k);

	tls_init();
	if (!k)
		return err_set(e, ERR_LIMIT, "key: out of memory"), NULL;
	mbedtls_pk_init(&k->pk);
	return k;
}

void key_free(struct key *k)
{
	if (!k)
		return;
	mbedtls_pk_free(&k->pk);
	free(k);
}

static int generate(mbedtls_pk_context *pk)
{
	int ret = mbedtls_pk_setup(pk, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY));
	mbedtls_ecp_keypair *kp = mbedtls_pk_ec(*pk);

	if (ret == 0)
		ret = mbedtls_ecp_group_load(
			&kp->MBEDTLS_PRIVATE(grp), MBEDTLS_ECP_DP_SECP256R1);
	if (ret == 0)
		ret = mbedtls_ecp_gen_privkey(&kp->MBEDTLS_PRIVATE(grp),
			&kp->MBEDTLS_PRIVATE(d), tls_random, NULL);
	if (ret == 0)
		ret = mbedtls_ecp_mul(&kp->MBEDTLS_PRIVATE(grp),
			&kp->MBEDTLS_PRIVATE(Q), &kp->MBEDTLS_PRIVATE(d),
			&kp->MBEDTLS_PRIVATE(grp).G, tls_random, NULL);
	return ret;
}

struct key *key_generate(struct err *e)
{
	struct key *k = key_new(e);
	int ret;

	if (!k)
		return NULL;
	ret = generate(&k->pk);
	if (ret == 0)
		return k;
	key_free(k);
	tls_err(e, ERR_BUG, "generate key", ret);
	return NULL;
}

struct key *key_read(struct slice s, struct err *e)
{
	struct key *k;
	char *copy;
	int ret;

	if (s.n == 0 || s.n > KEY_FILE_MAX)
		return err_set(e, ERR_SYNTAX, "key: %s", s.n ? "too large" : "empty"),
		       NULL;
	k = key_new(e);
	copy = k ? slice_dup(s) : NULL;
	if (!copy)
		return key_free(k), NULL;
	ret = mbedtls_pk_parse_key(&k->pk, (const uint8_t *)copy, s.n + pem_looks(s),
		NULL, 0, tls_random, NULL);
	mbedtls_platform_zeroize(copy, s.n);
	free(copy);
	if (ret == 0)
		return k;
	key_free(k);
	tls_err(e, ERR_SYNTAX, "key", ret);
	return NULL;
}

struct key *key_copy(const struct key *k, struct err *e)
{
	struct buf der = BUF_INIT;
	struct key *copy = NULL;

	if (key_write_der(k, &der, e) == 0)
		copy = key_read(buf_slice(&der), e);
	if (der.p)
		mbedtls_platform_zeroize(der.p, der.cap);
	buf_fini(&der);
	return copy;
}

/* ---- writing ---- */

/* ECPrivateKey (RFC 5915) without its parameters, which the outer structure has. */
static int sec1(struct der *d, mbedtls_ecp_keypair *kp)
{
	size_t size = (kp->MBEDTLS_PRIVATE(grp).nbits + 7) / 8, start = der_mark(d), n;
	uint8_t bytes[2 * MBEDTLS_ECP_MAX_BYTES + 1];

	if (mbedtls_ecp_point_write_binary(&kp->MBEDTLS_PRIVATE(grp),
		    &kp->MBEDTLS_PRIVATE(Q), MBEDTLS_ECP_PF_UNCOMPRESSED, &n, bytes,
		    sizeof bytes) != 0)
		return -1;
	der_bits(d, bytes, n, 0);
	der_wrap(d, start, DER_CONTEXT(1));
	if (mbedtls_mpi_write_binary(&kp->MBEDTLS_PRIVATE(d), bytes, size) != 0)
		return -1;
	der_value(d, DER_OCTETS, bytes, size);
	mbedtls_platform_zeroize(bytes, sizeof bytes);
	der_uint(d, 1);
	der_wrap(d, start, DER_SEQUENCE);
	return 0;
}

static int pkcs1(struct der *d, const struct key *k)
{
	int n = mbedtls_pk_write_key_der(key_pk(k), d->bytes, d->at);

	if (n < 0)
		return -1;
	d->at -= (size_t)n; /* written at the end of what is free, as we do */
	return 0;
}

static int pkcs8(struct der *d, const struct key *k)
{
	bool ec = mbedtls_pk_get_type(key_pk(k)) == MBEDTLS_PK_ECKEY;
	size_t start = der_mark(d), algorithm;

	if ((ec ? sec1(d, mbedtls_pk_ec(*key_pk(k))) : pkcs1(d, k)) != 0)
		return -1;
	der_wrap(d, start, DER_OCTETS);
	algorithm = der_mark(d);
	if (ec) {
		mbedtls_ecp_group_id id =
			mbedtls_pk_ec(*key_pk(k))->MBEDTLS_PRIVATE(grp).id;

		if (der_curve(d, id) != 0)
			return -1;
		der_oid(d, OID_EC_PUBLIC_KEY);
	} else {
		der_value(d, DER_NULL, NULL, 0);
		der_oid(d, OID_RSA);
	}
	der_wrap(d, algorithm, DER_SEQUENCE);
	der_uint(d, 0);
	der_wrap(d, start, DER_SEQUENCE);
	return 0;
}

int key_write_der(const struct key *k, struct buf *out, struct err *e)
{
	struct der d;
	int failed;

	der_init(&d);
	failed = pkcs8(&d, k) != 0 || der_take(&d, out) != 0;
	mbedtls_platform_zeroize(&d, sizeof d);
	return failed ? err_set(e, ERR_LIMIT, "key: does not fit") : 0;
}

int key_write_pem(const struct key *k, struct buf *out, struct err *e)
{
	struct buf der = BUF_INIT;
	int ret = key_write_der(k, &der, e);

	if (ret == 0 && pem_wrap("PRIVATE KEY", buf_slice(&der), out) != 0)
		ret = err_set(e, ERR_LIMIT, "key: does not fit");
	if (der.p)
		mbedtls_platform_zeroize(der.p, der.cap);
	buf_fini(&der);
	return ret;
}

int key_write_public(const struct key *k, struct buf *out, struct err *e)
{
	uint8_t spki[1024 + 256]; /* RSA-8192: 1062 */
	int n = mbedtls_pk_write_pubkey_der(key_pk(k), spki, sizeof spki);

	if (n < 0)
		return tls_err(e, ERR_LIMIT, "public key", n);
	if (buf_add(out, spki + sizeof spki - n, (size_t)n) != 0)
		return err_set(e, ERR_LIMIT, "public key: does not fit");
	return 0;
}

/* ---- JWS ES256: r and s, 32 bytes each (RFC 7518 §3.4) ---- */

static mbedtls_ecp_keypair *p256_of(const struct key *k)
{
	mbedtls_ecp_keypair *kp = mbedtls_pk_get_type(key_pk(k)) == MBEDTLS_PK_ECKEY
					  ? mbedtls_pk_ec(*key_pk(k))
					  : NULL;

	if (kp && kp->MBEDTLS_PRIVATE(grp).id == MBEDTLS_ECP_DP_SECP256R1)
		return kp;
	return NULL;
}

int key_sign_es256(const struct key *k, struct slice s, uint8_t out[64], struct err *e)
{
	mbedtls_ecp_keypair *kp = p256_of(k);
	uint8_t digest[SHA256_SIZE];
	mbedtls_mpi r, v;
	int ret;

	if (!kp)
		return err_set(e, ERR_SYNTAX, "ES256 needs a P-256 key");
	sha256(s, digest);
	mbedtls_mpi_init(&r);
	mbedtls_mpi_init(&v);
	ret = mbedtls_ecdsa_sign(&kp->MBEDTLS_PRIVATE(grp), &r, &v,
		&kp->MBEDTLS_PRIVATE(d), digest, sizeof digest, tls_random, NULL);
	if (ret == 0)
		ret = mbedtls_mpi_write_binary(&r, out, 32);
	if (ret == 0)
		ret = mbedtls_mpi_write_binary(&v, out + 32, 32);
	mbedtls_mpi_free(&r);
	mbedtls_mpi_free(&v);
	return ret ? tls_err(e, ERR_BUG, "sign", ret) : 0;
}

int key_verify_es256(const struct key *k, struct slice s, const uint8_t sig[64])
{
	mbedtls_ecp_keypair *kp = p256_of(k);
	uint8_t digest[SHA256_SIZE];
	mbedtls_mpi r, v;
	int ret;

	if (!kp)
		return -1;
	sha256(s, digest);
	mbedtls_mpi_init(&r);
	mbedtls_mpi_init(&v);
	ret = mbedtls_mpi_read_binary(&r, sig, 32);
	if (ret == 0)
		ret = mbedtls_mpi_read_binary(&v, sig + 32, 32);
	if (ret == 0)
		ret = mbedtls_ecdsa_verify(&kp->MBEDTLS_PRIVATE(grp), digest,
			sizeof digest, &kp->MBEDTLS_PRIVATE(Q), &r, &v);
	mbedtls_mpi_free(&r);
	mbedtls_mpi_free(&v);
	return ret ? -1 : 0;
}
