/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/chunked.h"

#include <string.h>

#include "wire/http1.h"

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

static size_t token_len(const uint8_t *p, size_t n)
{
	size_t i = 0;

	while (i < n && http1_is_token(slice_bytes(p + i, 1)))
		i++;
	return i;
}

/* With both quotes; 0: there is no end, or a control character. */
static size_t quoted_len(const uint8_t *p, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		if (p[i] == '"')
			return i + 1;
		if (p[i] == '\\')
			i++;
		if (i == n || (p[i] < ' ' && p[i] != '\t') || p[i] == 0x7f)
			return 0;
	}
	return 0;
}

/* One of them, with its semicolon; 0: none.  No blanks: nobody may send them. */
static size_t extension_len(const uint8_t *p, size_t n)
{
	size_t name = token_len(p + 1, n - 1), at = 1 + name, value;

	if (p[0] != ';' || name == 0)
		return 0;
	if (at == n || p[at] != '=')
		return at;
	at++;
	value = at < n && p[at] == '"' ? quoted_len(p + at, n - at)
				       : token_len(p + at, n - at);
	return value ? at + value : 0;
}

static bool are_extensions(const uint8_t *p, size_t n)
{
	while (n) {
		size_t len = extension_len(p, n);

		if (!len)
			return false;
		p += len;
		n -= len;
	}
	return true;
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
	if (!are_extensions(p + at, end - at))
		return wrong(why, "no extension of a chunk where one could be");
	return lf - p + 1;
}
