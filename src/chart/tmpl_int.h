/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CHART_TMPL_INT_H
#define CHART_TMPL_INT_H

/* Private to src/chart: what is read of a template, and how it is run. */
#include "base/arena.h"
#include "base/obj.h"
#include "chart/tmpl.h"

struct run;
struct expr;

/*
 * A function: checks its arguments itself but for their number.  Returns a value that
 * the run owns, or one of its arguments; NULL after run_fail().
 */
struct func {
	const char *name;
	unsigned min, max; /* arguments */
	struct json *(*call)(struct run *r, struct json **args, unsigned n);
	/* Instead: arguments that may stay unevaluated. */
	struct json *(*lazy)(struct run *r, const struct expr *args);
};
#define FUNC_ARGS 24 /* more are an error when the text is read */
const struct func *func_find(struct slice name); /* NULL: there is none */

enum expr_kind {
	EXPR_VALUE, /* .value */
	EXPR_DOT,
	EXPR_VAR,   /* .name, "" for $ */
	EXPR_FIELD, /* .name of .args */
	EXPR_CALL,  /* .func of .args */
};
struct expr {
	enum expr_kind kind;
	int line;
	const char *file;
	struct json *value;
	struct slice name;
	const struct func *func;
	struct expr *args, *next; /* arguments are a list */
};

enum node_kind {
	NODE_TEXT,
	NODE_PRINT,
	NODE_DECLARE, /* $name := expr */
	NODE_ASSIGN,  /* $name = expr */
	NODE_IF,
	NODE_WITH,
	NODE_RANGE, /* name: the member, key: its key or place */
	NODE_TEMPLATE,
};
struct node {
	enum node_kind kind;
	struct node *next;
	struct slice text, name, key; /* name, key: of variables, without $ */
	struct expr *expr;
	struct node *body, *other;
};

/* A file, or what is between define and end. */
struct tmpl {
	struct tmpl *next;
	struct slice name;
	const char *file;
	struct node *body;
};

struct tmpl_set {
	const struct tmpl_host *host;
	struct arena arena;
	struct tmpl *all;
	struct json *values; /* of EXPR_VALUE: a list that owns them */
	struct expr_list *exprs;
};
/* Every expression that was read, for the checks. */
struct expr_list {
	struct expr_list *next;
	const struct expr *expr;
};

const struct tmpl *tmpl_find(const struct tmpl_set *s, struct slice name);

/* ---- running ---- */

#define RUN_VARS 64
#define RUN_MADE ((size_t)64 * 1024 * 1024)

struct run_var {
	struct slice name;
	struct json *value;
};
struct run {
	const struct tmpl_set *set;
	struct json *made; /* a list that owns every value made */
	struct json *nil;
	struct buf *out;
	struct run_var vars[RUN_VARS];
	unsigned nvars, base; /* the present template's begin at base; the first is $ */
	unsigned depth, steps;
	size_t made_bytes; /* of texts and copies: up to RUN_MADE */
	struct json *dot;
	const struct expr *at; /* for errors */
	struct err *e;
};

/* Always NULL, after noting file, line and why. */
struct json *run_fail(struct run *r, const char *fmt, ...) PRINTF_LIKE(2, 3);
struct json *run_own(struct run *r, struct json *value); /* takes; returns it */
/* NULL after run_fail(), as the two below. */
struct json *run_text(struct run *r, struct slice s);
struct json *run_copy(struct run *r, const struct json *j);
/* Takes what was built; fails when it did not fit. */
struct json *run_buf(struct run *r, struct buf *b);
/* NULL after run_fail(). */
struct json *run_eval(struct run *r, const struct expr *x);
struct json *run_include(struct run *r, struct slice name, struct json *dot);
bool value_is_true(const struct json *j);
/* Appends as {{ }} prints it; -1 for lists and maps. */
int value_print(const struct json *j, struct buf *out);

/* The parts of the table of functions. */
struct func_part {
	const struct func *funcs;
	size_t n;
};
extern const struct func_part funcs_logic, funcs_text, funcs_tree;

#endif
