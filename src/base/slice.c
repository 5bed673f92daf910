/* SPDX-License-Identifier: Apache-2.0 */
#include "base/slice.h"

#include <stdlib.h>

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

bool slice_ieq(struct slice a, struct slice b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		if (lower(a.p[i]) != lower(b.p[i]))
			return false;
	return true;
}

bool slice_starts(struct slice s, struct slice head)
{
	return s.n >= head.n && slice_eq((struct slice){s.p, head.n}, head);
}

bool slice_ends(struct slice s, struct slice tail)
{
	return s.n >= tail.n &&
	       slice_eq((struct slice){s.p + (s.n - tail.n), tail.n}, tail);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

struct slice slice_trim(struct slice s)
{
	while (s.n > 0 && is_blank(s.p[0])) {
		s.p++;
		s.n--;
	}
	while (s.n > 0 && is_blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

bool slice_cut(struct slice *rest, char sep, struct slice *part)
{
	const char *at;

	if (!rest->p)
		return false;
	at = rest->n ? memchr(rest->p, sep, rest->n) : NULL;
	if (!at) {
		*part = *rest;
		*rest = SLICE_NONE;
		return true;
	}
	*part = (struct slice){rest->p, (size_t)(at - rest->p)};
	rest->n -= part->n + 1;
	rest->p = at + 1;
	return true;
}

bool slice_u64(struct slice s, uint64_t max, uint64_t *out)
{
	uint64_t n = 0;

	if (s.n == 0)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
		if (__builtin_mul_overflow(n, 10, &n) ||
			__builtin_add_overflow(n, (uint64_t)(s.p[i] - '0'), &n))
			return false;
	}
	if (n > max)
		return false;
	*out = n;
	return true;
}

struct slice slice_decimal(uint64_t v, char out[20])
{
	char *p = out + 20;

	do
		*--p = (char)('0' + v % 10);
	while (v /= 10);
	return (struct slice){p, (size_t)(out + 20 - p)};
}

char *slice_dup(struct slice s)
{
	char *p = malloc(s.n + 1);

	if (!p)
		return NULL;
	if (s.n)
		memcpy(p, s.p, s.n);
	p[s.n] = '\0';
	return p;
}
