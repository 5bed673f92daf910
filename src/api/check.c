/* SPDX-License-Identifier: Apache-2.0 */
#include "api/check.h"

static int malformed(struct err *e)
{
	return err_set(e, ERR_SYNTAX, "malformed message");
}

static bool take_varint(struct slice *s, uint64_t *out)
{
	*out = 0;
	for (unsigned shift = 0; shift < 64 && s->n; shift += 7) {
		unsigned char c = (unsigned char)*s->p;

		s->p++, s->n--;
		*out |= (uint64_t)(c & 0x7f) << shift;
		if (!(c & 0x80))
			return true;
	}
	return false;
}

static bool take(struct slice *s, uint64_t n, struct slice *out)
{
	if (n > s->n)
		return false;
	*out = slice_bytes(s->p, (size_t)n);
	s->p += n, s->n -= (size_t)n;
	return true;
}

/* The bytes of a field behind its tag; only length-delimited ones are given back. */
static bool take_field(struct slice *s, unsigned wire_type, struct slice *out)
{
	uint64_t n;

	switch (wire_type) {
	case PROTOBUF_C_WIRE_TYPE_VARINT:
		return take_varint(s, &n);
	case PROTOBUF_C_WIRE_TYPE_64BIT:
		return take(s, 8, out);
	case PROTOBUF_C_WIRE_TYPE_32BIT:
		return take(s, 4, out);
	case PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED:
		return take_varint(s, &n) && take(s, n, out);
	default:
		return false;
	}
}

static int check_bytes(
	const ProtobufCFieldDescriptor *f, struct slice value, int depth, struct err *e)
{
	if (f && f->type == PROTOBUF_C_TYPE_MESSAGE)
		return api_check(f->descriptor, value, depth + 1, e);
	if (f && f->type == PROTOBUF_C_TYPE_STRING && memchr(value.p, 0, value.n))
		return err_set(e, ERR_SYNTAX, "a zero byte in %s", f->name);
	return 0;
}

int api_check(const ProtobufCMessageDescriptor *type, struct slice bytes, int depth,
	struct err *e)
{
	if (depth > API_DEPTH)
		return err_set(e, ERR_LIMIT, "messages nested too deeply");
	while (bytes.n) {
		const ProtobufCFieldDescriptor *f;
		struct slice value = SLICE_NONE;
		uint64_t tag;

		if (!take_varint(&bytes, &tag) || tag >> 3 == 0 || tag > UINT32_MAX)
			return malformed(e);
		if (!take_field(&bytes, tag & 7, &value))
			return malformed(e);
		if ((tag & 7) != PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED)
			continue;
		f = protobuf_c_message_descriptor_get_field(type, (unsigned)(tag >> 3));
		if (check_bytes(f, value, depth, e))
			return -1;
	}
	return 0;
}
