/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/lines.h"

#include "base/obj.h"
#include "t.h"

struct seen {
	struct buf text; /* each line in brackets, a line too long as [!] */
	int stop_after;
};

static bool on_line(void *arg, struct slice line)
{
	struct seen *s = arg;

	if (line.p)
		buf_printf(&s->text, "[%.*s]", SLICE_FMT(line));
	else
		buf_text(&s->text, "[!]");
	return --s->stop_after != 0;
}

static void check(const char *text, size_t cut, const char *want)
{
	struct seen s = {.text = BUF_INIT};
	struct lines l = {.max = 4, .fn = on_line, .arg = &s};
	size_t n = strlen(text);

	lines_feed(&l, slice_bytes(text, cut));
	lines_feed(&l, slice_bytes(text + cut, n - cut));
	buf_char(&s.text, '\0');
	if (strcmp(s.text.p, want) != 0)
		T_FAIL("cut at %zu: %s, want %s", cut, s.text.p, want);
	buf_fini(&s.text);
	lines_fini(&l);
}

TEST(any_cut_gives_the_same_lines)
{
	static const char *const samples[][2] = {
		{"a\nbc\n", "[a][bc]"},
		{"\n\na\n\n", "[a]"},
		{"abcd\nabcde\nx\n", "[abcd][!][x]"},
		{"abcdefghijkl\nab\nabcdef\n", "[!][ab][!]"},
		{"no end", ""},
	};

	for (size_t i = 0; i < countof(samples); i++)
		for (size_t cut = 0; cut <= strlen(samples[i][0]); cut++)
			check(samples[i][0], cut, samples[i][1]);
}

TEST(the_user_may_stop)
{
	struct seen s = {.text = BUF_INIT, .stop_after = 2};
	struct lines l = {.max = 4, .fn = on_line, .arg = &s};

	OK(!lines_feed(&l, SLICE("a\nb\nc\nd")));
	buf_char(&s.text, '\0');
	EQ_STR(s.text.p, "[a][b]");
	buf_fini(&s.text);
	lines_fini(&l);
}
