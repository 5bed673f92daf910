/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/gzip.h"

#include <zlib.h>

#include "base/obj.h"
#include "t.h"

static void unpack(struct slice in, char *out, size_t size, size_t *n)
{
	z_stream z = {.next_in = (Bytef *)in.p,
		.avail_in = (uInt)in.n,
		.next_out = (Bytef *)out,
		.avail_out = (uInt)size};

	EQ_INT(inflateInit2(&z, 15 + 16), Z_OK);
	EQ_INT(inflate(&z, Z_FINISH), Z_STREAM_END);
	EQ_INT(z.avail_in, 0);
	*n = size - z.avail_out;
	inflateEnd(&z);
}

TEST(what_is_packed_comes_out_again)
{
	static const size_t sizes[] = {0, 1, 1000, 300000};
	static char text[300000], back[300001];

	for (size_t i = 0; i < sizeof text; i++)
		text[i] = (char)(i * i % 251);
	for (size_t i = 0; i < countof(sizes); i++) {
		struct buf b = BUF_INIT;
		size_t n;

		EQ_INT(gzip(slice_bytes(text, sizes[i]), &b), 0);
		unpack(buf_slice(&b), back, sizeof back, &n);
		EQ_INT(n, sizes[i]);
		OK(memcmp(back, text, n) == 0);
		buf_fini(&b);
	}
}

TEST(a_buffer_without_room_stays_as_it_was)
{
	struct buf b = BUF_LIMIT(10);

	buf_text(&b, "before");
	EQ_INT(gzip(SLICE("something"), &b), -1);
	EQ_INT(buf_len(&b), 6);
	buf_fini(&b);
}
