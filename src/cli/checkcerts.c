/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates: anchors, issuer, webhook. */
#include <stdio.h>

#include "base/clock.h"
#include "base/obj.h"
#include "cli/checksint.h"
#include "tls/cert.h"

#define SOON (60 * 86400 * NS_PER_S)

/* A member of a Secret, decoded. */
static int secret(struct check_run *r, const char *name, const char *key,
	struct buf *out, struct err *e)
{
	const struct json *j = check_get(
		r, e, "/api/v1/namespaces/%s/secrets/%s", r->cfg->namespace, name);
	const char *text = json_text(json_get(json_get(j, "data"), key));

	if (!j)
		return err_wrap(e, "Secret %s", name);
	if (!text || buf_unbase64(out, slice_of(text)))
		return err_set(e, ERR_SYNTAX, "Secret %s: %s: %s", name, key,
			text ? "not base64" : "missing");
	return 0;
}

static struct cert *secret_cert(
	struct check_run *r, const char *name, const char *key, struct err *e)
{
	struct buf pem = BUF_INIT;
	struct cert *c = NULL;

	if (secret(r, name, key, &pem, e) == 0) {
		c = cert_read(buf_slice(&pem), e);
		if (!c)
			err_wrap(e, "Secret %s: %s", name, key);
	}
	buf_fini(&pem);
	return c;
}

static struct cert *issuer(struct check_run *r, struct err *e)
{
	return secret_cert(r, "mesh-identity-issuer", "crt.pem", e);
}

static struct cert *anchors(struct check_run *r, struct err *e)
{
	const struct json *j = check_get(r, e,
		"/api/v1/namespaces/%s/configmaps/mesh-identity-trust-roots",
		r->cfg->namespace);
	const char *pem = json_text(json_get(json_get(j, "data"), "ca-bundle.crt"));
	struct cert *c;

	if (!j) {
		err_wrap(e, "ConfigMap mesh-identity-trust-roots");
		return NULL;
	}
	c = cert_read(slice_of(pem ? pem : ""), e);
	if (!c)
		err_wrap(e, "ConfigMap mesh-identity-trust-roots: ca-bundle.crt");
	return c;
}

static struct cert *hook(struct check_run *r, struct err *e)
{
	return secret_cert(r, "mesh-injector-k8s-tls", "tls.crt", e);
}

/* Takes `c`; valid at `now` and until `for_` later. */
static int lasts(struct check_run *r, struct cert *c, const char *what, uint64_t for_,
	struct err *e)
{
	uint64_t now = r->cfg->now();
	struct cert_info info;
	char at[CLOCK_TEXT];
	int rc = 0;

	if (!c)
		return -1;
	cert_info(c, &info);
	if (info.not_before > now) {
		clock_rfc3339(info.not_before, false, at);
		rc = err_set(e, ERR_DENIED, "%s is valid from %s only", what, at);
	} else if (cert_chain_end(c) <= now + for_) {
		clock_rfc3339(cert_chain_end(c), false, at);
		rc = err_set(e, ERR_DENIED, "%s %s on %s", what,
			cert_chain_end(c) <= now ? "expired" : "expires", at);
	}
	cert_free(c);
	return rc;
}

int identity_is_readable(struct check_run *r, struct err *e)
{
	struct cert *a = anchors(r, e), *i = a ? issuer(r, e) : NULL;
	struct cert_info info;
	int rc = i ? 0 : -1;

	if (i) {
		cert_info(i, &info);
		if (!info.is_ca)
			rc = err_set(e, ERR_DENIED,
				"Secret mesh-identity-issuer: crt.pem is no CA's");
	}
	cert_free(i);
	cert_free(a);
	return rc;
}

int anchors_are_valid(struct check_run *r, struct err *e)
{
	return lasts(r, anchors(r, e), "a trust anchor", 0, e);
}

/* What TLS stacks of proxies verify: see tls/session.h. */
static int is_known_kind(const struct cert *c, const char *what, struct err *e)
{
	char key[CERT_KEY_TEXT];
	unsigned bits;

	cert_key_text(c, key);
	if (sscanf(key, "RSA %u", &bits) != 1 || bits >= 2048)
		return 0;
	return err_set(e, ERR_DENIED,
		"%s has a key of the kind %s: ECDSA P-256 is what to use", what, key);
}

int anchors_are_of_known_kind(struct check_run *r, struct err *e)
{
	struct cert *all = anchors(r, e), *one;
	int rc = all ? 0 : -1;

	for (size_t i = 0; rc == 0 && cert_der(all, i).n; i++) {
		one = cert_read(cert_der(all, i), e);
		rc = one ? is_known_kind(one, "a trust anchor", e) : -1;
		cert_free(one);
	}
	cert_free(all);
	return rc;
}

int issuer_is_of_known_kind(struct check_run *r, struct err *e)
{
	struct cert *i = issuer(r, e);
	int rc = i ? is_known_kind(i, "the issuer's certificate", e) : -1;

	cert_free(i);
	return rc;
}

int anchors_last(struct check_run *r, struct err *e)
{
	return lasts(r, anchors(r, e), "a trust anchor", SOON, e);
}

int issuer_is_valid(struct check_run *r, struct err *e)
{
	return lasts(r, issuer(r, e), "the issuer's certificate", 0, e);
}

int issuer_lasts(struct check_run *r, struct err *e)
{
	return lasts(r, issuer(r, e), "the issuer's certificate", SOON, e);
}

int issuer_is_vouched_for(struct check_run *r, struct err *e)
{
	struct cert *a = anchors(r, e), *i = a ? issuer(r, e) : NULL;
	struct cert_info info;
	int rc = -1;

	if (i) {
		cert_info(i, &info);
		/* its times were judged before */
		rc = cert_verify(i, a, info.not_before + NS_PER_S, e);
	}
	cert_free(i);
	cert_free(a);
	return rc;
}

int issuer_has_key(struct check_run *r, struct err *e)
{
	struct cert *i = issuer(r, e);
	struct buf pem = BUF_INIT;
	struct key *k = NULL;
	int rc = -1;

	if (i && secret(r, "mesh-identity-issuer", "key.pem", &pem, e) == 0)
		k = key_read(buf_slice(&pem), e);
	if (k)
		rc = cert_matches_key(i, k)
			     ? 0
			     : err_set(e, ERR_DENIED,
				       "Secret mesh-identity-issuer: key.pem is not "
				       "the key of crt.pem");
	if (pem.p)
		explicit_bzero(pem.p, pem.cap);
	buf_fini(&pem);
	key_free(k);
	cert_free(i);
	return rc;
}

/* The bundle that the API server trusts vouches for what the webhook shows. */
static int is_trusted(struct check_run *r, const struct cert *c, struct err *e)
{
	const struct json *j = check_get(r, e,
		"/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/"
		"mesh-injector-webhook-config");
	const struct json *first = json_first(json_get(j, "webhooks"));
	const char *text = json_text_or(first, "clientConfig.caBundle", "");
	struct buf pem = BUF_INIT;
	struct cert *ca = NULL;
	int rc = -1;

	if (j && buf_unbase64(&pem, slice_of(text)) == 0)
		ca = cert_read(buf_slice(&pem), e);
	if (ca)
		rc = cert_verify(c, ca, 0, e);
	if (j && rc)
		err_wrap(e, "caBundle of mesh-injector-webhook-config");
	cert_free(ca);
	buf_fini(&pem);
	return rc;
}

int hook_is_valid(struct check_run *r, struct err *e)
{
	struct cert *c = hook(r, e);
	struct cert_info info;
	char name[300];
	int rc = -1;

	if (c) {
		cert_info(c, &info);
		snprintf(name, sizeof name, "mesh-injector.%s.svc", r->cfg->namespace);
		rc = strcmp(info.name, name) == 0
			     ? is_trusted(r, c, e)
			     : err_set(e, ERR_DENIED,
				       "the webhook's certificate is for %s, not %s",
				       info.name, name);
	}
	cert_free(c);
	return rc ? rc : lasts(r, hook(r, e), "the webhook's certificate", 0, e);
}

int hook_lasts(struct check_run *r, struct err *e)
{
	return lasts(r, hook(r, e), "the webhook's certificate", SOON, e);
}
