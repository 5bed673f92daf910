/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/shakes.h"

#include "net/conn.h"
#include "t.h"

static struct shakes shakes;
static struct shake all[SHAKES_MAX + 1];
static struct conn below[SHAKES_MAX + 1];
static const struct ip hostile = {4, {10, 0, 0, 1}}, other = {4, {10, 0, 0, 2}};

/* `n` of them from `from`, the first `answered` of which the client has to go on with.
 */
static void begin(size_t first, size_t n, size_t answered, const struct ip *from)
{
	for (size_t i = first; i < first + n; i++) {
		below[i].bytes_out = i < first + answered ? 1000 : 0;
		shake_begin(&shakes, &all[i], &below[i], from);
	}
}

TEST(none_has_to_leave_while_there_is_room)
{
	shakes_init(&shakes);
	begin(0, SHAKES_MAX, 0, &hostile);
	OK(shakes_surplus(&shakes) == NULL);
}

TEST(the_oldest_that_waits_for_its_client_leaves)
{
	shakes_init(&shakes);
	begin(0, SHAKES_MAX + 1, 2, &hostile);
	OK(shakes_surplus(&shakes) == &all[0]);
	shake_over(&shakes, &all[0]);
	shake_over(&shakes, &all[0]);
	EQ_INT(shakes.n, SHAKES_MAX);
	OK(shakes_surplus(&shakes) == NULL);
}

TEST(the_newest_leaves_where_all_wait_for_us)
{
	shakes_init(&shakes);
	begin(0, SHAKES_MAX + 1, 0, &hostile);
	OK(shakes_surplus(&shakes) == &all[SHAKES_MAX]);
}

TEST(a_flood_from_one_address_takes_no_place_of_another)
{
	shakes_init(&shakes);
	begin(0, 1, 1, &other);
	begin(1, SHAKES_MAX - 1, 10, &hostile);
	begin(SHAKES_MAX, 1, 0, &other);
	OK(shakes_surplus(&shakes) == &all[1]);
}
