/* SPDX-License-Identifier: Apache-2.0 */
#include "textproto.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"

struct reader {
	const char *at;
	struct arena *a;
	struct err *e;
};

typedef const ProtobufCFieldDescriptor field_desc;

static int message(
	struct reader *r, const ProtobufCMessageDescriptor *type, void *m, char end);

static int bad(struct reader *r, const char *what)
{
	return err_set(r->e, ERR_SYNTAX, "%s at \"%.40s\"", what, r->at);
}

static void skip(struct reader *r)
{
	while (isspace((unsigned char)*r->at) || *r->at == ',' || *r->at == ';')
		r->at++;
}

static int word(struct reader *r, char out[64])
{
	size_t n = 0;

	skip(r);
	while ((isalnum((unsigned char)*r->at) || strchr("_.+-", *r->at)) && *r->at) {
		if (n + 1 == 64)
			return bad(r, "a word too long");
		out[n++] = *r->at++;
	}
	out[n] = '\0';
	return n ? 0 : bad(r, "no word");
}

static char escaped(struct reader *r)
{
	static const char from[] = "nrt0", to[] = "\n\r\t";
	char hex[3] = "", c = *r->at++;
	const char *known = c ? strchr(from, c) : NULL;

	if (known)
		return to[known - from];
	if (c != 'x')
		return c;
	for (int i = 0; i < 2 && isxdigit((unsigned char)*r->at); i++)
		hex[i] = *r->at++;
	return (char)strtoul(hex, NULL, 16);
}

static int quoted(struct reader *r, char **out, size_t *n)
{
	char *p = arena_alloc(r->a, strlen(r->at) + 1);

	skip(r);
	*n = 0;
	if (!p || *r->at++ != '"')
		return bad(r, "no text");
	while (*r->at && *r->at != '"') {
		char c = *r->at++;

		p[(*n)++] = c == '\\' ? escaped(r) : c;
	}
	*out = p;
	return *r->at++ == '"' ? 0 : bad(r, "a text without end");
}

static int enumeration(struct reader *r, field_desc *f, const char *name, void *to)
{
	const ProtobufCEnumValue *v =
		protobuf_c_enum_descriptor_get_value_by_name(f->descriptor, name);

	if (!v && !isdigit((unsigned char)*name))
		return bad(r, "an unknown value");
	*(int *)to = v ? v->value : (int)strtol(name, NULL, 10);
	return 0;
}

static int number(struct reader *r, field_desc *f, void *to)
{
	char text[64];

	if (word(r, text) < 0)
		return -1;
	switch (f->type) {
	case PROTOBUF_C_TYPE_BOOL:
		*(protobuf_c_boolean *)to = strcmp(text, "true") == 0;
		return 0;
	case PROTOBUF_C_TYPE_ENUM:
		return enumeration(r, f, text, to);
	case PROTOBUF_C_TYPE_FLOAT:
		*(float *)to = strtof(text, NULL);
		return 0;
	case PROTOBUF_C_TYPE_DOUBLE:
		*(double *)to = strtod(text, NULL);
		return 0;
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		*(uint64_t *)to = strtoull(text, NULL, 0);
		return 0;
	default:
		*(uint32_t *)to = (uint32_t)strtoul(text, NULL, 0);
		return 0;
	}
}

static int submessage(struct reader *r, field_desc *f, void *to)
{
	void *m = api_new(f->descriptor, r->a);

	skip(r);
	if (!m || *r->at++ != '{')
		return bad(r, "no {");
	*(void **)to = m;
	return message(r, f->descriptor, m, '}');
}

static int value(struct reader *r, field_desc *f, void *to)
{
	ProtobufCBinaryData *bytes = to;
	size_t n;

	switch (f->type) {
	case PROTOBUF_C_TYPE_MESSAGE:
		return submessage(r, f, to);
	case PROTOBUF_C_TYPE_STRING:
		return quoted(r, to, &n);
	case PROTOBUF_C_TYPE_BYTES:
		return quoted(r, (char **)&bytes->data, &bytes->len);
	default:
		return number(r, f, to);
	}
}

static size_t size_of(field_desc *f)
{
	switch (f->type) {
	case PROTOBUF_C_TYPE_MESSAGE:
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		return 8;
	case PROTOBUF_C_TYPE_BYTES:
		return sizeof(ProtobufCBinaryData);
	default:
		return 4;
	}
}

/* Room for one more in a repeated field. */
static void *one_more(struct reader *r, field_desc *f, char *m)
{
	size_t *n = (size_t *)(m + f->quantifier_offset), size = size_of(f);
	char **v = (char **)(m + f->offset);
	char *more = arena_array(r->a, *n + 1, size);

	if (!more)
		return NULL;
	if (*n)
		memcpy(more, *v, *n * size);
	*v = more;
	return more + (*n)++ * size;
}

static int field(struct reader *r, const ProtobufCMessageDescriptor *type, char *m)
{
	field_desc *f;
	char name[64];
	void *to;

	if (word(r, name) < 0)
		return -1;
	f = protobuf_c_message_descriptor_get_field_by_name(type, name);
	if (!f)
		return bad(r, "an unknown field before");
	skip(r);
	if (*r->at == ':')
		r->at++;
	to = f->label == PROTOBUF_C_LABEL_REPEATED ? one_more(r, f, m) : m + f->offset;
	if (!to)
		return bad(r, "no memory");
	if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
		*(uint32_t *)(m + f->quantifier_offset) = f->id;
	return value(r, f, to);
}

static int message(
	struct reader *r, const ProtobufCMessageDescriptor *type, void *m, char end)
{
	for (;;) {
		skip(r);
		if (*r->at == end) {
			r->at += end != '\0';
			return 0;
		}
		if (!*r->at)
			return bad(r, "no }");
		if (field(r, type, m) < 0)
			return -1;
	}
}

void *textproto_read(const ProtobufCMessageDescriptor *type, const char *text,
	struct arena *a, struct err *e)
{
	struct reader r = {text, a, e};
	void *m = api_new(type, a);

	return m && message(&r, type, m, '\0') == 0 ? m : NULL;
}

int textproto_write(const ProtobufCMessageDescriptor *type, const char *text,
	struct buf *out, struct err *e)
{
	struct arena a;
	void *m;
	int r;

	arena_init(&a, (size_t)64 << 20);
	m = textproto_read(type, text, &a, e);
	r = m ? api_write(m, out) : -1;
	arena_fini(&a);
	return r;
}

/* ---- for eyes ---- */

static bool print_short(const ProtobufCMessage *m, struct buf *out)
{
	const ProtobufCMessageDescriptor *type = m->descriptor;
	char text[ADDR_TEXT];
	struct cidr net;
	struct addr at;
	struct ip ip;

	if (type == &net__ipnetwork__descriptor && api_to_cidr((const void *)m, &net))
		buf_printf(out, "%s/%u", ip_text(&net.ip, text), net.bits);
	else if (type == &net__ipaddress__descriptor && api_to_ip((const void *)m, &ip))
		buf_text(out, ip_text(&ip, text));
	else if (type == &net__tcp_address__descriptor &&
		 api_to_addr((const void *)m, &at))
		buf_text(out, addr_text(&at, text));
	else if (type == &common__duration__descriptor)
		buf_printf(out, "%gs", (double)api_to_ns((const void *)m, 0) / 1e9);
	else if (type == &common__label__descriptor)
		buf_printf(out, "%s=%s", ((const Common__Label *)m)->key,
			((const Common__Label *)m)->value);
	else
		return false;
	return true;
}

static void print_value(field_desc *f, const void *at, struct buf *out)
{
	const ProtobufCBinaryData *bytes = at;
	const ProtobufCEnumValue *v;

	switch (f->type) {
	case PROTOBUF_C_TYPE_MESSAGE:
		if (print_short(*(ProtobufCMessage *const *)at, out))
			break;
		buf_char(out, '{');
		textproto_print(*(ProtobufCMessage *const *)at, out);
		buf_char(out, '}');
		break;
	case PROTOBUF_C_TYPE_STRING:
		buf_printf(out, "\"%s\"", *(char *const *)at);
		break;
	case PROTOBUF_C_TYPE_BYTES:
		buf_printf(out, "\"%.*s\"", (int)bytes->len, (char *)bytes->data);
		break;
	case PROTOBUF_C_TYPE_ENUM:
		v = protobuf_c_enum_descriptor_get_value(
			f->descriptor, *(const int *)at);
		buf_text(out, v ? v->name : "?");
		break;
	case PROTOBUF_C_TYPE_BOOL:
		buf_text(out, *(const protobuf_c_boolean *)at ? "true" : "false");
		break;
	case PROTOBUF_C_TYPE_FLOAT:
		buf_printf(out, "%g", (double)*(const float *)at);
		break;
	case PROTOBUF_C_TYPE_DOUBLE:
		buf_printf(out, "%g", *(const double *)at);
		break;
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		buf_printf(out, "%lld", *(const long long *)at);
		break;
	default:
		buf_printf(out, "%u", *(const uint32_t *)at);
	}
}

static bool is_zero(field_desc *f, const void *at)
{
	static const uint64_t zero;
	const char *text;

	switch (f->type) {
	case PROTOBUF_C_TYPE_MESSAGE:
		return !*(void *const *)at;
	case PROTOBUF_C_TYPE_STRING:
		text = *(char *const *)at;
		return !text || !*text;
	case PROTOBUF_C_TYPE_BYTES:
		return ((const ProtobufCBinaryData *)at)->len == 0;
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		return memcmp(at, &zero, 8) == 0;
	default:
		return memcmp(at, &zero, 4) == 0;
	}
}

static size_t item_size(field_desc *f)
{
	switch (f->type) {
	case PROTOBUF_C_TYPE_BYTES:
		return sizeof(ProtobufCBinaryData);
	case PROTOBUF_C_TYPE_MESSAGE:
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		return 8;
	default:
		return 4;
	}
}

static void print_field(field_desc *f, const void *at, struct buf *out)
{
	if (buf_len(out) && out->p[out->end - 1] != '{')
		buf_char(out, ' ');
	buf_printf(out, "%s:", f->name);
	print_value(f, at, out);
}

void textproto_print(const ProtobufCMessage *m, struct buf *out)
{
	for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
		field_desc *f = &m->descriptor->fields[i];
		const char *at = (const char *)m + f->offset;
		const uint32_t *which =
			(const void *)((const char *)m + f->quantifier_offset);

		if (f->label == PROTOBUF_C_LABEL_REPEATED) {
			for (size_t k = 0; k < *(const size_t *)(const void *)which;
				k++)
				print_field(f,
					*(const char *const *)(const void *)at +
						k * item_size(f),
					out);
		} else if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF ? *which == f->id
								  : !is_zero(f, at)) {
			print_field(f, at, out);
		}
	}
}
