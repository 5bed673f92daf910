/* SPDX-License-Identifier: Apache-2.0 */
/*
 * WebSocket frames: where the bytes are cut changes no message, nothing is larger than
 * it may be, and what was read can be written and read again.  The first byte says
 * whose side reads, and the cut.
 */
#include "base/obj.h"
#include "http/ws.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX 1000

struct sum {
	size_t messages, bytes;
	uint64_t hash;
	bool bad;
};

static void again(enum ws_op op, struct slice payload, bool is_server)
{
	struct ws writer = {.is_server = !is_server}, reader;
	struct buf out = BUF_INIT;
	struct slice got = SLICE_NONE;
	enum ws_op got_op = WS_MORE;
	size_t used;

	ws_init(&reader, is_server, MAX);
	must(ws_write(&writer, op, payload, &out) == 0);
	must(ws_read(&reader, buf_slice(&out), &used, &got_op, &got, NULL) == 1);
	must(used == buf_len(&out) && got_op == op && slice_eq(got, payload));
	ws_fini(&reader);
	buf_fini(&out);
}

static void add(struct sum *s, enum ws_op op, struct slice payload, bool is_server)
{
	must(payload.n <= MAX);
	s->messages++;
	s->bytes += payload.n;
	s->hash = s->hash * 31 + op;
	for (size_t i = 0; i < payload.n; i++)
		s->hash = s->hash * 31 + (uint8_t)payload.p[i];
	if (op == WS_TEXT || op == WS_BINARY || payload.n <= 125)
		again(op, payload, is_server);
}

static struct sum run(const uint8_t *p, size_t n, size_t cut, bool is_server)
{
	struct sum s = {0};
	struct ws w;
	int r = 0;

	ws_init(&w, is_server, MAX);
	for (size_t at = 0; at < n && r >= 0;) {
		size_t len = n - at < cut ? n - at : cut, used = 0;
		struct slice payload = SLICE_NONE;
		enum ws_op op = WS_MORE;
		struct err e = {0};

		r = ws_read(&w, slice_bytes(p + at, len), &used, &op, &payload, &e);
		must(used <= len);
		if (r > 0)
			add(&s, op, payload, is_server);
		else if (r == 0)
			must(used == len);
		else
			must(e.msg[0]);
		at += used;
	}
	s.bad = r < 0;
	ws_fini(&w);
	return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sum whole, pieces;
	bool is_server;

	if (size < 2)
		return 0;
	is_server = data[0] & 1;
	whole = run(data + 1, size - 1, size, is_server);
	pieces = run(data + 1, size - 1, 1 + (data[0] >> 1), is_server);
	must(whole.bad == pieces.bad && whole.messages == pieces.messages);
	must(whole.bytes == pieces.bytes && whole.hash == pieces.hash);
	return 0;
}
