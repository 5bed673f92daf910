/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

/*
 * Two clocks, never mixed: `mono` for durations and deadlines (does not jump), `wall`
 * for certificates, logs and objects.  Nanoseconds in uint64_t; NS_PER_* for the units.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

#define NS_PER_US UINT64_C(1000)
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S  UINT64_C(1000000000)

uint64_t clock_mono(void);
uint64_t clock_wall(void); /* since 1970 */

#define CLOCK_TEXT 32
/* "2026-01-02T03:04:05Z"; with millis "2026-01-02T03:04:05.678Z". */
void clock_rfc3339(uint64_t wall_ns, bool millis, char out[CLOCK_TEXT]);
/* Parses RFC 3339 (any fraction, Z or offset).  False when malformed. */
bool clock_parse(struct slice text, uint64_t *wall_ns);

/* Linkerd's durations: digits and ms|s|m|h|d; a bare number only when 0. */
bool duration_parse(struct slice text, uint64_t *ns);
/* Go's durations as in annotations: "1h2m3.5s", "300ms". */
bool duration_parse_go(struct slice text, uint64_t *ns);

/* A fast, seeded, per-thread random number; not for secrets. */
uint64_t random_u64(void);
double random_unit(void); /* [0, 1) */

#endif
