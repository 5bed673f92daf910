/* SPDX-License-Identifier: Apache-2.0 */
#include "local/spdy.h"

#include <stdlib.h>

#include "base/obj.h"
#include "local/spdyint.h"
#include "wire/unzip.h"

#define HEAD     8
#define VERSION  3
#define FLAG_FIN 1

struct spdy {
	uint8_t head[HEAD];
	size_t nhead;
	uint32_t left; /* of the payload */
	bool in_payload, replied;
	struct buf control; /* a control frame's payload */
	struct unzip *headers;
};

struct spdy *spdy_new(void)
{
	struct spdy *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->control = BUF_LIMIT(SPDY_CONTROL_MAX);
	s->headers = unzip_new(SPDY_HEADERS_MAX, spdy_dictionary);
	if (s->headers)
		return s;
	free(s);
	return NULL;
}

void spdy_free(struct spdy *s)
{
	if (!s)
		return;
	buf_fini(&s->control);
	unzip_free(s->headers);
	free(s);
}

/* ---- numbers ---- */

static uint32_t u32_at(const void *at)
{
	const uint8_t *p = at;

	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void put_u32(void *at, uint32_t n)
{
	uint8_t *p = at;

	p[0] = (uint8_t)(n >> 24);
	p[1] = (uint8_t)(n >> 16);
	p[2] = (uint8_t)(n >> 8);
	p[3] = (uint8_t)n;
}

/* ---- control frames ---- */

/* How the payload of each kind begins. */
static const struct shape {
	uint8_t kind;
	bool has_stream, has_value, has_headers;
	uint8_t fixed; /* bytes; the headers come after them */
} shapes[] = {
	{SPDY_SYN_STREAM, true, false, true, 10},
	{SPDY_SYN_REPLY, true, false, true, 4},
	{SPDY_RST_STREAM, true, true, false, 8},
	{SPDY_SETTINGS, false, false, false, 4},
	{SPDY_PING, true, false, false, 4},
	{SPDY_GOAWAY, true, true, false, 8},
	{SPDY_HEADERS, true, false, true, 4},
	{SPDY_WINDOW_UPDATE, true, true, false, 8},
};

static const struct shape *shape_of(unsigned kind)
{
	for (size_t i = 0; i < countof(shapes); i++)
		if (shapes[i].kind == kind)
			return &shapes[i];
	return NULL;
}

/* 1: in *f.  0: of an unknown kind. */
static int end_control(struct spdy *s, struct spdy_frame *f, struct err *e)
{
	const struct shape *shape = shape_of((unsigned)(s->head[2] << 8 | s->head[3]));
	struct slice in = buf_slice(&s->control);

	if (!shape)
		return 0;
	if (in.n < shape->fixed)
		return err_set(e, ERR_SYNTAX, "a short frame of kind %d", shape->kind);
	*f = (struct spdy_frame){.kind = (enum spdy_kind)shape->kind};
	if (shape->has_stream)
		f->stream = u32_at(in.p);
	if (f->kind != SPDY_PING)
		f->stream &= SPDY_STREAM_MAX;
	if (shape->has_value)
		f->value = u32_at(in.p + 4);
	if (!shape->has_headers)
		return 1;
	f->fin = s->head[4] & FLAG_FIN;
	in = slice_bytes(in.p + shape->fixed, in.n - shape->fixed);
	if (unzip_block(s->headers, in, &f->bytes, e) < 0)
		return err_wrap(e, "headers");
	return 1;
}

/* ---- reading ---- */

static bool is_control(const struct spdy *s)
{
	return s->head[0] & 0x80;
}

static int begin_payload(struct spdy *s, struct err *e)
{
	s->left = u32_at(s->head + 4) & 0xffffff;
	s->in_payload = true;
	if (!is_control(s))
		return 0;
	if ((s->head[0] & 0x7f) != 0 || s->head[1] != VERSION)
		return err_set(e, ERR_SYNTAX, "not a frame of version %d", VERSION);
	if (s->left > SPDY_CONTROL_MAX)
		return err_set(e, ERR_LIMIT, "a control frame of %u bytes", s->left);
	buf_clear(&s->control);
	return 0;
}

static void end_payload(struct spdy *s)
{
	s->in_payload = false;
	s->nhead = 0;
}

/* Takes what there is of a payload; as spdy_read(). */
static int read_payload(struct spdy *s, struct slice in, size_t *used,
	struct spdy_frame *f, struct err *e)
{
	*used = in.n < s->left ? in.n : s->left;
	s->left -= (uint32_t)*used;
	if (is_control(s)) {
		if (buf_add(&s->control, in.p, *used) < 0)
			return err_set(e, ERR_LIMIT, "no room for a frame");
		if (s->left)
			return 0;
		end_payload(s);
		return end_control(s, f, e);
	}
	*f = (struct spdy_frame){.kind = SPDY_DATA,
		.stream = u32_at(s->head) & SPDY_STREAM_MAX,
		.fin = !s->left && s->head[4] & FLAG_FIN,
		.bytes = slice_bytes(in.p, *used)};
	if (!s->left)
		end_payload(s);
	return *used || f->fin;
}

int spdy_read(struct spdy *s, struct slice in, size_t *used, struct spdy_frame *f,
	struct err *e)
{
	*used = 0;
	while (*used < in.n || (s->in_payload && !s->left)) {
		struct slice rest = slice_bytes(in.p + *used, in.n - *used);
		size_t n;
		int rc;

		if (!s->in_payload) {
			s->head[s->nhead++] = (uint8_t)rest.p[0];
			++*used;
			if (s->nhead == HEAD && begin_payload(s, e) < 0)
				return -1;
			continue;
		}
		rc = read_payload(s, rest, &n, f, e);
		*used += n;
		if (rc)
			return rc;
	}
	return 0;
}

/* ---- headers ---- */

/* Takes a text and its length off the front. */
static bool cut_text(struct slice *in, struct slice *text)
{
	uint32_t n;

	if (in->n < 4)
		return false;
	n = u32_at(in->p);
	if (n > in->n - 4)
		return false;
	*text = slice_bytes(in->p + 4, n);
	*in = slice_bytes(in->p + 4 + n, in->n - 4 - n);
	return true;
}

struct slice spdy_header(const struct spdy_frame *f, const char *name)
{
	struct slice in = f->bytes, key, value;

	if (in.n < 4)
		return SLICE_NONE;
	in = slice_bytes(in.p + 4, in.n - 4); /* how many there are */
	while (cut_text(&in, &key) && cut_text(&in, &value))
		if (slice_is(key, name))
			return value;
	return SLICE_NONE;
}

/* ---- writing ---- */

static int write_control(enum spdy_kind kind, struct slice payload, struct buf *out)
{
	uint8_t head[HEAD] = {0x80, VERSION, 0, (uint8_t)kind};
	size_t was = buf_len(out);

	put_u32(head + 4, (uint32_t)payload.n);
	if (buf_add(out, head, sizeof(head)) < 0 || buf_adds(out, payload) < 0) {
		out->end = out->at + was;
		return -1;
	}
	return 0;
}

/* No headers: the count 0, in a block that is stored, and one that flushes it.  The
 * first of a session begins its zlib stream (RFC 1950), which names the dictionary. */
int spdy_write_reply(struct spdy *s, uint32_t stream, struct buf *out)
{
	static const uint8_t begin[] = {0x78, 0xbb, 0xe3, 0xc6, 0xa7, 0xc2};
	static const uint8_t none[] = {
		0, 4, 0, 0xfb, 0xff, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
	uint8_t payload[4 + sizeof(begin) + sizeof(none)];
	size_t n = 4;

	put_u32(payload, stream);
	if (!s->replied) {
		memcpy(payload + n, begin, sizeof(begin));
		n += sizeof(begin);
	}
	memcpy(payload + n, none, sizeof(none));
	n += sizeof(none);
	s->replied = true;
	return write_control(SPDY_SYN_REPLY, slice_bytes(payload, n), out);
}

int spdy_write_data(uint32_t stream, bool fin, struct slice bytes, struct buf *out)
{
	uint8_t head[HEAD];
	size_t was = buf_len(out);

	must(bytes.n < 1u << 24);
	put_u32(head, stream & SPDY_STREAM_MAX);
	put_u32(head + 4, (uint32_t)bytes.n | (fin ? (uint32_t)FLAG_FIN << 24 : 0));
	if (buf_add(out, head, sizeof(head)) < 0 || buf_adds(out, bytes) < 0) {
		out->end = out->at + was;
		return -1;
	}
	return 0;
}

int spdy_write_reset(uint32_t stream, enum spdy_status status, struct buf *out)
{
	uint8_t payload[8];

	put_u32(payload, stream);
	put_u32(payload + 4, status);
	return write_control(
		SPDY_RST_STREAM, slice_bytes(payload, sizeof(payload)), out);
}

int spdy_write_ping(uint32_t id, struct buf *out)
{
	uint8_t payload[4];

	put_u32(payload, id);
	return write_control(SPDY_PING, slice_bytes(payload, sizeof(payload)), out);
}
