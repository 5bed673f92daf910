/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/yaml.h"

#include <stdlib.h>

#include "base/obj.h"
#include "t.h"

static char *to_json(const char *yaml)
{
	struct err e = {0};
	struct json *docs = yaml_parse_all(slice_of(yaml), &e);
	struct buf b = BUF_INIT;

	if (!docs)
		T_FAIL("%s: %s", yaml, e.msg);
	json_write(docs, 0, &b);
	json_free(docs);
	return buf_steal(&b);
}

static const struct {
	const char *yaml, *json;
} reads[] = {
	{"", "[]"},
	{"---\n---\n# nothing\n", "[]"},
	{"a: 1\n---\nb: 2\n...\n", "[{\"a\":1},{\"b\":2}]"},
	{"a: [yes, on, y, No, 'yes', \"on\", true]",
		"[{\"a\":[true,true,true,false,\"yes\",\"on\",true]}]"},
	{"[0755, 0o755, 0x1F, 0b101, 08, 1_000, -7, +7]",
		"[[493,493,31,5,8,1000,-7,7]]"},
	{"[1.5, 1e3, .5, 1., 1e, 0x, ., -, 1.2.3, 12h, 1:30]",
		"[[1.5,1000,0.5,1,\"1e\",\"0x\",\".\",\"-\",\"1.2.3\",\"12h\",\"1:30\"]"
		"]"},
	{"[9223372036854775807, 9223372036854775808, 1 2]",
		"[[9223372036854775807,9.223372036854776e+18,\"1 2\"]]"},
	{"[~, null, '', \"\", 2001-01-01]", "[[null,null,\"\",\"\",\"2001-01-01\"]]"},
	{"a:\n", "[{\"a\":null}]"},
	{"8080: a\ntrue: b\n1.5: c\n",
		"[{\"8080\":\"a\",\"true\":\"b\",\"1.5\":\"c\"}]"},
	{"[!!str 1, !!int \"2\", !!binary aGk=, !own x]", "[[\"1\",2,\"hi\",\"x\"]]"},
	{"a: &x {b: 1}\nc: *x\nd: [*x, *x]",
		"[{\"a\":{\"b\":1},\"c\":{\"b\":1},\"d\":[{\"b\":1},{\"b\":1}]}]"},
	{"a: &x 1\nb: &x 2\nc: *x", "[{\"a\":1,\"b\":2,\"c\":2}]"},
	{"d: &d {a: 1, b: 2}\ne:\n  <<: *d\n  b: 3\n  c: 4",
		"[{\"d\":{\"a\":1,\"b\":2},\"e\":{\"b\":3,\"c\":4,\"a\":1}}]"},
	{"d: &d {a: 1}\ne: {<<: [*d, {a: 2, b: 5}], c: 3}",
		"[{\"d\":{\"a\":1},\"e\":{\"c\":3,\"a\":1,\"b\":5}}]"},
	{"a: |\n  x\n  y\nb: >-\n  x\n  y\n", "[{\"a\":\"x\\ny\\n\",\"b\":\"x y\"}]"},
	{" {\"a\":\n\t[1]}\n", "[{\"a\":[1]}]"},
	{"\"<<\": 1", "[{\"<<\":1}]"},
};

TEST(yaml_is_read_as_kubernetes_reads_it)
{
	for (size_t i = 0; i < countof(reads); i++) {
		char *got = to_json(reads[i].yaml);

		if (strcmp(got, reads[i].json) != 0)
			T_FAIL("%s\n gives %s\n want %s", reads[i].yaml, got,
				reads[i].json);
		free(got);
	}
}

static const struct {
	const char *yaml, *says;
} refused[] = {
	{"a: 1\nb: [1\nc: 2", "YAML line 3: "},
	{"a: 1\n\tb: 2\n", "YAML line 2: "},
	{"a: 1\nb: *none\n", "YAML line 2: unknown alias \"none\""},
	{"a: &x [*x]", "unknown alias \"x\""},
	{"a: 1\nb: 2\na: 3\n", "given twice: \"a\""},
	{"a: .nan", "JSON has no such number"},
	{"a: 1e999", "JSON has no such number"},
	{"[a]: 1", "a key must be a string"},
	{"<<: 1", "only mappings can be merged"},
	{"!!int x", "does not fit its tag"},
	{"\"a\\0b\"", "a zero byte"},
};

TEST(what_is_malformed_is_refused_with_its_line)
{
	for (size_t i = 0; i < countof(refused); i++) {
		struct err e = {0};

		OK(yaml_parse_all(slice_of(refused[i].yaml), &e) == NULL);
		if (!strstr(e.msg, refused[i].says))
			T_FAIL("%s: %s", refused[i].yaml, e.msg);
	}
}

TEST(aliases_cannot_blow_up)
{
	struct buf b = BUF_INIT;
	struct err e = {0};

	buf_text(&b, "a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
	for (int i = 1; i < 20; i++) {
		buf_printf(&b, "a%d: &a%d [", i, i);
		for (int k = 0; k < 9; k++)
			buf_printf(&b, "%s*a%d", k ? ", " : "", i - 1);
		buf_text(&b, "]\n");
	}
	OK(yaml_parse_all(buf_slice(&b), &e) == NULL);
	EQ_INT(e.code, ERR_LIMIT);
	buf_fini(&b);
}

TEST(aliases_cannot_nest_without_end)
{
	struct buf b = BUF_INIT;
	struct err e = {0};

	buf_text(&b, "- &a0 []\n");
	for (int i = 1; i < 200; i++)
		buf_printf(&b, "- &a%d [*a%d]\n", i, i - 1);
	OK(yaml_parse_all(buf_slice(&b), &e) == NULL);
	EQ_INT(e.code, ERR_LIMIT);
	buf_fini(&b);
}

TEST(one_document_is_one)
{
	struct err e = {0};
	struct json *j = yaml_parse(SLICE("a: {b: 1}"), &e);

	EQ_INT(json_int_at(j, "a.b", 0), 1);
	json_free(j);
	OK(yaml_parse(SLICE("a\n---\nb"), &e) == NULL);
	EQ_INT(e.code, ERR_SYNTAX);
	OK(yaml_parse(SLICE("# none\n"), &e) == NULL);
	EQ_INT(e.code, ERR_MISSING);
}

static const struct {
	const char *json, *yaml;
} writes[] = {
	{"{\"kind\":\"Pod\",\"apiVersion\":\"v1\"}", "apiVersion: v1\nkind: Pod\n"},
	{"{\"b\":[1,{\"z\":2,\"y\":[]}],\"a\":{}}",
		"a: {}\nb:\n- 1\n- \"y\": []\n  z: 2\n"},
	{"{\"a\":[\"yes\",\"1\",\"\",\"~\",\"0755\",\"1e3\",\"null\",\"2001-01-01\","
	 "\"1:30\","
	 "\"y\"]}",
		"a:\n- \"yes\"\n- \"1\"\n- \"\"\n- \"~\"\n- \"0755\"\n- \"1e3\"\n- "
		"\"null\"\n"
		"- \"2001-01-01\"\n- \"1:30\"\n- \"y\"\n"},
	{"{\"a\":\"x: y\",\"b\":\"- x\",\"c\":\"it's\",\"d\":\"#x\",\"e\":\"x\\ny\\n\","
	 "\"f\":\"x\\ny\"}",
		"a: 'x: y'\nb: '- x'\nc: it's\nd: '#x'\ne: |\n  x\n  y\nf: |-\n  x\n  "
		"y\n"},
	{"{\"a10\":1,\"a9\":2,\"a.b\":3,\"ab\":4,\"A\":5}",
		"A: 5\na.b: 3\na9: 2\na10: 1\nab: 4\n"},
	{"[true,null,1.5,9223372036854775807]",
		"- true\n- null\n- 1.5\n- 9223372036854775807\n"},
	{"{\"a\":\"\xc3\xa9\"}", "a: \xc3\xa9\n"},
};

TEST(yaml_is_written_as_kubectl_prints_it)
{
	for (size_t i = 0; i < countof(writes); i++) {
		struct json *j = json_parse(slice_of(writes[i].json), NULL), *again;
		struct buf b = BUF_INIT;
		char *text;

		OK(j && yaml_write(j, &b) == 0);
		text = buf_steal(&b);
		if (strcmp(text, writes[i].yaml) != 0)
			T_FAIL("%s\n gives:\n%s\n want:\n%s", writes[i].json, text,
				writes[i].yaml);
		again = yaml_parse(slice_of(text), NULL);
		OK(json_equal(j, again));
		json_free(again);
		json_free(j);
		free(text);
	}
}

TEST(every_prefix_is_read_or_refused)
{
	const char *text =
		"a: &x {b: [1, 'q', \"\\u00e9\"]}\nc:\n  <<: *x\n  d: |\n   x\n"
		"---\n- 0x1f\n- !!str 1\n";

	for (size_t n = 0; n <= strlen(text); n++) {
		char *cut = malloc(n + 1);
		struct err e = {0};
		struct json *j;

		memcpy(cut, text, n);
		j = yaml_parse_all(slice_bytes(cut, n), &e);
		OK(j || e.code == ERR_SYNTAX);
		json_free(j);
		free(cut);
	}
}
