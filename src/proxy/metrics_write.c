/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/metrics_int.h"

static const char *const type_names[] = {[COUNTER] = "counter",
	[GAUGE] = "gauge",
	[GAUGE_MAX] = "gauge",
	[HISTOGRAM] = "histogram"};

/* ---- what all workers counted ---- */

static int64_t value_of(const struct series *s)
{
	bool greatest = metric_families[s->family].type == GAUGE_MAX;
	int64_t n = 0;

	for (unsigned w = 0; w < s->metrics->workers; w++) {
		int64_t one = atomic_load_explicit(
			&series_cell(s, w)->value, memory_order_relaxed);

		if (!greatest)
			n += one;
		else if (one > n)
			n = one;
	}
	return n;
}

static uint64_t bucket_of(const struct series *s, size_t i)
{
	uint64_t n = 0;

	for (unsigned w = 0; w < s->metrics->workers; w++)
		n += atomic_load_explicit(
			&series_cell(s, w)->bucket[i], memory_order_relaxed);
	return n;
}

/* ---- lines ---- */

static void write_line(const struct series *s, struct buf *out)
{
	const char *name = metric_families[s->family].name;

	buf_printf(out, *s->labels ? "%s{%s} %lld\n" : "%s%s %lld\n", name, s->labels,
		(long long)value_of(s));
}

/* A bound in the unit that is shown: "5", "0.025", "1.0". */
static void write_bound(const struct family_info *info, size_t i, struct buf *out)
{
	const struct bucket_set *set = &metric_buckets[info->buckets];

	if (i == set->n)
		buf_text(out, "+Inf");
	else if (info->buckets == LATENCY_MS)
		buf_printf(out, "%llu", (unsigned long long)set->le[i]);
	else if (set->le[i] % set->per_unit == 0)
		buf_printf(out, "%llu.0",
			(unsigned long long)(set->le[i] / set->per_unit));
	else
		buf_printf(out, "%g", (double)set->le[i] / (double)set->per_unit);
}

static void write_sum(const struct series *s, struct buf *out)
{
	const struct family_info *info = &metric_families[s->family];
	uint64_t unit = metric_buckets[info->buckets].per_unit;
	uint64_t sum = (uint64_t)value_of(s);

	buf_printf(
		out, *s->labels ? "%s_sum{%s} " : "%s_sum%s ", info->name, s->labels);
	if (unit == 1)
		buf_printf(out, "%llu\n", (unsigned long long)sum);
	else
		buf_printf(out, "%llu.%06llu\n", (unsigned long long)(sum / unit),
			(unsigned long long)(sum % unit));
}

static void write_histogram(const struct series *s, struct buf *out)
{
	const struct family_info *info = &metric_families[s->family];
	uint64_t n = 0;

	for (size_t i = 0; i <= metric_buckets[info->buckets].n; i++) {
		n += bucket_of(s, i);
		buf_printf(out, "%s_bucket{%s%sle=\"", info->name, s->labels,
			*s->labels ? "," : "");
		write_bound(info, i, out);
		buf_printf(out, "\"} %llu\n", (unsigned long long)n);
	}
	buf_printf(out, *s->labels ? "%s_count{%s} %llu\n" : "%s_count%s %llu\n",
		info->name, s->labels, (unsigned long long)n);
	write_sum(s, out);
}

static void write_head(const struct family_info *info, struct buf *out)
{
	buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", info->name, info->help,
		info->name, type_names[info->type]);
}

static void write_family(struct metrics *m, enum family f, struct buf *out)
{
	const struct family_info *info = &metric_families[f];
	struct series *s;

	if (!m->series[f].count)
		return;
	write_head(info, out);
	map_each(s, &m->series[f], node) if (info->type == HISTOGRAM)
		write_histogram(s, out);
	else write_line(s, out);
}

static void write_dropped(const struct metrics *m, struct buf *out)
{
	const struct family_info *info = &metric_families[M_DROPPED_SERIES];
	uint64_t all = 0;

	for (size_t f = 0; f < M_FAMILIES; f++)
		all += m->dropped[f];
	write_head(info, out);
	if (!all)
		buf_printf(out, "%s 0\n", info->name);
	for (size_t f = 0; all && f < M_FAMILIES; f++)
		if (m->dropped[f])
			buf_printf(out, "%s{family=\"%s\"} %llu\n", info->name,
				metric_families[f].name,
				(unsigned long long)m->dropped[f]);
}

/* ---- OpenMetrics ---- */

/* "# TYPE x_total counter" without the _total (OpenMetrics 1.0, Counter). */
static void write_meta_line(struct slice line, struct buf *out)
{
	struct slice rest = {line.p + 7, line.n - 7}, name;

	slice_cut(&rest, ' ', &name);
	buf_add(out, line.p, 7);
	if (slice_ends(name, SLICE("_total")))
		name.n -= 6;
	buf_adds(out, name);
	buf_char(out, ' ');
	buf_adds(out, rest);
}

static void make_open(struct slice text, struct buf *out)
{
	struct slice line;

	while (text.n && slice_cut(&text, '\n', &line)) {
		if (slice_starts(line, SLICE("# HELP ")) ||
			slice_starts(line, SLICE("# TYPE ")))
			write_meta_line(line, out);
		else
			buf_adds(out, line);
		buf_char(out, '\n');
	}
}

/* The lock is let go between families: a worker that needs a series waits little. */
static void write_all(struct metrics *m, struct buf *out)
{
	pthread_mutex_lock(&m->lock);
	metrics_sweep(m);
	pthread_mutex_unlock(&m->lock);
	for (size_t f = 0; f < M_FAMILIES; f++) {
		pthread_mutex_lock(&m->lock);
		write_family(m, (enum family)f, out);
		pthread_mutex_unlock(&m->lock);
	}
	pthread_mutex_lock(&m->lock);
	write_dropped(m, out);
	pthread_mutex_unlock(&m->lock);
	for (struct metrics_extra *x = m->extras; x; x = x->next)
		x->fn(x->arg, out);
	buf_text(out, "# EOF\n");
}

void metrics_write(struct metrics *m, bool open, struct buf *out)
{
	struct buf plain = BUF_INIT;

	if (!open) {
		write_all(m, out);
		return;
	}
	write_all(m, &plain);
	make_open(buf_slice(&plain), out);
	buf_fini(&plain);
}
