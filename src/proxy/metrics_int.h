/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_METRICS_INT_H
#define PROXY_METRICS_INT_H

/* Shared by metrics.c (series, cells) and metrics_write.c (their text). */
#include "base/map.h"
#include "proxy/metrics.h"

enum metric_type {
	COUNTER,
	GAUGE,     /* the workers' shares add up */
	GAUGE_MAX, /* each worker tells the same: the greatest is shown */
	HISTOGRAM,
};

enum metric_buckets { NONE, LATENCY_MS, ROUTE_S, RESPONSE_S, QUEUE_S, DETECT_S, FRAME };

#define BUCKETS_MAX 26

struct bucket_set {
	const uint64_t *le; /* inclusive upper bounds; one more bucket has none */
	size_t n;
	uint64_t per_unit; /* what is counted: so many make one of what is shown */
};

struct family_info {
	const char *name, *help;
	enum metric_type type;
	enum metric_buckets buckets;
};

extern const struct family_info metric_families[M_FAMILIES];
extern const struct bucket_set metric_buckets[];

struct cell {                      /* one worker's share; only it writes */
	_Atomic int64_t value;     /* histograms: the sum */
	_Atomic uint64_t bucket[]; /* for histograms */
};

struct series {
	struct map_node node;
	struct metrics *metrics;
	enum family family;
	atomic_uint refs;
	_Atomic uint64_t unused_since; /* of those without a reference */
	char *labels;
	size_t cell_size;
	char *cells; /* one for each worker, each on cache lines of its own */
};

struct metrics_extra {
	struct metrics_extra *next;
	void (*fn)(void *arg, struct buf *out);
	void *arg;
};

struct metrics {
	pthread_mutex_t lock; /* the maps; never held while a worker counts */
	unsigned workers;
	uint64_t retain; /* ns that an unused series is kept */
	struct map series[M_FAMILIES];
	struct series *overflow[M_FAMILIES];
	uint64_t dropped[M_FAMILIES];
	uint64_t swept_at;
	struct metrics_extra *extras;
};

static inline struct cell *series_cell(const struct series *s, unsigned worker)
{
	return (struct cell *)(s->cells + worker * s->cell_size);
}

/* Frees what has been unused for long.  With the lock. */
void metrics_sweep(struct metrics *m);

#endif
