/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/patch.h"

#include <stdlib.h>

#include "base/obj.h"
#include "t.h"

typedef int patch_fn(struct json **doc, const struct json *patch, struct err *e);

struct sample {
	const char *doc, *patch;
	const char *want; /* JSON, or what the error says */
};

static struct json *parse(const char *text)
{
	struct err e = {0};
	struct json *j = json_parse(slice_of(text), &e);

	if (!j)
		T_FAIL("%s: %s", text, e.msg);
	return j;
}

static char *text_of(const struct json *j)
{
	struct buf b = BUF_INIT;

	json_write(j, 0, &b);
	return buf_steal(&b);
}

static void check(patch_fn *fn, const struct sample *s)
{
	struct json *doc = parse(s->doc), *before = json_copy(doc);
	struct json *patch = parse(s->patch), *want;
	struct err e = {0};

	if (fn(&doc, patch, &e)) {
		if (!strstr(e.msg, s->want))
			T_FAIL("%s: %s", s->patch, e.msg);
		OK(json_equal(doc, before));
	} else {
		want = parse(s->want);
		if (!json_equal(doc, want))
			T_FAIL("%s + %s\n gives %s", s->doc, s->patch, text_of(doc));
		json_free(want);
	}
	json_free(doc);
	json_free(before);
	json_free(patch);
}

/* RFC 6902, appendix A, and edges. */
static const struct sample json_samples[] = {
	{"{\"foo\":\"bar\"}", "[{\"op\":\"add\",\"path\":\"/baz\",\"value\":\"qux\"}]",
		"{\"baz\":\"qux\",\"foo\":\"bar\"}"},
	{"{\"a\":[1,3]}", "[{\"op\":\"add\",\"path\":\"/a/1\",\"value\":2}]",
		"{\"a\":[1,2,3]}"},
	{"{\"a\":[1]}", "[{\"op\":\"add\",\"path\":\"/a/-\",\"value\":[2]}]",
		"{\"a\":[1,[2]]}"},
	{"{\"a\":[1]}", "[{\"op\":\"add\",\"path\":\"/a/2\",\"value\":2}]",
		"operation 0: path /a/2 is not there"},
	{"{\"a\":[1]}", "[{\"op\":\"add\",\"path\":\"/a/01\",\"value\":2}]",
		"is not there"},
	{"{}", "[{\"op\":\"add\",\"path\":\"/a/b\",\"value\":2}]",
		"path /a/b is not there"},
	{"{\"a\":1,\"b\":2}", "[{\"op\":\"remove\",\"path\":\"/a\"}]", "{\"b\":2}"},
	{"{\"a\":[1,2,3]}", "[{\"op\":\"remove\",\"path\":\"/a/1\"}]", "{\"a\":[1,3]}"},
	{"{}", "[{\"op\":\"remove\",\"path\":\"/a\"}]", "path /a is not there"},
	{"{\"a\":1}", "[{\"op\":\"replace\",\"path\":\"/a\",\"value\":{}}]",
		"{\"a\":{}}"},
	{"{\"a\":1}", "[{\"op\":\"replace\",\"path\":\"/b\",\"value\":2}]",
		"path /b is not there"},
	{"{\"a\":1}", "[{\"op\":\"replace\",\"path\":\"\",\"value\":[2]}]", "[2]"},
	{"{\"a\":{\"x\":1},\"b\":{}}",
		"[{\"op\":\"move\",\"from\":\"/a/x\",\"path\":\"/b/y\"}]",
		"{\"a\":{},\"b\":{\"y\":1}}"},
	{"{\"a\":[1,2,3]}", "[{\"op\":\"move\",\"from\":\"/a/0\",\"path\":\"/a/2\"}]",
		"{\"a\":[2,3,1]}"},
	{"{\"a\":{}}", "[{\"op\":\"move\",\"from\":\"/a\",\"path\":\"/a/b\"}]",
		"cannot move into itself"},
	{"{\"a\":{\"x\":1}}", "[{\"op\":\"copy\",\"from\":\"/a\",\"path\":\"/b\"}]",
		"{\"a\":{\"x\":1},\"b\":{\"x\":1}}"},
	{"{\"a/b\":1,\"m~n\":2}",
		"[{\"op\":\"test\",\"path\":\"/a~1b\",\"value\":1},"
		"{\"op\":\"test\",\"path\":\"/m~0n\",\"value\":2}]",
		"{\"a/b\":1,\"m~n\":2}"},
	{"{\"a\":1}",
		"[{\"op\":\"add\",\"path\":\"/b\",\"value\":1},"
		"{\"op\":\"test\",\"path\":\"/a\",\"value\":2}]",
		"operation 1: test of /a failed"},
	{"{}", "[{\"op\":\"add\",\"path\":\"/a\"}]", "add without value"},
	{"{}", "[{\"op\":\"jump\",\"path\":\"/a\"}]", "no operation is called"},
	{"{}", "[{\"op\":\"add\",\"path\":\"a\",\"value\":1}]", "does not begin"},
	{"{}", "{}", "a JSON patch is a list"},
};

TEST(json_patch_follows_rfc_6902)
{
	for (size_t i = 0; i < countof(json_samples); i++)
		check(patch_json, &json_samples[i]);
}

TEST(copies_cannot_double_without_end)
{
	struct json *doc = parse("{\"a\":[]}"), *ops = json_list();
	struct err e = {0};

	for (int i = 0; i < 64; i++)
		json_push(ops,
			parse("{\"op\":\"copy\",\"from\":\"/a\",\"path\":\"/a/-\"}"));
	OK(patch_json(&doc, ops, &e) != 0);
	EQ_INT(e.code, ERR_LIMIT);
	json_free(doc);
	json_free(ops);
}

TEST(a_document_cannot_become_too_deep)
{
	struct json *doc = parse("{\"a\":{}}"), *ops = json_list();
	struct err e = {0};

	for (int i = 0; i < 10; i++) {
		json_push(ops,
			parse("{\"op\":\"copy\",\"from\":\"/a\",\"path\":\"/b\"}"));
		json_push(ops, parse("{\"op\":\"add\",\"path\":\"/a\",\"value\":{}}"));
		json_push(ops, parse("{\"op\":\"move\",\"from\":\"/b\","
				     "\"path\":\"/a/x\"}"));
		json_push(ops, parse("{\"op\":\"copy\",\"from\":\"/a/x\","
				     "\"path\":\"/a/y\"}"));
	}
	OK(patch_json(&doc, ops, &e) == 0);
	json_free(ops);
	ops = parse("[{\"op\":\"add\",\"path\":\"/n\",\"value\":{}},"
		    "{\"op\":\"move\",\"from\":\"/a\",\"path\":\"/n/a\"},"
		    "{\"op\":\"move\",\"from\":\"/n\",\"path\":\"/a\"}]");
	for (int i = 0; e.code == ERR_NONE; i++) {
		OK(i < 100);
		patch_json(&doc, ops, &e);
	}
	EQ_INT(e.code, ERR_LIMIT);
	json_free(doc);
	json_free(ops);
}

/* RFC 7386, appendix A. */
static const struct sample merge_samples[] = {
	{"{\"a\":\"b\"}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
	{"{\"a\":\"b\"}", "{\"b\":\"c\"}", "{\"a\":\"b\",\"b\":\"c\"}"},
	{"{\"a\":\"b\"}", "{\"a\":null}", "{}"},
	{"{\"a\":[\"b\"]}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
	{"{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\",\"c\":null}}",
		"{\"a\":{\"b\":\"d\"}}"},
	{"{\"a\":[{\"b\":\"c\"}]}", "{\"a\":[1]}", "{\"a\":[1]}"},
	{"[\"a\",\"b\"]", "[\"c\"]", "[\"c\"]"},
	{"{\"a\":\"b\"}", "[\"c\"]", "[\"c\"]"},
	{"{\"e\":null}", "{\"a\":1}", "{\"a\":1,\"e\":null}"},
	{"[1,2]", "{\"a\":\"b\",\"c\":null}", "{\"a\":\"b\"}"},
	{"{}", "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\":{\"bb\":{}}}"},
};

TEST(merge_patch_follows_rfc_7386)
{
	for (size_t i = 0; i < countof(merge_samples); i++)
		check(patch_merge, &merge_samples[i]);
}

static const struct sample strategic_samples[] = {
	{"{\"spec\":{\"containers\":[{\"name\":\"a\",\"image\":\"1\"},{\"name\":\"b\"}]"
	 "}}",
		"{\"spec\":{\"containers\":[{\"name\":\"a\",\"image\":\"2\"},"
		"{\"name\":\"c\"}]}}",
		"{\"spec\":{\"containers\":[{\"name\":\"a\",\"image\":\"2\"},"
		"{\"name\":\"b\"},{\"name\":\"c\"}]}}"},
	{"{\"containers\":[{\"name\":\"a\",\"env\":[{\"name\":\"X\",\"value\":\"1\"}]}]"
	 "}",
		"{\"containers\":[{\"name\":\"a\",\"env\":[{\"name\":\"X\",\"value\":"
		"\"2\"},"
		"{\"name\":\"Y\",\"value\":\"3\"}]}]}",
		"{\"containers\":[{\"name\":\"a\",\"env\":[{\"name\":\"X\",\"value\":"
		"\"2\"},"
		"{\"name\":\"Y\",\"value\":\"3\"}]}]}"},
	{"{\"containers\":[{\"name\":\"a\"},{\"name\":\"b\"}]}",
		"{\"containers\":[{\"name\":\"a\",\"$patch\":\"delete\"}]}",
		"{\"containers\":[{\"name\":\"b\"}]}"},
	{"{\"containers\":[{\"name\":\"a\"},{\"name\":\"b\"}]}",
		"{\"containers\":[{\"$patch\":\"replace\"},{\"name\":\"c\"}]}",
		"{\"containers\":[{\"name\":\"c\"}]}"},
	{"{\"containers\":[{\"name\":\"a\",\"x\":1}]}", "{\"containers\":[{\"x\":2}]}",
		"an element of containers has no name"},
	{"{\"tolerations\":[{\"key\":\"a\"}]}", "{\"tolerations\":[{\"key\":\"b\"}]}",
		"{\"tolerations\":[{\"key\":\"b\"}]}"},
	{"{\"spec\":{\"ports\":[{\"port\":80,\"name\":\"x\"}]}}",
		"{\"spec\":{\"ports\":[{\"port\":80,\"targetPort\":8080},{\"port\":81}]"
		"}}",
		"{\"spec\":{\"ports\":[{\"port\":80,\"name\":\"x\",\"targetPort\":8080}"
		","
		"{\"port\":81}]}}"},
	{"{\"spec\":{\"ports\":[{\"port\":53,\"protocol\":\"UDP\"},{\"port\":53}]}}",
		"{\"spec\":{\"ports\":[{\"port\":53,\"protocol\":\"TCP\",\"name\":"
		"\"t\"}]}}",
		"{\"spec\":{\"ports\":[{\"port\":53,\"protocol\":\"UDP\"},"
		"{\"port\":53,\"protocol\":\"TCP\",\"name\":\"t\"}]}}"},
	{"{\"metadata\":{\"finalizers\":[\"a\",\"b\"]}}",
		"{\"metadata\":{\"finalizers\":[\"c\",\"a\"],"
		"\"$deleteFromPrimitiveList/finalizers\":[\"b\"]}}",
		"{\"metadata\":{\"finalizers\":[\"a\",\"c\"]}}"},
	{"{\"metadata\":{\"labels\":{\"a\":\"1\",\"b\":\"2\"}}}",
		"{\"metadata\":{\"labels\":{\"a\":null,\"c\":\"3\"}}}",
		"{\"metadata\":{\"labels\":{\"b\":\"2\",\"c\":\"3\"}}}"},
	{"{\"a\":{\"x\":1,\"y\":2}}", "{\"a\":{\"$patch\":\"replace\",\"z\":3}}",
		"{\"a\":{\"z\":3}}"},
	{"{\"a\":{\"x\":1},\"b\":1}", "{\"a\":{\"$patch\":\"delete\"}}", "{\"b\":1}"},
	{"{\"a\":{}}", "{\"a\":{\"$patch\":\"jump\"}}", "is no directive"},
	{"{\"strategy\":{\"type\":\"RollingUpdate\",\"rollingUpdate\":{\"maxSurge\":1}}"
	 "}",
		"{\"strategy\":{\"$retainKeys\":[\"type\"],\"type\":\"Recreate\"}}",
		"{\"strategy\":{\"type\":\"Recreate\"}}"},
	{"{\"containers\":[{\"name\":\"a\"},{\"name\":\"b\"},{\"name\":\"s\"}]}",
		"{\"$setElementOrder/containers\":[{\"name\":\"c\"},{\"name\":\"b\"},"
		"{\"name\":\"a\"}],\"containers\":[{\"name\":\"c\"}]}",
		"{\"containers\":[{\"name\":\"s\"},{\"name\":\"c\"},{\"name\":\"b\"},"
		"{\"name\":\"a\"}]}"},
	{"{\"containers\":[{\"name\":\"s\"},{\"name\":\"a\"},{\"name\":\"b\"}]}",
		"{\"$setElementOrder/containers\":[{\"name\":\"a\"},{\"name\":\"b\"}],"
		"\"containers\":[{\"name\":\"b\",\"x\":1}]}",
		"{\"containers\":[{\"name\":\"s\"},{\"name\":\"a\"},"
		"{\"name\":\"b\",\"x\":1}]}"},
	{"{}",
		"{\"spec\":{\"x\":null,\"containers\":[{\"name\":\"a\",\"y\":null}],"
		"\"$setElementOrder/containers\":[{\"name\":\"a\"}]}}",
		"{\"spec\":{\"containers\":[{\"name\":\"a\"}]}}"},
	{"{}", "[]", "is an object"},
};

TEST(strategic_merge_knows_the_lists)
{
	for (size_t i = 0; i < countof(strategic_samples); i++)
		check(patch_strategic, &strategic_samples[i]);
}

TEST(pointers_follow_rfc_6901)
{
	struct json *j =
		parse("{\"foo\":[\"bar\",\"baz\"],\"\":0,\"a/b\":1,\"m~n\":8}");

	OK(json_pointer(j, SLICE("")) == j);
	EQ_STR(json_text(json_pointer(j, SLICE("/foo/1"))), "baz");
	EQ_INT(json_int(json_pointer(j, SLICE("/")), -1), 0);
	EQ_INT(json_int(json_pointer(j, SLICE("/a~1b")), -1), 1);
	EQ_INT(json_int(json_pointer(j, SLICE("/m~0n")), -1), 8);
	OK(!json_pointer(j, SLICE("/foo/2")) && !json_pointer(j, SLICE("/foo/-")));
	OK(!json_pointer(j, SLICE("foo")) && !json_pointer(j, SLICE("/foo/0/x")));
	json_free(j);
}
