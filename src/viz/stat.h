/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VIZ_STAT_H
#define VIZ_STAT_H

/*
 * Success, requests and latency of workloads between two readings of their proxies'
 * metrics, as `linkerd viz stat` shows them (spec cli.md §5, viz.md §2.1).  Values in,
 * text out.
 */
#include "viz/pods.h"

/* A resource by kind and perhaps name; `kind` VIZ_KINDS: none. */
struct viz_resource {
	enum viz_kind kind;
	const char *name; /* "": any */
	const char *ns;   /* "": any */
};

struct stat_query {
	struct viz_resource of;
	struct viz_resource to, from; /* at most one of them */
	bool unmeshed;                /* also what has no proxy */
	double seconds;               /* between the readings */
};

#define STAT_BUCKETS 40

struct stat_row {
	const char *ns, *name, *status; /* status: of a pod, else "" */
	enum viz_kind kind;
	unsigned meshed, running;
	double success, failure; /* requests between the readings */
	struct {
		double le, count; /* cumulative, as in the metrics */
	} bucket[STAT_BUCKETS];
	size_t nbuckets;
	double connections, read, written; /* now; bytes between the readings */
	bool has_tcp;
};

struct stat_rows {
	struct stat_row *v; /* sorted by namespace, name */
	size_t n;
};

/* Texts are the pods'. */
void stat_rows_make(
	const struct viz_pods *pods, const struct stat_query *q, struct stat_rows *out);
void stat_rows_fini(struct stat_rows *r);

/* The q-th quantile in ms, as Prometheus interpolates; 0 when there is no request. */
double stat_quantile(const struct stat_row *r, double q);

struct stat_form {
	bool wide, with_ns, prefix; /* prefix: "deploy/web" */
	bool no_mesh;               /* --to, --from: nothing is said of MESHED */
	double seconds;
};
void stat_write_table(
	const struct stat_rows *r, const struct stat_form *f, struct buf *out);
/* Adds objects to `list`. */
void stat_add_json(
	const struct stat_rows *r, const struct stat_form *f, struct json *list);

#endif
