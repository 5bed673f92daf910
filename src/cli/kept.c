/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "base/clock.h"
#include "base/obj.h"
#include "cli/issuer.h"
#include "tls/cert.h"
#include "wire/yaml.h"

#define SOON (60 * 86400 * NS_PER_S) /* a webhook's certificate is made anew before */

void install_kept_fini(struct install_kept *k)
{
	if (k->issuer_key.p)
		explicit_bzero(k->issuer_key.p, k->issuer_key.cap);
	buf_fini(&k->anchors);
	buf_fini(&k->issuer_crt);
	buf_fini(&k->issuer_key);
	buf_fini(&k->hook_crt);
	buf_fini(&k->hook_key);
	json_free(k->values);
	k->values = NULL;
}

/* 0 when it was read, 1 when it is not there. */
static int object(struct ask *a, const char *namespace, const char *path,
	struct json **out, struct err *e)
{
	struct err why = {0};
	char full[400];

	snprintf(full, sizeof full, "/api/v1/namespaces/%s/%s", namespace, path);
	*out = ask_get(a, full, &why);
	if (*out)
		return 0;
	if (why.code == ERR_MISSING)
		return 1;
	if (e)
		*e = why;
	return err_wrap(e, "%s", path);
}

static void member(const struct json *j, const char *key, bool base64, struct buf *out)
{
	const char *text = json_text(json_get(json_get(j, "data"), key));

	if (text && base64)
		(void)buf_unbase64(out, slice_of(text)); /* else it is made anew */
	else if (text)
		buf_text(out, text);
}

static int read_issuer(
	struct ask *a, const char *namespace, struct install_kept *out, struct err *e)
{
	struct json *secret, *map;
	int r = object(a, namespace, "secrets/mesh-identity-issuer", &secret, e);

	if (r)
		return r;
	r = object(a, namespace, "configmaps/mesh-identity-trust-roots", &map, e);
	if (r == 0) {
		member(map, "ca-bundle.crt", false, &out->anchors);
		member(secret, "crt.pem", true, &out->issuer_crt);
		member(secret, "key.pem", true, &out->issuer_key);
	}
	json_free(map);
	json_free(secret);
	return r;
}

static bool lasts(const struct buf *pem)
{
	struct cert *c = cert_read(buf_slice(pem), NULL);
	bool yes = c && cert_chain_end(c) > clock_wall() + SOON;

	cert_free(c);
	return yes;
}

static int read_hook(
	struct ask *a, const char *namespace, struct install_kept *out, struct err *e)
{
	struct json *secret;
	int r = object(a, namespace, "secrets/mesh-injector-k8s-tls", &secret, e);

	if (r)
		return r;
	member(secret, "tls.crt", true, &out->hook_crt);
	if (lasts(&out->hook_crt))
		member(secret, "tls.key", true, &out->hook_key);
	json_free(secret);
	return 0;
}

/* Of an installation whose choices were not kept: everything that it was rendered with.
 */
static struct json *all_values(struct ask *a, const char *namespace, struct err *e)
{
	struct json *map, *values = NULL;
	const char *text;

	if (object(a, namespace, "configmaps/mesh-config", &map, e))
		return NULL;
	text = json_text(json_get(json_get(map, "data"), "values"));
	values = text ? yaml_parse(slice_of(text), e) : NULL;
	json_free(map);
	if (json_kind(values) == JSON_OBJECT) {
		json_remove(values, "namespace");
		json_remove(values, "linkerdVersion");
		issuer_strip(values);
	}
	return values;
}

static int read_values(
	struct ask *a, const char *namespace, struct install_kept *out, struct err *e)
{
	struct buf yaml = BUF_INIT;
	struct json *secret;
	int r = object(a, namespace, "secrets/mesh-config-overrides", &secret, e);

	if (r < 0)
		return -1;
	if (r == 0) {
		member(secret, "mesh-config-overrides", true, &yaml);
		out->values = yaml_parse(buf_slice(&yaml), e);
	} else {
		out->values = all_values(a, namespace, e);
	}
	buf_fini(&yaml);
	json_free(secret);
	return 0;
}

int install_kept_read(
	struct ask *a, const char *namespace, struct install_kept *out, struct err *e)
{
	if (read_issuer(a, namespace, out, e) < 0 ||
		read_values(a, namespace, out, e) < 0)
		return -1;
	return read_hook(a, namespace, out, e) < 0 ? -1 : 0;
}
