/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/cert.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/obj.h"
#include "t.h"
#include "testca.h"
#include "tls/x509.h"

#define NAME "web.emojivoto.serviceaccount.identity.linkerd.cluster.local"
#define HOUR (3600 * NS_PER_S)

static struct cert *issue_by_csr(
	struct testca *ca, const struct cert_spec *spec, const struct key *k)
{
	struct buf csr = BUF_INIT, der = BUF_INIT;
	struct cert *c;

	EQ_INT(csr_write(NAME, k, &csr, NULL), 0);
	EQ_INT(cert_issue_csr(
		       buf_slice(&csr), spec, ca->issuer, ca->issuer_key, &der, NULL),
		0);
	c = cert_read(buf_slice(&der), NULL);
	OK(c);
	buf_fini(&csr);
	buf_fini(&der);
	return c;
}

static const char *const leaf_dns[] = {NAME, NULL};

static struct cert_spec leaf_spec(void)
{
	return (struct cert_spec){
		.dns = leaf_dns,
		.serial = 7,
		.not_before = clock_wall() - 20 * NS_PER_S,
		.not_after = clock_wall() + 24 * HOUR,
		.server = true,
		.client = true,
	};
}

TEST(a_leaf_by_request_has_what_was_asked_for)
{
	struct cert_spec spec = leaf_spec();
	struct key *k = key_generate(NULL), *other = key_generate(NULL);
	const mbedtls_x509_crt *x;
	struct cert_info info;
	struct testca ca;
	struct cert *c;

	testca_init(&ca);
	c = issue_by_csr(&ca, &spec, k);
	cert_info(c, &info);
	EQ_STR(info.subject, NAME);
	EQ_STR(info.name, NAME);
	EQ_INT(info.not_before / NS_PER_S, spec.not_before / NS_PER_S);
	EQ_INT(info.not_after / NS_PER_S, spec.not_after / NS_PER_S);
	EQ_INT(info.is_ca, false);
	EQ_INT(info.count, 1);
	OK(cert_matches_key(c, k));
	OK(!cert_matches_key(c, other));
	x = cert_crt(c);
	EQ_INT(x->serial.len, 1);
	EQ_INT(x->serial.p[0], 7);
	EQ_INT(mbedtls_x509_crt_check_key_usage(
		       x, MBEDTLS_X509_KU_DIGITAL_SIGNATURE |
				  MBEDTLS_X509_KU_KEY_ENCIPHERMENT),
		0);
	OK(mbedtls_x509_crt_check_key_usage(x, MBEDTLS_X509_KU_KEY_CERT_SIGN) != 0);
	OK(slice_eq(slice_bytes(x->authority_key_id.keyIdentifier.p,
			    x->authority_key_id.keyIdentifier.len),
		slice_bytes(ca.issuer->crt.subject_key_id.p,
			ca.issuer->crt.subject_key_id.len)));
	EQ_INT(x->subject_key_id.len, 20);
	cert_free(c);
	key_free(k);
	key_free(other);
	testca_fini(&ca);
}

TEST(a_request_reads_as_it_was_written)
{
	struct key *k = key_generate(NULL);
	struct buf der = BUF_INIT;
	struct csr csr;

	EQ_INT(csr_write(NAME, k, &der, NULL), 0);
	EQ_INT(csr_read(buf_slice(&der), &csr, NULL), 0);
	EQ_STR(csr.common_name, NAME);
	EQ_STR(csr.dns, NAME);
	EQ_INT(csr.dns_count, 1);
	EQ_INT(csr.other_san_count, 0);
	OK(csr.key_is_ecdsa_p256 && csr.self_signed_ok);
	der.p[buf_len(&der) - 10] ^= 1; /* inside the signature */
	EQ_INT(csr_read(buf_slice(&der), &csr, NULL), 0);
	OK(!csr.self_signed_ok);
	buf_fini(&der);
	key_free(k);
}

TEST(a_request_cut_anywhere_is_refused)
{
	struct key *k = key_generate(NULL);
	struct buf der = BUF_INIT;
	struct csr csr;

	EQ_INT(csr_write(NAME, k, &der, NULL), 0);
	for (size_t n = 0; n < buf_len(&der); n++) {
		char *copy = malloc(n + 1);

		memcpy(copy, der.p, n);
		EQ_INT(csr_read(slice_bytes(copy, n), &csr, NULL), -1);
		free(copy);
	}
	buf_fini(&der);
	key_free(k);
}

TEST(a_root_signs_itself_and_may_sign_others)
{
	struct cert_info info;
	struct testca ca;

	testca_init(&ca);
	cert_info(ca.root, &info);
	EQ_STR(info.subject, "root.linkerd.cluster.local");
	EQ_STR(info.name, "");
	OK(info.is_ca);
	EQ_INT(mbedtls_x509_crt_check_key_usage(&ca.root->crt,
		       MBEDTLS_X509_KU_KEY_CERT_SIGN | MBEDTLS_X509_KU_CRL_SIGN),
		0);
	EQ_INT(cert_verify(ca.root, ca.root, 0, NULL), 0);
	EQ_INT(cert_verify(ca.issuer, ca.root, 0, NULL), 0);
	EQ_INT(cert_verify(ca.root, ca.issuer, 0, NULL), -1);
	testca_fini(&ca);
}

TEST(a_chain_is_verified_at_the_time_asked_for)
{
	struct testleaf leaf = {.dns = NAME, .from = -60, .to = 3600};
	uint64_t now = clock_wall();
	struct buf chain = BUF_INIT;
	struct err e = {0};
	struct testca ca, other;
	struct cert_info info;
	struct cert *c;
	struct key *k;

	testca_init(&ca);
	testca_init(&other);
	testca_leaf(&ca, &leaf, &chain, &k);
	c = cert_read(buf_slice(&chain), NULL);
	cert_info(c, &info);
	EQ_INT(info.count, 2);
	EQ_INT(cert_chain_end(c), info.not_after);
	EQ_INT(cert_verify(c, ca.root, 0, NULL), 0);
	EQ_INT(cert_verify(c, ca.root, now + HOUR / 2, NULL), 0);
	EQ_INT(cert_verify(c, ca.root, now + 3 * HOUR + NS_PER_S, &e), -1);
	EQ_INT(e.code, ERR_DENIED);
	OK(strstr(e.msg, NAME " expired 2h ago at 20"));
	EQ_INT(cert_verify(c, ca.root, now - HOUR / 2, &e), -1);
	OK(strstr(e.msg, NAME " is not yet valid until 20"));
	EQ_INT(cert_verify(c, other.root, 0, &e), -1);
	OK(strstr(
		e.msg, "signed by an unknown authority (root.linkerd.cluster.local)"));
	EQ_INT(cert_verify(c, ca.root, 0, NULL), 0); /* the clock came back */
	cert_free(c);
	key_free(k);
	buf_fini(&chain);
	testca_fini(&ca);
	testca_fini(&other);
}

TEST(a_leaf_cannot_sign)
{
	struct cert_spec spec = leaf_spec();
	struct key *k = key_generate(NULL), *forged_key = key_generate(NULL);
	struct buf der = BUF_INIT, pem = BUF_INIT;
	struct testca ca;
	struct err e = {0};
	struct cert *leaf, *forged;

	testca_init(&ca);
	leaf = issue_by_csr(&ca, &spec, k);
	EQ_INT(cert_issue(forged_key, &spec, leaf, k, &der, NULL), 0);
	pem_wrap("CERTIFICATE", buf_slice(&der), &pem);
	EQ_INT(cert_write_pem(leaf, &pem, NULL), 0);
	buf_adds(&pem, buf_slice(&ca.issuer_pem));
	forged = cert_read(buf_slice(&pem), NULL);
	OK(forged);
	EQ_INT(cert_verify(forged, ca.root, 0, &e), -1);
	OK(strstr(e.msg, "unknown authority"));
	cert_free(leaf);
	cert_free(forged);
	key_free(k);
	key_free(forged_key);
	buf_fini(&der);
	buf_fini(&pem);
	testca_fini(&ca);
}

TEST(a_webhook_s_certificate_has_its_names_and_addresses)
{
	static const char *const dns[] = {
		"a.mesh.svc", "a.mesh.svc.cluster.local", NULL};
	static const char *const ips[] = {"127.0.0.1", "fd00::1", NULL};
	static const char *const bad[] = {"127.0.0.300", NULL};
	struct cert_spec spec = leaf_spec();
	struct key *k = key_generate(NULL);
	struct buf der = BUF_INIT;
	struct err e = {0};
	struct cert *c;

	spec.dns = dns;
	spec.ips = ips;
	spec.common_name = "a.mesh.svc";
	spec.serial = 0;
	EQ_INT(cert_issue(k, &spec, NULL, NULL, &der, NULL), 0);
	c = cert_read(buf_slice(&der), NULL);
	OK(c);
	OK(x509_has_identity(cert_crt(c), "a.mesh.svc"));
	OK(x509_has_identity(cert_crt(c), "A.mesh.svc.cluster.LOCAL"));
	OK(x509_has_identity(cert_crt(c), "127.0.0.1"));
	OK(x509_has_identity(cert_crt(c), "fd00::1"));
	OK(!x509_has_identity(cert_crt(c), "127.0.0.2"));
	OK(!x509_has_identity(cert_crt(c), "mesh.svc"));
	OK(!x509_has_identity(cert_crt(c), "b.a.mesh.svc"));
	OK(!x509_has_identity(cert_crt(c), ""));
	EQ_INT(cert_crt(c)->serial.len, 16);
	spec.ips = bad;
	EQ_INT(cert_issue(k, &spec, NULL, NULL, &der, &e), -1);
	EQ_STR(e.msg, "127.0.0.300 is no address");
	cert_free(c);
	key_free(k);
	buf_fini(&der);
}

TEST(times_from_1970_to_9999_are_written_and_read)
{
	static const char *const times[] = {"1970-01-02T00:00:00Z",
		"1999-12-31T23:59:59Z", "2000-02-29T12:00:00Z", "2049-12-31T23:59:59Z",
		"2050-01-01T00:00:00Z", "2400-02-29T01:02:03Z"};
	struct key *k = key_generate(NULL);

	for (size_t i = 0; i < countof(times); i++) {
		struct cert_spec spec = leaf_spec();
		struct buf der = BUF_INIT;
		struct err e = {0};
		struct cert_info info;
		struct cert *c;

		spec.common_name = "root";
		OK(clock_parse(slice_of(times[i]), &spec.not_after));
		spec.not_before = NS_PER_S;
		EQ_INT(cert_issue(k, &spec, NULL, NULL, &der, NULL), 0);
		c = cert_read(buf_slice(&der), &e);
		if (!c)
			T_FAIL("%s: %s", times[i], e.msg);
		cert_info(c, &info);
		EQ_INT(info.not_before, NS_PER_S);
		EQ_INT(info.not_after, spec.not_after);
		cert_free(c);
		buf_fini(&der);
	}
	key_free(k);
}

TEST(an_issuer_with_a_wrong_key_or_no_name_is_refused)
{
	struct cert_spec spec = leaf_spec();
	struct key *k = key_generate(NULL);
	struct buf der = BUF_INIT;
	struct testca ca;
	struct err e = {0};

	testca_init(&ca);
	EQ_INT(cert_issue(k, &spec, ca.issuer, ca.root_key, &der, &e), -1);
	EQ_STR(e.msg, "the issuer's key does not fit its certificate");
	spec.common_name = NULL;
	EQ_INT(cert_issue(k, &spec, NULL, NULL, &der, &e), -1);
	EQ_STR(e.msg, "an issuer needs a name");
	key_free(k);
	testca_fini(&ca);
}

TEST(a_chain_written_reads_the_same)
{
	struct testleaf leaf = {.dns = NAME};
	struct buf chain = BUF_INIT, again = BUF_INIT;
	struct testca ca;
	struct cert *c;
	struct key *k;

	testca_init(&ca);
	testca_leaf(&ca, &leaf, &chain, &k);
	c = cert_read(buf_slice(&chain), NULL);
	EQ_INT(cert_write_pem(c, &again, NULL), 0);
	OK(slice_eq(buf_slice(&chain), buf_slice(&again)));
	OK(cert_der(c, 0).n > 0 && cert_der(c, 1).n > 0 && cert_der(c, 2).n == 0);
	cert_free(c);
	key_free(k);
	buf_fini(&chain);
	buf_fini(&again);
	testca_fini(&ca);
}

TEST(der_with_the_words_of_pem_in_a_name_is_der)
{
	struct cert_spec spec = leaf_spec();
	struct key *k = key_generate(NULL);
	struct buf der = BUF_INIT;
	struct cert *c;

	spec.common_name = "-----BEGIN CERTIFICATE-----";
	EQ_INT(cert_issue(k, &spec, NULL, NULL, &der, NULL), 0);
	c = cert_read(buf_slice(&der), NULL);
	OK(c);
	cert_free(c);
	key_free(k);
	buf_fini(&der);
}

TEST(text_before_a_certificate_is_passed_over)
{
	struct testca ca;
	struct buf pem = BUF_INIT;
	struct cert *c;

	testca_init(&ca);
	buf_text(&pem, "# Gr\xc3\xbc\xc3\x9f"
		       "e\r\n\tsubject=CN = root\n");
	buf_adds(&pem, buf_slice(&ca.root_pem));
	c = cert_read(buf_slice(&pem), NULL);
	OK(c);
	cert_free(c);
	buf_fini(&pem);
	testca_fini(&ca);
}

TEST(a_bundle_with_a_broken_certificate_is_refused)
{
	struct testca ca;
	struct buf bundle = BUF_INIT;
	struct err e = {0};

	testca_init(&ca);
	buf_adds(&bundle, buf_slice(&ca.root_pem));
	buf_text(&bundle,
		"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
	OK(!cert_read(buf_slice(&bundle), &e));
	EQ_INT(e.code, ERR_SYNTAX);
	OK(!cert_read(SLICE_NONE, &e));
	EQ_STR(e.msg, "certificate: empty");
	buf_fini(&bundle);
	testca_fini(&ca);
}
