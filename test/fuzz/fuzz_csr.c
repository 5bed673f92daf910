/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a certificate request: one that reads can be answered, and the
 * certificate has its key and its name, whatever else the request says.
 */
#include "base/obj.h"
#include "tls/cert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct key *issuer_key;

static struct cert *make_issuer(void)
{
	struct cert_spec spec = {
		.common_name = "root", .not_after = UINT64_MAX / 2, .is_ca = true};
	struct buf der = BUF_INIT;
	struct cert *c;

	issuer_key = key_generate(NULL);
	must(cert_issue(issuer_key, &spec, NULL, NULL, &der, NULL) == 0);
	c = cert_read(buf_slice(&der), NULL);
	must(c);
	buf_fini(&der);
	return c;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct cert *issuer;
	struct cert_spec spec = {.not_before = 1, .not_after = UINT64_MAX / 2};
	const char *dns[2] = {NULL, NULL};
	struct buf der = BUF_INIT;
	struct cert_info info;
	struct err e = {0};
	struct cert *leaf;
	struct csr csr;

	if (!issuer)
		issuer = make_issuer();
	if (csr_read(slice_bytes(data, size), &csr, &e) != 0) {
		must(e.code == ERR_SYNTAX);
		return 0;
	}
	dns[0] = csr.dns[0] ? csr.dns : NULL;
	spec.dns = dns;
	if (cert_issue_csr(
		    slice_bytes(data, size), &spec, issuer, issuer_key, &der, &e) != 0)
		return 0; /* a key that we do not write, or too large */
	leaf = cert_read(buf_slice(&der), &e);
	must(leaf);
	if (csr.key_is_ecdsa_p256) /* another may be too weak */
		must(cert_verify(leaf, issuer, UINT64_C(1000000000), NULL) == 0);
	cert_info(leaf, &info);
	must(!info.is_ca && strcmp(info.name, csr.dns) == 0);
	cert_free(leaf);
	buf_fini(&der);
	return 0;
}
