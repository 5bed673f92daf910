/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/issuer.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/obj.h"
#include "tls/cert.h"

#define YEAR (UINT64_C(365) * 86400 * NS_PER_S)
#define SKEW (60 * NS_PER_S) /* our own certificates are valid that much earlier */

#define DOMAIN "cluster.local" /* the chart's own, when none is chosen */

struct pair {
	struct buf crt, key; /* PEM */
};

static void pair_fini(struct pair *p)
{
	if (p->key.p)
		explicit_bzero(p->key.p, p->key.cap);
	buf_fini(&p->crt);
	buf_fini(&p->key);
}

/* ---- making ---- */

static int self_signed(
	struct cert_spec *spec, uint64_t life, struct pair *out, struct err *e)
{
	spec->not_before = clock_wall() - SKEW;
	spec->not_after = spec->not_before + life;
	return cert_issue_own(spec, &out->crt, &out->key, e);
}

static int make_issuer(const struct install_config *cfg, const struct json *values,
	struct pair *out, struct err *e)
{
	const char *domain = json_text_or(values, "clusterDomain", DOMAIN);
	const char *trust = json_text_or(values, "identityTrustDomain", "");
	char name[300];
	struct cert_spec spec = {.common_name = name, .is_ca = true};

	snprintf(name, sizeof name, "identity.%s.%s", cfg->namespace,
		*trust ? trust : domain);
	return self_signed(&spec, YEAR, out, e);
}

static int make_hook(const struct install_config *cfg, struct pair *out, struct err *e)
{
	char name[300];
	const char *const dns[] = {name, NULL};
	struct cert_spec spec = {.common_name = name, .dns = dns, .server = true};

	snprintf(name, sizeof name, "mesh-injector.%s.svc", cfg->namespace);
	return self_signed(&spec, YEAR, out, e);
}

/* ---- values ---- */

static struct json *tls_of(struct json *values)
{
	struct json *identity = json_need_object(values, "identity");

	return json_need_object(json_need_object(identity, "issuer"), "tls");
}

static bool has(const struct json *j, const char *key)
{
	const char *text = json_text(json_get(j, key));

	return text && *text;
}

static void put(struct json *j, const char *key, struct slice text)
{
	json_set(j, key, json_string_n(text));
}

static int put_file(struct json *j, const char *key, const char *path, struct err *e)
{
	struct buf b = BUF_INIT;
	int r = path ? file_read(path, FLAG_FILE_MAX, &b, e) : 0;

	if (path && r == 0)
		put(j, key, buf_slice(&b));
	buf_fini(&b);
	return r;
}

static void put_kept(struct json *j, const char *key, const struct buf *kept)
{
	if (!has(j, key) && buf_len(kept))
		put(j, key, buf_slice(kept));
}

/* ---- who signs ---- */

static bool is_external(const struct json *values)
{
	return strcmp(json_text_or(values, "identity.issuer.scheme", ""),
		       "kubernetes.io/tls") == 0;
}

static int check_pair(const struct json *tls, const char *anchors_pem, struct err *e)
{
	struct cert *crt = cert_read(slice_of(json_text_or(tls, "crtPEM", "")), e);
	struct cert *anchors =
		crt && anchors_pem ? cert_read(slice_of(anchors_pem), e) : NULL;
	struct key *k =
		crt ? key_read(slice_of(json_text_or(tls, "keyPEM", "")), e) : NULL;
	struct cert_info info = {0};
	int r = -1;

	if (k)
		cert_info(crt, &info);
	if (k && !info.is_ca)
		err_set(e, ERR_DENIED, "the issuer's certificate is not a CA's");
	else if (k && !cert_matches_key(crt, k))
		err_set(e, ERR_DENIED, "the issuer's key is not its certificate's");
	else if (k &&
		 (!anchors_pem || (anchors && cert_verify(crt, anchors, 0, e) == 0)))
		r = 0;
	key_free(k);
	cert_free(anchors);
	cert_free(crt);
	return r;
}

static int make_both(const struct install_config *cfg, struct json *values,
	struct json *tls, struct err *e)
{
	struct pair made = {0};
	int r;

	if (has(values, "identityTrustAnchorsPEM") || has(tls, "crtPEM") ||
		has(tls, "keyPEM") ||
		json_bool_at(values, "identity.externalCA", false))
		return err_set(e, ERR_SYNTAX,
			"an issuer of your own takes all three: anchors, "
			"certificate and key");
	r = make_issuer(cfg, values, &made, e);
	if (r == 0) {
		put(values, "identityTrustAnchorsPEM", buf_slice(&made.crt));
		put(tls, "crtPEM", buf_slice(&made.crt));
		put(tls, "keyPEM", buf_slice(&made.key));
	}
	pair_fini(&made);
	return r;
}

static void keep(
	const struct install_config *cfg, struct json *values, struct json *tls)
{
	const struct install_kept *k = cfg->kept;
	bool given = has(tls, "crtPEM") || has(tls, "keyPEM");

	if (!k)
		return;
	put_kept(values, "identityTrustAnchorsPEM", &k->anchors);
	if (given)
		return;
	put_kept(tls, "crtPEM", &k->issuer_crt);
	put_kept(tls, "keyPEM", &k->issuer_key);
}

static int fill_issuer(
	const struct install_config *cfg, struct json *values, struct err *e)
{
	struct json *tls = tls_of(values);
	bool ca = json_bool_at(values, "identity.externalCA", false), whole;
	const char *anchors;

	if (put_file(values, "identityTrustAnchorsPEM", cfg->anchors, e) ||
		put_file(tls, "crtPEM", cfg->issuer_crt, e) ||
		put_file(tls, "keyPEM", cfg->issuer_key, e))
		return -1;
	/* a lone certificate or key is not completed by what was made for another */
	if (!cfg->anchors || cfg->upgrade || (!cfg->issuer_crt && !cfg->issuer_key))
		keep(cfg, values, tls);
	if (is_external(values)) {
		if (ca || has(values, "identityTrustAnchorsPEM"))
			return 0;
		return err_set(e, ERR_SYNTAX,
			"with an issuer that is not ours, the trust anchors are "
			"needed: --identity-trust-anchors-file");
	}
	whole = has(tls, "crtPEM") && has(tls, "keyPEM") &&
		(ca || has(values, "identityTrustAnchorsPEM"));
	if (!whole)
		return make_both(cfg, values, tls, e);
	anchors = json_text(json_get(values, "identityTrustAnchorsPEM"));
	return check_pair(tls, anchors && *anchors ? anchors : NULL, e);
}

/* ---- the webhook ---- */

static int fill_hook(
	const struct install_config *cfg, struct json *values, struct err *e)
{
	struct json *hook = json_need_object(values, "proxyInjector");
	struct pair made = {0};
	int r = 0;

	if (json_bool_at(hook, "externalSecret", false) || has(hook, "crtPEM"))
		return 0;
	if (cfg->kept && buf_len(&cfg->kept->hook_key)) {
		put(hook, "crtPEM", buf_slice(&cfg->kept->hook_crt));
		put(hook, "keyPEM", buf_slice(&cfg->kept->hook_key));
		return 0;
	}
	r = make_hook(cfg, &made, e);
	if (r == 0) {
		put(hook, "crtPEM", buf_slice(&made.crt));
		put(hook, "keyPEM", buf_slice(&made.key));
	}
	pair_fini(&made);
	return r;
}

int issuer_fill(const struct install_config *cfg, struct json *values, struct err *e)
{
	if (fill_issuer(cfg, values, e))
		return cfg->kept && buf_len(&cfg->kept->issuer_key) && !cfg->anchors
			       ? err_wrap(e, "what is installed")
			       : -1;
	return fill_hook(cfg, values, e);
}

void issuer_strip(struct json *values)
{
	struct json *hook = json_need_object(values, "proxyInjector");

	json_remove(values, "identityTrustAnchorsPEM");
	json_remove(json_need_object(json_need_object(values, "identity"), "issuer"),
		"tls");
	json_remove(hook, "crtPEM");
	json_remove(hook, "keyPEM");
}
