/* SPDX-License-Identifier: Apache-2.0 */
#include "http/h2guard.h"

#include "base/clock.h"

#define EARNED_MAX (UINT32_C(1) << 20) /* what real work may add up to */

/*
 * `burst` is there at first and grows back by `rate` a second.  An ordinary peer stays
 * far below: gRPC sends a PING a round trip while data flows, and an update of the
 * stream's and the connection's window for each DATA frame at most.
 */
static const struct allowance {
	const char *name;
	uint32_t burst, rate;
	uint32_t sent, opened, served; /* earned by each of these */
} allowances[H2_ALLOWANCES] = {
	[H2_RESETS] = {"rapid reset", 10000, 5000, 0, 0, H2_RESET_COST},
	[H2_PINGS] = {"ping flood", 1000, 100, 1, 0, 0},
	[H2_SETTINGS] = {"settings flood", 200, 20, 0, 0, 0},
	[H2_WINDOWS] = {"window update flood", 5000, 1000, 8, 8, 0},
	[H2_EMPTY] = {"empty data flood", 1000, 100, 0, 1, 0},
	[H2_IGNORED] = {"ignored frame flood", 2000, 500, 0, 8, 0},
	[H2_MALFORMED] = {"malformed", 200, 20, 0, 0, 0},
	[H2_HEADS] = {"head too large", 200, 20, 0, 0, 1},
};

static const char *const others[] = {"continuation flood", "unread acknowledgements",
	"endless informational", "stalled stream", "ping timeout", "protocol error"};

const char *h2_fault_name(enum h2_fault f)
{
	if (f == H2_FAULT_NONE)
		return "";
	return f < H2_ALLOWANCES ? allowances[f].name : others[f - H2_ALLOWANCES];
}

void h2_guard_init(struct h2_guard *g, uint64_t now)
{
	g->since = now;
	for (int f = 0; f < H2_ALLOWANCES; f++)
		g->left[f] = allowances[f].burst;
}

static void earn(uint32_t *left, uint64_t n, uint32_t limit)
{
	if (*left < limit)
		*left = n > limit - *left ? limit : *left + (uint32_t)n;
}

static void grow(struct h2_guard *g, uint64_t now)
{
	uint64_t seconds = (now - g->since) / NS_PER_S;

	if (!seconds)
		return;
	g->since += seconds * NS_PER_S;
	if (seconds > 1000)
		seconds = 1000; /* enough for the largest */
	for (int f = 0; f < H2_ALLOWANCES; f++)
		earn(&g->left[f], seconds * allowances[f].rate, allowances[f].burst);
}

bool h2_guard_take(struct h2_guard *g, enum h2_fault f, uint32_t n, uint64_t now)
{
	grow(g, now);
	if (g->left[f] < n)
		return false;
	g->left[f] -= n;
	return true;
}

void h2_guard_sent(struct h2_guard *g)
{
	earn(&g->left[H2_PINGS], allowances[H2_PINGS].sent, EARNED_MAX);
	earn(&g->left[H2_WINDOWS], allowances[H2_WINDOWS].sent, EARNED_MAX);
}

void h2_guard_opened(struct h2_guard *g)
{
	earn(&g->left[H2_WINDOWS], allowances[H2_WINDOWS].opened, EARNED_MAX);
	earn(&g->left[H2_EMPTY], allowances[H2_EMPTY].opened, EARNED_MAX);
	earn(&g->left[H2_IGNORED], allowances[H2_IGNORED].opened, EARNED_MAX);
}

void h2_guard_served(struct h2_guard *g)
{
	earn(&g->left[H2_RESETS], allowances[H2_RESETS].served, EARNED_MAX);
	earn(&g->left[H2_HEADS], allowances[H2_HEADS].served, EARNED_MAX);
}
