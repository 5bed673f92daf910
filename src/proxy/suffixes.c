/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/config.h"

static struct slice without_dot(struct slice s)
{
	if (s.n && s.p[s.n - 1] == '.')
		s.n--;
	return s;
}

static bool is_below(struct slice host, struct slice domain)
{
	struct slice tail = {host.p + (host.n - domain.n), domain.n};

	if (host.n < domain.n || !slice_ieq(tail, domain))
		return false;
	return host.n == domain.n || host.p[host.n - domain.n - 1] == '.';
}

bool name_in_suffixes(struct slice host, const char *suffixes)
{
	struct slice rest = slice_of(suffixes), one;

	host = without_dot(host);
	while (*suffixes && slice_cut(&rest, ',', &one)) {
		one = slice_trim(one);
		if (slice_is(one, "."))
			return true;
		one = without_dot(one);
		if (one.n && is_below(host, one))
			return true;
	}
	return false;
}
