/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of `mesh stat` as a table and as JSON (spec cli.md §5). */
#include <math.h>
#include <stdlib.h>

#include "base/obj.h"
#include "viz/stat.h"
#include "viz/table.h"

static double requests(const struct stat_row *r)
{
	return r->success + r->failure;
}

static void put_name(
	const struct stat_row *r, const struct stat_form *f, struct table *t)
{
	if (f->prefix)
		table_cell(t, "%s/%s", viz_kinds[r->kind].brief, r->name);
	else
		table_cell(t, "%s", r->name);
}

static void put_http(
	const struct stat_row *r, const struct stat_form *f, struct table *t)
{
	static const double quantiles[] = {0.5, 0.95, 0.99};

	if (requests(r) <= 0) {
		for (int i = 0; i < 5; i++)
			table_cell(t, "-");
		return;
	}
	table_cell(t, "%.2f%%", 100 * r->success / requests(r));
	table_cell(t, "%.1frps", requests(r) / f->seconds);
	for (size_t i = 0; i < countof(quantiles); i++)
		table_cell(t, "%.0fms", stat_quantile(r, quantiles[i]));
}

static void put_bytes(
	double n, const struct stat_row *r, const struct stat_form *f, struct table *t)
{
	if (r->has_tcp)
		table_cell(t, "%.1fB/s", n / f->seconds);
	else
		table_cell(t, "-");
}

static void put_row(
	const struct stat_row *r, const struct stat_form *f, struct table *t)
{
	if (f->with_ns && r->kind != VIZ_NAMESPACE)
		table_cell(t, "%s", r->ns);
	put_name(r, f, t);
	if (r->kind == VIZ_POD)
		table_cell(t, "%s", *r->status ? r->status : "-");
	if (!f->no_mesh && r->kind != VIZ_SERVICE)
		table_cell(t, "%u/%u", r->meshed, r->running);
	put_http(r, f, t);
	if (r->has_tcp)
		table_cell(t, "%.0f", r->connections);
	else
		table_cell(t, "-");
	if (f->wide) {
		put_bytes(r->read, r, f, t);
		put_bytes(r->written, r, f, t);
	}
	table_end_row(t);
}

static void put_heads(enum viz_kind kind, const struct stat_form *f, struct table *t)
{
	static const char *const heads[] = {"SUCCESS", "RPS", "LATENCY_P50",
		"LATENCY_P95", "LATENCY_P99", "TCP_CONN"};

	if (f->with_ns && kind != VIZ_NAMESPACE)
		table_cell(t, "NAMESPACE");
	table_cell(t, "NAME");
	if (kind == VIZ_POD)
		table_cell(t, "STATUS");
	if (!f->no_mesh && kind != VIZ_SERVICE)
		table_cell(t, "MESHED");
	for (size_t i = 0; i < countof(heads); i++)
		table_cell(t, "%s", heads[i]);
	if (f->wide) {
		table_cell(t, "READ_BYTES/SEC");
		table_cell(t, "WRITE_BYTES/SEC");
	}
	table_end_row(t);
}

void stat_write_table(
	const struct stat_rows *r, const struct stat_form *f, struct buf *out)
{
	struct table t = {.right_from = f->with_ns ? 2 : 1};

	if (r->n == 0)
		return;
	put_heads(r->v[0].kind, f, &t);
	for (size_t i = 0; i < r->n; i++)
		put_row(&r->v[i], f, &t);
	table_write(&t, out);
	table_fini(&t);
}

/* null where there is nothing to say */
static void set_number(struct json *o, const char *key, bool known, double n)
{
	json_set(o, key, known ? json_number(n) : json_null());
}

static void set_whole(struct json *o, const char *key, bool known, double n)
{
	json_set(o, key, known ? json_integer(llround(n)) : json_null());
}

void stat_add_json(
	const struct stat_rows *rows, const struct stat_form *f, struct json *list)
{
	for (size_t i = 0; i < rows->n; i++) {
		const struct stat_row *r = &rows->v[i];
		struct json *o = json_push(list, json_object());
		bool http = requests(r) > 0;
		char meshed[32];

		snprintf(meshed, sizeof meshed, "%u/%u", r->meshed, r->running);
		json_set_text(o, "namespace", r->ns);
		json_set_text(o, "kind", viz_kinds[r->kind].name);
		json_set_text(o, "name", r->name);
		if (!f->no_mesh && r->kind != VIZ_SERVICE)
			json_set_text(o, "meshed", meshed);
		set_number(o, "success", http, http ? r->success / requests(r) : 0);
		set_number(o, "rps", http, requests(r) / f->seconds);
		set_whole(o, "latency_ms_p50", http, stat_quantile(r, 0.5));
		set_whole(o, "latency_ms_p95", http, stat_quantile(r, 0.95));
		set_whole(o, "latency_ms_p99", http, stat_quantile(r, 0.99));
		set_whole(o, "tcp_open_connections", r->has_tcp, r->connections);
		set_number(o, "tcp_read_bytes_rate", r->has_tcp, r->read / f->seconds);
		set_number(
			o, "tcp_write_bytes_rate", r->has_tcp, r->written / f->seconds);
	}
}
