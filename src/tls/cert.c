/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/cert.h"

#include <mbedtls/md.h>

#include "base/obj.h"
#include "tls/init.h"
#include "tls/x509.h"

struct cert *cert_read(struct slice pem_or_der, struct err *e)
{
	struct cert *c = calloc(1, sizeof *c);

	if (!c)
		return err_set(e, ERR_LIMIT, "certificate: out of memory"), NULL;
	mbedtls_x509_crt_init(&c->crt);
	if (x509_read(&c->crt, pem_or_der, e) == 0)
		return c;
	cert_free(c);
	return NULL;
}

void cert_free(struct cert *c)
{
	if (!c)
		return;
	mbedtls_x509_crt_free(&c->crt);
	free(c);
}

void cert_info(const struct cert *c, struct cert_info *out)
{
	*out = (struct cert_info){
		.not_before = x509_wall(&c->crt.valid_from),
		.not_after = x509_wall(&c->crt.valid_to),
		.is_ca = c->crt.MBEDTLS_PRIVATE(ca_istrue),
	};
	x509_common_name(&c->crt.subject, out->subject, sizeof out->subject);
	x509_identity(&c->crt, NULL, out->name, sizeof out->name);
	for (const mbedtls_x509_crt *x = &c->crt; x; x = x->next)
		out->count++;
}

int cert_verify(
	const struct cert *c, const struct cert *anchors, uint64_t now, struct err *e)
{
	return x509_verify(&c->crt, &anchors->crt, NULL, now, e);
}

uint64_t cert_chain_end(const struct cert *c)
{
	uint64_t end = UINT64_MAX;

	for (const mbedtls_x509_crt *x = &c->crt; x; x = x->next) {
		if (x509_wall(&x->valid_to) < end)
			end = x509_wall(&x->valid_to);
	}
	return end;
}

bool cert_matches_key(const struct cert *c, const struct key *k)
{
	return x509_matches_key(&c->crt, k);
}

struct slice cert_der(const struct cert *c, size_t i)
{
	const mbedtls_x509_crt *x = &c->crt;

	while (x && i--)
		x = x->next;
	return x ? slice_bytes(x->raw.p, x->raw.len) : SLICE_NONE;
}

#define PEM_BYTES 48 /* a line: 64 characters (RFC 7468 §2) */

int pem_wrap(const char *label, struct slice der, struct buf *out)
{
	int bad = buf_printf(out, "-----BEGIN %s-----\n", label);

	for (size_t at = 0; at < der.n && !bad; at += PEM_BYTES) {
		size_t n = der.n - at < PEM_BYTES ? der.n - at : PEM_BYTES;

		bad = buf_base64(out, slice_bytes(der.p + at, n)) ||
		      buf_char(out, '\n');
	}
	return bad || buf_printf(out, "-----END %s-----\n", label) ? -1 : 0;
}

int cert_write_pem(const struct cert *c, struct buf *out, struct err *e)
{
	struct slice der;

	for (size_t i = 0; (der = cert_der(c, i)).n; i++) {
		if (pem_wrap("CERTIFICATE", der, out) != 0)
			return err_set(e, ERR_LIMIT, "certificate: does not fit");
	}
	return 0;
}

/* ---- requests ---- */

static bool csr_is_signed(mbedtls_x509_csr *x)
{
	const mbedtls_md_info_t *md =
		mbedtls_md_info_from_type(x->MBEDTLS_PRIVATE(sig_md));
	uint8_t digest[MBEDTLS_MD_MAX_SIZE];

	if (!md || mbedtls_md(md, x->cri.p, x->cri.len, digest) != 0)
		return false;
	return mbedtls_pk_verify_ext(x->MBEDTLS_PRIVATE(sig_pk),
		       x->MBEDTLS_PRIVATE(sig_opts), &x->pk, x->MBEDTLS_PRIVATE(sig_md),
		       digest, mbedtls_md_get_size(md), x->MBEDTLS_PRIVATE(sig).p,
		       x->MBEDTLS_PRIVATE(sig).len) == 0;
}

static bool is_p256(const mbedtls_pk_context *pk)
{
	return mbedtls_pk_get_type(pk) == MBEDTLS_PK_ECKEY &&
	       mbedtls_pk_ec(*pk)->MBEDTLS_PRIVATE(grp).id == MBEDTLS_ECP_DP_SECP256R1;
}

int csr_read(struct slice der, struct csr *out, struct err *e)
{
	mbedtls_x509_csr x;
	struct slice dns;
	int ret;

	tls_init();
	mbedtls_x509_csr_init(&x);
	ret = mbedtls_x509_csr_parse_der(&x, (const uint8_t *)der.p, der.n);
	if (ret != 0) {
		mbedtls_x509_csr_free(&x);
		return tls_err(e, ERR_SYNTAX, "certificate request", ret);
	}
	*out = (struct csr){
		.dns_count = x509_san_count(&x.subject_alt_names, X509_SAN_DNS),
		.key_is_ecdsa_p256 = is_p256(&x.pk),
		.self_signed_ok = csr_is_signed(&x),
	};
	out->other_san_count = x509_san_total(&x.subject_alt_names) - out->dns_count;
	x509_common_name(&x.subject, out->common_name, sizeof out->common_name);
	dns = x509_san_first(&x.subject_alt_names, X509_SAN_DNS);
	if (dns.n < sizeof out->dns && dns.n)
		memcpy(out->dns, dns.p, dns.n);
	mbedtls_x509_csr_free(&x);
	return 0;
}
