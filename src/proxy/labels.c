/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "proxy/metrics.h"

static void escape(struct buf *b, struct slice v)
{
	size_t plain = 0;

	for (size_t i = 0; i < v.n; i++) {
		if (v.p[i] != '"' && v.p[i] != '\\' && v.p[i] != '\n')
			continue;
		buf_add(b, v.p + plain, i - plain);
		buf_char(b, '\\');
		if (v.p[i] == '\n') {
			buf_char(b, 'n');
			plain = i + 1;
		} else {
			plain = i;
		}
	}
	buf_add(b, v.p + plain, v.n - plain);
}

void labels_add(struct buf *b, const char *key, struct slice value)
{
	if (buf_len(b))
		buf_char(b, ',');
	buf_text(b, key);
	buf_text(b, "=\"");
	escape(b, value);
	buf_char(b, '"');
}

void labels_meta(struct buf *b, const char *prefix, const struct meta *m)
{
	char key[64], port[8];

	snprintf(key, sizeof key, "%sgroup", prefix);
	labels_add(b, key, slice_of(m->group));
	snprintf(key, sizeof key, "%skind", prefix);
	labels_add(b, key, slice_of(m->kind));
	snprintf(key, sizeof key, "%sname", prefix);
	labels_add(b, key, slice_of(m->name));
	if (strcmp(prefix, "srv_") != 0)
		return;
	snprintf(port, sizeof port, "%u", m->port);
	labels_add(b, "srv_port", m->port ? slice_of(port) : SLICE(""));
}
