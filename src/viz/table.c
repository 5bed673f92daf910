/* SPDX-License-Identifier: Apache-2.0 */
#include "viz/table.h"

#include "base/obj.h"

#define GAP 3

/* Characters, not bytes. */
static size_t width_of(struct slice s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
	return n;
}

void table_cell(struct table *t, const char *fmt, ...)
{
	size_t at = buf_len(&t->cells), width;
	va_list ap;

	must(t->column < TABLE_COLUMNS);
	va_start(ap, fmt);
	must(buf_vprintf(&t->cells, fmt, ap) == 0);
	va_end(ap);
	width = width_of(
		(struct slice){t->cells.p + t->cells.at + at, buf_len(&t->cells) - at});
	if (width > t->width[t->column])
		t->width[t->column] = width;
	must(buf_char(&t->cells, '\0') == 0);
	t->column++;
}

void table_end_row(struct table *t)
{
	must(buf_char(&t->cells, '\n') == 0);
	t->column = 0;
}

static void pad(struct buf *out, size_t n)
{
	buf_printf(out, "%*s", (int)n, "");
}

static void write_row(const struct table *t, struct slice row, struct buf *out)
{
	struct slice cell;

	for (size_t c = 0; slice_cut(&row, '\0', &cell) && row.p; c++) {
		size_t room = t->width[c] - width_of(cell);
		bool last = row.n == 0;

		if (c)
			pad(out, GAP);
		if (c >= t->right_from)
			pad(out, room);
		buf_adds(out, cell);
		if (c < t->right_from && !last)
			pad(out, room);
	}
	buf_char(out, '\n');
}

void table_write(const struct table *t, struct buf *out)
{
	struct slice rest = buf_slice(&t->cells), row;

	while (slice_cut(&rest, '\n', &row) && rest.p)
		write_row(t, row, out);
}

void table_fini(struct table *t)
{
	buf_fini(&t->cells);
}
