/* SPDX-License-Identifier: Apache-2.0 */
/* Tables as text: columns in capitals, three blanks apart, as kubectl prints them. */
#include <stdlib.h>

#include "base/obj.h"
#include "local/meta.h"
#include "local/verbs.h"

#define COLUMNS_MAX 24

struct layout {
	size_t n;
	int index[COLUMNS_MAX]; /* of the cell; -1: the namespace */
	size_t width[COLUMNS_MAX];
	const char *title[COLUMNS_MAX];
};

static const char *cell_text(const struct json *row, int index, char tmp[32])
{
	const struct json *cell;

	if (index < 0)
		return meta_ns(json_get(row, "object"));
	cell = json_at(json_get(row, "cells"), (size_t)index);
	switch (json_kind(cell)) {
	case JSON_TEXT:
		return json_text(cell);
	case JSON_INT:
		snprintf(tmp, 32, "%lld", (long long)json_int(cell, 0));
		return tmp;
	case JSON_BOOL:
		snprintf(tmp, 32, "cells.%d", index);
		return json_bool_at(row, tmp, false) ? "true" : "false";
	case JSON_REAL:
		snprintf(tmp, 32, "%g", json_real(cell, 0));
		return tmp;
	case JSON_NONE:
	case JSON_NULL:
	case JSON_LIST:
	case JSON_OBJECT:
		break;
	}
	return "<none>";
}

static void add(struct layout *l, const char *title, int index)
{
	if (l->n == COLUMNS_MAX)
		return;
	l->index[l->n] = index;
	l->title[l->n] = title;
	l->width[l->n++] = strlen(title);
}

static void lay_out(struct layout *l, const struct json *table, bool wide, bool with_ns)
{
	int i = 0;

	if (with_ns)
		add(l, "Namespace", -1);
	json_each(c, json_get(table, "columnDefinitions"))
	{
		if (wide || json_int_at(c, "priority", 0) == 0)
			add(l, json_text_or(c, "name", ""), i);
		i++;
	}
	json_each(row, json_get(table, "rows"))
	{
		for (size_t k = 0; k < l->n; k++) {
			char tmp[32];
			size_t n = strlen(cell_text(row, l->index[k], tmp));

			if (n > l->width[k])
				l->width[k] = n;
		}
	}
}

static void put(
	const struct layout *l, size_t k, const char *text, bool title, struct buf *out)
{
	for (const char *p = text; *p; p++)
		buf_char(out, (char)(title && *p >= 'a' && *p <= 'z' ? *p - 32 : *p));
	if (k + 1 == l->n)
		buf_char(out, '\n');
	else
		buf_printf(out, "%*s", (int)(l->width[k] - strlen(text) + 3), "");
}

void table_print(const struct json *table, bool wide, bool with_ns, struct buf *out)
{
	struct layout l = {0};

	lay_out(&l, table, wide, with_ns);
	for (size_t k = 0; k < l.n; k++)
		put(&l, k, l.title[k], true, out);
	json_each(row, json_get(table, "rows"))
	{
		for (size_t k = 0; k < l.n; k++) {
			char tmp[32];

			put(&l, k, cell_text(row, l.index[k], tmp), false, out);
		}
	}
}
