/* SPDX-License-Identifier: Apache-2.0 */
#include "chart/values.h"

#include "base/obj.h"
#include "t.h"

static int read_file(const char *path, struct buf *out, struct err *e)
{
	if (strcmp(path, "nowhere") == 0)
		return err_set(e, ERR_MISSING, "nowhere: it is not there");
	return buf_printf(out, "text of %s, with {all} it has", path);
}

static const struct {
	const char *text, *gives; /* NULL: what the error says */
	const char *says;
} table[] = {
	{"a.b=2", "{\"a\":{\"b\":2}}", NULL},
	{"a.b=2,a.c=text,d=true", "{\"a\":{\"b\":2,\"c\":\"text\"},\"d\":true}", NULL},
	{"a=", "{\"a\":\"\"}", NULL},
	{"a=FALSE,b=Null", "{\"a\":false,\"b\":null}", NULL},
	{"a=25\\,80", "{\"a\":\"25,80\"}", NULL},
	{"a=007,b=0,c=-5,d=1.5,e=1e3",
		"{\"a\":\"007\",\"b\":0,\"c\":-5,\"d\":\"1.5\","
		"\"e\":\"1e3\"}",
		NULL},
	{"a=99999999999999999999", "{\"a\":\"99999999999999999999\"}", NULL},
	{"a=1=2", "{\"a\":\"1=2\"}", NULL},
	{"a=null", "{\"a\":null}", NULL},
	{"x\\.y/z=1", "{\"x.y/z\":1}", NULL},
	{"a={1,b,true}", "{\"a\":[1,\"b\",true]}", NULL},
	{"a={},b=1", "{\"a\":[],\"b\":1}", NULL},
	{"a={x\\,y}", "{\"a\":[\"x,y\"]}", NULL},
	{"a[0]=x,a[2].b=y", "{\"a\":[\"x\",null,{\"b\":\"y\"}]}", NULL},
	{"a[0][1]=x", "{\"a\":[[null,\"x\"]]}", NULL},
	{"a=1,a.b=2", "{\"a\":{\"b\":2}}", NULL},
	{"a=1,a=2", "{\"a\":2}", NULL},
	{"", "{}", NULL},
	{"d", NULL, "d: no value"},
	{"a=1,d", NULL, "d: no value"},
	{"a.b", NULL, "a.b: no value"},
	{".=1", NULL, "a name is missing"},
	{"=1", NULL, "a name is missing"},
	{"a[x]=1", NULL, "[0] to [1023] is expected"},
	{"a[1024]=1", NULL, "[0] to [1023] is expected"},
	{"a[0]x=1", NULL, "no value after ]"},
	{"a[0", NULL, "is expected"},
	{"a={x", NULL, "} is missing"},
	{"a={x}y", NULL, "something follows"},
};

TEST(words_become_values)
{
	for (size_t i = 0; i < countof(table); i++) {
		struct json *got = json_object();
		struct err e = {0};
		int r = values_set(got, table[i].text, VALUES_TYPED, NULL, &e);

		if (table[i].gives) {
			struct json *want = json_parse(slice_of(table[i].gives), NULL);

			OK(want);
			if (r || !json_equal(got, want))
				T_FAIL("%s: %s", table[i].text, e.msg);
			json_free(want);
		} else if (r == 0 || !strstr(e.msg, table[i].says)) {
			T_FAIL("%s: \"%s\"", table[i].text, e.msg);
		}
		json_free(got);
	}
}

TEST(plain_words_and_files_stay_texts)
{
	struct json *got = json_object();
	struct err e = {0};

	OK(values_set(got, "a=true,b={12,null}", VALUES_TEXT, NULL, NULL) == 0);
	EQ_STR(json_text_or(got, "a", ""), "true");
	EQ_STR(json_text_or(got, "b.0", ""), "12");
	EQ_STR(json_text_or(got, "b.1", ""), "null");
	OK(values_set(got, "c=one,d=two", VALUES_FILE, read_file, NULL) == 0);
	EQ_STR(json_text_or(got, "c", ""), "text of one, with {all} it has");
	EQ_STR(json_text_or(got, "d", ""), "text of two, with {all} it has");
	OK(values_set(got, "c=nowhere", VALUES_FILE, read_file, &e) < 0);
	EQ_STR(e.msg, "c: nowhere: it is not there");
	json_free(got);
}

TEST(layers_lie_over_each_other_and_null_stays)
{
	struct json *low = json_parse(
		SLICE("{\"a\":{\"b\":1,\"c\":[1,2]},\"d\":{\"x\":1},\"e\":1}"), NULL);
	struct json *high = json_parse(
		SLICE("{\"a\":{\"c\":[3],\"n\":null},\"d\":5,\"e\":{\"y\":2}}"), NULL);
	struct json *want = json_parse(
		SLICE("{\"a\":{\"b\":1,\"c\":[3],\"n\":null},\"d\":5,\"e\":{\"y\":2}}"),
		NULL);

	values_put(low, high);
	OK(json_equal(low, want));
	json_free(low);
	json_free(high);
	json_free(want);
}

static const char schema_text[] =
	"{\"$defs\": {\"port\": {\"type\": \"integer\", \"minimum\": 1, \"maximum\": "
	"9}},"
	"\"type\": \"object\", \"required\": [\"must\"], \"additionalProperties\": "
	"false,"
	"\"properties\": {\"must\": {\"type\": \"boolean\"},"
	"  \"word\": {\"enum\": [\"a\", \"b\"]},"
	"  \"text\": {\"type\": [\"string\", \"integer\"], \"pattern\": \"^[0-9]+$\"},"
	"  \"ports\": {\"type\": \"array\", \"items\": {\"$ref\": \"#/$defs/port\"}},"
	"  \"free\": {\"type\": \"object\"},"
	"  \"labels\": {\"type\": \"object\", \"additionalProperties\": {\"type\": "
	"\"string\"}},"
	"  \"bad\": {\"$ref\": \"#/$defs/none\"}, \"worse\": {\"oneOf\": []}}}";

TEST(a_value_that_does_not_fit_is_named_with_its_path)
{
	static const struct {
		const char *value, *says;
	} checks[] = {
		{"{\"must\": true}", NULL},
		{"{\"must\": true, \"word\": \"b\", \"text\": 5, \"ports\": [1, 9], "
		 "\"free\": {\"x\": [1]}, \"labels\": {\"k/y\": \"v\"}}",
			NULL},
		{"{}", "must is missing"},
		{"{\"must\": 1}", "must: 1 is not of the type boolean"},
		{"{\"must\": true, \"word\": \"c\"}", "word: \"c\" is not one of a, b"},
		{"{\"must\": true, \"text\": \"x\"}", "text: \"x\" is not as ^[0-9]+$"},
		{"{\"must\": true, \"text\": []}",
			"text: a list is not of the type string or integer"},
		{"{\"must\": true, \"ports\": [1, 10]}", "ports[1]: 10 is more than 9"},
		{"{\"must\": true, \"ports\": [0]}", "ports[0]: 0 is less than 1"},
		{"{\"must\": true, \"labels\": {\"a\": 1}}",
			"labels.a: 1 is not of the type string"},
		{"{\"must\": true, \"Word\": 1}",
			"Word: no value is called so; there is word"},
		{"{\"must\": true, \"other\": 1}", "other: no value is called so"},
		{"{\"must\": true, \"bad\": 1}", "refers to #/$defs/none"},
		{"{\"must\": true, \"worse\": 1}", "unknown word oneOf"},
		{"[]", "a list is not of the type object"},
	};
	struct json *schema = json_parse(SLICE(schema_text), NULL);

	OK(schema);
	for (size_t i = 0; i < countof(checks); i++) {
		struct json *value = json_parse(slice_of(checks[i].value), NULL);
		struct err e = {0};
		int r = values_check(schema, value, &e);

		OK(value);
		if (checks[i].says ? !r || !strstr(e.msg, checks[i].says) : r)
			T_FAIL("%s: %s", checks[i].value, e.msg);
		json_free(value);
	}
	json_free(schema);
}
