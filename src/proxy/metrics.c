/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/metrics.h"

#include <stdlib.h>

#include "base/clock.h"
#include "proxy/metrics_int.h"

#define RETAIN (600 * NS_PER_S) /* unless metrics_retain() says otherwise */
#define SWEEP  (10 * NS_PER_S)  /* a full family is looked through so often, at most */

const struct family_info metric_families[M_FAMILIES] = {
#define FAMILY(id, name, type, buckets, help) [id] = {name, help, type, buckets},
#include "proxy/families.def"
};

#define BOUNDS(...)                                                                    \
	(const uint64_t[]){__VA_ARGS__}, countof(((const uint64_t[]){__VA_ARGS__}))
#define MICROSECONDS 1000000 /* a second; what is below */

const struct bucket_set metric_buckets[] = {
	[NONE] = {NULL, 0, 1},
	[LATENCY_MS] = {BOUNDS(1, 2, 3, 4, 5, 10, 20, 30, 40, 50, 100, 200, 300, 400,
				500, 1000, 2000, 3000, 4000, 5000, 10000, 20000, 30000,
				40000, 50000),
		1},
	[ROUTE_S] = {BOUNDS(50000, 500000, 1000000, 10000000), MICROSECONDS},
	[RESPONSE_S] = {BOUNDS(25000, 50000, 100000, 250000, 500000, 1000000, 10000000),
		MICROSECONDS},
	[QUEUE_S] = {BOUNDS(500, 5000, 50000, 500000, 1000000, 3000000), MICROSECONDS},
	[DETECT_S] = {BOUNDS(1000, 100000), MICROSECONDS},
	[FRAME] = {BOUNDS(128, 1024, 10240), 1},
};

struct metrics *metrics_new(unsigned workers)
{
	struct metrics *m = calloc(1, sizeof *m);

	if (!m)
		return NULL;
	pthread_mutex_init(&m->lock, NULL);
	m->workers = workers + 1; /* and the control thread */
	m->retain = RETAIN;
	return m;
}

void metrics_retain(struct metrics *m, uint64_t ns)
{
	m->retain = ns;
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
		struct metrics_extra *x = m->extras;

		m->extras = x->next;
		free(x);
	}
	pthread_mutex_destroy(&m->lock);
	free(m);
}

/* ---- series ---- */

static struct series *series_new(struct metrics *m, enum family f, struct slice labels)
{
	const struct family_info *info = &metric_families[f];
	struct series *s = calloc(1, sizeof *s);
	size_t size = sizeof(struct cell);

	if (!s)
		return NULL;
	if (info->type == HISTOGRAM)
		size += (metric_buckets[info->buckets].n + 1) * sizeof(uint64_t);
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

static bool is_over(const struct series *s, uint64_t now)
{
	uint64_t since;

	if (atomic_load(&s->refs) > 0)
		return false;
	since = atomic_load(&s->unused_since); /* maybe later than `now` */
	return since && now > since && now - since > s->metrics->retain;
}

void metrics_sweep(struct metrics *m)
{
	uint64_t now = clock_mono();
	struct series *s;

	m->swept_at = now;
	for (size_t f = 0; f < M_FAMILIES; f++)
		map_each(s, &m->series[f], node) if (is_over(s, now))
		{
			map_remove(&m->series[f], &s->node);
			series_free(s);
		}
}

/* Whether there is room for one more, also where nobody ever reads /metrics. */
static bool has_room(struct metrics *m, enum family f)
{
	if (m->series[f].count >= METRICS_MAX && clock_mono() - m->swept_at > SWEEP)
		metrics_sweep(m);
	return m->series[f].count < METRICS_MAX;
}

/* A label set too many is counted in one series for all of them. */
static struct series *overflow(struct metrics *m, enum family f)
{
	m->dropped[f]++;
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
	if (!s)
		s = has_room(m, f) ? series_new(m, f, labels) : overflow(m, f);
	if (s)
		atomic_fetch_add(&s->refs, 1);
	pthread_mutex_unlock(&m->lock);
	return s;
}

/* The time first: once the last reference is gone, so may the series be. */
void series_put(struct series *s)
{
	if (!s)
		return;
	/* first, for who finds no reference may free it at once */
	atomic_store(&s->unused_since, clock_mono());
	atomic_fetch_sub(&s->refs, 1);
}

/* ---- counting ---- */

void series_add(struct series *s, unsigned worker, int64_t n)
{
	struct cell *c;

	if (!s)
		return;
	c = series_cell(s, worker);
	atomic_store_explicit(&c->value,
		atomic_load_explicit(&c->value, memory_order_relaxed) + n,
		memory_order_relaxed);
}

void series_set(struct series *s, unsigned worker, int64_t n)
{
	if (s)
		atomic_store_explicit(
			&series_cell(s, worker)->value, n, memory_order_relaxed);
}

void series_observe(struct series *s, unsigned worker, uint64_t n)
{
	const struct bucket_set *set;
	_Atomic uint64_t *b;
	size_t i = 0;

	if (!s)
		return;
	set = &metric_buckets[metric_families[s->family].buckets];
	while (i < set->n && n > set->le[i])
		i++;
	b = &series_cell(s, worker)->bucket[i];
	atomic_store_explicit(b, atomic_load_explicit(b, memory_order_relaxed) + 1,
		memory_order_relaxed);
	series_add(s, worker, (int64_t)n);
}

void metrics_count(
	struct metrics *m, enum family f, struct slice labels, unsigned worker)
{
	struct series *s = metrics_series(m, f, labels);

	series_add(s, worker, 1);
	series_put(s);
}

void metrics_extra(struct metrics *m, void (*fn)(void *arg, struct buf *out), void *arg)
{
	struct metrics_extra *x = malloc(sizeof *x);

	if (!x)
		return;
	*x = (struct metrics_extra){m->extras, fn, arg};
	m->extras = x;
}
