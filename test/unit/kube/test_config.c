/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/config.h"

#include <stdlib.h>

#include "base/obj.h"
#include "t.h"
#include "testca.h"
#include "wire/yaml.h"

static const char two[] =
	"apiVersion: v1\n"
	"kind: Config\n"
	"current-context: one\n"
	"contexts:\n"
	"- name: one\n"
	"  context: {cluster: c1, user: u1, namespace: apps}\n"
	"- name: two\n"
	"  context: {cluster: c2, user: u2}\n"
	"clusters:\n"
	"- name: c1\n"
	"  cluster:\n"
	"    server: https://10.0.0.1:6443\n"
	"    certificate-authority-data: Y2EtcGVt\n"
	"    tls-server-name: kubernetes\n"
	"- name: c2\n"
	"  cluster: {server: 'http://[::1]:8001/k8s/c-1/'}\n"
	"users:\n"
	"- name: u1\n"
	"  user: {client-certificate-data: Y2VydA==, client-key-data: a2V5}\n"
	"- name: u2\n"
	"  user: {token: secret}\n";

/* As one file "/home/config" (or in another folder) has it. */
static int parse(struct kube_target *t, const char *yaml, const char *dir,
	const char *context, struct err *e)
{
	struct kubeconfig_file f = {.path = "file"};
	int rc;

	snprintf(f.dir, sizeof f.dir, "%s", dir);
	f.doc = yaml_parse(slice_of(yaml), e);
	rc = f.doc ? kubeconfig_read(t, &f, 1, context, e) : -1;
	json_free(f.doc);
	return rc;
}

static void check_buf(const struct buf *b, const char *want)
{
	OK(slice_eq(buf_slice(b), slice_of(want)));
}

TEST(the_current_context_is_used)
{
	struct kube_target t = {0};
	struct err e = {0};

	if (parse(&t, two, "/home", NULL, &e))
		T_FAIL("%s", e.msg);
	OK(t.tls);
	EQ_STR(t.host, "10.0.0.1");
	EQ_INT(t.port, 6443);
	EQ_STR(t.prefix, "");
	EQ_STR(t.server_name, "kubernetes");
	EQ_STR(t.namespace, "apps");
	check_buf(&t.ca, "ca-pem");
	check_buf(&t.cert, "cert");
	check_buf(&t.key, "key");
	OK(!t.token && !t.token_file);
	kube_target_fini(&t);
}

TEST(another_context_may_be_asked_for)
{
	struct kube_target t = {0};
	struct err e = {0};

	if (parse(&t, two, "/home", "two", &e))
		T_FAIL("%s", e.msg);
	OK(!t.tls);
	EQ_STR(t.host, "::1");
	EQ_INT(t.port, 8001);
	EQ_STR(t.prefix, "/k8s/c-1");
	EQ_STR(t.token, "secret");
	kube_target_fini(&t);
}

#define WITH(cluster, user)                                                            \
	"current-context: a\n"                                                         \
	"contexts: [{name: a, context: {cluster: a, user: a}}]\n"                      \
	"clusters: [{name: a, cluster: {" cluster "}}]\n"                              \
	"users: [{name: a, user: {" user "}}]\n"

static const struct {
	const char *yaml, *says;
} refused[] = {
	{"a: [", "YAML line"},
	{"{}", "has no current-context"},
	{"current-context: x", "no context is called \"x\""},
	{WITH("", ""), "the cluster has no server"},
	{WITH("server: 'ftp://x'", ""), "neither https nor http"},
	{WITH("server: 'https://x:99999'", ""), "bad port"},
	{WITH("server: 'https://:6443'", ""), "no host"},
	{WITH("server: 'https://[::1'", ""), "']' is missing"},
	{WITH("server: 'https://x', insecure-skip-tls-verify: true, "
	      "certificate-authority-data: Y2E=",
		 ""),
		"leave one of them out"},
	{WITH("server: 'https://x', certificate-authority-data: '*'", ""),
		"file: cluster \"a\": certificate-authority-data is not base64"},
	{WITH("server: 'https://x', certificate-authority: nowhere/ca", ""),
		"open /none/nowhere/ca"},
	{WITH("server: 'https://x', proxy-url: 'ftp://p'", ""),
		"proxy-url: this kind of proxy is not known"},
	{WITH("server: 'https://x', proxy-url: 'http://p:0'", ""),
		"proxy-url: no host"},
	{WITH("server: 'http://x'", "auth-provider: {name: gcp}"),
		"auth-provider \"gcp\" is of the past"},
	{WITH("server: 'http://x'", "tokenFile: gone"),
		"file: user \"a\": tokenFile: open /none/gone"},
	{WITH("server: 'http://x'", "client-certificate-data: Y2E="),
		"client-key is missing"},
	{WITH("server: 'http://x'", "client-key-data: Y2E="),
		"client-certificate is missing"},
	{WITH("server: 'http://x'", "exec: {command: aws}"),
		"exec's apiVersion \"\" is not known"},
	{WITH("server: 'http://x'",
		 "exec: {command: aws, apiVersion: client.authentication.k8s.io/"
		 "v1alpha1}"),
		"v1alpha1\" is not known"},
	{WITH("server: 'http://x'",
		 "exec: {apiVersion: client.authentication.k8s.io/v1}"),
		"exec has no command"},
	{"current-context: z\ncontexts: [{name: a}, {name: b}]",
		"no context is called \"z\": there are a, b"},
	{"contexts: [{name: a}, {name: b}]",
		"file has no current-context: choose one by --context: a, b"},
	{"current-context: a\ncontexts: [{name: a, context: {cluster: q}}]",
		"file: context \"a\": no cluster is called \"q\""},
};

TEST(what_cannot_be_used_is_said)
{
	for (size_t i = 0; i < countof(refused); i++) {
		struct kube_target t = {0};
		struct err e = {0};

		OK(parse(&t, refused[i].yaml, "/none", NULL, &e));
		if (!strstr(e.msg, refused[i].says))
			T_FAIL("%s: %s", refused[i].yaml, e.msg);
		kube_target_fini(&t);
	}
}

TEST(without_an_authority_the_systems_vouch)
{
	static const char yaml[] = WITH("server: 'https://x'", "token: t");
	struct kube_target t = {0};
	struct err e = {0};
	struct testca ca;
	struct buf pem = BUF_INIT;
	char path[] = "/tmp/mesh-roots-XXXXXX";
	int fd = mkstemp(path);

	testca_init(&ca);
	OK(cert_write_pem(ca.root, &pem, NULL) == 0);
	dprintf(fd,
		"-----BEGIN CERTIFICATE-----\nb2xk\n-----END CERTIFICATE-----\n%.*s",
		SLICE_FMT(buf_slice(&pem)));
	close(fd);
	setenv("SSL_CERT_FILE", path, 1);
	if (parse(&t, yaml, "/", NULL, &e))
		T_FAIL("%s", e.msg);
	OK(memmem(t.ca.p, buf_len(&t.ca), pem.p, buf_len(&pem) - 1));
	OK(buf_len(&t.ca) < buf_len(&pem) + 10); /* the first is none */
	kube_target_fini(&t);
	OK(truncate(path, 30) == 0);
	OK(parse(&t, yaml, "/", NULL, &e));
	OK(strstr(e.msg, "it has no certificate"));
	kube_target_fini(&t);
	unlink(path);
	buf_fini(&pem);
	testca_fini(&ca);
}
