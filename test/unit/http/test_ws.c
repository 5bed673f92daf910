/* SPDX-License-Identifier: Apache-2.0 */
#include "http/ws.h"

#include "base/obj.h"
#include "t.h"

/* Every message as "op:payload;" however the bytes are cut. */
static int read_all(struct ws *w, struct slice in, size_t cut, struct buf *seen)
{
	struct slice parts[2] = {{in.p, cut}, {in.p + cut, in.n - cut}};

	for (size_t i = 0; i < 2; i++)
		for (;;) {
			enum ws_op op;
			struct slice p;
			size_t used;
			int r = ws_read(w, parts[i], &used, &op, &p, NULL);

			if (r < 0)
				return -1;
			parts[i] = slice_bytes(parts[i].p + used, parts[i].n - used);
			if (r == 0)
				break;
			buf_printf(seen, "%d:%zu:%.*s;", op, p.n,
				(int)(p.n < 9 ? p.n : 9), p.p);
		}
	return 0;
}

TEST(messages_come_out_as_they_went_in_at_every_cut)
{
	static char large[70000];
	struct ws client, server;
	struct buf wire = BUF_INIT;

	memset(large, 'x', sizeof(large));
	for (int side = 0; side < 2; side++) {
		struct ws *from = side ? &client : &server,
			  *to = side ? &server : &client;

		ws_init(&client, false, 100000);
		ws_init(&server, true, 100000);
		buf_clear(&wire);
		ws_write(from, WS_BINARY, SLICE("\1hello"), &wire);
		ws_write(from, WS_PING, SLICE(""), &wire);
		ws_write(from, WS_TEXT, slice_bytes(large, 200), &wire);
		ws_write(from, WS_CLOSE, SLICE("\3\350"), &wire);
		for (size_t cut = 0; cut <= buf_len(&wire); cut++) {
			struct buf seen = BUF_INIT;

			OK(read_all(to, buf_slice(&wire), cut, &seen) == 0);
			buf_char(&seen, 0);
			EQ_STR(seen.p, "2:6:\1hello;9:0:;1:200:xxxxxxxxx;8:2:\3\350;");
			buf_fini(&seen);
		}
		ws_fini(&client);
		ws_fini(&server);
	}
	buf_fini(&wire);
}

TEST(long_messages_have_long_lengths)
{
	static char large[70000];
	struct ws client, server;
	struct buf wire = BUF_INIT, seen = BUF_INIT;

	memset(large, 'y', sizeof(large));
	ws_init(&client, false, 100000);
	ws_init(&server, true, 100000);
	ws_write(&client, WS_BINARY, slice_bytes(large, sizeof(large)), &wire);
	OK(read_all(&server, buf_slice(&wire), 5, &seen) == 0);
	buf_char(&seen, 0);
	EQ_STR(seen.p, "2:70000:yyyyyyyyy;");
	buf_fini(&wire);
	buf_fini(&seen);
	ws_fini(&client);
	ws_fini(&server);
}

TEST(parts_are_put_together_and_pings_come_between)
{
	static const char parts[] = "\x01\x02"
				    "ab"
				    "\x89\x00"
				    "\x00\x01"
				    "c"
				    "\x80\x01"
				    "d";
	struct ws client;
	struct buf seen = BUF_INIT;

	ws_init(&client, false, 100);
	OK(read_all(&client, slice_bytes(parts, sizeof(parts) - 1), 3, &seen) == 0);
	buf_char(&seen, 0);
	EQ_STR(seen.p, "9:0:;1:4:abcd;");
	buf_fini(&seen);
	ws_fini(&client);
}

TEST(what_is_malformed_or_too_large_is_refused)
{
	static const struct {
		const char *p;
		size_t n;
	} bad[] = {
		{"\xc1\x00", 2}, /* reserved bit */
		{"\x83\x00", 2}, /* kind 3 */
		{"\x80\x00", 2}, /* nothing to go on with */
		{"\x01\x01"
		 "a\x01\x01"
		 "b",
			6},              /* a second beginning */
		{"\x09\x00", 2},         /* a ping in parts */
		{"\x89\x7e\x00\x80", 4}, /* a long ping */
		{"\x82\x7e\x01\x00", 4}, /* over the limit */
		{"\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff", 10}, /* far over it */
		{"\x82\x80"
		 "aaaa",
			6}, /* masked by a server */
		{"\x01\x50"
		 "0123456789012345678901234567890123456789"
		 "0123456789012345678901234567890123456789\x80\x50",
			84}, /* in sum */
	};

	for (size_t i = 0; i < countof(bad); i++) {
		struct buf seen = BUF_INIT;
		struct ws w;

		ws_init(&w, false, 100);
		if (read_all(&w, slice_bytes(bad[i].p, bad[i].n), 1, &seen) == 0)
			T_FAIL("case %zu was taken", i);
		buf_fini(&seen);
		ws_fini(&w);
	}
}

TEST(the_handshake_is_that_of_the_rfc)
{
	char out[WS_ACCEPT];

	ws_accept(SLICE("dGhlIHNhbXBsZSBub25jZQ=="), out);
	EQ_STR(out, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}
