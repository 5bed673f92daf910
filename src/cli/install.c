/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/install.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/obj.h"
#include "cli/set.h"
#include "ctl/inject_docs.h"
#include "tls/cert.h"
#include "wire/patch.h"
#include "wire/yaml.h"

#define FILE_MAX ((size_t)1024 * 1024)
#define YEAR     (UINT64_C(365) * 86400 * NS_PER_S)
#define SKEW     (60 * NS_PER_S) /* our own certificates are valid that much earlier */

/* deploy/control.yaml, zero-terminated. */
extern const char control_yaml[];
__asm__(".pushsection .rodata\n"
	".globl control_yaml\n"
	"control_yaml:\n"
	".incbin \"deploy/control.yaml\"\n"
	".byte 0\n"
	".popsection\n");

/* What is filled in: PEM texts, and the values that pods get. */
struct install {
	const struct install_config *cfg;
	struct buf anchors, issuer_crt, issuer_key, hook_crt, hook_key;
	struct json *values; /* complete, as the injector has them */
	struct json *own;    /* what differs from the presets */
};

static void install_fini(struct install *in)
{
	buf_fini(&in->anchors);
	buf_fini(&in->issuer_crt);
	buf_fini(&in->issuer_key);
	buf_fini(&in->hook_crt);
	buf_fini(&in->hook_key);
	json_free(in->values);
	json_free(in->own);
}

/* ---- certificates ---- */

static int self_signed(struct cert_spec *spec, uint64_t life, struct buf *crt,
	struct buf *key_pem, struct err *e)
{
	spec->not_before = clock_wall() - SKEW;
	spec->not_after = spec->not_before + life;
	return cert_issue_own(spec, crt, key_pem, e);
}

static int make_issuer(struct install *in, struct err *e)
{
	char name[300];
	struct cert_spec spec = {.common_name = name, .is_ca = true};

	snprintf(name, sizeof name, "identity.%s.%s", in->cfg->namespace,
		in->cfg->trust_domain);
	if (self_signed(&spec, YEAR, &in->issuer_crt, &in->issuer_key, e) < 0)
		return -1;
	return buf_adds(&in->anchors, buf_slice(&in->issuer_crt));
}

static int check_issuer(struct install *in, struct err *e)
{
	struct cert *crt = cert_read(buf_slice(&in->issuer_crt), e);
	struct cert *anchors = crt ? cert_read(buf_slice(&in->anchors), e) : NULL;
	struct key *k = anchors ? key_read(buf_slice(&in->issuer_key), e) : NULL;
	struct cert_info info = {0};
	int r = -1;

	if (k)
		cert_info(crt, &info);
	if (k && !info.is_ca)
		err_set(e, ERR_DENIED, "the issuer's certificate is not a CA's");
	else if (k && !cert_matches_key(crt, k))
		err_set(e, ERR_DENIED, "the issuer's key is not its certificate's");
	else if (k && cert_verify(crt, anchors, 0, e) == 0)
		r = 0;
	key_free(k);
	cert_free(anchors);
	cert_free(crt);
	return r;
}

static bool is_kept(const struct install *in)
{
	return in->cfg->kept && buf_len(&in->cfg->kept->issuer_key);
}

static int keep_issuer(struct install *in, struct err *e)
{
	const struct install_kept *k = in->cfg->kept;

	if (buf_adds(&in->anchors, buf_slice(&k->anchors)) ||
		buf_adds(&in->issuer_crt, buf_slice(&k->issuer_crt)) ||
		buf_adds(&in->issuer_key, buf_slice(&k->issuer_key)))
		return err_set(e, ERR_LIMIT, "out of memory");
	return check_issuer(in, e) ? err_wrap(e, "what is installed") : 0;
}

static int read_issuer(struct install *in, struct err *e)
{
	const struct install_config *c = in->cfg;

	if (!c->anchors || !c->issuer_crt || !c->issuer_key)
		return err_set(e, ERR_SYNTAX,
			"an issuer of your own takes all three files: anchors, "
			"certificate and key");
	if (file_read(c->anchors, FILE_MAX, &in->anchors, e) < 0 ||
		file_read(c->issuer_crt, FILE_MAX, &in->issuer_crt, e) < 0 ||
		file_read(c->issuer_key, FILE_MAX, &in->issuer_key, e) < 0)
		return -1;
	return check_issuer(in, e);
}

static int make_hook(struct install *in, struct err *e)
{
	char name[300];
	const char *const dns[] = {name, NULL};
	struct cert_spec spec = {.common_name = name, .dns = dns, .server = true};

	if (in->cfg->kept && buf_len(&in->cfg->kept->hook_key))
		return buf_adds(&in->hook_crt, buf_slice(&in->cfg->kept->hook_crt)) ||
				       buf_adds(&in->hook_key,
					       buf_slice(&in->cfg->kept->hook_key))
			       ? err_set(e, ERR_LIMIT, "out of memory")
			       : 0;
	snprintf(name, sizeof name, "mesh-injector.%s.svc", in->cfg->namespace);
	return self_signed(&spec, YEAR, &in->hook_crt, &in->hook_key, e);
}

/* ---- values ---- */

static int read_own(struct install *in, struct err *e)
{
	struct buf b = BUF_INIT;
	struct err why = {0};
	int r = 0;

	if (in->cfg->values && file_read(in->cfg->values, FILE_MAX, &b, e) < 0)
		return -1;
	in->own = yaml_parse(buf_slice(&b), &why);
	if (!in->own && why.code == ERR_MISSING)
		in->own = json_object();
	if (json_kind(in->own) != JSON_OBJECT)
		r = err_set(e, ERR_SYNTAX, "%s: %s", in->cfg->values,
			in->own ? "not a map" : why.msg);
	buf_fini(&b);
	return r;
}

static int apply_sets(struct install *in, struct err *e)
{
	struct json *known = inject_values_read(SLICE(""), NULL);
	int r = 0;

	must(known);
	for (size_t i = 0; i < in->cfg->nsets && r == 0; i++)
		r = set_apply(
			in->own, known, in->cfg->set[i], in->cfg->set_is_plain[i], e);
	json_free(known);
	return r ? err_wrap(e, "--set") : 0;
}

static void set_image(struct install *in, const char *group, const char *name)
{
	struct json *image =
		json_need_object(json_need_object(in->own, group), "image");
	struct buf b = BUF_INIT;

	if (json_text(json_get(image, "name")))
		return;
	buf_printf(&b, "%s/%s", in->cfg->registry, name);
	json_set(image, "name", json_string_n(buf_slice(&b)));
	buf_fini(&b);
}

static void set_unless_given(struct json *own, const char *key, const char *value)
{
	if (!json_text(json_get(own, key)))
		json_set_text(own, key, value);
}

static int make_values(struct install *in, struct err *e)
{
	struct buf yaml = BUF_INIT;
	char *pem;
	int r = -1;

	if (read_own(in, e) < 0 || apply_sets(in, e) < 0)
		return -1;
	if (in->cfg->registry) {
		set_image(in, "proxy", "proxy");
		set_image(in, "debugContainer", "debug");
	}
	json_set_text(in->own, "namespace", in->cfg->namespace);
	json_set_text(in->own, "linkerdVersion", MESH_VERSION);
	set_unless_given(in->own, "clusterDomain", in->cfg->cluster_domain);
	set_unless_given(in->own, "identityTrustDomain", in->cfg->trust_domain);
	pem = slice_dup(buf_slice(&in->anchors));
	must(pem);
	json_set_text(in->own, "identityTrustAnchorsPEM", pem);
	free(pem);
	if (yaml_write(in->own, &yaml) == 0)
		in->values = inject_values_read(buf_slice(&yaml), e);
	if (in->values)
		r = 0;
	buf_fini(&yaml);
	return r;
}

/* ---- filling in ---- */

static void put_json_text(struct buf *out, struct slice text)
{
	buf_char(out, '"');
	buf_json(out, text);
	buf_char(out, '"');
}

static void put_values(struct install *in, struct buf *out)
{
	struct buf yaml = BUF_INIT;

	must(yaml_write(in->own, &yaml) == 0);
	put_json_text(out, buf_slice(&yaml));
	buf_fini(&yaml);
}

static void put_image(struct install *in, struct buf *out)
{
	const char *name = json_text_or(in->values, "proxy.image.name", "");
	const char *version = json_text_or(in->values, "proxy.image.version", "");

	if (in->cfg->image)
		buf_text(out, in->cfg->image);
	else
		buf_printf(out, "%s:%s", name, version);
}

static void put(struct install *in, struct slice name, struct buf *out)
{
	const struct {
		const char *name, *text;
	} texts[] = {
		{"namespace", in->cfg->namespace},
		{"trust_domain", json_text_or(in->own, "identityTrustDomain", "")},
		{"cluster_domain", json_text_or(in->own, "clusterDomain", "")},
		{"lifetime", in->cfg->lifetime},
		{"skew", in->cfg->skew},
		{"opaque_ports", json_text_or(in->values, "proxy.opaquePorts", "")},
		{"default_policy",
			json_text_or(in->values, "proxy.defaultInboundPolicy", "")},
		{"cluster_networks", json_text_or(in->values, "clusterNetworks", "")},
		{"ipv6", json_bool_at(in->values, "disableIPv6", false) ? "false"
									: "true"},
	};
	const struct {
		const char *name;
		const struct buf *pem;
	} secrets[] = {
		{"issuer_crt", &in->issuer_crt},
		{"issuer_key", &in->issuer_key},
		{"hook_crt", &in->hook_crt},
		{"hook_key", &in->hook_key},
	};

	for (size_t i = 0; i < countof(texts); i++)
		if (slice_is(name, texts[i].name))
			buf_text(out, texts[i].text);
	for (size_t i = 0; i < countof(secrets); i++)
		if (slice_is(name, secrets[i].name))
			must(buf_base64(out, buf_slice(secrets[i].pem)) == 0);
	if (slice_is(name, "anchors"))
		put_json_text(out, buf_slice(&in->anchors));
	if (slice_is(name, "values"))
		put_values(in, out);
	if (slice_is(name, "image"))
		put_image(in, out);
}

/* Comments stand before the first document; nothing else has an @ of its own. */
static void fill(struct install *in, struct buf *out)
{
	struct slice rest = slice_of(strstr(control_yaml, "---\n")), part;
	bool is_name = false;

	while (slice_cut(&rest, '@', &part)) {
		if (is_name)
			put(in, part, out);
		else
			buf_adds(out, part);
		is_name = !is_name;
	}
}

/* ---- names ---- */

static int check_name(
	const char *what, const char *text, const char *extra, struct err *e)
{
	size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-.");

	while (text[n] && strchr(extra, text[n]))
		n += 1 + strspn(text + n + 1, "abcdefghijklmnopqrstuvwxyz0123456789-.");
	if (*text && !text[n] && n < 254)
		return 0;
	return err_set(e, ERR_SYNTAX, "%s: \"%s\" cannot be a name", what, text);
}

static int check_duration(const char *what, const char *text, struct err *e)
{
	uint64_t ns;

	if (duration_parse_go(slice_of(text), &ns) && ns)
		return 0;
	return err_set(
		e, ERR_SYNTAX, "%s: \"%s\" is not a time like 24h or 90s", what, text);
}

static int check(const struct install_config *c, struct err *e)
{
	if (check_name("namespace", c->namespace, "", e) ||
		check_name("trust domain", c->trust_domain, "", e) ||
		check_name("cluster domain", c->cluster_domain, "", e) ||
		(c->image && check_name("image", c->image, "/:@_", e)) ||
		(c->registry && check_name("registry", c->registry, "/:_", e)))
		return -1;
	if (strchr(c->namespace, '.'))
		return err_set(e, ERR_SYNTAX, "namespace: \"%s\" has a dot in it",
			c->namespace);
	if (check_duration("lifetime", c->lifetime, e))
		return -1;
	return check_duration("clock skew", c->skew, e);
}

int install_render(const struct install_config *cfg, struct buf *out, struct err *e)
{
	bool given = cfg->anchors || cfg->issuer_crt || cfg->issuer_key;
	struct install in = {.cfg = cfg};
	struct docs_job job = {.what = DOCS_INJECT};
	struct docs_report report = {0};
	struct buf text = BUF_INIT;
	int r = -1;

	if (check(cfg, e) == 0 &&
		(given                 ? read_issuer(&in, e)
			: is_kept(&in) ? keep_issuer(&in, e)
				       : make_issuer(&in, e)) == 0 &&
		make_hook(&in, e) == 0 && make_values(&in, e) == 0) {
		fill(&in, &text);
		job.values = in.values;
		r = docs_transform(&job, buf_slice(&text), out, &report, e);
	}
	docs_report_fini(&report);
	buf_fini(&text);
	install_fini(&in);
	return r;
}
