/* SPDX-License-Identifier: Apache-2.0 */
#include "http/h2guard.h"

#include "base/clock.h"
#include "base/obj.h"
#include "t.h"

/* What an HTTP/2 peer may do that costs it nothing, over time. */

static struct h2_guard g;
static uint64_t now;

static void begin(void)
{
	now = 1000 * NS_PER_S;
	h2_guard_init(&g, now);
}

/* How many of these it may send in `seconds`, at that rate. */
static unsigned taken(enum h2_fault f, unsigned seconds, unsigned rate)
{
	unsigned n = 0;

	for (unsigned i = 0; i < seconds * rate; i++) {
		if (!h2_guard_take(&g, f, 1, now))
			return n;
		n++;
		now += NS_PER_S / rate;
	}
	return n;
}

TEST(a_flood_of_any_kind_ends_soon)
{
	for (int f = 1; f < H2_ALLOWANCES; f++) {
		unsigned n;

		begin();
		n = taken((enum h2_fault)f, 10, 100000);
		OK(n >= 200 && n < 20000);
	}
}

TEST(ordinary_peers_are_never_sent_away)
{
	static const struct {
		enum h2_fault fault;
		unsigned rate;
	} ordinary[] = {{H2_RESETS, 1000}, {H2_PINGS, 50}, {H2_SETTINGS, 10},
		{H2_WINDOWS, 500}, {H2_EMPTY, 50}, {H2_IGNORED, 200}};

	for (size_t i = 0; i < countof(ordinary); i++) {
		begin();
		EQ_INT(taken(ordinary[i].fault, 3600, ordinary[i].rate),
			3600 * ordinary[i].rate);
	}
}

TEST(what_was_served_earns_resets)
{
	begin();
	for (int i = 0; i < 1000000; i++) {
		h2_guard_served(&g);
		OK(h2_guard_take(&g, H2_RESETS, H2_RESET_COST, now));
	}
}

TEST(data_that_was_sent_earns_window_updates_and_pings)
{
	begin();
	for (int i = 0; i < 1000000; i++) {
		h2_guard_sent(&g);
		OK(h2_guard_take(&g, H2_WINDOWS, 2, now));
		OK(h2_guard_take(&g, H2_PINGS, 1, now));
	}
}

TEST(an_allowance_grows_back_to_what_it_was_and_not_beyond)
{
	unsigned first, second;

	begin();
	first = taken(H2_PINGS, 1, 1000000);
	now += 365 * 86400 * NS_PER_S;
	second = taken(H2_PINGS, 1, 1000000);
	OK(first >= second && second + 200 > first);
}

TEST(earnings_have_a_limit)
{
	unsigned n = 0;

	begin();
	for (int i = 0; i < 10000000; i++)
		h2_guard_sent(&g);
	while (h2_guard_take(&g, H2_WINDOWS, 1, now))
		n++;
	EQ_INT(n, 1 << 20);
}

TEST(each_has_a_name)
{
	for (int f = 1; f < H2_FAULTS; f++)
		OK(*h2_fault_name((enum h2_fault)f));
	EQ_INT(*h2_fault_name(H2_FAULT_NONE), 0);
}
