/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/utf8.h"

/* Length by first byte, its payload bits, and the least value that needs the length. */
struct shape {
	unsigned char first, mask;
	size_t n;
	uint32_t least;
};

static const struct shape *shape_of(unsigned char c)
{
	static const struct shape shapes[] = {
		{0x00, 0x80, 1, 0},
		{0xc0, 0xe0, 2, 0x80},
		{0xe0, 0xf0, 3, 0x800},
		{0xf0, 0xf8, 4, 0x10000},
	};

	for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
		if ((c & shapes[i].mask) == shapes[i].first)
			return &shapes[i];
	return NULL;
}

static bool is_rune(uint32_t r)
{
	return r <= 0x10ffff && (r < 0xd800 || r > 0xdfff);
}

size_t utf8_get(struct slice s, uint32_t *rune)
{
	const struct shape *sh = shape_of((unsigned char)s.p[0]);
	uint32_t r;

	*rune = UTF8_BAD;
	if (!sh || s.n < sh->n)
		return 1;
	r = (unsigned char)s.p[0] & (unsigned char)~sh->mask;
	for (size_t i = 1; i < sh->n; i++) {
		if (((unsigned char)s.p[i] & 0xc0) != 0x80)
			return 1;
		r = r << 6 | ((unsigned char)s.p[i] & 0x3f);
	}
	if (r < sh->least || !is_rune(r))
		return 1;
	*rune = r;
	return sh->n;
}

size_t utf8_put(uint32_t rune, char out[4])
{
	if (!is_rune(rune))
		rune = UTF8_BAD;
	if (rune < 0x80) {
		out[0] = (char)rune;
		return 1;
	}
	if (rune < 0x800) {
		out[0] = (char)(0xc0 | rune >> 6);
		out[1] = (char)(0x80 | (rune & 0x3f));
		return 2;
	}
	if (rune < 0x10000) {
		out[0] = (char)(0xe0 | rune >> 12);
		out[1] = (char)(0x80 | (rune >> 6 & 0x3f));
		out[2] = (char)(0x80 | (rune & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | rune >> 18);
	out[1] = (char)(0x80 | (rune >> 12 & 0x3f));
	out[2] = (char)(0x80 | (rune >> 6 & 0x3f));
	out[3] = (char)(0x80 | (rune & 0x3f));
	return 4;
}
