/* SPDX-License-Identifier: Apache-2.0 */
#include "local/spdy.h"

#include <stdlib.h>
#include <zlib.h>

#include "base/obj.h"
#include "local/spdyint.h"
#include "t.h"

/* ---- a client's side ---- */

struct packer {
	z_stream z;
};

static void packer_init(struct packer *p)
{
	struct buf dictionary = BUF_INIT;

	memset(p, 0, sizeof(*p));
	OK(deflateInit(&p->z, 9) == Z_OK);
	spdy_dictionary(&dictionary);
	OK(deflateSetDictionary(&p->z, (const Bytef *)dictionary.p,
		   (uInt)buf_len(&dictionary)) == Z_OK);
	buf_fini(&dictionary);
}

static void put_u32(struct buf *b, uint32_t n)
{
	const char bytes[4] = {
		(char)(n >> 24), (char)(n >> 16), (char)(n >> 8), (char)n};

	buf_add(b, bytes, 4);
}

static void put_text(struct buf *b, const char *text)
{
	put_u32(b, (uint32_t)strlen(text));
	buf_text(b, text);
}

static void pack(struct packer *p, struct slice plain, struct buf *out)
{
	char *room = buf_room(out, plain.n + 1000);

	p->z.next_in = (z_const Bytef *)plain.p;
	p->z.avail_in = (uInt)plain.n;
	p->z.next_out = (Bytef *)room;
	p->z.avail_out = (uInt)plain.n + 1000;
	OK(deflate(&p->z, Z_SYNC_FLUSH) == Z_OK);
	buf_added(out, plain.n + 1000 - p->z.avail_out);
}

static void open_stream(struct packer *p, uint32_t id, const char *type,
	const char *request, struct buf *out)
{
	struct buf plain = BUF_INIT, payload = BUF_INIT;

	put_u32(&plain, 3);
	put_text(&plain, "streamtype");
	put_text(&plain, type);
	put_text(&plain, "port");
	put_text(&plain, "8080");
	put_text(&plain, "requestid");
	put_text(&plain, request);
	put_u32(&payload, id);
	put_u32(&payload, 0);
	buf_add(&payload, "\0\0", 2);
	pack(p, buf_slice(&plain), &payload);
	put_u32(out, 0x80030001);
	put_u32(out, (uint32_t)buf_len(&payload));
	buf_adds(out, buf_slice(&payload));
	buf_fini(&plain);
	buf_fini(&payload);
}

/* ---- what is read, as text ---- */

static void show(const struct spdy_frame *f, struct buf *seen)
{
	if (f->kind == SPDY_DATA) {
		buf_adds(seen, f->bytes);
		buf_text(seen, f->fin ? "." : "");
		return;
	}
	buf_printf(
		seen, "<%d %u %u%s", f->kind, f->stream, f->value, f->fin ? "." : "");
	if (f->kind == SPDY_SYN_STREAM)
		buf_printf(seen, " %.*s %.*s", SLICE_FMT(spdy_header(f, "streamtype")),
			SLICE_FMT(spdy_header(f, "requestid")));
	buf_text(seen, ">");
}

static int read_all(struct spdy *s, struct slice in, size_t cut, struct buf *seen)
{
	struct slice parts[2] = {{in.p, cut}, {in.p + cut, in.n - cut}};

	for (size_t i = 0; i < 2; i++)
		for (;;) {
			struct spdy_frame f;
			size_t used;
			int rc = spdy_read(s, parts[i], &used, &f, NULL);

			if (rc < 0)
				return -1;
			parts[i] = slice_bytes(parts[i].p + used, parts[i].n - used);
			if (rc == 0)
				break;
			show(&f, seen);
		}
	return 0;
}

TEST(a_session_reads_the_same_at_every_cut)
{
	struct buf wire = BUF_INIT;
	struct packer p;

	packer_init(&p);
	open_stream(&p, 1, "error", "0", &wire);
	spdy_write_data(1, true, SLICE(""), &wire);
	open_stream(&p, 3, "data", "0", &wire);
	spdy_write_ping(0x80000001, &wire);
	spdy_write_data(3, false, SLICE("hello"), &wire);
	put_u32(&wire, 0x80030063); /* of no known kind */
	put_u32(&wire, 3);
	buf_text(&wire, "???");
	spdy_write_data(3, false, SLICE(""), &wire);
	spdy_write_data(3, true, SLICE("!"), &wire);
	spdy_write_reset(3, SPDY_CANCEL, &wire);
	for (size_t cut = 0; cut <= buf_len(&wire); cut++) {
		struct buf seen = BUF_INIT;
		struct spdy *s = spdy_new();

		OK(read_all(s, buf_slice(&wire), cut, &seen) == 0);
		buf_char(&seen, 0);
		EQ_STR(seen.p, "<1 1 0 error 0>.<1 3 0 data 0><6 2147483649 0>hello!."
			       "<3 3 5>");
		buf_fini(&seen);
		spdy_free(s);
	}
	deflateEnd(&p.z);
	buf_fini(&wire);
}

TEST(replies_are_one_stream_of_blocks_without_headers)
{
	struct spdy *server = spdy_new(), *client = spdy_new();
	struct buf wire = BUF_INIT, seen = BUF_INIT;

	for (uint32_t id = 1; id < 8; id += 2)
		OK(spdy_write_reply(server, id, &wire) == 0);
	OK(read_all(client, buf_slice(&wire), 30, &seen) == 0);
	buf_char(&seen, 0);
	EQ_STR(seen.p, "<2 1 0><2 3 0><2 5 0><2 7 0>");
	spdy_free(server);
	spdy_free(client);
	buf_fini(&wire);
	buf_fini(&seen);
}

TEST(the_dictionary_is_the_one_of_the_protocol)
{
	struct buf d = BUF_INIT;

	spdy_dictionary(&d);
	EQ_INT(buf_len(&d), 1423);
	EQ_INT(adler32(1, (const Bytef *)d.p, 1423), 0xe3c6a7c2);
	buf_fini(&d);
}

/* ---- what is refused ---- */

static bool is_refused(struct slice in)
{
	struct spdy *s = spdy_new();
	struct buf seen = BUF_INIT;
	bool bad = read_all(s, in, 0, &seen) < 0;

	spdy_free(s);
	buf_fini(&seen);
	return bad;
}

TEST(malformed_frames_end_the_session)
{
	OK(is_refused(SLICE("\x80\x02\0\1\0\0\0\0")));           /* version 2 */
	OK(is_refused(SLICE("\x80\x03\0\3\0\0\0\4\0\0\0\1")));   /* short */
	OK(is_refused(SLICE("\x80\x03\0\1\0\xff\xff\xff")));     /* long */
	OK(is_refused(SLICE("\x80\x03\0\2\0\0\0\6\0\0\0\1zz"))); /* not zlib */
	OK(!is_refused(SLICE("\x80\x03\0\3\0\0\0\10\0\0\0\1\0\0\0\1")));
}

TEST(headers_that_unpack_to_more_than_their_limit_are_refused)
{
	static char large[SPDY_HEADERS_MAX + 1];
	struct buf wire = BUF_INIT, payload = BUF_INIT;
	struct packer p;

	packer_init(&p);
	put_u32(&payload, 1);
	pack(&p, slice_bytes(large, sizeof(large)), &payload);
	OK(buf_len(&payload) < 200);
	put_u32(&wire, 0x80030008);
	put_u32(&wire, (uint32_t)buf_len(&payload));
	buf_adds(&wire, buf_slice(&payload));
	OK(is_refused(buf_slice(&wire)));
	deflateEnd(&p.z);
	buf_fini(&wire);
	buf_fini(&payload);
}

TEST(a_header_whose_length_lies_is_absent)
{
	struct spdy_frame f = {
		.bytes = SLICE("\0\0\0\2\0\0\0\1a\0\0\0\1b\xff\xff\xff\xffport")};

	OK(slice_is(spdy_header(&f, "a"), "b"));
	OK(!spdy_header(&f, "port").p);
	f.bytes = SLICE("\0\0");
	OK(!spdy_header(&f, "a").p);
}
