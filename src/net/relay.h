/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_RELAY_H
#define NET_RELAY_H

/*
 * Two conns joined: bytes, half-closes and resets go from each to the other; who cannot
 * send withdraws reading on the other side.  No time limit.  Takes both; `done` is
 * called once when both are over (e: why, ERR_NONE in order), the conns are gone then.
 */
#include "net/conn.h"

struct relay;
typedef void relay_done(
	void *arg, const struct err *e, uint64_t a_to_b, uint64_t b_to_a);

struct relay *relay_new(
	struct conn *a, struct conn *b, relay_done *done, void *arg, struct err *e);
void relay_end(struct relay *r); /* resets both; `done` is not called */

#endif
