/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics' text form: every sample lies in the text, in order, and so do its name and
 * labels. */
#include "base/obj.h"
#include "wire/prom.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_lie_in(struct slice part, struct slice all)
{
	if (part.n)
		must(part.p >= all.p && part.p + part.n <= all.p + all.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice all = slice_bytes(data, size), rest = all, value;
	struct prom_sample s;
	const char *last = all.p;

	while (prom_next(&rest, &s)) {
		must(rest.n < all.n && s.name.n > 0 && s.series.p >= last);
		must_lie_in(s.series, all);
		must_lie_in(s.name, s.series);
		must_lie_in(s.labels, s.series);
		if (prom_label(s.labels, "direction", &value))
			must_lie_in(value, s.labels);
		(void)prom_label_is(s.labels, "le", "+Inf");
		last = s.series.p + s.series.n;
	}
	return 0;
}
