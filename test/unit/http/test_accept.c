/* SPDX-License-Identifier: Apache-2.0 */
#include "http/accept.h"

#include <stdlib.h>

#include "base/obj.h"
#include "t.h"

TEST(the_most_particular_member_says_how_welcome_something_is)
{
	static const struct {
		const char *list, *what;
		unsigned weight;
	} cases[] = {
		{"gzip", "gzip", 1000},
		{"deflate, GZIP;q=0.8", "gzip", 800},
		{"deflate", "gzip", 0},
		{"", "gzip", 0},
		{"*", "gzip", 1000},
		{"*;q=0.5, gzip;q=0", "gzip", 0},
		{"gzip;q=0.000, *", "gzip", 0},
		{"text/html, application/json;q=0.25", "application/json", 250},
		{"application/*;q=0.1, */*;q=0.9", "application/json", 100},
		{"*/*", "application/json", 1000},
		{"text/*", "application/json", 0},
		{"application/json;charset=utf-8; q=0.5", "application/json", 500},
		{"application/json;q=1.0", "application/json", 1000},
		{"application/json;q=nonsense", "application/json", 1000},
		{",,;q=0.5,/,/*", "application/json", 0},
	};

	for (size_t i = 0; i < countof(cases); i++)
		EQ_INT(accept_weight(slice_of(cases[i].list), slice_of(cases[i].what)),
			cases[i].weight);
}
