/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TLS_CERT_H
#define TLS_CERT_H

/*
 * X.509: requests and certificates as the mesh uses them (spec control-plane.md §3,
 * proxy.md §12; RFC 5280).  Times are wall nanoseconds.
 */
#include "base/buf.h"
#include "base/err.h"
#include "tls/key.h"

struct cert; /* one parsed certificate with those that followed it in its file */

struct cert *cert_read(
	struct slice pem_or_der, struct err *e); /* owned; PEM: a whole chain */
void cert_free(struct cert *c);

struct cert_info {
	char subject[256]; /* common name, or "" */
	char name[256];    /* first DNS SAN, else first URI SAN, else "" */
	uint64_t not_before, not_after;
	bool is_ca;
	size_t count; /* certificates in the chain */
};
void cert_info(const struct cert *c, struct cert_info *out);

/* The chain of `c` verifies against `anchors` at `now` (0: by the system's clock). */
int cert_verify(
	const struct cert *c, const struct cert *anchors, uint64_t now, struct err *e);
/* The earliest notAfter in the chain. */
uint64_t cert_chain_end(const struct cert *c);
bool cert_matches_key(const struct cert *c, const struct key *k);
/* The i-th certificate as DER, borrowed from `c`; empty slice past the end. */
struct slice cert_der(const struct cert *c, size_t i);
int cert_write_pem(
	const struct cert *c, struct buf *out, struct err *e); /* whole chain */

/* Its first certificate for people, laid out as `openssl x509 -text` does. */
int cert_write_text(const struct cert *c, struct buf *out);
#define CERT_KEY_TEXT 32
/* "ECDSA P-256", "RSA 2048" */
void cert_key_text(const struct cert *c, char out[CERT_KEY_TEXT]);

/* ---- requests (PKCS#10) ---- */
/* CN = SAN DNS = name, signed by `k`; DER. */
int csr_write(const char *name, const struct key *k, struct buf *der, struct err *e);

struct csr {
	char common_name[256];
	char dns[256]; /* the one DNS SAN */
	size_t dns_count, other_san_count;
	bool key_is_ecdsa_p256;
	bool self_signed_ok; /* its signature verifies */
};
int csr_read(struct slice der, struct csr *out, struct err *e);

/* ---- issuing ---- */
struct cert_spec {
	const char *common_name;
	const char *const *dns; /* NULL-terminated or NULL */
	const char *const *ips; /* NULL-terminated, text, or NULL */
	uint64_t not_before, not_after;
	uint64_t serial; /* 0: random */
	bool is_ca;
	bool server, client; /* extended key usage */
};
/* A certificate for the key in `csr_der`, signed by issuer's key; DER appended. */
int cert_issue_csr(struct slice csr_der, const struct cert_spec *spec,
	const struct cert *issuer, const struct key *issuer_key, struct buf *der,
	struct err *e);
/* The same for `subject_key`; issuer NULL: self-signed. */
int cert_issue(const struct key *subject_key, const struct cert_spec *spec,
	const struct cert *issuer, const struct key *issuer_key, struct buf *der,
	struct err *e);
/* A self-signed certificate and a new key for it; both PEM, appended. */
int cert_issue_own(const struct cert_spec *spec, struct buf *crt_pem,
	struct buf *key_pem, struct err *e);
int pem_wrap(const char *label, struct slice der, struct buf *out); /* "CERTIFICATE" */

#endif
