/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/lines.h"

void lines_fini(struct lines *l)
{
	buf_fini(&l->part);
}

void lines_reset(struct lines *l)
{
	buf_take(&l->part, buf_len(&l->part));
	l->skipping = false;
}

static void keep(struct lines *l, struct slice s)
{
	if (l->skipping || s.n == 0)
		return;
	if (s.n > l->max - buf_len(&l->part) || buf_adds(&l->part, s)) {
		lines_reset(l);
		l->skipping = true;
	}
}

/* The end of a line came; its last bytes are `s`. */
static bool finish(struct lines *l, struct slice s)
{
	bool go_on = true, whole = buf_len(&l->part) == 0;

	if (!whole || l->skipping || s.n > l->max)
		keep(l, s);
	if (l->skipping)
		go_on = l->fn(l->arg, SLICE_NONE);
	else if (!whole)
		go_on = l->fn(l->arg, buf_slice(&l->part));
	else if (s.n)
		go_on = l->fn(l->arg, s);
	lines_reset(l);
	return go_on;
}

bool lines_feed(struct lines *l, struct slice bytes)
{
	while (bytes.n) {
		const char *lf = memchr(bytes.p, '\n', bytes.n);
		size_t n = lf ? (size_t)(lf - bytes.p) : bytes.n;
		struct slice s = slice_bytes(bytes.p, n);

		if (!lf) {
			keep(l, s);
			return true;
		}
		bytes = slice_bytes(lf + 1, bytes.n - n - 1);
		if (!finish(l, s))
			return false;
	}
	return true;
}
