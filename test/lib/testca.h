/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_LIB_TESTCA_H
#define TEST_LIB_TESTCA_H

/*
 * Certificates for tests: a root, an issuer below it, leaves below that.  Anything that
 * cannot be made ends the test.  Times are offsets in seconds from now.
 */
#include "tls/cert.h"
#include "tls/creds.h"

struct testca {
	struct key *root_key, *issuer_key;
	struct cert *root, *issuer;
	struct buf root_pem;
	struct buf issuer_pem;
};

void testca_init(struct testca *ca); /* names are of the demo's trust domain */
void testca_fini(struct testca *ca);

struct testleaf {
	const char *dns;  /* NULL: none */
	const char *ip;   /* NULL: none */
	int64_t from, to; /* seconds from now; both 0: a minute ago, for a day */
	bool is_ca;       /* made, not so by accident */
	bool server_only; /* extended key usage */
};

/* Leaf and issuer as PEM, and the leaf's key.  All the caller's. */
void testca_leaf(struct testca *ca, const struct testleaf *leaf, struct buf *chain_pem,
	struct key **key);

/* Credentials with the root as the only anchor.  Owned. */
struct creds *testca_creds(struct testca *ca, const char *dns);
struct creds *testca_creds_of(struct testca *ca, const struct testleaf *leaf);
struct creds *testca_anonymous(struct testca *ca);

/* Anchors and who one is by different authorities.  Owned. */
struct creds *testca_creds_mixed(
	struct testca *ca, const char *dns, struct testca *anchors);

/* The PEM of a private key for tests alone: "p384", "p521" or "rsa". */
const char *testca_key(const char *kind);

#endif
