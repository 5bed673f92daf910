/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_METRICS_H
#define PROXY_METRICS_H

/*
 * Counters of the data plane: names and labels of spec proxy.md §13; the families are
 * the lines of families.def.
 *
 * A series is looked up once, when a connection, stack or endpoint is made (a lock, an
 * allocation), and then counted without either: each worker has its own cells, which
 * only it writes (relaxed atomics), and /metrics adds them up.  A series is kept while
 * referenced and for the idle time (10 min) after; at most METRICS_MAX series a family,
 * then they go to one with the label overflow="true" and metrics_dropped_series_total
 * counts.  Histograms count in the unit of their buckets: ms, µs (shown as seconds) or
 * bytes.
 */
#include "base/buf.h"
#include "base/snap.h"
#include "proxy/target.h"

#define METRICS_MAX 5000

struct metrics;

enum family {
#define FAMILY(id, name, type, buckets, help) id,
#include "proxy/families.def"
	M_FAMILIES
};

struct metrics *metrics_new(unsigned workers);
void metrics_retain(struct metrics *m, uint64_t ns); /* before there are series */
unsigned metrics_control(const struct metrics *m);   /* index of the control thread */
void metrics_free(struct metrics *m);

struct series; /* refcounted */

/* `labels` is the finished inside of {…}:
 * `direction="inbound",target_addr="1.2.3.4:80"`, values escaped (labels_add()).
 * `worker` is the index of the calling thread's cells; the control thread is the last.
 * Returns owned. */
struct series *metrics_series(struct metrics *m, enum family f, struct slice labels);
void series_put(struct series *s);
void series_add(struct series *s, unsigned worker, int64_t n);
void series_set(struct series *s, unsigned worker, int64_t n);      /* gauges */
void series_observe(struct series *s, unsigned worker, uint64_t n); /* histograms */
/* Looks up, adds, lets go: for what happens once a connection, or less. */
void metrics_count(
	struct metrics *m, enum family f, struct slice labels, unsigned worker);

/* Appends `,key="value"` (no comma at the start of an empty buffer), value escaped. */
void labels_add(struct buf *b, const char *key, struct slice value);
void labels_meta(
	struct buf *b, const char *prefix, const struct meta *m); /* srv_group=… */

/* Everything as text: the Prometheus exposition format, ended by "# EOF"; `open`:
 * OpenMetrics 1.0, where a counter's family is named without _total. */
void metrics_write(struct metrics *m, bool open, struct buf *out);
/* Other parts of the proxy print their own lines there (process_*, identity, build
 * info), in the Prometheus form, each family once with its HELP and TYPE. */
void metrics_extra(
	struct metrics *m, void (*fn)(void *arg, struct buf *out), void *arg);

#endif
