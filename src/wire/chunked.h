/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIRE_CHUNKED_H
#define WIRE_CHUNKED_H

/*
 * The line before a chunk's data (RFC 9112, section 7.1): its size in hexadecimal, then
 * extensions, which mean nothing to a proxy, but are refused when they are malformed;
 * CRLF.
 */
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define CHUNK_LINE_MAX ((size_t)4096)

/* The line's length, and the size it says, at most INT64_MAX; 0: there is no end of it
 * yet; -1: no such line, *why says what is wrong. */
ssize_t chunk_line(const uint8_t *p, size_t n, uint64_t *size, const char **why);

#endif
