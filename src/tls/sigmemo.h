/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TLS_SIGMEMO_H
#define TLS_SIGMEMO_H

/*
 * Remembers signatures that verified, by SHA-256 of curve, key, signature and message
 * hash.
 *
 * A peer's chain is the same in each of its handshakes, so the signatures in it are
 * worth remembering; whether a signature is right depends on nothing else, so this
 * holds however anchors and clocks change.  A fixed table: a new entry replaces the one
 * in its place. Any thread.
 */
#include <stdbool.h>
#include <stdint.h>

#include "tls/key.h"

bool sigmemo_has(const uint8_t digest[SHA256_SIZE]);
void sigmemo_add(const uint8_t digest[SHA256_SIZE]);

#endif
