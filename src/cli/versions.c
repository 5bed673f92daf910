/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/versions.h"

#include <stdio.h>

#include "base/obj.h"
#include "wire/yaml.h"

#define NONE "unavailable"

void versions_server(struct ask *a, const char *namespace, bool brief, struct buf *out)
{
	char path[400];
	struct json *map = NULL, *values = NULL;

	snprintf(path, sizeof path, "/api/v1/namespaces/%s/configmaps/mesh-config",
		namespace);
	if (a)
		map = ask_get(a, path, NULL);
	if (map)
		values = yaml_parse(
			slice_of(json_text_or(map, "data.values", "")), NULL);
	buf_printf(out, "%s%s\n", brief ? "" : "Server version: ",
		json_text_or(values, "linkerdVersion", NONE));
	json_free(values);
	json_free(map);
}

void versions_count(const struct json *pods, bool brief, struct buf *out)
{
	struct json *counts = json_object();

	json_each(p, json_get(pods, "items"))
	{
		const char *v = json_text(json_get(json_path(p, "metadata.annotations"),
			"linkerd.io/proxy-version"));

		if (v)
			json_set_int(counts, v, json_int(json_get(counts, v), 0) + 1);
	}
	if (!json_count(counts))
		buf_printf(out, "%s%s\n", brief ? "" : "Proxy versions: ", NONE);
	else if (!brief)
		buf_text(out, "Proxy versions:\n");
	json_each(n, counts)
	{
		if (brief)
			buf_printf(out, "%s\n", json_key(n));
		else
			buf_printf(out, "\t%s (%d pods)\n", json_key(n),
				(int)json_int(n, 0));
	}
	json_free(counts);
}

void versions_proxies(struct ask *a, const char *namespace, const char *workloads,
	bool brief, struct buf *out)
{
	char path[700];
	struct json *pods = NULL;

	snprintf(path, sizeof path,
		"/api/v1/%s%s%spods?labelSelector=linkerd.io/control-plane-ns%%3D%s",
		workloads ? "namespaces/" : "", workloads ? workloads : "",
		workloads ? "/" : "", namespace);
	if (a)
		pods = ask_get(a, path, NULL);
	versions_count(pods, brief, out);
	json_free(pods);
}
