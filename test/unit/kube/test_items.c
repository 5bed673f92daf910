/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/items.h"

#include "base/obj.h"
#include "t.h"

struct seen {
	struct buf text; /* each item in <>, one too long as <!> */
	int stop_after;
};

static bool on_item(void *arg, struct slice item)
{
	struct seen *s = arg;

	if (item.p)
		buf_printf(&s->text, "<%.*s>", SLICE_FMT(item));
	else
		buf_text(&s->text, "<!>");
	return --s->stop_after != 0;
}

static void check(const char *text, size_t cut, const char *items, const char *rest)
{
	struct seen s = {.text = BUF_INIT};
	struct items l = {.max = 60, .fn = on_item, .arg = &s};
	size_t n = strlen(text);

	OK(items_feed(&l, slice_bytes(text, cut)));
	OK(items_feed(&l, slice_bytes(text + cut, n - cut)));
	buf_char(&s.text, '\0');
	buf_char(&l.rest, '\0');
	if (strcmp(s.text.p, items) != 0 || strcmp(l.rest.p, rest) != 0)
		T_FAIL("cut at %zu: %s and %s, want %s and %s", cut, s.text.p, l.rest.p,
			items, rest);
	buf_fini(&s.text);
	items_fini(&l);
}

TEST(any_cut_gives_the_same_items_and_rest)
{
	static const char *const samples[][3] = {
		{"{\"metadata\":{\"a\":1},\"items\":[{\"x\":1},{\"y\":[{}]}]}",
			"<{\"x\":1}><{\"y\":[{}]}>",
			"{\"metadata\":{\"a\":1},\"items\":[]}"},
		{"{ \"items\" : [\n{}\n,\n{}\n] , \"metadata\":{} }", "<{}><{}>",
			"{ \"items\" : [] , \"metadata\":{} }"},
		{"{\"items\":[{\"t\":\"]}\\\"{\\\\\"}]}", "<{\"t\":\"]}\\\"{\\\\\"}>",
			"{\"items\":[]}"},
		{"{\"items\":[],\"metadata\":{\"items\":[{}]}}", "",
			"{\"items\":[],\"metadata\":{\"items\":[{}]}}"},
		{"{\"other\":[{}],\"s\":\"items\",\"items\":null}", "",
			"{\"other\":[{}],\"s\":\"items\",\"items\":null}"},
		{"{\"items\":[{\"a\":\"012345678901234567890123456789012345678901234567"
		 "890123\"},{}]}",
			"<!><{}>", "{\"items\":[]}"},
		{"{\"items\":[1,\"{\",null,{\"a\":1}]}", "<{\"a\":1}>",
			"{\"items\":[]}"},
		{"no list", "", "no list"},
	};

	for (size_t i = 0; i < countof(samples); i++)
		for (size_t cut = 0; cut <= strlen(samples[i][0]); cut++)
			check(samples[i][0], cut, samples[i][1], samples[i][2]);
}

TEST(the_user_may_stop)
{
	struct seen s = {.text = BUF_INIT, .stop_after = 1};
	struct items l = {.max = 60, .fn = on_item, .arg = &s};

	OK(!items_feed(&l, SLICE("{\"items\":[{},{},{}]}")));
	buf_char(&s.text, '\0');
	EQ_STR(s.text.p, "<{}>");
	buf_fini(&s.text);
	items_fini(&l);
}

TEST(after_a_reset_another_list_is_cut)
{
	struct seen s = {.text = BUF_INIT};
	struct items l = {.max = 60, .fn = on_item, .arg = &s};

	OK(items_feed(&l, SLICE("{\"items\":[{\"a")));
	items_reset(&l);
	OK(items_feed(&l, SLICE("{\"items\":[{}]}")));
	buf_char(&s.text, '\0');
	EQ_STR(s.text.p, "<{}>");
	buf_fini(&s.text);
	items_fini(&l);
}
