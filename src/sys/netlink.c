/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/netlink.h"

#include <linux/netlink.h>

#include "base/obj.h"

/* ---- writing ---- */

static void put_padded(struct buf *b, const void *p, size_t n)
{
	static const char zeros[NLMSG_ALIGNTO];

	buf_add(b, p, n);
	buf_add(b, zeros, NLMSG_ALIGN(n) - n);
}

size_t nl_begin(struct buf *b, uint16_t type, uint16_t flags, uint32_t seq)
{
	struct nlmsghdr h = {.nlmsg_type = type,
		.nlmsg_flags = flags | NLM_F_REQUEST,
		.nlmsg_seq = seq};
	size_t begun = buf_len(b);

	put_padded(b, &h, sizeof(h));
	return begun;
}

void nl_end(struct buf *b, size_t begun)
{
	uint32_t len = (uint32_t)(buf_len(b) - begun);

	if (!b->failed)
		memcpy(b->p + begun, &len, sizeof(len));
}

void nl_put_head(struct buf *b, const void *p, size_t n)
{
	put_padded(b, p, n);
}

void nl_put(struct buf *b, uint16_t type, const void *p, size_t n)
{
	struct nlattr a = {.nla_len = (uint16_t)(NLA_HDRLEN + n), .nla_type = type};

	must(n <= UINT16_MAX - NLA_HDRLEN);
	put_padded(b, &a, sizeof(a));
	put_padded(b, p, n);
}

void nl_put_text(struct buf *b, uint16_t type, const char *text)
{
	nl_put(b, type, text, strlen(text) + 1);
}

void nl_put_u32(struct buf *b, uint16_t type, uint32_t v)
{
	nl_put(b, type, &v, sizeof(v));
}

size_t nl_nest(struct buf *b, uint16_t type)
{
	size_t begun = buf_len(b);

	nl_put(b, type | NLA_F_NESTED, NULL, 0);
	return begun;
}

void nl_nest_end(struct buf *b, size_t begun)
{
	size_t n = buf_len(b) - begun;
	uint16_t len = (uint16_t)n;

	must(n <= UINT16_MAX);
	if (!b->failed)
		memcpy(b->p + begun, &len, sizeof(len));
}

/* ---- reading ---- */

/* The padding after the last one may be missing. */
static void skip(struct slice *rest, size_t n)
{
	n = NLMSG_ALIGN(n);
	if (n > rest->n)
		n = rest->n;
	rest->p += n;
	rest->n -= n;
}

int nl_next_message(struct slice *rest, struct nl_message *m)
{
	struct nlmsghdr h;

	if (!rest->n)
		return 0;
	if (rest->n < sizeof(h))
		return -1;
	memcpy(&h, rest->p, sizeof(h));
	if (h.nlmsg_len < sizeof(h) || h.nlmsg_len > rest->n)
		return -1;
	*m = (struct nl_message){h.nlmsg_type, h.nlmsg_flags, h.nlmsg_seq,
		{rest->p + sizeof(h), h.nlmsg_len - sizeof(h)}};
	skip(rest, h.nlmsg_len);
	return 1;
}

int nl_next_attr(struct slice *rest, struct nl_attr *a)
{
	struct nlattr h;

	if (!rest->n)
		return 0;
	if (rest->n < sizeof(h))
		return -1;
	memcpy(&h, rest->p, sizeof(h));
	if (h.nla_len < sizeof(h) || h.nla_len > rest->n)
		return -1;
	*a = (struct nl_attr){(uint16_t)(h.nla_type & NLA_TYPE_MASK),
		{rest->p + sizeof(h), h.nla_len - sizeof(h)}};
	skip(rest, h.nla_len);
	return 1;
}

struct slice nl_find(struct slice attrs, uint16_t type)
{
	struct nl_attr a;

	while (nl_next_attr(&attrs, &a) > 0)
		if (a.type == type)
			return a.value;
	return SLICE_NONE;
}

int nl_u32(struct slice value, uint32_t *out)
{
	if (value.n != sizeof(*out))
		return -1;
	memcpy(out, value.p, sizeof(*out));
	return 0;
}

int nl_text(struct slice value, char *out, size_t size)
{
	size_t n = value.n ? strnlen(value.p, value.n) : 0;

	if (n >= size)
		return -1;
	if (n)
		memcpy(out, value.p, n);
	out[n] = '\0';
	return 0;
}
