/* SPDX-License-Identifier: Apache-2.0 */
#include "base/obj.h"
#include "chart/tmpl.h"
#include "chart/values.h"
#include "wire/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *buf, size_t len);

static const char root_yaml[] = "Values: {a: text, num: 3, list: [x, y], map: {k: v, "
				"l: {m: 1}}, good: true, none: {}}\n"
				"Release: {Name: r, Namespace: ns, Service: CLI}\n";

static void sum(struct slice s, char out[65])
{
	snprintf(out, 65, "%zu", s.n);
}

static const struct tmpl_host host = {.sha256_hex = sum};

/* 0 and the text, or the error. */
static int render(struct slice text, struct buf *out, struct err *e)
{
	struct tmpl_set *set = tmpl_new(&host);
	struct json *root = yaml_parse(SLICE(root_yaml), NULL);
	int r = tmpl_add(set, "f.yaml", text, e);

	must(root);
	if (r == 0)
		r = tmpl_check(set, e);
	if (r == 0)
		r = tmpl_run(set, "f.yaml", root, out, e);
	json_free(root);
	tmpl_free(set);
	return r;
}

/* The same text gives the same, and an error says where. */
static void try_template(struct slice text)
{
	struct buf a = BUF_INIT, b = BUF_INIT;
	struct err first = {0}, second = {0};
	int r = render(text, &a, &first);

	must(render(text, &b, &second) == r);
	must(slice_eq(buf_slice(&a), buf_slice(&b)));
	must(r == 0 || strncmp(first.msg, "f.yaml:", 7) == 0);
	must(strcmp(first.msg, second.msg) == 0);
	buf_fini(&a);
	buf_fini(&b);
}

/* What is set twice is set once; layers of the same are the same. */
static void try_set(struct slice text)
{
	char *copy = slice_dup(text);
	struct json *a = json_object(), *b;

	must(copy);
	if (values_set(a, copy, VALUES_TYPED, NULL, NULL) == 0) {
		b = json_copy(a);
		must(values_set(b, copy, VALUES_TYPED, NULL, NULL) == 0);
		values_put(b, a);
		must(json_count(a) == json_count(b));
		json_free(b);
	}
	json_free(a);
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *buf, size_t len)
{
	struct slice text = slice_bytes(buf, len);

	if (len > 4096)
		return 0;
	try_template(text);
	if (!memchr(buf, 0, len))
		try_set(text);
	return 0;
}
