/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/config.h"

#include <stdlib.h>

#include "base/obj.h"
#include "t.h"

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
	"  user: {token: secret, tokenFile: sub/token}\n";

static void check_buf(const struct buf *b, const char *want)
{
	OK(slice_eq(buf_slice(b), slice_of(want)));
}

TEST(the_current_context_is_used)
{
	struct kube_target t = {0};
	struct err e = {0};

	if (kube_target_parse(&t, slice_of(two), "/home", NULL, &e))
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

	if (kube_target_parse(&t, slice_of(two), "/home", "two", &e))
		T_FAIL("%s", e.msg);
	OK(!t.tls);
	EQ_STR(t.host, "::1");
	EQ_INT(t.port, 8001);
	EQ_STR(t.prefix, "/k8s/c-1");
	EQ_STR(t.token, "secret");
	EQ_STR(t.token_file, "/home/sub/token");
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
	{"{}", "no current-context"},
	{"current-context: x", "no context is called \"x\""},
	{WITH("", ""), "the cluster has no server"},
	{WITH("server: 'ftp://x'", ""), "neither https nor http"},
	{WITH("server: 'https://x:99999'", ""), "bad port"},
	{WITH("server: 'https://:6443'", ""), "no host"},
	{WITH("server: 'https://[::1'", ""), "']' is missing"},
	{WITH("server: 'https://x', insecure-skip-tls-verify: true", ""),
		"insecure-skip-tls-verify is not supported"},
	{WITH("server: 'https://x', certificate-authority-data: '*'", ""),
		"certificate-authority-data is not base64"},
	{WITH("server: 'https://x', certificate-authority: nowhere/ca", ""),
		"open /none/nowhere/ca"},
	{WITH("server: 'https://x'", "exec: {command: aws}"),
		"\"exec\" is not supported"},
};

TEST(what_cannot_be_used_is_said)
{
	for (size_t i = 0; i < countof(refused); i++) {
		struct kube_target t = {0};
		struct err e = {0};

		OK(kube_target_parse(&t, slice_of(refused[i].yaml), "/none", NULL, &e));
		if (!strstr(e.msg, refused[i].says))
			T_FAIL("%s: %s", refused[i].yaml, e.msg);
		kube_target_fini(&t);
	}
}
