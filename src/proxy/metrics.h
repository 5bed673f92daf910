/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_METRICS_H
#define PROXY_METRICS_H

/*
 * Counters of the data plane: names and labels of spec proxy.md §13.1.
 *
 * A series is looked up once, when a connection, stack or endpoint is made (a lock, an
 * allocation), and then counted without either: each worker has its own cells, which
 * only it writes (relaxed atomics), and /metrics adds them up.  A series is kept while
 * referenced and for the idle time (10 min) after; at most METRICS_MAX series a family,
 * then they go to one with the label overflow="true" and metrics_dropped_series_total
 * counts.
 */
#include "base/buf.h"
#include "base/snap.h"
#include "proxy/target.h"

#define METRICS_MAX 5000

struct metrics;

enum family {
	M_REQUEST_TOTAL,
	M_RESPONSE_TOTAL,
	M_RESPONSE_LATENCY_MS, /* histogram */
	M_TCP_OPEN_TOTAL,
	M_TCP_OPEN_CONNECTIONS, /* gauge */
	M_TCP_READ_BYTES,
	M_TCP_WRITE_BYTES,
	M_TCP_CLOSE_TOTAL,
	M_TCP_CONNECTION_DURATION_MS,
	M_IN_HTTP_ALLOW,
	M_IN_HTTP_DENY,
	M_IN_TCP_ALLOW,
	M_IN_TCP_DENY,
	M_IN_TCP_TERMINATE,
	M_IN_HTTP_ROUTE_NOT_FOUND,
	M_IN_HTTP_ERRORS,
	M_OUT_HTTP_ERRORS,
	M_IN_H2_PEER_ERRORS,
	M_OUT_H2_PEER_ERRORS,
	M_IN_TCP_ERRORS,
	M_OUT_TCP_ERRORS,
	M_IN_TRANSPORT_HEADER,
	M_CONTROL_REQUEST_TOTAL,
	M_CONTROL_RESPONSE_TOTAL,
	M_CONTROL_RESPONSE_LATENCY_MS,
	M_STACK_CREATE,
	M_STACK_DROP,
	M_FAMILIES
};

struct metrics *metrics_new(unsigned workers);
unsigned metrics_control(const struct metrics *m); /* index of the control thread */
void metrics_free(struct metrics *m);

struct series; /* refcounted */

/* `labels` is the finished inside of {…}:
 * `direction="inbound",target_addr="1.2.3.4:80"`, values escaped (labels_add()).
 * `worker` is the index of the calling thread's cells; the control thread is the last.
 * Returns owned. */
struct series *metrics_series(struct metrics *m, enum family f, struct slice labels);
void series_put(struct series *s);
void series_add(struct series *s, unsigned worker, int64_t n);
void series_observe(struct series *s, unsigned worker, uint64_t ms); /* histograms */

/* Appends `,key="value"` (no comma at the start of an empty buffer), value escaped. */
void labels_add(struct buf *b, const char *key, struct slice value);
void labels_meta(
	struct buf *b, const char *prefix, const struct meta *m); /* srv_group=… */

/* Everything as text (Prometheus exposition, then OpenMetrics end marker). */
void metrics_write(struct metrics *m, struct buf *out);
/* Other parts of the proxy print their own lines there (process_*, identity, build
 * info). */
void metrics_extra(
	struct metrics *m, void (*fn)(void *arg, struct buf *out), void *arg);

#endif
