/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates and requests that we write (RFC 5280 §4, RFC 2986), last field first. */
#include <mbedtls/md.h>

#include "base/addr.h"
#include "base/obj.h"
#include "tls/cert.h"
#include "tls/der.h"
#include "tls/init.h"
#include "tls/x509.h"

#define KEY_ID_SIZE 20

/* Bit 0 is the most significant one of the first byte (X.690 §8.6). */
enum key_usage {
	USE_SIGN = 0x80,
	USE_ENCIPHER = 0x20,
	USE_CERT_SIGN = 0x04,
	USE_CRL_SIGN = 0x02,
};

struct name_to_write {
	struct slice raw;        /* a whole Name as it is, or */
	const char *common_name; /* one to be made */
};

static void write_name(struct der *d, const struct name_to_write *name)
{
	size_t start = der_mark(d);

	if (name->raw.n) {
		der_raw(d, name->raw.p, name->raw.n);
		return;
	}
	if (name->common_name && name->common_name[0]) {
		der_value(d, DER_UTF8, name->common_name, strlen(name->common_name));
		der_oid(d, OID_COMMON_NAME);
		der_wrap(d, start, DER_SEQUENCE);
		der_wrap(d, start, DER_SET);
	}
	der_wrap(d, start, DER_SEQUENCE);
}

/* ---- signatures ---- */

static void write_algorithm(struct der *d, const struct key *signer)
{
	size_t start = der_mark(d);

	if (mbedtls_pk_get_type(key_pk(signer)) == MBEDTLS_PK_RSA) {
		der_value(d, DER_NULL, NULL, 0);
		der_oid(d, OID_RSA_SHA256);
	} else {
		der_oid(d, OID_ECDSA_SHA256);
	}
	der_wrap(d, start, DER_SEQUENCE);
}

/* Appends to `out` the SEQUENCE of what is in `d`, its algorithm and its signature. */
static int sign_into(
	struct der *d, const struct key *signer, struct buf *out, struct err *e)
{
	struct slice body = der_slice(d);
	uint8_t sig[MBEDTLS_PK_SIGNATURE_MAX_SIZE], digest[SHA256_SIZE];
	struct der outer;
	size_t n = 0;
	int ret;

	if (d->failed)
		return err_set(e, ERR_LIMIT, "certificate: does not fit");
	sha256(body, digest);
	ret = mbedtls_pk_sign(key_pk(signer), MBEDTLS_MD_SHA256, digest, sizeof digest,
		sig, sizeof sig, &n, tls_random, NULL);
	if (ret != 0)
		return tls_err(e, ERR_BUG, "sign", ret);
	der_init(&outer);
	der_bits(&outer, sig, n, 0);
	write_algorithm(&outer, signer);
	der_raw(&outer, body.p, body.n);
	der_wrap(&outer, DER_MAX, DER_SEQUENCE);
	return der_take(&outer, out)
		       ? err_set(e, ERR_LIMIT, "certificate: does not fit")
		       : 0;
}

/* ---- extensions: each is SEQUENCE { OID, [critical], OCTET STRING } ---- */

/* Wraps the value written since `start`. */
static void end_extension(struct der *d, size_t start, struct slice oid, bool critical)
{
	der_wrap(d, start, DER_OCTETS);
	if (critical)
		der_true(d);
	der_oid(d, oid);
	der_wrap(d, start, DER_SEQUENCE);
}

static size_t list_count(const char *const *list)
{
	size_t n = 0;

	while (list && list[n])
		n++;
	return n;
}

static int write_ips(struct der *d, const char *const *ips, struct err *e)
{
	for (size_t i = list_count(ips); i-- > 0;) {
		struct ip ip;

		if (!ip_parse(slice_of(ips[i]), &ip))
			return err_set(e, ERR_SYNTAX, "%.60s is no address", ips[i]);
		der_value(d, DER_CONTEXT_PLAIN(X509_SAN_IP), ip.b,
			ip.family == 4 ? 4 : 16);
	}
	return 0;
}

static int write_alt_names(struct der *d, const char *const *dns,
	const char *const *ips, bool critical, struct err *e)
{
	size_t start = der_mark(d);

	if (list_count(dns) + list_count(ips) == 0)
		return 0;
	if (write_ips(d, ips, e) != 0)
		return -1;
	for (size_t i = list_count(dns); i-- > 0;)
		der_value(d, DER_CONTEXT_PLAIN(X509_SAN_DNS), dns[i], strlen(dns[i]));
	der_wrap(d, start, DER_SEQUENCE);
	end_extension(d, start, OID_ALT_NAME, critical);
	return 0;
}

static void write_usage(struct der *d, bool is_ca)
{
	size_t start = der_mark(d);
	uint8_t bits = is_ca ? USE_CERT_SIGN | USE_CRL_SIGN : USE_SIGN | USE_ENCIPHER;

	der_bits(d, &bits, 1, is_ca ? 1 : 5); /* trailing zero bits are left out */
	end_extension(d, start, OID_KEY_USAGE, true);
}

static void write_extended_usage(struct der *d, bool server, bool client)
{
	size_t start = der_mark(d);

	if (!server && !client)
		return;
	if (client)
		der_oid(d, OID_CLIENT_AUTH);
	if (server)
		der_oid(d, OID_SERVER_AUTH);
	der_wrap(d, start, DER_SEQUENCE);
	end_extension(d, start, OID_EXTENDED_USAGE, false);
}

static void write_constraints(struct der *d, bool is_ca)
{
	size_t start = der_mark(d);

	if (is_ca)
		der_true(d);
	der_wrap(d, start, DER_SEQUENCE);
	end_extension(d, start, OID_CONSTRAINTS, true);
}

/* RFC 7093 §2 (1): the first 160 bits of SHA-256 of the key's bits. */
static int key_id(struct slice spki, uint8_t id[KEY_ID_SIZE])
{
	uint8_t *p = (uint8_t *)spki.p, *end = p + spki.n, digest[SHA256_SIZE];
	size_t n;

	if (mbedtls_asn1_get_tag(&p, end, &n, DER_SEQUENCE) != 0 ||
		mbedtls_asn1_get_tag(&p, end, &n, DER_SEQUENCE) != 0)
		return -1;
	p += n; /* the algorithm */
	if (mbedtls_asn1_get_bitstring_null(&p, end, &n) != 0)
		return -1;
	sha256(slice_bytes(p, n), digest);
	memcpy(id, digest, KEY_ID_SIZE);
	return 0;
}

static void write_key_ids(
	struct der *d, const uint8_t subject[KEY_ID_SIZE], struct slice authority)
{
	size_t start = der_mark(d);

	if (authority.n) {
		der_value(d, DER_CONTEXT_PLAIN(0), authority.p, authority.n);
		der_wrap(d, start, DER_SEQUENCE);
		end_extension(d, start, OID_AUTHORITY_KEY, false);
	}
	start = der_mark(d);
	der_value(d, DER_OCTETS, subject, KEY_ID_SIZE);
	end_extension(d, start, OID_SUBJECT_KEY, false);
}

/* ---- certificates ---- */

struct issue {
	const struct cert_spec *spec;
	struct slice spki;
	struct name_to_write subject;
	const struct cert *issuer; /* NULL: self-signed */
	const struct key *key;     /* the signer's */
};

static bool has_subject(const struct issue *is)
{
	/* An empty Name is an empty SEQUENCE: two bytes. */
	return is->subject.raw.n > 2 ||
	       (!is->subject.raw.n && is->subject.common_name &&
		       is->subject.common_name[0]);
}

static int write_extensions(struct der *d, const struct issue *is, struct err *e)
{
	const struct cert_spec *spec = is->spec;
	struct slice authority = SLICE_NONE;
	uint8_t id[KEY_ID_SIZE];
	size_t start = der_mark(d);

	if (key_id(is->spki, id) != 0)
		return err_set(e, ERR_SYNTAX, "public key: malformed");
	if (is->issuer)
		authority = slice_bytes(is->issuer->crt.subject_key_id.p,
			is->issuer->crt.subject_key_id.len);
	if (write_alt_names(d, spec->dns, spec->ips, !has_subject(is), e) != 0)
		return -1;
	write_key_ids(d, id, authority);
	write_constraints(d, spec->is_ca);
	write_extended_usage(d, spec->server, spec->client);
	write_usage(d, spec->is_ca);
	der_wrap(d, start, DER_SEQUENCE);
	der_wrap(d, start, DER_CONTEXT(3));
	return 0;
}

static void write_validity(struct der *d, const struct cert_spec *spec)
{
	size_t start = der_mark(d);

	der_time(d, spec->not_after);
	der_time(d, spec->not_before);
	der_wrap(d, start, DER_SEQUENCE);
}

static void write_serial(struct der *d, uint64_t serial)
{
	uint8_t bytes[16];

	if (serial) {
		der_uint(d, serial);
		return;
	}
	random_secret(bytes, sizeof bytes);
	bytes[0] = (uint8_t)((bytes[0] & 0x7f) | 0x40); /* positive, of full length */
	der_value(d, DER_INTEGER, bytes, sizeof bytes);
}

static void write_version(struct der *d)
{
	size_t start = der_mark(d);

	der_uint(d, 2); /* v3 */
	der_wrap(d, start, DER_CONTEXT(0));
}

static int issue(const struct issue *is, struct buf *der, struct err *e)
{
	struct name_to_write issuer = is->subject;
	struct der d;

	if (is->issuer)
		issuer = (struct name_to_write){
			.raw = slice_bytes(is->issuer->crt.subject_raw.p,
				is->issuer->crt.subject_raw.len)};
	if (is->issuer && !x509_matches_key(&is->issuer->crt, is->key))
		return err_set(
			e, ERR_SYNTAX, "the issuer's key does not fit its certificate");
	if (!is->issuer && !has_subject(is))
		return err_set(e, ERR_SYNTAX, "an issuer needs a name");
	der_init(&d);
	if (write_extensions(&d, is, e) != 0)
		return -1;
	der_raw(&d, is->spki.p, is->spki.n);
	write_name(&d, &is->subject);
	write_validity(&d, is->spec);
	write_name(&d, &issuer);
	write_algorithm(&d, is->key);
	write_serial(&d, is->spec->serial);
	write_version(&d);
	der_wrap(&d, DER_MAX, DER_SEQUENCE);
	return sign_into(&d, is->key, der, e);
}

int cert_issue(const struct key *subject_key, const struct cert_spec *spec,
	const struct cert *issuer, const struct key *issuer_key, struct buf *der,
	struct err *e)
{
	struct buf spki = BUF_INIT;
	struct issue is = {
		.spec = spec,
		.subject = {.common_name = spec->common_name},
		.issuer = issuer,
		.key = issuer ? issuer_key : subject_key,
	};
	int ret = key_write_public(subject_key, &spki, e);

	is.spki = buf_slice(&spki);
	if (ret == 0)
		ret = issue(&is, der, e);
	buf_fini(&spki);
	return ret;
}

/* The subject is the request's unless the spec names one. */
static int issue_parsed(mbedtls_x509_csr *csr, const struct cert_spec *spec,
	const struct cert *issuer, const struct key *issuer_key, struct buf *der,
	struct err *e)
{
	struct key subject_key = {csr->pk}; /* borrowed for reading */
	struct buf spki = BUF_INIT;
	struct issue is = {
		.spec = spec,
		.subject = {.common_name = spec->common_name},
		.issuer = issuer,
		.key = issuer_key,
	};
	int ret = key_write_public(&subject_key, &spki, e);

	if (!spec->common_name)
		is.subject.raw = slice_bytes(csr->subject_raw.p, csr->subject_raw.len);
	is.spki = buf_slice(&spki);
	if (ret == 0)
		ret = issue(&is, der, e);
	buf_fini(&spki);
	return ret;
}

int cert_issue_csr(struct slice csr_der, const struct cert_spec *spec,
	const struct cert *issuer, const struct key *issuer_key, struct buf *der,
	struct err *e)
{
	mbedtls_x509_csr csr;
	int ret;

	tls_init();
	mbedtls_x509_csr_init(&csr);
	ret = mbedtls_x509_csr_parse_der(&csr, (const uint8_t *)csr_der.p, csr_der.n);
	if (ret != 0)
		ret = tls_err(e, ERR_SYNTAX, "certificate request", ret);
	else
		ret = issue_parsed(&csr, spec, issuer, issuer_key, der, e);
	mbedtls_x509_csr_free(&csr);
	return ret;
}

/* ---- requests ---- */

/* Attributes: one extensionRequest with the name as its SAN (RFC 2985 §5.4.2). */
static int write_attributes(struct der *d, const char *name, struct err *e)
{
	const char *const dns[] = {name, NULL};
	size_t start = der_mark(d);

	if (write_alt_names(d, dns, NULL, false, e) != 0)
		return -1;
	der_wrap(d, start, DER_SEQUENCE);
	der_wrap(d, start, DER_SET);
	der_oid(d, OID_EXTENSIONS);
	der_wrap(d, start, DER_SEQUENCE);
	der_wrap(d, start, DER_CONTEXT(0));
	return 0;
}

int csr_write(const char *name, const struct key *k, struct buf *der, struct err *e)
{
	const struct name_to_write subject = {.common_name = name};
	struct buf spki = BUF_INIT;
	struct der d;
	int ret = key_write_public(k, &spki, e);

	der_init(&d);
	if (ret == 0)
		ret = write_attributes(&d, name, e);
	if (ret == 0) {
		der_raw(&d, spki.p, buf_len(&spki));
		write_name(&d, &subject);
		der_uint(&d, 0);
		der_wrap(&d, DER_MAX, DER_SEQUENCE);
		ret = sign_into(&d, k, der, e);
	}
	buf_fini(&spki);
	return ret;
}

/* ---- whole ---- */

int cert_issue_own(const struct cert_spec *spec, struct buf *crt_pem,
	struct buf *key_pem, struct err *e)
{
	struct buf der = BUF_INIT;
	struct key *k = key_generate(e);
	int r = -1;

	if (k && cert_issue(k, spec, NULL, NULL, &der, e) == 0)
		r = pem_wrap("CERTIFICATE", buf_slice(&der), crt_pem)
			    ? err_set(e, ERR_LIMIT, "out of memory")
			    : key_write_pem(k, key_pem, e);
	key_free(k);
	buf_fini(&der);
	return r;
}
