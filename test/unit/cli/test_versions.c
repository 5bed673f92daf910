/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/versions.h"

#include "t.h"
#include "wire/yaml.h"

static void is(const char *pods, bool brief, const char *wanted)
{
	struct json *j = yaml_parse(slice_of(pods), NULL);
	struct buf out = BUF_INIT;

	versions_count(j, brief, &out);
	buf_char(&out, '\0');
	EQ_STR(out.p, wanted);
	buf_fini(&out);
	json_free(j);
}

#define POD(v) "- metadata: {annotations: {linkerd.io/proxy-version: '" v "'}}\n"

TEST(proxies_are_counted_by_version)
{
	is("items:\n" POD("1") POD("2") "- metadata: {}\n" POD("1"), false,
		"Proxy versions:\n\t1 (2 pods)\n\t2 (1 pods)\n");
	is("items:\n" POD("1") POD("2"), true, "1\n2\n");
	is("items: []", false, "Proxy versions: unavailable\n");
}

TEST(without_a_cluster_they_are_unavailable)
{
	struct buf out = BUF_INIT;

	versions_server(NULL, "mesh", false, &out);
	versions_proxies(NULL, "mesh", NULL, true, &out);
	buf_char(&out, '\0');
	EQ_STR(out.p, "Server version: unavailable\nunavailable\n");
	buf_fini(&out);
}
