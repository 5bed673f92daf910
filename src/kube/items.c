/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/items.h"

#define AT_ITEMS                                                                       \
	2 /* brackets that are open there: the list's, and those of "items"            \
	   */

void items_fini(struct items *l)
{
	buf_fini(&l->item);
	buf_fini(&l->rest);
}

void items_reset(struct items *l)
{
	items_fini(l);
	l->item = l->rest = BUF_INIT;
	l->depth = 0;
	l->in_text = l->escaped = l->in_items = l->failed = false;
}

/* Is what came so far about to open the list: …,"items":  */
static bool is_items_key(const struct buf *rest)
{
	struct slice s = buf_slice(rest);
	struct slice key = SLICE("\"items\"");

	while (s.n && strchr(" \t\r\n", s.p[s.n - 1]))
		s.n--;
	if (s.n == 0 || s.p[--s.n] != ':')
		return false;
	while (s.n && strchr(" \t\r\n", s.p[s.n - 1]))
		s.n--;
	return slice_ends(s, key);
}

static void keep(struct items *l, struct buf *b, struct slice s)
{
	if (s.n > l->max - buf_len(b) || buf_adds(b, s))
		l->failed = true;
}

static bool item_over(struct items *l)
{
	bool go_on = l->fn(l->arg, l->failed ? SLICE_NONE : buf_slice(&l->item));

	buf_clear(&l->item);
	l->failed = false;
	return go_on;
}

/* Where a byte of brackets or texts leads. */
static void step(struct items *l, char c)
{
	if (l->escaped)
		l->escaped = false;
	else if (l->in_text && c == '\\')
		l->escaped = true;
	else if (c == '"')
		l->in_text = !l->in_text;
	else if (!l->in_text && (c == '{' || c == '['))
		l->depth++;
	else if (!l->in_text && (c == '}' || c == ']'))
		l->depth--;
}

/* How many bytes have no say: inside of a text, or between brackets. */
static size_t plain(const struct items *l, struct slice s)
{
	size_t n = 0;

	if (l->escaped)
		return 0;
	if (l->in_text)
		while (n < s.n && s.p[n] != '"' && s.p[n] != '\\')
			n++;
	else
		while (n < s.n && s.p[n] != '"' && s.p[n] != '{' && s.p[n] != '[' &&
			s.p[n] != '}' && s.p[n] != ']')
			n++;
	return n;
}

/* One byte that has a say, which the depth takes into account already. */
static bool bracket(struct items *l, char c, int before)
{
	struct slice one = slice_bytes(&c, 1);

	if (l->in_items && (l->depth > AT_ITEMS || before > AT_ITEMS)) {
		keep(l, &l->item, one);
		return l->depth > AT_ITEMS || item_over(l);
	}
	if (l->in_items && l->depth == AT_ITEMS) /* a text that is an item: no object */
		return true;
	if (l->in_items)
		l->in_items = false;
	else if (l->depth == AT_ITEMS && before < AT_ITEMS && c == '[')
		l->in_items = is_items_key(&l->rest);
	keep(l, &l->rest, one);
	return true;
}

bool items_feed(struct items *l, struct slice bytes)
{
	while (bytes.n) {
		size_t n = plain(l, bytes);
		struct slice s = slice_bytes(bytes.p, n);
		int before = l->depth;

		if (!l->in_items)
			keep(l, &l->rest, s);
		else if (l->depth > AT_ITEMS)
			keep(l, &l->item, s);
		bytes = slice_bytes(bytes.p + n, bytes.n - n);
		if (!bytes.n)
			break;
		step(l, *bytes.p);
		if (!bracket(l, *bytes.p, before))
			return false;
		bytes = slice_bytes(bytes.p + 1, bytes.n - 1);
	}
	return true;
}
