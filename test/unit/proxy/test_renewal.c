/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/obj.h"
#include "proxy/renewal.h"
#include "t.h"

#define S NS_PER_S

TEST(a_certificate_is_renewed_at_seventy_percent_within_the_limits)
{
	static const struct {
		uint64_t life, min, max, wait;
	} v[] = {
		{86400 * S, 10 * S, 86400 * S, 60480 * S},
		{86400 * S, 10 * S, 3600 * S, 3600 * S},
		{100 * S, 10 * S, 86400 * S, 70 * S},
		{12 * S, 10 * S, 86400 * S, 10 * S},
		{10 * S, 10 * S, 86400 * S, 7 * S}, /* the limit would be too late */
		{1 * S, 10 * S, 86400 * S, 1 * S},
		{0, 10 * S, 86400 * S, 1 * S}, /* it has ended */
	};
	const uint64_t wall = 1000000 * S, mono = 50 * S;

	for (size_t i = 0; i < countof(v); i++) {
		struct renewal r;

		renewal_plan(&r, mono, wall, wall + v[i].life, v[i].min, v[i].max);
		EQ_INT(r.mono - mono, v[i].wait);
		EQ_INT(r.wall - wall, v[i].wait);
	}
}

TEST(a_clock_that_jumps_does_not_make_a_renewal_late)
{
	const uint64_t wall = 1000000 * S, mono = 50 * S;
	struct renewal r;

	renewal_plan(&r, mono, wall, wall + 1000 * S, 10 * S, 86400 * S);
	OK(!renewal_is_due(&r, mono + 699 * S, wall + 699 * S));
	OK(renewal_is_due(&r, mono + 700 * S, wall + 700 * S));
	/* forward, as after a sleep */
	OK(renewal_is_due(&r, mono + 5 * S, wall + 800 * S));
	/* back by a day: time has passed all the same */
	OK(!renewal_is_due(&r, mono + 100 * S, wall - 86400 * S));
	OK(renewal_is_due(&r, mono + 700 * S, wall - 86400 * S));
}

TEST(a_jump_is_seen_within_seconds)
{
	struct renewal r;

	renewal_plan(&r, 0, S, 86400 * S, 10 * S, 86400 * S);
	OK(renewal_sleep(&r, 0) <= 20 * S);
	EQ_INT(renewal_sleep(&r, r.mono - S), S);
	EQ_INT(renewal_sleep(&r, r.mono + S), 0);
}

TEST(a_certificate_that_has_ended_long_ago_is_due_at_once)
{
	struct renewal none = {0, 0};

	OK(renewal_is_due(&none, 1, 1));
}

TEST(failures_are_repeated_ever_later_and_not_by_all_at_once)
{
	uint64_t before = 0;

	for (unsigned n = 0; n < 40; n++) {
		uint64_t most = renewal_retry(n, 3600 * S, 0);
		uint64_t least = renewal_retry(n, 3600 * S, 0.999);

		OK(most >= before && most <= 300 * S);
		OK(least >= most / 2 && least < most);
		before = most;
	}
	EQ_INT(renewal_retry(0, 0, 0), 200 * NS_PER_MS);
	EQ_INT(renewal_retry(50, 0, 0), 5 * S);
	EQ_INT(renewal_retry(50, 20 * S, 0), 10 * S);
	EQ_INT(renewal_retry(50, 86400 * S, 0), 300 * S);
}
