/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TLS_INIT_H
#define TLS_INIT_H

/*
 * What mbedTLS needs once per process, and small things every file of this floor
 * shares. tls_init() may be called from any thread, any number of times; whoever makes
 * an object of this floor calls it.
 */
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

void tls_init(void);

/* mbedTLS' way to get random bytes; never fails. */
int tls_random(void *unused, unsigned char *out, size_t n);

/*
 * While set, the calling thread verifies certificates as if it were `wall_ns`; 0 gives
 * the clock back.
 */
void tls_clock_pin(uint64_t wall_ns);
uint64_t tls_clock(void); /* wall ns, as verification sees it */

/* Sets `e` from an mbedTLS result: "what: reason".  Returns -1. */
int tls_err(struct err *e, enum errc code, const char *what, int ret);

#endif
