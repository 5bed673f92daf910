/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CHART_CHART_H
#define CHART_CHART_H

/*
 * The charts in deploy/charts, rendered as helm renders them: values in, objects out.
 *
 * A chart is called by its folder: "crds", "control", "cni".
 */
#include "chart/tmpl.h"

/* One of values-….yaml, which "--ha" and the like add: "control", "ha".  Owned; NULL:
 * no such. */
struct json *chart_variant(const char *chart, const char *name);

/* The chart's own values; owned. */
struct json *chart_presets(const char *chart);

/*
 * The chart's own values with `own` (may be NULL) over them, checked against its
 * schema; a null takes a value away.  Owned; NULL when they do not fit.
 */
struct json *chart_values(const char *chart, const struct json *own, struct err *e);

struct chart_job {
	const char *chart;
	const char *release;          /* .Release.Name */
	const char *namespace;        /* .Release.Namespace */
	const char *service;          /* .Release.Service: who renders */
	const struct json *values;    /* complete, from chart_values() */
	const struct tmpl_host *host; /* borrowed */
};

/* The objects as a list, in the order in which helm applies them.  Owned; NULL when a
 * template does not give what it should. */
struct json *chart_render(const struct chart_job *job, struct err *e);

/*
 * Everything of every chart that can be wrong before there are values: words of
 * templates, names of values, schemas.  The build asks.
 */
int chart_check(struct err *e);

#endif
