/* SPDX-License-Identifier: Apache-2.0 */
#include "api/apijson.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/obj.h"

static void put_message(const ProtobufCMessage *m, struct buf *out);

static void put_text(struct slice s, struct buf *out)
{
	buf_char(out, '"');
	buf_json(out, s);
	buf_char(out, '"');
}

static void put_bytes(const ProtobufCBinaryData *b, struct buf *out)
{
	buf_char(out, '"');
	buf_base64(out, slice_bytes(b->data, b->len));
	buf_char(out, '"');
}

static void put_enum(const ProtobufCFieldDescriptor *f, int value, struct buf *out)
{
	const ProtobufCEnumValue *v =
		protobuf_c_enum_descriptor_get_value(f->descriptor, value);

	if (v)
		put_text(slice_of(v->name), out);
	else
		buf_printf(out, "%d", value);
}

/* ---- messages that people write otherwise ---- */

static void put_ip(const ProtobufCMessage *m, struct buf *out)
{
	char text[ADDR_TEXT] = "";
	struct ip ip;

	if (api_to_ip((const Net__IPAddress *)m, &ip))
		ip_text(&ip, text);
	put_text(slice_of(text), out);
}

static void put_duration(const ProtobufCMessage *m, struct buf *out)
{
	const Common__Duration *d = (const Common__Duration *)m;
	char text[48];
	int n = snprintf(text, sizeof text, "%" PRId64 ".%09d", d->seconds,
		d->nanos < 0 ? 0 : d->nanos % 1000000000);

	while (text[n - 1] == '0')
		n--;
	if (text[n - 1] == '.')
		n--;
	buf_printf(out, "\"%.*ss\"", n, text);
}

static const struct {
	const ProtobufCMessageDescriptor *type;
	void (*put)(const ProtobufCMessage *m, struct buf *out);
} special[] = {
	{&net__ipaddress__descriptor, put_ip},
	{&common__duration__descriptor, put_duration},
};

static void put_any_message(const ProtobufCMessage *m, struct buf *out)
{
	for (size_t i = 0; i < countof(special); i++)
		if (m->descriptor == special[i].type) {
			special[i].put(m, out);
			return;
		}
	put_message(m, out);
}

/* ---- values ---- */

static void put_value(const ProtobufCFieldDescriptor *f, const void *p, struct buf *out)
{
	switch (f->type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
		buf_printf(out, "%" PRId32, *(const int32_t *)p);
		break;
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
		buf_printf(out, "%" PRIu32, *(const uint32_t *)p);
		break;
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
		buf_printf(out, "%" PRId64, *(const int64_t *)p);
		break;
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		buf_printf(out, "%" PRIu64, *(const uint64_t *)p);
		break;
	case PROTOBUF_C_TYPE_FLOAT:
		buf_printf(out, "%g", (double)*(const float *)p);
		break;
	case PROTOBUF_C_TYPE_DOUBLE:
		buf_printf(out, "%g", *(const double *)p);
		break;
	case PROTOBUF_C_TYPE_BOOL:
		buf_text(out, *(const protobuf_c_boolean *)p ? "true" : "false");
		break;
	case PROTOBUF_C_TYPE_ENUM:
		put_enum(f, *(const int *)p, out);
		break;
	case PROTOBUF_C_TYPE_STRING:
		put_text(slice_of(*(char *const *)p), out);
		break;
	case PROTOBUF_C_TYPE_BYTES:
		put_bytes(p, out);
		break;
	case PROTOBUF_C_TYPE_MESSAGE:
		put_any_message(*(ProtobufCMessage *const *)p, out);
		break;
	}
}

static size_t size_of(ProtobufCType type)
{
	switch (type) {
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		return 8;
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_FLOAT:
		return 4;
	case PROTOBUF_C_TYPE_BOOL:
		return sizeof(protobuf_c_boolean);
	case PROTOBUF_C_TYPE_ENUM:
		return sizeof(int);
	case PROTOBUF_C_TYPE_BYTES:
		return sizeof(ProtobufCBinaryData);
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_MESSAGE:
		break;
	}
	return sizeof(void *);
}

/* ---- fields ---- */

static void put_labels(Common__Label *const *v, size_t n, struct buf *out)
{
	buf_char(out, '{');
	for (size_t i = 0; i < n; i++) {
		if (i)
			buf_char(out, ',');
		put_text(slice_of(v[i]->key), out);
		buf_char(out, ':');
		put_text(slice_of(v[i]->value), out);
	}
	buf_char(out, '}');
}

static void put_list(
	const ProtobufCFieldDescriptor *f, const void *v, size_t n, struct buf *out)
{
	if (f->type == PROTOBUF_C_TYPE_MESSAGE &&
		f->descriptor == &common__label__descriptor) {
		put_labels(v, n, out);
		return;
	}
	buf_char(out, '[');
	for (size_t i = 0; i < n; i++) {
		if (i)
			buf_char(out, ',');
		put_value(f, (const char *)v + i * size_of(f->type), out);
	}
	buf_char(out, ']');
}

static bool is_zero(const ProtobufCFieldDescriptor *f, const void *p)
{
	static const char zero[8];
	const char *text;

	if (f->type == PROTOBUF_C_TYPE_STRING) {
		text = *(char *const *)p;
		return !text || !*text;
	}
	if (f->type == PROTOBUF_C_TYPE_BYTES)
		return ((const ProtobufCBinaryData *)p)->len == 0;
	return memcmp(p, zero, size_of(f->type)) == 0;
}

static bool is_set(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
	const char *base = (const char *)m;

	if (f->label == PROTOBUF_C_LABEL_REPEATED)
		return *(const size_t *)(base + f->quantifier_offset) > 0;
	if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
		return *(const uint32_t *)(base + f->quantifier_offset) == f->id;
	return !is_zero(f, base + f->offset);
}

static void put_field(
	const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f, struct buf *out)
{
	const char *base = (const char *)m;

	put_text(slice_of(f->name), out);
	buf_char(out, ':');
	if (f->label == PROTOBUF_C_LABEL_REPEATED)
		put_list(f, *(void *const *)(base + f->offset),
			*(const size_t *)(base + f->quantifier_offset), out);
	else
		put_value(f, base + f->offset, out);
}

static void put_message(const ProtobufCMessage *m, struct buf *out)
{
	bool some = false;

	buf_char(out, '{');
	for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];

		if (!is_set(m, f))
			continue;
		if (some)
			buf_char(out, ',');
		some = true;
		put_field(m, f, out);
	}
	buf_char(out, '}');
}

int api_json(const void *m, struct buf *out)
{
	put_any_message(m, out);
	return out->failed ? -1 : 0;
}
