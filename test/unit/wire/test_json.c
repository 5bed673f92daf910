/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/json.h"

#include <stdlib.h>

#include "base/obj.h"
#include "t.h"

static struct json *parse(const char *text)
{
	struct err e = {0};
	struct json *j = json_parse(slice_of(text), &e);

	if (!j)
		T_FAIL("%s: %s", text, e.msg);
	return j;
}

static void check_write(const struct json *j, int indent, const char *want)
{
	struct buf b = BUF_INIT;
	char *text;

	OK(json_write(j, indent, &b) == 0);
	text = buf_steal(&b);
	EQ_STR(text, want);
	free(text);
}

static const struct {
	const char *in, *out;
} same[] = {
	{"null", "null"},
	{" true ", "true"},
	{"false", "false"},
	{"0", "0"},
	{"-0", "0"},
	{"9007199254740993", "9007199254740993"},
	{"9223372036854775807", "9223372036854775807"},
	{"-9223372036854775808", "-9223372036854775808"},
	{"18446744073709551616", "1.8446744073709552e+19"},
	{"0.1", "0.1"},
	{"1e3", "1000"},
	{"\"\"", "\"\""},
	{"\"a\\u00e9\\ud83d\\ude00\\n\\/\"", "\"a\xc3\xa9\xf0\x9f\x98\x80\\n/\""},
	{"\"\\ud800x\"", "\"\xef\xbf\xbdx\""},
	{"\"\\ud800\\u0041\"", "\"\xef\xbf\xbd"
			       "A\""},
	{"\"\xff\xc0\x80\"", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
	{"[]", "[]"},
	{"[1, [2] ,{}]", "[1,[2],{}]"},
	{"{\"b\":1,\"a\":{\"x\":[null]}}", "{\"b\":1,\"a\":{\"x\":[null]}}"},
	{"{\"a\":1,\"b\":2,\"a\":3}", "{\"b\":2,\"a\":3}"},
	{"{\"a\":1,\"a\":2,\"a\":3}", "{\"a\":3}"},
};

TEST(what_is_read_is_written)
{
	for (size_t i = 0; i < countof(same); i++) {
		struct json *j = parse(same[i].in);

		check_write(j, 0, same[i].out);
		json_free(j);
	}
}

static const struct {
	const char *in, *says;
} bad[] = {
	{"", "line 1:1: the text ends where a value should be"},
	{"{\n  \"a\" 1}", "line 2:7: expected ':'"},
	{"{\"a\":1 \"b\"}", "line 1:8: expected ',' or '}'"},
	{"{a:1}", "line 1:2: expected a key in quotes"},
	{"{\"a\":1,}", "line 1:8: expected a key in quotes"},
	{"[1,]", "line 1:4: expected a value"},
	{"[1", "line 1:3: expected ',' or ']'"},
	{"01", "line 1:3: bad number"},
	{"1.", "line 1:3: bad number"},
	{"+1", "line 1:1: expected a value"},
	{".5", "line 1:1: expected a value"},
	{"1e999", "line 1:6: a number is too large"},
	{"nul", "line 1:1: expected a value"},
	{"\"a", "line 1:3: the text ends in a string"},
	{"\"\n\"", "line 1:2: bad character in a string"},
	{"\"\\x\"", "bad character in a string"},
	{"\"\\u12g4\"", "bad character in a string"},
	{"\"a\\u0000\"", "bad character in a string"},
	{"1 2", "line 1:3: more text behind the value"},
	{"'a'", "line 1:1: expected a value"},
	{"NaN", "line 1:1: expected a value"},
};

TEST(what_is_malformed_is_refused_with_its_place)
{
	for (size_t i = 0; i < countof(bad); i++) {
		struct err e = {0};

		OK(json_parse(slice_of(bad[i].in), &e) == NULL);
		if (!strstr(e.msg, bad[i].says))
			T_FAIL("%s: %s", bad[i].in, e.msg);
	}
}

TEST(a_hundred_levels_are_accepted_and_no_more)
{
	char text[203];
	struct err e = {0};

	memset(text, '[', 100);
	memset(text + 100, ']', 100);
	json_free(json_parse(slice_bytes(text, 200), &e));
	EQ_INT(e.code, ERR_NONE);
	memset(text, '[', 101);
	OK(json_parse(slice_bytes(text, 101), &e) == NULL);
	EQ_INT(e.code, ERR_LIMIT);
}

TEST(every_prefix_of_a_text_is_refused)
{
	const char *text = "{\"a\":[1,-2.5e3,\"x\\u00e9\"],\"b\":{\"c\":null}}";

	for (size_t n = 0; n < strlen(text); n++) {
		char *cut = malloc(n ? n : 1);

		memcpy(cut, text, n);
		OK(json_parse(slice_bytes(cut, n), NULL) == NULL);
		free(cut);
	}
	json_free(parse(text));
}

TEST(many_repeated_keys_cost_no_square)
{
	struct buf b = BUF_INIT;
	struct json *j;

	buf_char(&b, '{');
	for (int i = 0; i < 200000; i++)
		buf_printf(&b, "%s\"k%d\":%d", i ? "," : "", i % 100000, i);
	buf_char(&b, '}');
	j = json_parse(buf_slice(&b), NULL);
	EQ_INT(json_count(j), 100000);
	EQ_INT(json_int_at(j, "k7", 0), 100007);
	json_free(j);
	buf_fini(&b);
}

TEST(getters_follow_paths_and_forgive)
{
	struct json *j2;
	struct json *j =
		parse("{\"m\":{\"n\":\"x\",\"l\":[1,{\"p\":8080}],\"t\":true}}");

	EQ_STR(json_text_at(j, "m.n"), "x");
	EQ_INT(json_int_at(j, "m.l.1.p", 0), 8080);
	OK(json_bool_at(j, "m.t", false));
	OK(!json_bool_at(j, "m.n", false));
	EQ_INT(json_int_at(j, "m.l.2.p", -1), -1);
	EQ_INT(json_int_at(j, "m.l.x", -1), -1);
	EQ_STR(json_text_or(j, "m.l", "other"), "other");
	OK(json_text_at(NULL, "a") == NULL);
	OK(json_get(j, "M") == NULL);
	OK(json_kind(NULL) == JSON_NONE);
	EQ_INT(json_count(json_path(j, "m.l")), 2);
	EQ_STR(json_key(json_first(j)), "m");
	OK(json_key(json_at(json_path(j, "m.l"), 0)) == NULL);
	j2 = parse("[2.0]");
	EQ_INT(json_int_at(j2, "0", 0), 2);
	json_free(j2);
	json_free(j);
}

TEST(a_tree_is_built_and_changed)
{
	struct json *j = json_object(), *list, *copy;

	json_set_text(j, "a", "1");
	json_set_int(j, "b", INT64_MAX);
	json_set_bool(j, "a", true); /* replaced in place */
	list = json_need_list(j, "l");
	json_push(list, json_integer(2));
	json_insert(list, 0, json_integer(1));
	json_insert(list, 9, json_null());
	OK(json_need_list(j, "l") == list);
	json_set_text(json_need_object(j, "o"), "k", "v");
	check_write(j, 0,
		"{\"a\":true,\"b\":9223372036854775807,\"l\":[1,2,null],"
		"\"o\":{\"k\":\"v\"}}");

	copy = json_copy(j);
	OK(json_equal(j, copy));
	json_replace(copy, json_get(copy, "a"), json_number(0.5));
	OK(!json_equal(j, copy));
	json_push(list, json_detach(copy, json_get(copy, "o")));
	json_remove(copy, "b");
	json_remove(copy, "none");
	json_replace(list, json_at(list, 0), json_boolean(false));
	check_write(copy, 0, "{\"a\":0.5,\"l\":[1,2,null]}");
	check_write(list, 0, "[false,2,null,{\"k\":\"v\"}]");
	OK(json_key(json_at(list, 3)) == NULL);
	json_free(copy);
	json_free(j);
}

TEST(order_of_keys_is_nothing_to_equality)
{
	static const struct {
		const char *a, *b;
		bool equal;
	} pairs[] = {
		{"{\"a\":1,\"b\":2}", "{\"b\":2,\"a\":1}", true},
		{"{\"a\":1}", "{\"a\":1,\"b\":2}", false},
		{"[1,2]", "[2,1]", false},
		{"[1]", "[1,2]", false},
		{"1", "1.0", true},
		{"1", "true", false},
		{"true", "false", false},
		{"\"a\"", "\"a\"", true},
		{"9007199254740992", "9007199254740993", false},
	};

	for (size_t i = 0; i < countof(pairs); i++) {
		struct json *a = parse(pairs[i].a), *b = parse(pairs[i].b);

		if (json_equal(a, b) != pairs[i].equal ||
			json_equal(b, a) != pairs[i].equal)
			T_FAIL("%s and %s", pairs[i].a, pairs[i].b);
		json_free(a);
		json_free(b);
	}
}

TEST(indented_text_is_for_people)
{
	struct json *j = parse("{\"a\":[1,{}],\"b\":[]}");

	check_write(j, 2, "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": []\n}");
	json_free(j);
}
