/* SPDX-License-Identifier: Apache-2.0 */
#include "local/table.h"

#include "base/clock.h"
#include "base/obj.h"
#include "local/meta.h"

/* As Kubernetes' HumanDuration: two units while the first is small. */
void age_text(uint64_t ns, struct buf *out)
{
	uint64_t s = ns / NS_PER_S, m = s / 60, h = m / 60, d = h / 24;

	if (s < 120)
		buf_printf(out, "%llus", (unsigned long long)s);
	else if (m < 10 && s % 60)
		buf_printf(out, "%llum%llus", (unsigned long long)m,
			(unsigned long long)(s % 60));
	else if (m < 180)
		buf_printf(out, "%llum", (unsigned long long)m);
	else if (h < 8 && m % 60)
		buf_printf(out, "%lluh%llum", (unsigned long long)h,
			(unsigned long long)(m % 60));
	else if (h < 48)
		buf_printf(out, "%lluh", (unsigned long long)h);
	else if (d < 8 && h % 24)
		buf_printf(out, "%llud%lluh", (unsigned long long)d,
			(unsigned long long)(h % 24));
	else
		buf_printf(out, "%llud", (unsigned long long)d);
}

static void add_column(struct json *list, const char *name, const char *type, bool wide,
	const char *says)
{
	struct json *c = json_push(list, json_object());

	json_set_text(c, "name", name);
	json_set_text(c, "type", type);
	json_set_text(c, "format", strcmp(name, "Name") == 0 ? "name" : "");
	json_set_text(c, "description", says);
	json_set_int(c, "priority", wide);
}

/* additionalPrinterColumns of the version, or NULL. */
static const struct json *printer_columns(const struct kind *k, const struct json *crd)
{
	json_each(v, json_path(crd, "spec.versions"))
	{
		if (strcmp(json_text_or(v, "name", ""), k->version) == 0)
			return json_get(v, "additionalPrinterColumns");
	}
	return NULL;
}

static bool has_age(const struct json *columns)
{
	json_each(c, columns)
	{
		if (strcmp(json_text_or(c, "jsonPath", ""),
			    ".metadata.creationTimestamp") == 0)
			return true;
	}
	return false;
}

struct json *table_new(const struct kind *k, const struct json *crd, bool with_columns)
{
	const struct columns *own = columns_of(k);
	const struct json *custom = printer_columns(k, crd);
	struct json *t = json_object(), *list;

	json_set_text(t, "kind", "Table");
	json_set_text(t, "apiVersion", "meta.k8s.io/v1");
	json_set(t, "metadata", json_object());
	list = json_set(t, "columnDefinitions", json_list());
	json_set(t, "rows", json_list());
	if (!with_columns)
		return t;
	if (!own->nameless)
		add_column(list, "Name", "string", false, "Name of the object");
	if (json_first(custom)) {
		json_each(c, custom)
		{
			add_column(list, json_text_or(c, "name", ""),
				json_text_or(c, "type", "string"),
				json_int_at(c, "priority", 0) > 0,
				json_text_or(c, "description", ""));
		}
		if (!has_age(custom))
			add_column(list, "Age", "string", false, "");
		return t;
	}
	for (size_t i = 0; i < own->n; i++)
		add_column(list, own->v[i].name,
			own->v[i].type ? own->v[i].type : "string", own->v[i].wide,
			own->v[i].name);
	return t;
}

static void add_cell(struct json *cells, struct buf *b, bool number)
{
	uint64_t n;

	if (number && slice_u64(buf_slice(b), UINT32_MAX, &n))
		json_push(cells, json_integer((int64_t)n));
	else
		json_push(cells, json_string_n(buf_slice(b)));
	buf_fini(b);
}

static void age_cell(const struct json *obj, uint64_t now, struct buf *out)
{
	uint64_t at = meta_time(obj, "metadata.creationTimestamp");

	if (!at)
		buf_text(out, "<unknown>");
	else
		age_text(now > at ? now - at : 0, out);
}

/* ".spec.port": only plain paths. */
static void custom_cell(const struct json *obj, const struct json *column, uint64_t now,
	struct json *cells)
{
	const char *path = json_text_or(column, "jsonPath", ".");
	const struct json *value = json_path(obj, path + 1);
	uint64_t at = meta_time(obj, path + 1);
	struct buf b = BUF_INIT;

	if (strcmp(json_text_or(column, "type", ""), "date") == 0 && at) {
		age_text(now > at ? now - at : 0, &b);
		add_cell(cells, &b, false);
	} else
		json_push(cells, value ? json_copy(value) : json_null());
}

static void own_cells(struct json *cells, const struct columns *own,
	const struct json *obj, uint64_t now)
{
	for (size_t i = 0; i < own->n; i++) {
		const struct column *c = &own->v[i];
		struct buf b = BUF_INIT;

		if (c->path && c->type)
			buf_printf(&b, "%lld", (long long)json_int_at(obj, c->path, 0));
		else if (c->path)
			buf_text(&b, json_text_or(obj, c->path, ""));
		else
			c->cell(obj, now, &b);
		add_cell(cells, &b, c->type != NULL);
	}
}

static struct json *row_object(const struct json *obj, enum table_include include)
{
	struct json *o;

	if (include == TABLE_OBJECT)
		return json_copy(obj);
	o = json_object();
	json_set_text(o, "kind", "PartialObjectMetadata");
	json_set_text(o, "apiVersion", "meta.k8s.io/v1");
	json_set(o, "metadata", json_copy(json_get(obj, "metadata")));
	return o;
}

void table_add(struct json *table, const struct kind *k, const struct json *crd,
	const struct json *obj, uint64_t now, enum table_include include)
{
	struct json *row = json_push(json_get(table, "rows"), json_object());
	struct json *cells = json_set(row, "cells", json_list());
	const struct json *custom = printer_columns(k, crd);
	struct buf b = BUF_INIT;

	if (!columns_of(k)->nameless)
		json_push(cells, json_string(meta_name(obj)));
	json_each(c, custom)
	{
		custom_cell(obj, c, now, cells);
	}
	if (json_first(custom) && !has_age(custom)) {
		age_cell(obj, now, &b);
		add_cell(cells, &b, false);
	} else if (!json_first(custom))
		own_cells(cells, columns_of(k), obj, now);
	if (include != TABLE_NONE)
		json_set(row, "object", row_object(obj, include));
}
