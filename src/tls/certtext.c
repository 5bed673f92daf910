/* SPDX-License-Identifier: Apache-2.0 */
/* A certificate as people read it, laid out as OpenSSL does. */
#include <mbedtls/oid.h>
#include <stdio.h>

#include "base/addr.h"
#include "base/clock.h"
#include "base/obj.h"
#include "tls/cert.h"
#include "tls/x509.h"

#define DEEP "            " /* of what an extension holds */

static void put_hex(struct slice s, struct buf *out)
{
	for (size_t i = 0; i < s.n; i++)
		buf_printf(out, "%s%02x", i ? ":" : "", (uint8_t)s.p[i]);
}

static void put_name(const char *what, const mbedtls_x509_name *name, struct buf *out)
{
	char text[512];

	if (mbedtls_x509_dn_gets(text, sizeof text, name) < 0)
		snprintf(text, sizeof text, "(too long)");
	buf_printf(out, "        %s: %s\n", what, text);
}

static void put_time(const char *what, const mbedtls_x509_time *t, struct buf *out)
{
	char text[CLOCK_TEXT];

	clock_rfc3339(x509_wall(t), false, text);
	buf_printf(out, DEEP "%s: %s\n", what, text);
}

static const char *signature_of(const mbedtls_x509_crt *crt)
{
	static const struct {
		mbedtls_md_type_t md;
		const char *ecdsa, *rsa;
	} names[] = {
		{MBEDTLS_MD_SHA256, "ecdsa-with-SHA256", "sha256WithRSAEncryption"},
		{MBEDTLS_MD_SHA384, "ecdsa-with-SHA384", "sha384WithRSAEncryption"},
		{MBEDTLS_MD_SHA512, "ecdsa-with-SHA512", "sha512WithRSAEncryption"},
	};
	bool ecdsa = crt->MBEDTLS_PRIVATE(sig_pk) == MBEDTLS_PK_ECDSA;

	for (size_t i = 0; i < countof(names); i++)
		if (crt->MBEDTLS_PRIVATE(sig_md) == names[i].md)
			return ecdsa ? names[i].ecdsa : names[i].rsa;
	return "of another kind";
}

void cert_key_text(const struct cert *c, char out[CERT_KEY_TEXT])
{
	const mbedtls_pk_context *pk = &cert_crt(c)->pk;
	size_t bits = mbedtls_pk_get_bitlen(pk);

	if (mbedtls_pk_can_do(pk, MBEDTLS_PK_ECKEY) ||
		mbedtls_pk_can_do(pk, MBEDTLS_PK_ECDSA))
		snprintf(out, CERT_KEY_TEXT, "ECDSA P-%zu", bits);
	else
		snprintf(out, CERT_KEY_TEXT, "RSA %zu", bits);
}

/* ---- extensions ---- */

struct bit {
	unsigned bit;
	const char *name;
};

static const struct bit usages[] = {
	{MBEDTLS_X509_KU_DIGITAL_SIGNATURE, "Digital Signature"},
	{MBEDTLS_X509_KU_NON_REPUDIATION, "Non Repudiation"},
	{MBEDTLS_X509_KU_KEY_ENCIPHERMENT, "Key Encipherment"},
	{MBEDTLS_X509_KU_DATA_ENCIPHERMENT, "Data Encipherment"},
	{MBEDTLS_X509_KU_KEY_AGREEMENT, "Key Agreement"},
	{MBEDTLS_X509_KU_KEY_CERT_SIGN, "Certificate Sign"},
	{MBEDTLS_X509_KU_CRL_SIGN, "CRL Sign"},
};

static void put_usage(const mbedtls_x509_crt *crt, struct buf *out)
{
	const char *comma = "";

	if (!mbedtls_x509_crt_has_ext_type(crt, MBEDTLS_X509_EXT_KEY_USAGE))
		return;
	buf_text(out, DEEP "X509v3 Key Usage:\n" DEEP "    ");
	for (size_t i = 0; i < countof(usages); i++)
		if (mbedtls_x509_crt_check_key_usage(crt, usages[i].bit) == 0) {
			buf_printf(out, "%s%s", comma, usages[i].name);
			comma = ", ";
		}
	buf_char(out, '\n');
}

/* id-kp-serverAuth and id-kp-clientAuth end so; the rest of them is the same. */
static const char *purpose(uint8_t last)
{
	return last == 1   ? "TLS Web Server Authentication"
	       : last == 2 ? "TLS Web Client Authentication"
			   : "another";
}

static void put_purposes(const mbedtls_x509_crt *crt, struct buf *out)
{
	const char *comma = "";

	if (!mbedtls_x509_crt_has_ext_type(crt, MBEDTLS_X509_EXT_EXTENDED_KEY_USAGE))
		return;
	buf_text(out, DEEP "X509v3 Extended Key Usage:\n" DEEP "    ");
	for (const mbedtls_x509_sequence *s = &crt->ext_key_usage; s; s = s->next) {
		uint8_t last = s->buf.len == 8 ? s->buf.p[7] : 0;

		buf_printf(out, "%s%s", comma, purpose(last));
		comma = ", ";
	}
	buf_char(out, '\n');
}

static void put_san(const mbedtls_x509_sequence *s, struct buf *out)
{
	struct slice v = slice_bytes(s->buf.p, s->buf.len);
	struct ip ip = {.family = v.n == 4 ? 4 : 6};
	char text[ADDR_TEXT];

	switch (s->buf.tag & 0x1f) {
	case X509_SAN_DNS:
		buf_printf(out, "DNS:%.*s", SLICE_FMT(v));
		break;
	case X509_SAN_URI:
		buf_printf(out, "URI:%.*s", SLICE_FMT(v));
		break;
	case X509_SAN_IP:
		memcpy(ip.b, v.p, v.n <= sizeof ip.b ? v.n : 0);
		buf_printf(out, "IP Address:%s", ip_text(&ip, text));
		break;
	default:
		buf_text(out, "other");
	}
}

static void put_sans(const mbedtls_x509_crt *crt, struct buf *out)
{
	const char *comma = "";

	if (!x509_san_total(&crt->subject_alt_names))
		return;
	buf_text(out, DEEP "X509v3 Subject Alternative Name:\n" DEEP "    ");
	for (const mbedtls_x509_sequence *s = &crt->subject_alt_names; s; s = s->next) {
		buf_text(out, comma);
		put_san(s, out);
		comma = ", ";
	}
	buf_char(out, '\n');
}

/* ---- the whole ---- */

static void put_key(const struct cert *c, struct buf *out)
{
	char key[CERT_KEY_TEXT];

	cert_key_text(c, key);
	buf_printf(
		out, "        Subject Public Key Info:\n" DEEP "Public Key: %s\n", key);
}

int cert_write_text(const struct cert *c, struct buf *out)
{
	const mbedtls_x509_crt *crt = cert_crt(c);

	buf_printf(out,
		"Certificate:\n    Data:\n        Version: %d (0x%x)\n"
		"        Serial Number: ",
		crt->version, (unsigned)crt->version - 1);
	put_hex(slice_bytes(crt->serial.p, crt->serial.len), out);
	buf_printf(out, "\n        Signature Algorithm: %s\n", signature_of(crt));
	put_name("Issuer", &crt->issuer, out);
	buf_text(out, "        Validity\n");
	put_time("Not Before", &crt->valid_from, out);
	put_time("Not After ", &crt->valid_to, out);
	put_name("Subject", &crt->subject, out);
	put_key(c, out);
	buf_text(out, "        X509v3 extensions:\n");
	put_usage(crt, out);
	put_purposes(crt, out);
	if (mbedtls_x509_crt_has_ext_type(crt, MBEDTLS_X509_EXT_BASIC_CONSTRAINTS))
		buf_printf(out, DEEP "X509v3 Basic Constraints:\n" DEEP "    CA:%s\n",
			mbedtls_x509_crt_get_ca_istrue(crt) == 1 ? "TRUE" : "FALSE");
	put_sans(crt, out);
	return out->failed ? -1 : 0;
}
