/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/chunked.h"

#include <string.h>

static int digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static ssize_t wrong(const char **why, const char *what)
{
	*why = what;
	return -1;
}

/* Nothing, or what begins with a semicolon. */
static int is_extension(const uint8_t *p, size_t n)
{
	if (n && p[0] != ';')
		return 0;
	for (size_t i = 0; i < n; i++)
		if ((p[i] < ' ' && p[i] != '\t') || p[i] == 0x7f)
			return 0;
	return 1;
}

ssize_t chunk_line(const uint8_t *p, size_t n, uint64_t *size, const char **why)
{
	size_t max = n < CHUNK_LINE_MAX ? n : CHUNK_LINE_MAX;
	const uint8_t *lf = memchr(p, '\n', max);
	size_t at = 0, end;
	int d;

	if (!lf)
		return n < CHUNK_LINE_MAX ? 0
					  : wrong(why, "a chunk's size is too long");
	end = (size_t)(lf - p);
	if (end == 0 || p[end - 1] != '\r')
		return wrong(why, "a bare LF behind a chunk's size");
	end--;
	for (*size = 0; at < end && (d = digit(p[at])) >= 0; at++) {
		if (*size > INT64_MAX >> 4)
			return wrong(why, "a chunk without measure");
		*size = *size << 4 | (uint64_t)d;
	}
	if (at == 0)
		return wrong(why, "no chunk's size where one has to be");
	if (!is_extension(p + at, end - at))
		return wrong(why, "no hexadecimal number as a chunk's size");
	return lf - p + 1;
}
