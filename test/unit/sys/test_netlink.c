/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/netlink.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include "base/obj.h"
#include "t.h"

static void put_sample(struct buf *b)
{
	size_t m = nl_begin(b, 0x0102, NLM_F_CREATE, 7), in;

	nl_put_head(b, "abcde", 5);
	nl_put_text(b, 3, "e0");
	in = nl_nest(b, 4);
	nl_put_u32(b, 5, 0x01010101);
	nl_nest_end(b, in);
	nl_end(b, m);
}

TEST(a_message_has_lengths_and_padding)
{
	static const char want[] = "\x2c\0\0\0\x02\x01\x01\x04\7\0\0\0\0\0\0\0"
				   "abcde\0\0\0"
				   "\7\0\3\0e0\0\0"
				   "\x0c\0\4\x80\x08\0\5\0\1\1\1\1";
	struct buf b = BUF_INIT;

	put_sample(&b);
	OK(slice_eq(buf_slice(&b), slice_bytes(want, sizeof(want) - 1)));
	buf_fini(&b);
}

TEST(what_was_written_is_read)
{
	struct buf b = BUF_INIT;
	struct nl_message m;
	struct slice rest;
	struct nl_attr a;
	char text[4];
	uint32_t v;

	put_sample(&b);
	put_sample(&b);
	rest = buf_slice(&b);
	EQ_INT(nl_next_message(&rest, &m), 1);
	EQ_INT(m.type, 0x0102);
	EQ_INT(m.flags, NLM_F_CREATE | NLM_F_REQUEST);
	EQ_INT(m.seq, 7);
	m.body.p += 8;
	m.body.n -= 8;
	OK(nl_text(nl_find(m.body, 3), text, sizeof(text)) == 0);
	EQ_STR(text, "e0");
	OK(nl_text(nl_find(m.body, 3), text, 2) < 0);
	OK(nl_u32(nl_find(nl_find(m.body, 4), 5), &v) == 0);
	EQ_INT(v, 0x01010101);
	OK(!nl_find(m.body, 9).p);
	EQ_INT(nl_next_attr(&m.body, &a), 1);
	EQ_INT(a.type, 3);
	EQ_INT(nl_next_attr(&m.body, &a), 1);
	EQ_INT(a.type, 4);
	EQ_INT(nl_next_attr(&m.body, &a), 0);
	EQ_INT(nl_next_message(&rest, &m), 1);
	EQ_INT(nl_next_message(&rest, &m), 0);
	buf_fini(&b);
}

TEST(lengths_that_are_not_possible_are_refused)
{
	static const struct {
		const char *bytes;
		size_t n;
	} attrs[] = {{"\4\0\1", 3}, {"\3\0\1\0", 4}, {"\0\0\1\0", 4},
		{"\x08\0\1\0abc", 7}, {"\xff\xff\1\0abcd", 8}};
	char head[16] = {15};
	struct slice s = {head, sizeof(head)};
	struct nl_message m;
	struct nl_attr a;

	for (size_t i = 0; i < countof(attrs); i++) {
		struct slice rest = {attrs[i].bytes, attrs[i].n};

		EQ_INT(nl_next_attr(&rest, &a), -1);
	}
	EQ_INT(nl_next_message(&s, &m), -1);
	head[0] = 17;
	EQ_INT(nl_next_message(&s, &m), -1);
	s.n = 15;
	EQ_INT(nl_next_message(&s, &m), -1);
}

TEST(the_last_padding_may_be_missing)
{
	struct slice rest = {"\5\0\1\0x", 5};
	struct nl_attr a;

	EQ_INT(nl_next_attr(&rest, &a), 1);
	EQ_INT(a.value.n, 1);
	EQ_INT(nl_next_attr(&rest, &a), 0);
}

static int count(void *arg, const struct nl_message *m)
{
	size_t *n = arg;

	*n += m->type == RTM_NEWLINK;
	return 0;
}

static int stop(void *arg, const struct nl_message *m)
{
	(void)arg;
	(void)m;
	return -1;
}

/* Any process may ask for the links. */
TEST(a_dump_is_heard_to_its_end)
{
	struct rtgenmsg head = {0};
	struct buf b = BUF_INIT;
	size_t n = 0, m;
	struct nl_ask ask = {
		.protocol = NETLINK_ROUTE, .messages = &b, .each = count, .arg = &n};
	struct nl_fault f;

	m = nl_begin(&b, RTM_GETLINK, NLM_F_DUMP, 1);
	nl_put_head(&b, &head, sizeof(head));
	nl_end(&b, m);
	EQ_INT(nl_ask(&ask, &f), 0);
	OK(n > 0);
	ask.each = stop;
	EQ_INT(nl_ask(&ask, &f), -1);
	EQ_INT(f.error, 0);
	buf_fini(&b);
}

TEST(a_refusal_tells_which_message_it_was)
{
	struct ifinfomsg head = {.ifi_index = INT32_MAX};
	struct buf b = BUF_INIT;
	struct nl_ask ask = {.protocol = NETLINK_ROUTE, .messages = &b, .last = 9};
	struct nl_fault f;
	size_t m;

	m = nl_begin(&b, RTM_GETLINK, NLM_F_ACK, 9);
	nl_put_head(&b, &head, sizeof(head));
	nl_end(&b, m);
	EQ_INT(nl_ask(&ask, &f), -1);
	EQ_INT(f.error, ENODEV);
	EQ_INT(f.seq, 9);
	buf_fini(&b);
}

TEST(a_message_that_memory_had_no_room_for_is_not_sent)
{
	struct buf b = BUF_LIMIT(20);
	struct nl_ask ask = {.protocol = NETLINK_ROUTE, .messages = &b};
	struct nl_fault f;

	put_sample(&b);
	EQ_INT(nl_ask(&ask, &f), -1);
	EQ_INT(f.error, ENOMEM);
	buf_fini(&b);
}
