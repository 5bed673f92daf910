/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/renewal.h"

#include "base/clock.h"

#define LOOK        (20 * NS_PER_S) /* a jump of the wall clock is seen in this time */
#define RETRY_FIRST (200 * NS_PER_MS)
#define RETRY_NONE  (5 * NS_PER_S) /* without a certificate */
#define RETRY_MIN   (10 * NS_PER_S)
#define RETRY_MAX   (300 * NS_PER_S)

static uint64_t within(uint64_t ns, uint64_t min, uint64_t max)
{
	ns = ns < min ? min : ns;
	return ns > max ? max : ns;
}

void renewal_plan(struct renewal *r, uint64_t mono, uint64_t wall, uint64_t expires,
	uint64_t min, uint64_t max)
{
	uint64_t left = expires > wall ? expires - wall : 0, ns;

	ns = within(left / 10 * 7, min, max);
	if (ns > left / 10 * 9)
		ns = left / 10 * 7;
	if (ns < NS_PER_S)
		ns = NS_PER_S;
	*r = (struct renewal){mono + ns, wall + ns};
}

bool renewal_is_due(const struct renewal *r, uint64_t mono, uint64_t wall)
{
	return mono >= r->mono || wall >= r->wall;
}

uint64_t renewal_sleep(const struct renewal *r, uint64_t mono)
{
	uint64_t ns = r->mono > mono ? r->mono - mono : 0;

	return ns > LOOK ? LOOK : ns;
}

uint64_t renewal_retry(unsigned failures, uint64_t left, double chance)
{
	uint64_t most = left ? within(left / 10, RETRY_MIN, RETRY_MAX) : RETRY_NONE;
	uint64_t ns = RETRY_FIRST << (failures > 12 ? 12 : failures);

	ns = ns > most ? most : ns;
	return ns - (uint64_t)((double)ns * 0.5 * chance);
}
