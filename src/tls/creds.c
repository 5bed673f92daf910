/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/creds.h"

#include "base/clock.h"
#include "base/obj.h"
#include "tls/credsint.h"
#include "tls/init.h"

static void creds_free(struct ref *r)
{
	struct creds *c = container_of(r, struct creds, ref);

	mbedtls_x509_crt_free(&c->anchors);
	mbedtls_x509_crt_free(&c->chain);
	key_free(c->key);
	free(c);
}

static struct creds *creds_alloc(struct err *e)
{
	struct creds *c = calloc(1, sizeof *c);

	tls_init();
	if (!c)
		return err_set(e, ERR_LIMIT, "credentials: out of memory"), NULL;
	ref_init(&c->ref, creds_free);
	mbedtls_x509_crt_init(&c->anchors);
	mbedtls_x509_crt_init(&c->chain);
	return c;
}

static int read_chain(struct creds *c, const struct creds_spec *spec, struct err *e)
{
	if (spec->chain_pem.n)
		return x509_read(&c->chain, spec->chain_pem, e);
	for (size_t i = 0; i < spec->chain_der_count; i++) {
		if (x509_read(&c->chain, spec->chain_der[i], e) != 0)
			return -1;
	}
	return 0;
}

static int fill(struct creds *c, const struct creds_spec *spec, struct err *e)
{
	bool has_chain = spec->chain_pem.n || spec->chain_der_count;

	if (spec->anchors_pem.n && x509_read(&c->anchors, spec->anchors_pem, e) != 0)
		return err_wrap(e, "trust anchors");
	if (has_chain != (spec->key != NULL))
		return err_set(
			e, ERR_MISSING, "a certificate and its key come together");
	if (!has_chain)
		return 0;
	if (read_chain(c, spec, e) != 0)
		return err_wrap(e, "own chain");
	c->key = key_copy(spec->key, e);
	if (!c->key)
		return -1;
	if (!x509_matches_key(&c->chain, c->key))
		return err_set(e, ERR_SYNTAX, "the key does not fit the certificate");
	return 0;
}

struct creds *creds_new(const struct creds_spec *spec, struct err *e)
{
	struct creds *c = creds_alloc(e);

	if (c && fill(c, spec, e) != 0) {
		creds_free(&c->ref);
		return NULL;
	}
	return c;
}

struct ref *creds_ref(struct creds *c)
{
	return &c->ref;
}

struct creds *creds_anonymous(struct creds *from, struct err *e)
{
	struct creds *c = creds_alloc(e);

	if (!c || !from->anchors.raw.p)
		return c;
	for (const mbedtls_x509_crt *x = &from->anchors; x; x = x->next) {
		struct slice der = slice_bytes(x->raw.p, x->raw.len);

		if (x509_read(&c->anchors, der, e) != 0) {
			creds_free(&c->ref);
			return NULL;
		}
	}
	return c;
}

int creds_check(const struct creds *c, const char *name, struct err *e)
{
	if (!c->key)
		return err_set(e, ERR_MISSING, "no certificate yet");
	return x509_verify(&c->chain, &c->anchors, name, 0, e);
}

int creds_usable(const struct creds *c, struct err *e)
{
	uint64_t now = tls_clock();
	char when[CLOCK_TEXT];

	if (!c || !c->key)
		return err_set(e, ERR_BUSY, "we have no certificate yet");
	if (now >= creds_not_after(c)) {
		clock_rfc3339(creds_not_after(c), false, when);
		return err_set(e, ERR_DENIED, "our certificate expired at %s", when);
	}
	if (now < creds_not_before(c)) {
		clock_rfc3339(creds_not_before(c), false, when);
		return err_set(e, ERR_DENIED,
			"our certificate is not yet valid until %s: the clock is wrong",
			when);
	}
	return 0;
}

uint64_t creds_not_before(const struct creds *c)
{
	return c->key ? x509_wall(&c->chain.valid_from) : 0;
}

uint64_t creds_not_after(const struct creds *c)
{
	return c->key ? x509_wall(&c->chain.valid_to) : 0;
}
