/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/install.h"

#include <fcntl.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/obj.h"
#include "chart/values.h"
#include "t.h"
#include "testca.h"
#include "tls/init.h"
#include "wire/yaml.h"

static struct install_config cfg = {.namespace = "mesh"};

static void set(const char *text)
{
	cfg.flags.sets[VALUES_TYPED][cfg.flags.nsets[VALUES_TYPED]++] = text;
}

static struct json *render(void)
{
	struct buf out = BUF_INIT;
	struct err e = {0};
	struct json *docs;

	tls_init();
	if (install_render(&cfg, &out, &e) < 0)
		T_FAIL("%s", e.msg);
	docs = yaml_parse_all(buf_slice(&out), &e);
	if (!docs)
		T_FAIL("%s", e.msg);
	buf_fini(&out);
	return docs;
}

static const struct json *find(
	const struct json *docs, const char *kind, const char *name)
{
	json_each(d, docs)
	{
		if (strcmp(json_text_or(d, "kind", ""), kind) == 0 &&
			strcmp(json_text_or(d, "metadata.name", ""), name) == 0)
			return d;
	}
	T_FAIL("no %s %s", kind, name);
}

static struct cert *cert_of(const char *base64)
{
	struct buf pem = BUF_INIT;
	struct cert *c;

	OK(base64 && buf_unbase64(&pem, slice_of(base64)) == 0);
	c = cert_read(buf_slice(&pem), NULL);
	OK(c);
	buf_fini(&pem);
	return c;
}

static void refused(const char *says)
{
	struct buf out = BUF_INIT;
	struct err e = {0};

	tls_init();
	OK(install_render(&cfg, &out, &e) < 0);
	if (!strstr(e.msg, says))
		T_FAIL("\"%s\" does not say \"%s\"", e.msg, says);
	OK(buf_len(&out) == 0);
	buf_fini(&out);
}

TEST(every_workload_of_the_control_plane_has_its_proxy)
{
	static const char *const names[] = {
		"mesh-identity", "mesh-destination", "mesh-injector"};
	struct json *docs = render();

	for (size_t i = 0; i < countof(names); i++) {
		const struct json *d = find(docs, "Deployment", names[i]);
		bool proxy = false, init = false;

		json_each(c, json_path(d, "spec.template.spec.initContainers"))
		{
			proxy |= strcmp(json_text_or(c, "name", ""), "mesh-proxy") == 0;
			init |= strcmp(json_text_or(c, "name", ""), "mesh-init") == 0;
		}
		json_each(c, json_path(d, "spec.template.spec.containers"))
		{
			proxy |= strcmp(json_text_or(c, "name", ""), "mesh-proxy") == 0;
			EQ_STR(json_text_or(c, "image", ""),
				"mesh/proxy:" MESH_VERSION);
		}
		OK(proxy && init);
	}
	json_free(docs);
}

TEST(the_issuer_is_vouched_for_and_names_its_mesh)
{
	struct json *docs;
	struct cert *issuer, *anchors, *hook;
	struct cert_info info;

	cfg.namespace = "net";
	set("identityTrustDomain=corp.example");
	docs = render();
	anchors = cert_read(
		slice_of(json_text(json_get(
			json_get(find(docs, "ConfigMap", "mesh-identity-trust-roots"),
				"data"),
			"ca-bundle.crt"))),
		NULL);
	issuer = cert_of(json_text(
		json_get(json_get(find(docs, "Secret", "mesh-identity-issuer"), "data"),
			"crt.pem")));
	OK(anchors && cert_verify(issuer, anchors, 0, NULL) == 0);
	cert_info(issuer, &info);
	EQ_STR(info.subject, "identity.net.corp.example");
	OK(info.is_ca && info.not_after > clock_wall() + 364 * 86400 * NS_PER_S);
	hook = cert_of(json_text(json_get(
		json_get(find(docs, "Secret", "mesh-injector-k8s-tls"), "data"),
		"tls.crt")));
	cert_info(hook, &info);
	EQ_STR(info.name, "mesh-injector.net.svc");
	cert_free(hook);
	cert_free(issuer);
	cert_free(anchors);
	json_free(docs);
}

TEST(nothing_is_left_to_fill_in)
{
	struct buf out = BUF_INIT;

	tls_init();
	OK(install_render(&cfg, &out, NULL) == 0);
	OK(!memchr(out.p + out.at, '@', buf_len(&out)));
	buf_fini(&out);
}

static char *file_of(struct slice text)
{
	char path[] = "/tmp/mesh-install-XXXXXX";
	int fd = mkstemp(path);

	OK(fd >= 0 && write(fd, text.p, text.n) == (ssize_t)text.n);
	close(fd);
	return slice_dup(slice_of(path));
}

TEST(an_issuer_of_ones_own_is_checked)
{
	struct testca ca, other;
	struct buf key = BUF_INIT, wrong = BUF_INIT;
	char *anchors, *crt, *good, *bad, *strangers;

	testca_init(&ca);
	testca_init(&other);
	OK(key_write_pem(ca.issuer_key, &key, NULL) == 0);
	OK(key_write_pem(other.issuer_key, &wrong, NULL) == 0);
	cfg.anchors = anchors = file_of(buf_slice(&ca.root_pem));
	cfg.issuer_crt = crt = file_of(buf_slice(&ca.issuer_pem));
	refused("all three");
	cfg.issuer_key = good = file_of(buf_slice(&key));
	json_free(render());
	cfg.issuer_key = bad = file_of(buf_slice(&wrong));
	refused("key is not its certificate's");
	cfg.issuer_key = good;
	cfg.anchors = strangers = file_of(buf_slice(&other.root_pem));
	refused("");
	cfg.anchors = "/nowhere/ca.pem";
	refused("/nowhere/ca.pem");
	unlink(anchors);
	unlink(crt);
	unlink(good);
	unlink(bad);
	unlink(strangers);
	free(anchors);
	free(crt);
	free(good);
	free(bad);
	free(strangers);
	buf_fini(&key);
	buf_fini(&wrong);
	testca_fini(&ca);
	testca_fini(&other);
}

static const char *secret_of(const struct json *docs, const char *name, const char *key)
{
	return json_text(json_get(json_get(find(docs, "Secret", name), "data"), key));
}

TEST(what_is_installed_is_kept)
{
	struct install_kept kept = {0};
	struct json *first = render(), *second;
	const char *roots;

	roots = json_text(json_get(
		json_get(find(first, "ConfigMap", "mesh-identity-trust-roots"), "data"),
		"ca-bundle.crt"));
	buf_text(&kept.anchors, roots);
	buf_unbase64(&kept.issuer_crt,
		slice_of(secret_of(first, "mesh-identity-issuer", "crt.pem")));
	buf_unbase64(&kept.issuer_key,
		slice_of(secret_of(first, "mesh-identity-issuer", "key.pem")));
	cfg.kept = &kept;
	second = render();
	EQ_STR(secret_of(second, "mesh-identity-issuer", "crt.pem"),
		secret_of(first, "mesh-identity-issuer", "crt.pem"));
	EQ_STR(secret_of(second, "mesh-identity-issuer", "key.pem"),
		secret_of(first, "mesh-identity-issuer", "key.pem"));
	OK(strcmp(secret_of(second, "mesh-injector-k8s-tls", "tls.crt"),
		   secret_of(first, "mesh-injector-k8s-tls", "tls.crt")) != 0);
	buf_text(&kept.issuer_key, "junk");
	kept.issuer_key.p[kept.issuer_key.at + 40] ^= 1;
	refused("what is installed");
	install_kept_fini(&kept);
	json_free(first);
	json_free(second);
}

TEST(values_of_ones_own_reach_the_pods)
{
	char *values =
		file_of(SLICE("proxy: {logLevel: 'debug', opaquePorts: '77'}\n"));
	struct buf out = BUF_INIT;

	tls_init();
	cfg.flags.files[cfg.flags.nfiles++] = values;
	OK(install_render(&cfg, &out, NULL) == 0);
	buf_char(&out, '\0');
	OK(strstr(out.p, "-default-opaque-ports=77"));
	OK(strstr(out.p, "value: debug"));
	unlink(values);
	free(values);
	buf_fini(&out);
}

TEST(what_cannot_be_is_refused)
{
	static const struct {
		const char *set, *says;
	} table[] = {
		{"identityTrustDomain=a b", "identityTrustDomain: \"a b\" is not as"},
		{"controllerImage=a b", "controllerImage: \"a b\" is not as"},
		{"identity.issuer.issuanceLifetime=soon", "issuanceLifetime: \"soon\""},
		{"proxy.loglevel=debug",
			"proxy.loglevel: no value is called so; there is logLevel"},
		{"proxy.ports.admin=x",
			"proxy.ports.admin: \"x\" is not of the type integer"},
		{"proxy.ports.admin=70000",
			"proxy.ports.admin: 70000 is more than 65535"},
		{"proxy.resources.cpu.request=lots", "\"lots\" is not as"},
		{"proxyInit.skipSubnets=10.0.0.0/99", "10.0.0.0/99"},
		{"proxy=1", "proxy: 1 is not of the type object"},
	};

	cfg.namespace = "a b";
	refused("namespace");
	cfg.namespace = "a.b";
	refused("namespace");
	cfg.namespace = "mesh";
	cfg.registry = "a b";
	refused("registry");
	cfg.registry = "registry.example:5000/mesh";
	json_free(render());
	for (size_t i = 0; i < countof(table); i++) {
		cfg.flags.nsets[VALUES_TYPED] = 0;
		set(table[i].set);
		refused(table[i].says);
	}
}
