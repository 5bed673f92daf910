/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/metrics.h"

#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/map.h"

#define RETAIN (600 * NS_PER_S)

/* Upper bounds in ms, of spec proxy.md §13.1; the last bucket has none. */
static const uint32_t bounds[] = {1, 2, 3, 4, 5, 10, 20, 30, 40, 50, 100, 200, 300, 400,
	500, 1000, 2000, 3000, 4000, 5000, 10000, 20000, 30000, 40000, 50000};
#define BUCKETS (countof(bounds) + 1)

enum type { COUNTER, GAUGE, HISTOGRAM };

static const struct family_info {
	const char *name, *help;
	enum type type;
} families[M_FAMILIES] = {
	[M_REQUEST_TOTAL] = {"request_total", "Total count of HTTP requests.", COUNTER},
	[M_RESPONSE_TOTAL] = {"response_total", "Total count of HTTP responses.",
		COUNTER},
	[M_RESPONSE_LATENCY_MS] = {"response_latency_ms",
		"Elapsed times between a request's headers being received and its "
		"response "
		"stream completing.",
		HISTOGRAM},
	[M_TCP_OPEN_TOTAL] = {"tcp_open_total", "Total count of opened connections.",
		COUNTER},
	[M_TCP_OPEN_CONNECTIONS] = {"tcp_open_connections",
		"Number of currently-open connections.", GAUGE},
	[M_TCP_READ_BYTES] = {"tcp_read_bytes_total",
		"Total count of bytes read from peers.", COUNTER},
	[M_TCP_WRITE_BYTES] = {"tcp_write_bytes_total",
		"Total count of bytes written to peers.", COUNTER},
	[M_TCP_CLOSE_TOTAL] = {"tcp_close_total", "Total count of closed connections.",
		COUNTER},
	[M_TCP_CONNECTION_DURATION_MS] = {"tcp_connection_duration_ms",
		"Connection lifetimes.", HISTOGRAM},
	[M_IN_HTTP_ALLOW] = {"inbound_http_authz_allow_total",
		"The total number of inbound HTTP requests that were authorized.",
		COUNTER},
	[M_IN_HTTP_DENY] = {"inbound_http_authz_deny_total",
		"The total number of inbound HTTP requests that could not be "
		"authorized.",
		COUNTER},
	[M_IN_TCP_ALLOW] = {"inbound_tcp_authz_allow_total",
		"The total number of inbound TCP connections that were authorized.",
		COUNTER},
	[M_IN_TCP_DENY] = {"inbound_tcp_authz_deny_total",
		"The total number of inbound TCP connections that could not be "
		"authorized.",
		COUNTER},
	[M_IN_TCP_TERMINATE] = {"inbound_tcp_authz_terminate_total",
		"The total number of inbound TCP connections ended by a policy change.",
		COUNTER},
	[M_IN_HTTP_ROUTE_NOT_FOUND] = {"inbound_http_route_not_found_total",
		"The total number of inbound HTTP requests that matched no route.",
		COUNTER},
	[M_IN_HTTP_ERRORS] = {"inbound_http_errors_total",
		"The total number of inbound HTTP requests that could not be "
		"processed.",
		COUNTER},
	[M_OUT_HTTP_ERRORS] = {"outbound_http_errors_total",
		"The total number of outbound HTTP requests that could not be "
		"processed.",
		COUNTER},
	[M_IN_H2_PEER_ERRORS] = {"inbound_http2_peer_errors_total",
		"Limits and rules of HTTP/2 that peers of the inbound side broke.",
		COUNTER},
	[M_OUT_H2_PEER_ERRORS] = {"outbound_http2_peer_errors_total",
		"Limits and rules of HTTP/2 that peers of the outbound side broke.",
		COUNTER},
	[M_IN_TCP_ERRORS] = {"inbound_tcp_errors_total",
		"The total number of inbound TCP connections that could not be "
		"processed.",
		COUNTER},
	[M_OUT_TCP_ERRORS] = {"outbound_tcp_errors_total",
		"The total number of outbound TCP connections that could not be "
		"processed.",
		COUNTER},
	[M_IN_TRANSPORT_HEADER] = {"inbound_tcp_transport_header_connections_total",
		"The total number of direct connections with a transport header.",
		COUNTER},
	[M_CONTROL_REQUEST_TOTAL] = {"control_request_total",
		"Total count of requests to the control plane.", COUNTER},
	[M_CONTROL_RESPONSE_TOTAL] = {"control_response_total",
		"Total count of responses of the control plane.", COUNTER},
	[M_CONTROL_RESPONSE_LATENCY_MS] = {"control_response_latency_ms",
		"Latency of the control plane's responses.", HISTOGRAM},
	[M_STACK_CREATE] = {"stack_create_total", "Total count of stacks created.",
		COUNTER},
	[M_STACK_DROP] = {"stack_drop_total", "Total count of stacks dropped.",
		COUNTER},
};

struct cell {                      /* one worker's share; only it writes */
	_Atomic int64_t value;     /* histograms: the sum */
	_Atomic uint64_t bucket[]; /* BUCKETS of them, for histograms */
};

struct series {
	struct map_node node;
	struct metrics *metrics;
	enum family family;
	atomic_uint refs;
	_Atomic uint64_t unused_since;
	char *labels;
	size_t cell_size;
	char *cells; /* one for each worker, each on cache lines of its own */
};

struct extra {
	struct extra *next;
	void (*fn)(void *arg, struct buf *out);
	void *arg;
};

struct metrics {
	pthread_mutex_t lock;
	unsigned workers;
	struct map series[M_FAMILIES];
	struct series *overflow[M_FAMILIES];
	_Atomic uint64_t dropped;
	struct extra *extras;
};

struct metrics *metrics_new(unsigned workers)
{
	struct metrics *m = calloc(1, sizeof *m);

	if (!m)
		return NULL;
	pthread_mutex_init(&m->lock, NULL);
	m->workers = workers + 1; /* and the control thread */
	return m;
}

unsigned metrics_control(const struct metrics *m)
{
	return m->workers - 1;
}

static void series_free(struct series *s)
{
	free(s->labels);
	free(s->cells);
	free(s);
}

void metrics_free(struct metrics *m)
{
	struct series *s;

	for (size_t f = 0; f < M_FAMILIES; f++) {
		map_each(s, &m->series[f], node)
		{
			map_remove(&m->series[f], &s->node);
			series_free(s);
		}
		map_fini(&m->series[f]);
	}
	while (m->extras) {
		struct extra *x = m->extras;

		m->extras = x->next;
		free(x);
	}
	pthread_mutex_destroy(&m->lock);
	free(m);
}

static struct cell *cell(const struct series *s, unsigned worker)
{
	return (struct cell *)(s->cells + worker * s->cell_size);
}

static struct series *series_new(struct metrics *m, enum family f, struct slice labels)
{
	struct series *s = calloc(1, sizeof *s);
	size_t size = sizeof(struct cell);

	if (!s)
		return NULL;
	if (families[f].type == HISTOGRAM)
		size += BUCKETS * sizeof(uint64_t);
	s->metrics = m;
	s->family = f;
	s->labels = slice_dup(labels);
	s->cell_size = m->workers > 2 ? (size + 63) & ~(size_t)63 : size;
	s->cells = calloc(m->workers, s->cell_size);
	if (!s->labels || !s->cells ||
		map_insert(&m->series[f], &s->node, slice_of(s->labels)) < 0) {
		series_free(s);
		return NULL;
	}
	return s;
}

/* A label set too many is counted in one series for all of them. */
static struct series *overflow(struct metrics *m, enum family f)
{
	atomic_fetch_add(&m->dropped, 1);
	if (!m->overflow[f]) {
		m->overflow[f] = series_new(m, f, SLICE("overflow=\"true\""));
		if (m->overflow[f])
			atomic_store(&m->overflow[f]->refs, 1);
	}
	return m->overflow[f];
}

struct series *metrics_series(struct metrics *m, enum family f, struct slice labels)
{
	struct series *s;

	pthread_mutex_lock(&m->lock);
	s = map_get(&m->series[f], labels, struct series, node);
	if (!s && m->series[f].count >= METRICS_MAX)
		s = overflow(m, f);
	else if (!s)
		s = series_new(m, f, labels);
	if (s)
		atomic_fetch_add(&s->refs, 1);
	pthread_mutex_unlock(&m->lock);
	return s;
}

void series_put(struct series *s)
{
	if (!s)
		return;
	/* first, for who finds no reference may free it at once */
	atomic_store(&s->unused_since, clock_mono());
	atomic_fetch_sub(&s->refs, 1);
}

void series_add(struct series *s, unsigned worker, int64_t n)
{
	struct cell *c;

	if (!s)
		return;
	c = cell(s, worker);
	atomic_store_explicit(&c->value,
		atomic_load_explicit(&c->value, memory_order_relaxed) + n,
		memory_order_relaxed);
}

static size_t bucket_of(uint64_t ms)
{
	size_t i = 0;

	while (i < countof(bounds) && ms > bounds[i])
		i++;
	return i;
}

void series_observe(struct series *s, unsigned worker, uint64_t ms)
{
	_Atomic uint64_t *b;

	if (!s)
		return;
	b = &cell(s, worker)->bucket[bucket_of(ms)];
	atomic_store_explicit(b, atomic_load_explicit(b, memory_order_relaxed) + 1,
		memory_order_relaxed);
	series_add(s, worker, (int64_t)ms);
}

/* ---- labels ---- */

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

/* ---- text ---- */

static int64_t sum(const struct series *s)
{
	int64_t n = 0;

	for (unsigned w = 0; w < s->metrics->workers; w++)
		n += atomic_load_explicit(&cell(s, w)->value, memory_order_relaxed);
	return n;
}

static uint64_t sum_bucket(const struct series *s, size_t i)
{
	uint64_t n = 0;

	for (unsigned w = 0; w < s->metrics->workers; w++)
		n += atomic_load_explicit(&cell(s, w)->bucket[i], memory_order_relaxed);
	return n;
}

static void write_histogram(const struct series *s, struct buf *out)
{
	const char *name = families[s->family].name, *comma = *s->labels ? "," : "";
	uint64_t n = 0;

	for (size_t i = 0; i < BUCKETS; i++) {
		n += sum_bucket(s, i);
		if (i < countof(bounds))
			buf_printf(out, "%s_bucket{%s%sle=\"%u\"} %llu\n", name,
				s->labels, comma, bounds[i], (unsigned long long)n);
		else
			buf_printf(out, "%s_bucket{%s%sle=\"+Inf\"} %llu\n", name,
				s->labels, comma, (unsigned long long)n);
	}
	buf_printf(out, "%s_count{%s} %llu\n", name, s->labels, (unsigned long long)n);
	buf_printf(out, "%s_sum{%s} %lld\n", name, s->labels, (long long)sum(s));
}

static bool is_old(const struct series *s, uint64_t now)
{
	uint64_t since = atomic_load(&s->unused_since);

	return since && now > since && now - since > RETAIN;
}

static void write_family(struct metrics *m, enum family f, struct buf *out)
{
	static const char *const types[] = {"counter", "gauge", "histogram"};
	const struct family_info *info = &families[f];
	uint64_t now = clock_mono();
	struct series *s;

	if (!m->series[f].count)
		return;
	buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", info->name, info->help,
		info->name, types[info->type]);
	map_each(s, &m->series[f], node)
	{
		if (atomic_load(&s->refs) == 0 && is_old(s, now)) {
			map_remove(&m->series[f], &s->node);
			series_free(s);
			continue;
		}
		if (info->type == HISTOGRAM)
			write_histogram(s, out);
		else
			buf_printf(out, "%s{%s} %lld\n", info->name, s->labels,
				(long long)sum(s));
	}
}

void metrics_write(struct metrics *m, struct buf *out)
{
	pthread_mutex_lock(&m->lock);
	for (size_t f = 0; f < M_FAMILIES; f++)
		write_family(m, (enum family)f, out);
	buf_printf(out,
		"# HELP metrics_dropped_series_total Label sets beyond the limit.\n"
		"# TYPE metrics_dropped_series_total counter\n"
		"metrics_dropped_series_total %llu\n",
		(unsigned long long)atomic_load(&m->dropped));
	for (struct extra *x = m->extras; x; x = x->next)
		x->fn(x->arg, out);
	pthread_mutex_unlock(&m->lock);
	buf_text(out, "# EOF\n");
}

void metrics_extra(struct metrics *m, void (*fn)(void *arg, struct buf *out), void *arg)
{
	struct extra *x = malloc(sizeof *x);

	if (!x)
		return;
	*x = (struct extra){m->extras, fn, arg};
	m->extras = x;
}
