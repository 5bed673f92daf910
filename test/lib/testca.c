/* SPDX-License-Identifier: Apache-2.0 */
#include "testca.h"

#include "base/clock.h"
#include "base/obj.h"

#define HOUR 3600
#define DAY  (24 * HOUR)

static uint64_t seconds_from_now(int64_t s)
{
	return clock_wall() + (uint64_t)(s * (int64_t)NS_PER_S);
}

static struct cert *authority(const char *name, const struct key *key,
	const struct cert *issuer, const struct key *issuer_key, struct buf *pem)
{
	struct cert_spec spec = {
		.common_name = name,
		.not_before = seconds_from_now(-HOUR),
		.not_after = seconds_from_now(365 * DAY),
		.is_ca = true,
	};
	struct buf der = BUF_INIT;
	struct cert *cert;

	must(cert_issue(key, &spec, issuer, issuer_key, &der, NULL) == 0);
	cert = cert_read(buf_slice(&der), NULL);
	must(cert && pem_wrap("CERTIFICATE", buf_slice(&der), pem) == 0);
	buf_fini(&der);
	return cert;
}

void testca_init(struct testca *ca)
{
	*ca = (struct testca){0};
	ca->root_key = key_generate(NULL);
	ca->issuer_key = key_generate(NULL);
	must(ca->root_key && ca->issuer_key);
	ca->root = authority(
		"root.linkerd.cluster.local", ca->root_key, NULL, NULL, &ca->root_pem);
	ca->issuer = authority("identity.linkerd.cluster.local", ca->issuer_key,
		ca->root, ca->root_key, &ca->issuer_pem);
}

void testca_fini(struct testca *ca)
{
	cert_free(ca->root);
	cert_free(ca->issuer);
	key_free(ca->root_key);
	key_free(ca->issuer_key);
	buf_fini(&ca->root_pem);
	buf_fini(&ca->issuer_pem);
}

void testca_leaf(struct testca *ca, const struct testleaf *leaf, struct buf *chain_pem,
	struct key **key)
{
	const char *const dns[] = {leaf->dns, NULL}, *const ips[] = {leaf->ip, NULL};
	bool preset = leaf->from == 0 && leaf->to == 0;
	struct cert_spec spec = {
		.common_name = leaf->dns,
		.dns = dns,
		.ips = ips,
		.not_before = seconds_from_now(preset ? -60 : leaf->from),
		.not_after = seconds_from_now(preset ? DAY : leaf->to),
		.is_ca = leaf->is_ca,
		.server = true,
		.client = !leaf->server_only,
	};
	struct buf der = BUF_INIT;

	*key = key_generate(NULL);
	must(*key &&
		cert_issue(*key, &spec, ca->issuer, ca->issuer_key, &der, NULL) == 0);
	must(pem_wrap("CERTIFICATE", buf_slice(&der), chain_pem) == 0);
	must(buf_adds(chain_pem, buf_slice(&ca->issuer_pem)) == 0);
	buf_fini(&der);
}

static struct creds *creds_of(
	struct testca *ca, const struct testleaf *leaf, struct testca *anchors)
{
	struct buf chain = BUF_INIT;
	struct creds_spec spec = {.anchors_pem = buf_slice(&anchors->root_pem)};
	struct creds *creds;
	struct key *key;

	testca_leaf(ca, leaf, &chain, &key);
	spec.chain_pem = buf_slice(&chain);
	spec.key = key;
	creds = creds_new(&spec, NULL);
	must(creds);
	key_free(key);
	buf_fini(&chain);
	return creds;
}

struct creds *testca_creds_of(struct testca *ca, const struct testleaf *leaf)
{
	return creds_of(ca, leaf, ca);
}

struct creds *testca_creds(struct testca *ca, const char *dns)
{
	struct testleaf leaf = {.dns = dns};

	return creds_of(ca, &leaf, ca);
}

struct creds *testca_creds_mixed(
	struct testca *ca, const char *dns, struct testca *anchors)
{
	struct testleaf leaf = {.dns = dns};

	return creds_of(ca, &leaf, anchors);
}

struct creds *testca_anonymous(struct testca *ca)
{
	struct creds_spec spec = {.anchors_pem = buf_slice(&ca->root_pem)};
	struct creds *creds = creds_new(&spec, NULL);

	must(creds);
	return creds;
}
