/* SPDX-License-Identifier: Apache-2.0 */
#include "http/accept.h"

/* "0.5" as 500; what is no weight counts as 1. */
static unsigned weight(struct slice q)
{
	unsigned n = 0, scale = 100;

	if (!q.n || q.p[0] != '0')
		return 1000;
	for (size_t i = 2; i < q.n && scale; i++, scale /= 10) {
		if (q.p[i] < '0' || q.p[i] > '9')
			return 1000;
		n += (unsigned)(q.p[i] - '0') * scale;
	}
	return n;
}

static unsigned weight_of(struct slice params)
{
	struct slice one;

	while (slice_cut(&params, ';', &one)) {
		one = slice_trim(one);
		if (slice_starts(one, SLICE("q=")) || slice_starts(one, SLICE("Q=")))
			return weight((struct slice){one.p + 2, one.n - 2});
	}
	return 1000;
}

/* How particular a member is that fits: 3 the very thing, 2 "text" + "/" + "*", 1 all;
 * 0: it does not fit. */
static int fit(struct slice member, struct slice what)
{
	if (slice_ieq(member, what))
		return 3;
	if (slice_is(member, "*") || slice_is(member, "*/*"))
		return 1;
	if (member.n > 2 && slice_ends(member, SLICE("/*")) && what.n >= member.n - 1 &&
		slice_ieq((struct slice){member.p, member.n - 1},
			(struct slice){what.p, member.n - 1}))
		return 2;
	return 0;
}

unsigned accept_weight(struct slice list, struct slice what)
{
	struct slice member;
	unsigned found = 0;
	int best = 0;

	while (slice_cut(&list, ',', &member)) {
		struct slice params = member, name;
		int f;

		slice_cut(&params, ';', &name);
		f = fit(slice_trim(name), what);
		if (f > best) {
			best = f;
			found = weight_of(params);
		}
	}
	return found;
}
