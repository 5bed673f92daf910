/* SPDX-License-Identifier: Apache-2.0 */
#include "base/obj.h"
#include "proxy/config.h"
#include "t.h"

TEST(a_name_is_in_a_domain_or_below_it)
{
	static const struct {
		const char *host, *suffixes;
		bool in;
	} cases[] = {
		{"web.ns.svc.cluster.local", "svc.cluster.local.", true},
		{"web.ns.svc.cluster.local.", "svc.cluster.local", true},
		{"Web.NS.SVC.cluster.local", "svc.Cluster.local.", true},
		{"svc.cluster.local", "svc.cluster.local.", true},
		{"notsvc.cluster.local", "svc.cluster.local.", false},
		{"cluster.local", "svc.cluster.local.", false},
		{"a.example.com", "svc.cluster.local., example.com", true},
		{"anything", ".", true},
		{"anything", "", false},
		{"anything", ",", false},
		{"", "svc.cluster.local.", false},
	};

	for (size_t i = 0; i < countof(cases); i++)
		if (name_in_suffixes(slice_of(cases[i].host), cases[i].suffixes) !=
			cases[i].in)
			T_FAIL("%s in %s", cases[i].host, cases[i].suffixes);
}
