/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>

#define BUF_FIRST ((size_t)256)

void buf_fini(struct buf *b)
{
	free(b->p);
	*b = (struct buf){.limit = b->limit};
}

/* Moves what is left to the front, where that makes room enough. */
static bool slide(struct buf *b, size_t n)
{
	size_t len = buf_len(b);

	if (b->at == 0 || b->cap - len < n || b->at < len)
		return false;
	memmove(b->p, b->p + b->at, len);
	b->at = 0;
	b->end = len;
	return true;
}

static bool grow(struct buf *b, size_t n)
{
	size_t len = buf_len(b), need, cap = b->cap ? b->cap : BUF_FIRST;
	char *p;

	if (__builtin_add_overflow(len, n, &need) || (b->limit && need > b->limit))
		return false;
	while (cap < need)
		if (__builtin_mul_overflow(cap, 2, &cap))
			return false;
	p = malloc(cap);
	if (!p)
		return false;
	if (len)
		memcpy(p, b->p + b->at, len);
	free(b->p);
	b->p = p;
	b->cap = cap;
	b->at = 0;
	b->end = len;
	return true;
}

char *buf_room(struct buf *b, size_t n)
{
	if (b->limit && (n > b->limit || buf_len(b) > b->limit - n)) {
		b->failed = true;
		return NULL;
	}
	if (b->cap - b->end < n && !slide(b, n) && !grow(b, n)) {
		b->failed = true;
		return NULL;
	}
	return b->p ? b->p + b->end : (grow(b, 1) ? b->p : NULL);
}

void buf_added(struct buf *b, size_t n)
{
	b->end += n;
}

int buf_add(struct buf *b, const void *p, size_t n)
{
	char *to;

	if (n == 0)
		return 0;
	to = buf_room(b, n);
	if (!to)
		return -1;
	memcpy(to, p, n);
	b->end += n;
	return 0;
}

int buf_adds(struct buf *b, struct slice s)
{
	return buf_add(b, s.p, s.n);
}

int buf_text(struct buf *b, const char *text)
{
	return buf_add(b, text, strlen(text));
}

int buf_char(struct buf *b, char c)
{
	return buf_add(b, &c, 1);
}

int buf_vprintf(struct buf *b, const char *fmt, va_list ap)
{
	va_list again;
	char *to;
	int n;

	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	if (n < 0)
		return -1;
	to = buf_room(b, (size_t)n + 1);
	if (!to)
		return -1;
	vsnprintf(to, (size_t)n + 1, fmt, ap);
	b->end += (size_t)n;
	return 0;
}

int buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = buf_vprintf(b, fmt, ap);
	va_end(ap);
	return r;
}

static int json_char(struct buf *b, unsigned char c)
{
	static const char names[] = "btnvfr"; /* of 8 to 13; 11 has none */

	if (c == '"' || c == '\\') {
		const char two[2] = {'\\', (char)c};

		return buf_add(b, two, 2);
	}
	if (c >= 8 && c <= 13 && c != 11) {
		const char two[2] = {'\\', names[c - 8]};

		return buf_add(b, two, 2);
	}
	if (c < 0x20 || c == 0x7f)
		return buf_printf(b, "\\u%04x", c);
	return buf_char(b, (char)c);
}

/* How long the UTF-8 character at p is; 0 when it is none (RFC 3629 §4). */
static size_t utf8_length(const unsigned char *p, size_t n)
{
	static const struct {
		unsigned char from, to, second_from, second_to;
		size_t length;
	} rows[] = {
		{0x00, 0x7f, 0, 0, 1},
		{0xc2, 0xdf, 0x80, 0xbf, 2},
		{0xe0, 0xe0, 0xa0, 0xbf, 3},
		{0xe1, 0xec, 0x80, 0xbf, 3},
		{0xed, 0xed, 0x80, 0x9f, 3},
		{0xee, 0xef, 0x80, 0xbf, 3},
		{0xf0, 0xf0, 0x90, 0xbf, 4},
		{0xf1, 0xf3, 0x80, 0xbf, 4},
		{0xf4, 0xf4, 0x80, 0x8f, 4},
	};
	size_t i = 0, len;

	while (i < sizeof rows / sizeof *rows && p[0] > rows[i].to)
		i++;
	if (i == sizeof rows / sizeof *rows || p[0] < rows[i].from)
		return 0;
	len = rows[i].length;
	if (len > n ||
		(len > 1 && (p[1] < rows[i].second_from || p[1] > rows[i].second_to)))
		return 0;
	for (size_t k = 2; k < len; k++)
		if ((p[k] & 0xc0) != 0x80)
			return 0;
	return len;
}

int buf_json(struct buf *b, struct slice s)
{
	const unsigned char *p = (const unsigned char *)s.p;
	size_t len;
	int bad;

	for (size_t i = 0; i < s.n; i += len ? len : 1) {
		len = utf8_length(p + i, s.n - i);
		if (len == 0)
			bad = buf_text(b, "\\ufffd");
		else if (len == 1)
			bad = json_char(b, p[i]);
		else
			bad = buf_add(b, p + i, len);
		if (bad < 0)
			return -1;
	}
	return 0;
}

static const char base64[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int buf_base64(struct buf *b, struct slice s)
{
	size_t n = (s.n + 2) / 3 * 4;
	char *to = buf_room(b, n);

	if (!to)
		return -1;
	for (size_t i = 0; i < s.n; i += 3) {
		uint32_t v = (uint32_t)(unsigned char)s.p[i] << 16;

		v |= i + 1 < s.n ? (uint32_t)(unsigned char)s.p[i + 1] << 8 : 0;
		v |= i + 2 < s.n ? (uint32_t)(unsigned char)s.p[i + 2] : 0;
		*to++ = base64[v >> 18];
		*to++ = base64[v >> 12 & 63];
		*to++ = i + 1 < s.n ? base64[v >> 6 & 63] : '=';
		*to++ = i + 2 < s.n ? base64[v & 63] : '=';
	}
	b->end += n;
	return 0;
}

static int base64_value(char c)
{
	const char *at = c ? strchr(base64, c) : NULL;

	if (c == '-')
		return 62; /* the URL alphabet is understood too */
	if (c == '_')
		return 63;
	return at ? (int)(at - base64) : -1;
}

int buf_unbase64(struct buf *b, struct slice s)
{
	uint32_t bits = 0;
	int have = 0, v;

	while (s.n > 0 && s.p[s.n - 1] == '=')
		s.n--;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\n' || s.p[i] == '\r')
			continue;
		v = base64_value(s.p[i]);
		if (v < 0)
			return -1;
		bits = bits << 6 | (uint32_t)v;
		have += 6;
		if (have < 8)
			continue;
		have -= 8;
		if (buf_char(b, (char)(bits >> have)) < 0)
			return -1;
	}
	return have >= 6 ? -1 : 0;
}

bool buf_is(const struct buf *b, struct slice s)
{
	if (buf_len(b) != s.n)
		return false;
	return !s.n || (b->p && s.p && memcmp(b->p + b->at, s.p, s.n) == 0);
}

void buf_take(struct buf *b, size_t n)
{
	b->at += n;
	if (b->at == b->end) {
		free(b->p);
		b->p = NULL;
		b->at = b->end = b->cap = 0;
	}
}

void buf_clear(struct buf *b)
{
	b->at = b->end = 0;
	b->failed = false;
}

char *buf_steal(struct buf *b)
{
	char *p = NULL;

	if (!b->failed && buf_room(b, 1)) {
		b->p[b->end] = '\0';
		memmove(b->p, b->p + b->at, buf_len(b) + 1);
		p = b->p;
		b->p = NULL;
	}
	buf_fini(b);
	return p;
}
