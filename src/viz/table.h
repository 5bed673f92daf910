/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VIZ_TABLE_H
#define VIZ_TABLE_H

/* Columns of text as wide as their widest cell, three blanks between them. */
#include "base/buf.h"

#define TABLE_COLUMNS 16

struct table {
	size_t right_from; /* columns from there are aligned to the right */
	/* private */
	struct buf cells; /* each with its end; a row ends with an empty line */
	size_t column, width[TABLE_COLUMNS];
};

void table_cell(struct table *t, const char *fmt, ...) PRINTF_LIKE(2, 3);
void table_end_row(struct table *t);
void table_write(const struct table *t, struct buf *out);
void table_fini(struct table *t);

#endif
