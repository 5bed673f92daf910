/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "wire/json.h"
#include "wire/json_node.h"

static void write_value(const struct json *j, int indent, int level, struct buf *out);

static void new_line(int indent, int level, struct buf *out)
{
	if (indent == 0)
		return;
	buf_char(out, '\n');
	for (int i = 0; i < indent * level; i++)
		buf_char(out, ' ');
}

static void write_text(const char *text, struct buf *out)
{
	buf_char(out, '"');
	buf_json(out, slice_of(text));
	buf_char(out, '"');
}

/* The shortest text that reads back as the same number. */
static void write_real(double v, struct buf *out)
{
	char text[32];

	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof text, "%.*g", digits, v);
		if (strtod(text, NULL) == v)
			break;
	}
	buf_text(out, text);
}

static void write_members(const struct json *j, int indent, int level, struct buf *out)
{
	bool object = json_kind(j) == JSON_OBJECT;
	const char *sep = "";

	buf_char(out, object ? '{' : '[');
	json_each(it, j)
	{
		buf_text(out, sep);
		new_line(indent, level + 1, out);
		if (object) {
			write_text(json_key(it), out);
			buf_text(out, indent ? ": " : ":");
		}
		write_value(it, indent, level + 1, out);
		sep = ",";
	}
	if (json_first(j))
		new_line(indent, level, out);
	buf_char(out, object ? '}' : ']');
}

static void write_value(const struct json *j, int indent, int level, struct buf *out)
{
	switch (json_kind(j)) {
	case JSON_NONE:
	case JSON_NULL:
		buf_text(out, "null");
		break;
	case JSON_BOOL:
		buf_text(out, node_type(node_of(j)) == cJSON_True ? "true" : "false");
		break;
	case JSON_INT:
		buf_printf(out, "%" PRId64, node_whole(node_of(j)));
		break;
	case JSON_REAL:
		write_real(node_of(j)->valuedouble, out);
		break;
	case JSON_TEXT:
		write_text(json_text(j), out);
		break;
	case JSON_LIST:
	case JSON_OBJECT:
		write_members(j, indent, level, out);
		break;
	}
}

int json_write(const struct json *j, int indent, struct buf *out)
{
	write_value(j, indent, 0, out);
	return out->failed ? -1 : 0;
}
