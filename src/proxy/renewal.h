/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_RENEWAL_H
#define PROXY_RENEWAL_H

/*
 * When a certificate is renewed (spec proxy.md §12.1): after 70 % of what is left of
 * its life.  That moment is kept on both clocks and the first to reach it counts: the
 * wall clock may jump (a machine that slept, a wrong clock set right), the other stands
 * still while the machine sleeps.  Pure.
 */
#include <stdbool.h>
#include <stdint.h>

struct renewal {
	uint64_t mono, wall; /* due; 0: not planned */
};

/* `min` and `max` bound the wait, but never past 90 % of what is left. */
void renewal_plan(struct renewal *r, uint64_t mono, uint64_t wall, uint64_t expires,
	uint64_t min, uint64_t max);
bool renewal_is_due(const struct renewal *r, uint64_t mono, uint64_t wall);
/* How long nobody need look at the clocks again. */
uint64_t renewal_sleep(const struct renewal *r, uint64_t mono);

/*
 * How long to wait after so many failures in a row: from 200 ms, doubling, to a tenth
 * of what is `left` of the certificate, within 10 s and 5 min; 5 s without one.
 * `chance` in [0, 1) spreads those who failed together over half of it.
 */
uint64_t renewal_retry(unsigned failures, uint64_t left, double chance);

#endif
