/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/metrics.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/map.h"
#include "proxy/control.h"
#include "t.h"
#include "wire/prom.h"

/* ---- a reader of the exposition format that forgives nothing ---- */

struct seen {
	struct map_node node;
	char *text;
};

struct reading {
	struct map families, series;
	struct slice family; /* that the last TYPE began */
	struct slice type;
	bool is_open; /* OpenMetrics */
	bool ended;
};

static bool is_new(struct map *m, struct slice key)
{
	struct seen *s = calloc(1, sizeof *s);

	if (map_find(m, key)) {
		free(s);
		return false;
	}
	s->text = slice_dup(key);
	EQ_INT(map_insert(m, &s->node, slice_of(s->text)), 0);
	return true;
}

static void forget(struct map *m)
{
	struct seen *s;

	map_each(s, m, node)
	{
		map_remove(m, &s->node);
		free(s->text);
		free(s);
	}
	map_fini(m);
}

static void read_head(struct reading *r, struct slice line)
{
	struct slice rest = {line.p + 7, line.n - 7}, name;

	OK(slice_cut(&rest, ' ', &name) && name.n && rest.n);
	if (slice_starts(line, SLICE("# HELP "))) {
		if (!is_new(&r->families, name))
			T_FAIL("%.*s twice", SLICE_FMT(name));
		r->family = name;
		r->type = SLICE_NONE;
		return;
	}
	OK(slice_eq(r->family, name) && !r->type.p); /* HELP, then TYPE, once */
	r->type = rest;
	if (slice_is(rest, "counter"))
		OK(slice_ends(name, SLICE("_total")) != r->is_open);
}

/* What may follow the family's name. */
static bool suffix_fits(const struct reading *r, struct slice suffix)
{
	if (slice_is(r->type, "histogram"))
		return slice_is(suffix, "_bucket") || slice_is(suffix, "_count") ||
		       slice_is(suffix, "_sum");
	if (slice_is(r->type, "counter") && r->is_open)
		return slice_is(suffix, "_total");
	return suffix.n == 0;
}

static void read_sample(struct reading *r, struct slice line)
{
	struct prom_sample s;
	struct slice one = line;

	OK(prom_next(&one, &s));
	if (!is_new(&r->series, s.series))
		T_FAIL("%.*s twice", SLICE_FMT(s.series));
	OK(r->type.p && slice_starts(s.name, r->family));
	OK(suffix_fits(r, slice_bytes(s.name.p + r->family.n, s.name.n - r->family.n)));
}

static void check_text(struct slice text, bool open)
{
	struct reading r = {.is_open = open};
	struct slice line;

	while (text.n && slice_cut(&text, '\n', &line)) {
		OK(!r.ended && line.n);
		if (slice_is(line, "# EOF"))
			r.ended = true;
		else if (line.p[0] == '#')
			read_head(&r, line);
		else
			read_sample(&r, line);
	}
	OK(r.ended);
	forget(&r.families);
	forget(&r.series);
}

static const char *written(struct metrics *m) /* until the next call */
{
	static char *text;
	struct buf b = BUF_INIT;

	metrics_write(m, false, &b);
	free(text);
	text = buf_steal(&b);
	return text;
}

static void one_of_each(struct metrics *m)
{
	for (int f = 0; f < M_FAMILIES; f++) {
		struct series *a, *b;

		if (f == M_DROPPED_SERIES)
			continue;
		a = metrics_series(m, (enum family)f, SLICE("k=\"a\""));
		b = metrics_series(m, (enum family)f, SLICE(""));
		series_add(a, 0, 1);
		series_add(b, 1, 2);
		series_put(a);
		series_put(b);
	}
}

TEST(every_family_is_told_once_in_both_formats)
{
	struct metrics *m = metrics_new(2);
	struct buf b = BUF_INIT;

	one_of_each(m);
	metrics_extra(m, proxy_process_metrics, NULL);
	metrics_write(m, false, &b);
	check_text(buf_slice(&b), false);
	buf_clear(&b);
	metrics_write(m, true, &b);
	check_text(buf_slice(&b), true);
	buf_fini(&b);
	metrics_free(m);
}

TEST(a_histogram_counts_in_its_own_unit)
{
	struct metrics *m = metrics_new(1);
	struct series *ms = metrics_series(m, M_RESPONSE_LATENCY_MS, SLICE("a=\"1\""));
	struct series *us = metrics_series(m, M_OUT_HTTP_DURATION, SLICE(""));
	struct series *bytes = metrics_series(m, M_IN_GRPC_REQUEST_FRAMES, SLICE(""));
	const char *text;

	series_observe(ms, 0, 5);
	series_observe(ms, 0, 60000);
	series_observe(us, 0, 50000); /* inclusive */
	series_observe(us, 0, 50001);
	series_observe(bytes, 0, 1025);
	text = written(m);
	OK(strstr(text, "response_latency_ms_bucket{a=\"1\",le=\"4\"} 0\n"));
	OK(strstr(text, "response_latency_ms_bucket{a=\"1\",le=\"5\"} 1\n"));
	OK(strstr(text, "response_latency_ms_bucket{a=\"1\",le=\"+Inf\"} 2\n"));
	OK(strstr(text, "response_latency_ms_sum{a=\"1\"} 60005\n"));
	OK(strstr(text, "_request_duration_seconds_bucket{le=\"0.05\"} 1\n"));
	OK(strstr(text, "_request_duration_seconds_bucket{le=\"0.5\"} 2\n"));
	OK(strstr(text, "_request_duration_seconds_bucket{le=\"1.0\"} 2\n"));
	OK(strstr(text, "_request_duration_seconds_sum 0.100001\n"));
	OK(strstr(text, "_request_frame_size_bytes_bucket{le=\"1024.0\"} 0\n"));
	OK(strstr(text, "_request_frame_size_bytes_bucket{le=\"10240.0\"} 1\n"));
	OK(strstr(text, "_request_frame_size_bytes_sum 1025\n"));
	metrics_free(m);
}

TEST(shares_of_the_workers_add_up_but_for_what_each_tells_alike)
{
	struct metrics *m = metrics_new(2);
	struct series *sum = metrics_series(m, M_TCP_OPEN_CONNECTIONS, SLICE(""));
	struct series *max = metrics_series(m, M_HTTP_BALANCER_ENDPOINTS, SLICE(""));
	const char *text;

	series_add(sum, 0, 2);
	series_add(sum, 1, 3);
	series_set(max, 0, 2);
	series_set(max, 1, 3);
	text = written(m);
	OK(strstr(text, "\ntcp_open_connections 5\n"));
	OK(strstr(text, "\noutbound_http_balancer_endpoints 3\n"));
	metrics_free(m);
}

TEST(label_sets_beyond_the_limit_share_one_series)
{
	struct metrics *m = metrics_new(1);
	const char *text;

	for (int i = 0; i < METRICS_MAX + 7; i++) {
		char labels[32];

		snprintf(labels, sizeof labels, "sni=\"%d\"", i);
		metrics_count(m, M_TCP_OPEN_TOTAL, slice_of(labels), 0);
	}
	text = written(m);
	OK(strstr(text, "\ntcp_open_total{overflow=\"true\"} 7\n"));
	OK(strstr(
		text, "\nmetrics_dropped_series_total{family=\"tcp_open_total\"} 7\n"));
	check_text(slice_of(text), false);
	metrics_free(m);
}

TEST(what_is_unused_for_long_is_told_no_more)
{
	struct metrics *m = metrics_new(1);
	struct series *kept = metrics_series(m, M_REQUEST_TOTAL, SLICE("a=\"kept\""));

	metrics_retain(m, NS_PER_MS);
	metrics_count(m, M_REQUEST_TOTAL, SLICE("a=\"gone\""), 0);
	OK(strstr(written(m), "request_total{a=\"gone\"} 1\n"));
	usleep(5000);
	OK(!strstr(written(m), "gone") && strstr(written(m), "kept"));
	series_put(kept);
	metrics_free(m);
}

TEST(label_values_are_escaped)
{
	struct buf b = BUF_INIT;

	labels_add(&b, "a", SLICE("x\"y\\z\nw"));
	labels_add(&b, "b", SLICE(""));
	buf_char(&b, '\0');
	EQ_STR(buf_slice(&b).p, "a=\"x\\\"y\\\\z\\nw\",b=\"\"");
	buf_fini(&b);
}

static struct metrics *shared;

static void *count_and_let_go(void *arg)
{
	for (int i = 0; i < 20000; i++)
		metrics_count(shared, M_REQUEST_TOTAL,
			i % 2 ? SLICE("a=\"1\"") : SLICE(""), *(unsigned *)arg);
	return NULL;
}

TEST(threads_count_while_it_is_read)
{
	unsigned index[2] = {0, 1};
	pthread_t t[2];

	shared = metrics_new(2);
	for (int i = 0; i < 2; i++)
		pthread_create(&t[i], NULL, count_and_let_go, &index[i]);
	for (int i = 0; i < 50; i++)
		(void)written(shared);
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	OK(strstr(written(shared), "request_total{a=\"1\"} 20000\n"));
}
