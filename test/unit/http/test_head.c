/* SPDX-License-Identifier: Apache-2.0 */
#include "http/head.h"

#include "base/obj.h"
#include "t.h"

TEST(only_what_fits_a_line_becomes_http1)
{
	static const struct {
		const char *method, *authority, *path;
		bool two_hosts, fits;
	} rows[] = {
		{"GET", "a", "/", false, true},
		{"GET", "a:80", "/p?q=%20&r", false, true},
		{"GET", "[::1]:80", "/", false, true},
		{"GET", "", "/", false, true},
		{"BREW", "a", "/", false, true},
		{"OPTIONS", "a", "*", false, true},
		{"CONNECT", "a:1", "", false, true},
		{"GET", "a", "/", true, false},
		{"GET x", "a", "/", false, false},
		{"GE\r\nT", "a", "/", false, false},
		{"", "a", "/", false, false},
		{"GET", "a b", "/", false, false},
		{"GET", "a\r\nx: y", "/", false, false},
		{"GET", "u@a", "/", false, false},
		{"GET", "a/b", "/", false, false},
		{"GET", "a", "", false, false},
		{"GET", "a", "*", false, false},
		{"GET", "a", "p", false, false},
		{"GET", "a", "http://b/", false, false},
		{"GET", "a", "/ HTTP/1.1", false, false},
		{"GET", "a", "/\r\nx: y", false, false},
		{"GET", "a", "/\x7f", false, false},
		{"CONNECT", "a:1", "/", false, false},
	};

	for (size_t i = 0; i < countof(rows); i++) {
		struct req_head req = {.method = slice_of(rows[i].method),
			.authority = slice_of(rows[i].authority),
			.path = slice_of(rows[i].path),
			.two_hosts = rows[i].two_hosts};

		if (req_head_fits_http1(&req) != rows[i].fits)
			T_FAIL("%s %s %s", rows[i].method, rows[i].authority,
				rows[i].path);
	}
}
