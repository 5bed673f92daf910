/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/shakes.h"

#include "t.h"

static struct shakes shakes;
static struct shake all[SHAKES_MAX + 1];
static const struct ip hostile = {4, {10, 0, 0, 1}}, other = {4, {10, 0, 0, 2}};

static void begin(size_t first, size_t n, const struct ip *from)
{
	for (size_t i = first; i < first + n; i++)
		shake_begin(&shakes, &all[i], from);
}

TEST(none_has_to_leave_while_there_is_room)
{
	shakes_init(&shakes);
	begin(0, SHAKES_MAX, &hostile);
	OK(shakes_surplus(&shakes) == NULL);
}

TEST(the_oldest_leaves)
{
	shakes_init(&shakes);
	begin(0, SHAKES_MAX + 1, &hostile);
	OK(shakes_surplus(&shakes) == &all[0]);
	shake_over(&shakes, &all[0]);
	shake_over(&shakes, &all[0]);
	EQ_INT(shakes.n, SHAKES_MAX);
	OK(shakes_surplus(&shakes) == NULL);
}

TEST(a_flood_from_one_address_takes_no_place_of_another)
{
	shakes_init(&shakes);
	begin(0, 1, &other);
	begin(1, SHAKES_MAX - 1, &hostile);
	begin(SHAKES_MAX, 1, &other);
	OK(shakes_surplus(&shakes) == &all[1]);
}
