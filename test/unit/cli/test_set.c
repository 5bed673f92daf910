/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/set.h"

#include "base/obj.h"
#include "t.h"

static const char known[] = "{\"a\":{\"b\":1,\"c\":\"\"},\"d\":false,\"free\":{},"
			    "\"list\":[],\"x.y\":\"\"}";

static struct {
	const char *text, *gives; /* NULL: what the error says */
	const char *says;
} table[] = {
	{"a.b=2", "{\"a\":{\"b\":2}}", NULL},
	{"a.b=2,a.c=text,d=true", "{\"a\":{\"b\":2,\"c\":\"text\"},\"d\":true}", NULL},
	{"a.c=", "{\"a\":{\"c\":\"\"}}", NULL},
	{"a.c=25\\,80", "{\"a\":{\"c\":\"25,80\"}}", NULL},
	{"a.c=007", "{\"a\":{\"c\":\"007\"}}", NULL},
	{"a.c=1=2", "{\"a\":{\"c\":\"1=2\"}}", NULL},
	{"a.c=null", "{\"a\":{\"c\":null}}", NULL},
	{"a.c={1}", "{\"a\":{\"c\":\"{1}\"}}", NULL},
	{"x\\.y=1", "{\"x.y\":1}", NULL},
	{"free.any.thing=1", "{\"free\":{\"any\":{\"thing\":1}}}", NULL},
	{"", "{}", NULL},
	{"a.bb=2", NULL, "a.bb: no value is called so"},
	{"a=2", NULL, "a: it is a group of values"},
	{"d.e=2", NULL, "d.e: no value is called so"},
	{"d", NULL, "d: no value"},
	{".=1", NULL, "a name is missing"},
};

TEST(words_become_values)
{
	struct json *names = json_parse(SLICE(known), NULL);

	for (size_t i = 0; i < countof(table); i++) {
		struct json *got = json_object();
		struct err e = {0};
		int r = set_apply(got, names, table[i].text, false, &e);

		if (table[i].gives) {
			struct json *want = json_parse(slice_of(table[i].gives), NULL);

			if (r || !json_equal(got, want))
				T_FAIL("%s: %s", table[i].text, e.msg);
			json_free(want);
		} else if (r == 0 || !strstr(e.msg, table[i].says)) {
			T_FAIL("%s: \"%s\"", table[i].text, e.msg);
		}
		json_free(got);
	}
	json_free(names);
}

TEST(plain_words_stay_texts)
{
	struct json *got = json_object();

	OK(set_apply(got, NULL, "a=true,b=12", true, NULL) == 0);
	EQ_STR(json_text_or(got, "a", ""), "true");
	EQ_STR(json_text_or(got, "b", ""), "12");
	json_free(got);
}
