/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CHART_TMPL_H
#define CHART_TMPL_H

/*
 * Templates: the part of Go's text/template, with Helm's functions, that our charts
 * use.
 *
 * Text in, text out.  Understood: {{- -}} trimming, comments, if/else if/else, with,
 * range (with one or two variables), define, template, include, variables, pipelines,
 * fields, parentheses, literals.  A word that is not understood is an error when the
 * text is read, not when it is reached; errors say "file:line: why".  What it does
 * understand it does as Go and Helm do: test/chart renders the same charts with both.
 *
 * Differences that are meant: a list or map is never printed as it is; a value given to
 * a `dict` or `set` is copied, so that a change to the one is not seen in the other.
 *
 * Limits: TMPL_TEXT bytes a file, TMPL_MEMORY for all that is read, TMPL_DEPTH levels
 * of blocks, parentheses and includes, TMPL_STEPS steps of one run, TMPL_OUT bytes of
 * output.
 */
#include "wire/json.h"

#define TMPL_TEXT   ((size_t)256 * 1024)
#define TMPL_MEMORY ((size_t)8 * 1024 * 1024)
#define TMPL_DEPTH  40
#define TMPL_STEPS  1000000
#define TMPL_OUT    ((size_t)8 * 1024 * 1024)

/* What templates ask for that is not text. */
struct tmpl_host {
	void (*sha256_hex)(struct slice s, char out[65]);
};

struct tmpl_set;

struct tmpl_set *tmpl_new(const struct tmpl_host *host); /* borrows */
void tmpl_free(struct tmpl_set *s);

/* Reads one file, and the templates that it defines.  Both are borrowed until
 * tmpl_free(). */
int tmpl_add(struct tmpl_set *s, const char *file, struct slice text, struct err *e);

/* Each template that is asked for by a constant name is there; -1 names one that is
 * not. */
int tmpl_check(const struct tmpl_set *s, struct err *e);

/*
 * Each path that is followed from .Values with constant names ("proxy.ports.admin") and
 * is not in `values` is an error: a misspelt name would only give nothing.
 */
int tmpl_check_values(
	const struct tmpl_set *s, const struct json *values, struct err *e);

/* Appends what the file says of `root`, which is what "." is there. */
int tmpl_run(const struct tmpl_set *s, const char *file, struct json *root,
	struct buf *out, struct err *e);

#endif
