/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIRE_UTF8_H
#define WIRE_UTF8_H

/* UTF-8 (RFC 3629): no surrogates, no overlong forms, nothing above U+10FFFF. */
#include "base/slice.h"

#define UTF8_BAD 0xfffdu /* stands for what is not UTF-8 */

/*
 * Reads the first character of `s` (not empty) and returns how many bytes it takes.
 * A byte that begins none is one byte long and reads as UTF8_BAD.
 */
size_t utf8_get(struct slice s, uint32_t *rune);

/* Writes 1 to 4 bytes; what is no character is written as UTF8_BAD. */
size_t utf8_put(uint32_t rune, char out[4]);

#endif
