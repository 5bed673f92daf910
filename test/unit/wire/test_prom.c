/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/prom.h"

#include <math.h>
#include <stdlib.h>

#include "t.h"

static const char text[] = "# HELP a what it is\n"
			   "# TYPE a counter\n"
			   "a 1\n"
			   "\n"
			   "b{} 2.5\n"
			   "c{x=\"1\",y=\"two words\"} 3 1700000000\r\n"
			   "d{x=\"a \\\"}\\\" b\", } 4\n"
			   "e{x=\"cut\n"
			   "f{x=1} 5\n"
			   "g\n"
			   "h NaN\n"
			   "i{le=\"+Inf\"} +Inf\n"
			   "j 1x\n"
			   "last{a=\"z\"} -7";

TEST(samples_are_read_and_what_is_malformed_is_skipped)
{
	static const char *const series[] = {"a", "b{}", "c{x=\"1\",y=\"two words\"}",
		"d{x=\"a \\\"}\\\" b\", }", "h", "i{le=\"+Inf\"}", "last{a=\"z\"}"};
	static const double values[] = {1, 2.5, 3, 4, 0, 0, -7};
	struct slice rest = slice_of(text);
	struct prom_sample s;
	size_t n = 0;

	while (prom_next(&rest, &s)) {
		OK(n < 7);
		if (!slice_is(s.series, series[n]))
			T_FAIL("%.*s", SLICE_FMT(s.series));
		if (n == 4)
			OK(isnan(s.value));
		else if (n == 5)
			OK(isinf(s.value));
		else
			OK(s.value == values[n]);
		n++;
	}
	EQ_INT(n, 7);
}

TEST(labels_are_found_by_name)
{
	struct slice labels = SLICE("x=\"1\",xy=\"2\", z=\"a\\\"b\",q=\"\"");
	struct slice v;

	OK(prom_label(labels, "xy", &v) && slice_is(v, "2"));
	OK(prom_label(labels, "z", &v) && slice_is(v, "a\\\"b"));
	OK(prom_label(labels, "q", &v) && v.n == 0);
	OK(!prom_label(labels, "y", &v));
	OK(!prom_label(SLICE_NONE, "y", &v));
	OK(prom_label_is(labels, "x", "1") && !prom_label_is(labels, "x", "2"));
}

TEST(a_text_cut_anywhere_ends)
{
	for (size_t n = 0; n < sizeof text; n++) {
		char *copy = malloc(n ? n : 1);
		struct slice rest = {copy, n}, v;
		struct prom_sample s;
		size_t lines = 0;

		OK(copy);
		memcpy(copy, text, n);
		while (prom_next(&rest, &s)) {
			(void)prom_label(s.labels, "y", &v);
			OK(++lines < 10);
		}
		free(copy);
	}
}
