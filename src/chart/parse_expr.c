/* SPDX-License-Identifier: Apache-2.0 */
/* The expressions of a template, by recursive descent, one function a rule. */
#include <errno.h>
#include <stdlib.h>

#include "chart/parse_int.h"

static struct expr *new_expr(struct parser *p, enum expr_kind kind)
{
	struct expr *x = parse_make(p, sizeof *x);
	struct expr_list *l = x ? parse_make(p, sizeof *l) : NULL;

	if (!l)
		return NULL;
	x->kind = kind;
	x->line = parse_line(p);
	x->file = p->file;
	*l = (struct expr_list){p->set->exprs, x};
	p->set->exprs = l;
	return x;
}

struct expr *parse_new_value(struct parser *p, struct json *value)
{
	struct expr *x = new_expr(p, EXPR_VALUE);

	json_push(p->set->values, value);
	if (x)
		x->value = value;
	return x;
}

/* One character of "…" that stands behind a backslash. */
static int unescape(int c)
{
	static const char from[] = "nt\"\\", to[] = "\n\t\"\\";
	const char *at = c > 0 ? strchr(from, c) : NULL;

	return at && *at ? to[at - from] : -1;
}

struct expr *parse_quoted(struct parser *p)
{
	struct buf b = BUF_LIMIT(TMPL_TEXT);
	struct expr *x = NULL;
	int c;

	for (p->at++; (c = peek(p, 0)) != '"'; p->at++) {
		if (c == '\n')
			c = -1;
		else if (c == '\\')
			c = unescape(next(p));
		if (c < 0 || buf_char(&b, (char)c)) {
			parse_fail(
				p, "a text in quotes has no end, or an unknown escape");
			goto free_text;
		}
	}
	p->at++;
	x = parse_new_value(p, json_string_n(buf_slice(&b)));
free_text:
	buf_fini(&b);
	return x;
}

static struct expr *parse_raw(struct parser *p)
{
	size_t from = ++p->at;

	while (peek(p, 0) != '`' && peek(p, 0) >= 0)
		p->at++;
	if (peek(p, 0) < 0) {
		parse_fail(p, "a text in ` has no end");
		return NULL;
	}
	p->at++;
	return parse_new_value(
		p, json_string_n((struct slice){p->text.p + from, p->at - 1 - from}));
}

static struct expr *parse_number(struct parser *p)
{
	char text[24], *end;
	size_t n = 0;
	long long value;

	while (n < sizeof text - 1 &&
		(is_name_char(peek(p, 0)) || peek(p, 0) == '-' || peek(p, 0) == '.'))
		text[n++] = p->text.p[p->at++];
	text[n] = '\0';
	errno = 0;
	value = strtoll(text, &end, 10);
	if (errno || *end || end == text) {
		parse_fail(p, "%s is not a whole number", text);
		return NULL;
	}
	return parse_new_value(p, json_integer(value));
}

static struct expr *parse_parens(struct parser *p)
{
	struct expr *x;

	if (++p->depth > TMPL_DEPTH) {
		parse_fail(p, "more than %d levels", TMPL_DEPTH);
		return NULL;
	}
	p->at++;
	x = parse_pipe(p);
	p->depth--;
	skip_blanks(p);
	if (x && !skip_word(p, ")")) {
		parse_fail(p, "a ) is missing");
		return NULL;
	}
	return x;
}

/* true, false, nil, or the function of that name without arguments yet. */
static struct expr *parse_word(struct parser *p)
{
	struct slice name = take_name(p);
	struct expr *x;

	if (slice_is(name, "true") || slice_is(name, "false"))
		return parse_new_value(p, json_boolean(*name.p == 't'));
	if (slice_is(name, "nil"))
		return parse_new_value(p, json_null());
	x = new_expr(p, EXPR_CALL);
	if (x && !(x->func = func_find(name))) {
		parse_fail(p, "no function is called \"%.*s\"", (int)name.n, name.p);
		return NULL;
	}
	return x;
}

static struct expr *parse_var(struct parser *p)
{
	struct expr *x = new_expr(p, EXPR_VAR);

	p->at++;
	if (x)
		x->name = take_name(p);
	return x;
}

/* ".a.b" behind something, as far as it goes. */
static struct expr *parse_fields(struct parser *p, struct expr *of)
{
	while (of && peek(p, 0) == '.') {
		struct expr *x = new_expr(p, EXPR_FIELD);

		if (!x)
			return NULL;
		p->at++;
		x->name = take_name(p);
		x->args = of;
		if (!x->name.n) {
			parse_fail(p, "a name is missing after the dot");
			return NULL;
		}
		of = x;
	}
	return of;
}

static struct expr *parse_operand(struct parser *p)
{
	int c = peek(p, 0);
	struct expr *x;

	if (c == '"')
		return parse_quoted(p);
	if (c == '`')
		return parse_raw(p);
	if (isdigit(c) || (c == '-' && isdigit(peek(p, 1))))
		return parse_number(p);
	if (c == '.') {
		x = new_expr(p, EXPR_DOT);
		if (is_name_char(peek(p, 1)))
			return parse_fields(p, x);
		p->at++;
		return x;
	}
	if (c == '$')
		return parse_fields(p, parse_var(p));
	if (c == '(')
		return parse_fields(p, parse_parens(p));
	if (is_name_char(c))
		return parse_word(p);
	parse_fail(
		p, c < 0 ? "an action has no end" : "\"%c\" is not expected here", c);
	return NULL;
}

bool parse_at_operand(struct parser *p)
{
	skip_blanks(p);
	return !looking_at(p, "}}") && !looking_at(p, "-}}") && peek(p, 0) != '|' &&
	       peek(p, 0) != ')' && peek(p, 0) >= 0;
}

static unsigned count(const struct expr *list)
{
	unsigned n = 0;

	for (; list; list = list->next)
		n++;
	return n;
}

static int check_count(struct parser *p, const struct expr *x)
{
	unsigned n = x->kind == EXPR_CALL ? count(x->args) : 0;

	if (x->kind != EXPR_CALL || (n >= x->func->min && n <= x->func->max))
		return 0;
	return parse_fail(p, "%s takes %u to %u arguments, not %u", x->func->name,
		x->func->min, x->func->max, n);
}

static void append(struct expr *call, struct expr *arg)
{
	struct expr **to = &call->args;

	while (*to)
		to = &(*to)->next;
	*to = arg;
}

/* An operand, or a function and its arguments; `last` comes after them. */
static struct expr *parse_command(struct parser *p, struct expr *last)
{
	struct expr *x, *arg;

	skip_blanks(p);
	x = parse_operand(p);
	while (x && parse_at_operand(p)) {
		if (x->kind != EXPR_CALL) {
			parse_fail(p, "only a function has arguments");
			return NULL;
		}
		arg = parse_operand(p);
		if (!arg || check_count(p, arg))
			return NULL;
		append(x, arg);
	}
	if (x && last && x->kind != EXPR_CALL) {
		parse_fail(p, "after | comes a function");
		return NULL;
	}
	if (x && last)
		append(x, last);
	return x && check_count(p, x) == 0 ? x : NULL;
}

struct expr *parse_pipe(struct parser *p)
{
	struct expr *x = parse_command(p, NULL);

	while (x) {
		skip_blanks(p);
		if (!skip_word(p, "|"))
			break;
		x = parse_command(p, x);
	}
	return x;
}
