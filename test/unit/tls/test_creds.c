/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/creds.h"

#include "base/clock.h"
#include "base/obj.h"
#include "t.h"
#include "testca.h"

#define NAME "web.example"

TEST(credentials_are_made_from_pem_and_from_der)
{
	struct testleaf leaf = {.dns = NAME};
	struct buf chain = BUF_INIT;
	struct slice der[2];
	struct testca ca;
	struct cert *c;
	struct key *k;

	testca_init(&ca);
	testca_leaf(&ca, &leaf, &chain, &k);
	c = cert_read(buf_slice(&chain), NULL);
	der[0] = cert_der(c, 0);
	der[1] = cert_der(c, 1);
	for (int i = 0; i < 2; i++) {
		struct creds_spec spec = {
			.anchors_pem = buf_slice(&ca.root_pem), .key = k};
		struct creds *creds;

		if (i == 0) {
			spec.chain_pem = buf_slice(&chain);
		} else {
			spec.chain_der = der;
			spec.chain_der_count = 2;
		}
		creds = creds_new(&spec, NULL);
		OK(creds);
		EQ_INT(creds_check(creds, NAME, NULL), 0);
		OK(creds_not_before(creds) < clock_wall());
		OK(creds_not_after(creds) > clock_wall());
		ref_put(creds_ref(creds));
	}
	cert_free(c);
	key_free(k);
	buf_fini(&chain);
	testca_fini(&ca);
}

TEST(a_key_of_another_certificate_is_refused)
{
	struct testleaf leaf = {.dns = NAME};
	struct buf chain = BUF_INIT;
	struct key *k, *other = key_generate(NULL);
	struct err e = {0};
	struct testca ca;
	struct creds_spec spec = {0};

	testca_init(&ca);
	testca_leaf(&ca, &leaf, &chain, &k);
	spec.chain_pem = buf_slice(&chain);
	spec.key = other;
	OK(!creds_new(&spec, &e));
	EQ_STR(e.msg, "the key does not fit the certificate");
	spec.key = NULL;
	OK(!creds_new(&spec, &e));
	EQ_INT(e.code, ERR_MISSING);
	key_free(k);
	key_free(other);
	buf_fini(&chain);
	testca_fini(&ca);
}

TEST(the_own_chain_is_checked_against_anchors_and_name)
{
	struct testleaf old = {.dns = NAME, .from = -7200, .to = -3600};
	struct testca ca, other;
	struct creds *creds;
	struct err e = {0};

	testca_init(&ca);
	testca_init(&other);
	creds = testca_creds(&ca, NAME);
	EQ_INT(creds_check(creds, "voting.example", &e), -1);
	EQ_STR(e.msg, "expected voting.example, peer is " NAME);
	ref_put(creds_ref(creds));
	creds = testca_creds_mixed(&ca, NAME, &other);
	EQ_INT(creds_check(creds, NAME, &e), -1);
	OK(strstr(e.msg, "unknown authority"));
	ref_put(creds_ref(creds));
	creds = testca_creds_of(&ca, &old);
	EQ_INT(creds_check(creds, NAME, &e), -1);
	OK(strstr(e.msg, NAME " expired 1h ago"));
	ref_put(creds_ref(creds));
	testca_fini(&ca);
	testca_fini(&other);
}

TEST(anonymous_credentials_keep_the_anchors_only)
{
	struct testca ca;
	struct creds *creds, *anonymous;
	struct err e = {0};

	testca_init(&ca);
	creds = testca_creds(&ca, NAME);
	anonymous = creds_anonymous(creds, NULL);
	OK(anonymous);
	EQ_INT(creds_not_after(anonymous), 0);
	EQ_INT(creds_not_before(anonymous), 0);
	EQ_INT(creds_check(anonymous, NAME, &e), -1);
	EQ_INT(e.code, ERR_MISSING);
	ref_put(creds_ref(creds));
	ref_put(creds_ref(anonymous));
	testca_fini(&ca);
}

TEST(any_of_several_anchors_is_believed)
{
	struct testleaf leaf = {.dns = NAME};
	struct testca ca, old;
	struct buf anchors = BUF_INIT, chain = BUF_INIT;
	struct creds_spec spec = {0};
	struct creds *creds;
	struct key *k;

	testca_init(&ca);
	testca_init(&old); /* the same name, another key: as while a root is replaced */
	buf_adds(&anchors, buf_slice(&old.root_pem));
	buf_adds(&anchors, buf_slice(&ca.root_pem));
	testca_leaf(&ca, &leaf, &chain, &k);
	spec.anchors_pem = buf_slice(&anchors);
	spec.chain_pem = buf_slice(&chain);
	spec.key = k;
	creds = creds_new(&spec, NULL);
	OK(creds);
	EQ_INT(creds_check(creds, NAME, NULL), 0);
	ref_put(creds_ref(creds));
	key_free(k);
	buf_fini(&anchors);
	buf_fini(&chain);
	testca_fini(&ca);
	testca_fini(&old);
}

TEST(malformed_anchors_are_told)
{
	struct creds_spec spec = {.anchors_pem = SLICE("not a bundle")};
	struct err e = {0};

	OK(!creds_new(&spec, &e));
	OK(strstr(e.msg, "trust anchors: certificate"));
}
