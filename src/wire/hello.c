/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/hello.h"

#include <string.h>

enum { RECORD_HEAD = 5, RECORD_MAX = 16384, HANDSHAKE = 22, CLIENT_HELLO = 1 };
enum { EXT_SERVER_NAME = 0, EXT_ALPN = 16 };

/* Bytes still to be read; `bad` once something did not fit. */
struct in {
	const uint8_t *p;
	size_t n;
	bool bad;
};

static struct in take(struct in *in, size_t n)
{
	struct in out = {in->p, n, false};

	if (n > in->n) {
		in->bad = true;
		return (struct in){0};
	}
	in->p += n;
	in->n -= n;
	return out;
}

static size_t take_int(struct in *in, size_t bytes)
{
	struct in v = take(in, bytes);
	size_t x = 0;

	for (size_t i = 0; i < v.n; i++)
		x = x << 8 | v.p[i];
	return x;
}

/* A vector with its length in `bytes` bytes before it. */
static struct in take_vector(struct in *in, size_t bytes)
{
	return take(in, take_int(in, bytes));
}

/* ---- records ---- */

/*
 * Puts what the records carry one after the other into `flat`.  HELLO_DONE when the
 * whole message is there; *len is then its length with its head.
 */
static enum hello_verdict flatten(
	const uint8_t *p, size_t n, uint8_t *flat, size_t *len)
{
	size_t have = 0, need = 4;

	for (size_t at = 0;;) {
		size_t size, i;

		for (i = 0; i < RECORD_HEAD && at + i < n; i++) {
			if (i == 0 && p[at] != HANDSHAKE)
				return HELLO_NOT;
			if (i == 1 && p[at + 1] != 3)
				return HELLO_NOT;
		}
		if (i < RECORD_HEAD)
			return HELLO_MORE;
		size = (size_t)p[at + 3] << 8 | p[at + 4];
		if (size == 0 || size > RECORD_MAX)
			return HELLO_NOT;
		at += RECORD_HEAD;
		for (i = 0; i < size; i++) {
			if (at + i == n)
				return HELLO_MORE;
			flat[have++] = p[at + i];
			if (have == 1 && flat[0] != CLIENT_HELLO)
				return HELLO_NOT;
			if (have == 4)
				need = 4 + ((size_t)flat[1] << 16 |
						   (size_t)flat[2] << 8 | flat[3]);
			if (need > HELLO_LIMIT)
				return HELLO_NOT;
			if (have == need && have >= 4) {
				*len = have;
				return HELLO_DONE;
			}
		}
		at += size;
	}
}

/* ---- extensions ---- */

static bool is_name_char(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
	       c == '_' || c == '.';
}

/* A DNS name of labels; all digits and dots would be an address. */
static bool copy_name(struct in name, char *out)
{
	bool address = true;

	if (name.n && name.p[name.n - 1] == '.')
		name.n--;
	if (name.n == 0 || name.n > 253)
		return false;
	for (size_t i = 0; i < name.n; i++) {
		uint8_t c = name.p[i];

		if (c >= 'A' && c <= 'Z')
			c |= 32;
		if (!is_name_char(c) || (c == '.' && (i == 0 || out[i - 1] == '.')))
			return false;
		if (c != '.' && (c < '0' || c > '9'))
			address = false;
		out[i] = (char)c;
	}
	out[name.n] = '\0';
	return !address;
}

static void read_server_name(struct in ext, struct hello *h, bool *bad)
{
	struct in list = take_vector(&ext, 2);

	*bad |= ext.bad || ext.n || !list.n;
	while (list.n && !list.bad) {
		size_t type = take_int(&list, 1);
		struct in name = take_vector(&list, 2);

		if (list.bad || type != 0 || h->sni[0])
			continue;
		if (!copy_name(name, h->sni))
			memset(h->sni, 0, sizeof h->sni);
	}
	*bad |= list.bad;
}

static void read_alpn(struct in ext, struct hello *h, bool *bad)
{
	struct in list = take_vector(&ext, 2), it = list;

	*bad |= ext.bad || ext.n || !list.n;
	while (it.n && !it.bad)
		it.bad |= take_vector(&it, 1).n == 0;
	*bad |= it.bad;
	if (*bad || list.n > sizeof h->alpn)
		return;
	memcpy(h->alpn, list.p, list.n);
	h->alpn_len = list.n;
}

static bool read_extensions(struct in in, struct hello *h)
{
	bool names = false, alpn = false, bad = false;

	while (in.n && !in.bad && !bad) {
		size_t type = take_int(&in, 2);
		struct in ext = take_vector(&in, 2);

		if (in.bad)
			break;
		if (type == EXT_SERVER_NAME) {
			bad |= names;
			names = true;
			read_server_name(ext, h, &bad);
		} else if (type == EXT_ALPN) {
			bad |= alpn;
			alpn = true;
			read_alpn(ext, h, &bad);
		}
	}
	return !in.bad && !bad;
}

/* The message without its head; before TLS 1.2 it may end without extensions. */
static bool read_hello(struct in in, struct hello *h)
{
	struct in ext;

	take(&in, 2 + 32);
	take_vector(&in, 1); /* session id */
	take_vector(&in, 2); /* cipher suites */
	take_vector(&in, 1); /* compression */
	if (in.bad || in.n == 0)
		return !in.bad;
	ext = take_vector(&in, 2);
	return !in.bad && in.n == 0 && read_extensions(ext, h);
}

enum hello_verdict hello_parse(const uint8_t *p, size_t n, struct hello *h)
{
	uint8_t flat[HELLO_LIMIT];
	size_t len = 0;
	enum hello_verdict v;
	struct hello found = {.sni = ""};

	v = flatten(p, n < HELLO_LIMIT ? n : HELLO_LIMIT, flat, &len);
	if (v == HELLO_MORE && n >= HELLO_LIMIT)
		return HELLO_NOT;
	if (v != HELLO_DONE)
		return v;
	if (!read_hello((struct in){flat + 4, len - 4, false}, &found))
		return HELLO_NOT;
	*h = found;
	return HELLO_DONE;
}

bool hello_offers(const struct hello *h, const char *name)
{
	size_t want = strlen(name);

	for (size_t i = 0; i < h->alpn_len; i += 1 + (size_t)h->alpn[i])
		if (h->alpn[i] == want && memcmp(h->alpn + i + 1, name, want) == 0)
			return true;
	return false;
}
