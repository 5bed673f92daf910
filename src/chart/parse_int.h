/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CHART_PARSE_INT_H
#define CHART_PARSE_INT_H

/* What the files of the templates' parser share: parse.c (text and actions) and
 * parse_expr.c (expressions).  For chart/ only. */
#include <ctype.h>

#include "chart/tmpl_int.h"

struct parser {
	struct tmpl_set *set;
	const char *file;
	struct slice text;
	size_t at;
	size_t line_at; /* `line` is that of this byte */
	int line;
	unsigned depth;
	bool trim; /* blanks at the front of the next text go */
	struct err *e;
};

int parse_line(struct parser *p); /* where it is now, from 1 */
/* Says where and why; -1. */
int parse_fail(struct parser *p, const char *fmt, ...) PRINTF_LIKE(2, 3);
void *parse_make(struct parser *p, size_t size); /* the set's; NULL: said why */

/* An expression up to what cannot be of it; NULL: said why. */
struct expr *parse_pipe(struct parser *p);
struct expr *parse_quoted(struct parser *p);                        /* at a quote */
struct expr *parse_new_value(struct parser *p, struct json *value); /* takes it */
bool parse_at_operand(struct parser *p);

static inline int peek(const struct parser *p, size_t ahead)
{
	return p->at + ahead < p->text.n ? (unsigned char)p->text.p[p->at + ahead] : -1;
}

/* Goes on by one. */
static inline int next(struct parser *p)
{
	p->at++;
	return peek(p, 0);
}

static inline bool is_blank(int c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static inline void skip_blanks(struct parser *p)
{
	while (is_blank(peek(p, 0)))
		p->at++;
}

static inline bool looking_at(const struct parser *p, const char *word)
{
	struct slice rest = {p->text.p + p->at, p->text.n - p->at};

	return slice_starts(rest, slice_of(word));
}

static inline bool skip_word(struct parser *p, const char *word)
{
	if (!looking_at(p, word))
		return false;
	p->at += strlen(word);
	return true;
}

static inline bool is_name_char(int c)
{
	return c == '_' || (c > 0 && c < 128 && isalnum(c));
}

/* May be empty. */
static inline struct slice take_name(struct parser *p)
{
	size_t from = p->at;

	while (is_name_char(peek(p, 0)))
		p->at++;
	return (struct slice){p->text.p + from, p->at - from};
}

#endif
