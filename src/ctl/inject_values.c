/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/obj.h"
#include "chart/chart.h"
#include "ctl/inject_int.h"
#include "wire/patch.h"
#include "wire/yaml.h"

static const struct {
	const char *path, *from; /* an empty one is as the other */
} fallbacks[] = {
	{"identityTrustDomain", "clusterDomain"},
	{"proxyInit.image.name", "proxy.image.name"},
	{"proxyInit.image.version", "proxy.image.version"},
	{"proxyInit.image.pullPolicy", "proxy.image.pullPolicy"},
};

/* Where nothing is said of a version it is ours. */
static void set_versions(struct json *values)
{
	static const char *const paths[] = {"linkerdVersion", "proxy.image.version",
		"debugContainer.image.version"};
	char number[64];

	if (!value_is_set(values, paths[0]))
		value_set(values, paths[0], json_string(MESH_VERSION));
	for (size_t i = 1; i < countof(paths); i++)
		if (!value_is_set(values, paths[i]))
			value_set(values, paths[i],
				json_string(value_text(values, paths[0], number)));
}

struct json *inject_values_read(struct slice yaml, struct err *e)
{
	struct json *values = chart_presets("control"), *own;
	struct err why = {0};
	int r = 0;

	must(values);
	json_set_text(values, "namespace", "mesh");
	own = yaml_parse(yaml, &why);
	if (own && json_kind(own) != JSON_OBJECT)
		r = err_set(e, ERR_SYNTAX, "values: not a map");
	else if (own)
		r = patch_merge(&values, own, e);
	else if (why.code != ERR_MISSING)
		r = err_set(e, why.code, "values: %s", why.msg);
	json_free(own);
	set_versions(values);
	if (r == 0 && settings_check(values, e) == 0)
		return values;
	json_free(values);
	return NULL;
}

void inject_values_set_anchors(struct json *values, struct slice pem)
{
	json_set(values, "identityTrustAnchorsPEM", json_string_n(pem));
}

/* ---- by path ---- */

const char *value_text(const struct json *values, const char *path, char out[64])
{
	const struct json *j = json_path(values, path);

	switch (json_kind(j)) {
	case JSON_TEXT:
		return json_text(j);
	case JSON_INT:
		snprintf(out, 64, "%" PRId64, json_int(j, 0));
		return out;
	case JSON_REAL:
		snprintf(out, 64, "%g", json_real(j, 0));
		return out;
	case JSON_BOOL:
		return json_bool_at(values, path, false) ? "true" : "false";
	case JSON_NONE:
	case JSON_NULL:
	case JSON_LIST:
	case JSON_OBJECT:
		break;
	}
	return "";
}

static const char *with_fallback(
	const struct json *values, const char *path, char out[64])
{
	const char *text = value_text(values, path, out);

	for (size_t i = 0; i < countof(fallbacks) && !*text; i++)
		if (strcmp(fallbacks[i].path, path) == 0)
			text = value_text(values, fallbacks[i].from, out);
	return text;
}

bool value_is_set(const struct json *values, const char *path)
{
	const struct json *j = json_path(values, path);
	char out[64];
	const char *text = value_text(values, path, out);

	if (json_kind(j) == JSON_LIST || json_kind(j) == JSON_OBJECT)
		return json_count(j) > 0;
	return *text && strcmp(text, "false") != 0 && strcmp(text, "0") != 0;
}

void value_set(struct json *values, const char *path, struct json *value)
{
	struct slice rest = slice_of(path), part;
	char key[64];

	while (slice_cut(&rest, '.', &part)) {
		snprintf(key, sizeof key, "%.*s", SLICE_FMT(part));
		if (!rest.n)
			break;
		values = json_need_object(values, key);
	}
	json_set(values, key, value);
}

void value_expand(const struct json *values, const char *text, struct buf *out)
{
	char path[96], number[64];

	while (*text) {
		size_t plain = strcspn(text, "<"), n;

		buf_add(out, text, plain);
		text += plain;
		if (!*text)
			return;
		n = strcspn(text, ">");
		must(text[n] && n < sizeof path);
		snprintf(path, sizeof path, "%.*s", (int)n - 1, text + 1);
		buf_text(out, with_fallback(values, path, number));
		text += n + 1;
	}
}

struct json *value_string(const struct json *values, const char *text)
{
	struct buf b = BUF_INIT;
	struct json *j;

	value_expand(values, text, &b);
	j = json_string_n(buf_slice(&b));
	buf_fini(&b);
	return j;
}
