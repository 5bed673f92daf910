/* SPDX-License-Identifier: Apache-2.0 */
/* From the text of a template to a tree: by recursive descent, one function a rule. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

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

/* What ended a list of nodes; after STOP_ELSE the rest of its action is still to be
 * read. */
enum stop { STOP_FAILED, STOP_TEXT_END, STOP_END, STOP_ELSE };

static int line_of(struct parser *p)
{
	for (; p->line_at < p->at; p->line_at++)
		p->line += p->text.p[p->line_at] == '\n';
	return p->line;
}

static int fail(struct parser *p, const char *fmt, ...) PRINTF_LIKE(2, 3);
static int fail(struct parser *p, const char *fmt, ...)
{
	char why[160];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof why, fmt, ap);
	va_end(ap);
	return err_set(p->e, ERR_SYNTAX, "%s:%d: %s", p->file, line_of(p), why);
}

static void *make(struct parser *p, size_t size)
{
	void *new = arena_alloc(&p->set->arena, size);

	if (!new)
		err_set(p->e, ERR_LIMIT, "%s: the templates are too large", p->file);
	return new;
}

/* ---- characters ---- */

static int peek(const struct parser *p, size_t ahead)
{
	return p->at + ahead < p->text.n ? (unsigned char)p->text.p[p->at + ahead] : -1;
}

/* Goes on by one. */
static int next(struct parser *p)
{
	p->at++;
	return peek(p, 0);
}

static bool is_blank(int c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void skip_blanks(struct parser *p)
{
	while (is_blank(peek(p, 0)))
		p->at++;
}

static bool looking_at(const struct parser *p, const char *word)
{
	struct slice rest = {p->text.p + p->at, p->text.n - p->at};

	return slice_starts(rest, slice_of(word));
}

static bool skip_word(struct parser *p, const char *word)
{
	if (!looking_at(p, word))
		return false;
	p->at += strlen(word);
	return true;
}

static bool is_name_char(int c)
{
	return c == '_' || (c > 0 && c < 128 && isalnum(c));
}

/* May be empty. */
static struct slice take_name(struct parser *p)
{
	size_t from = p->at;

	while (is_name_char(peek(p, 0)))
		p->at++;
	return (struct slice){p->text.p + from, p->at - from};
}

/* ---- expressions ---- */

static struct expr *parse_pipe(struct parser *p);

static struct expr *new_expr(struct parser *p, enum expr_kind kind)
{
	struct expr *x = make(p, sizeof *x);
	struct expr_list *l = x ? make(p, sizeof *l) : NULL;

	if (!l)
		return NULL;
	x->kind = kind;
	x->line = line_of(p);
	x->file = p->file;
	*l = (struct expr_list){p->set->exprs, x};
	p->set->exprs = l;
	return x;
}

static struct expr *new_value(struct parser *p, struct json *value)
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

static struct expr *parse_quoted(struct parser *p)
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
			fail(p, "a text in quotes has no end, or an unknown escape");
			goto free_text;
		}
	}
	p->at++;
	x = new_value(p, json_string_n(buf_slice(&b)));
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
		fail(p, "a text in ` has no end");
		return NULL;
	}
	p->at++;
	return new_value(
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
		fail(p, "%s is not a whole number", text);
		return NULL;
	}
	return new_value(p, json_integer(value));
}

static struct expr *parse_parens(struct parser *p)
{
	struct expr *x;

	if (++p->depth > TMPL_DEPTH) {
		fail(p, "more than %d levels", TMPL_DEPTH);
		return NULL;
	}
	p->at++;
	x = parse_pipe(p);
	p->depth--;
	skip_blanks(p);
	if (x && !skip_word(p, ")")) {
		fail(p, "a ) is missing");
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
		return new_value(p, json_boolean(*name.p == 't'));
	if (slice_is(name, "nil"))
		return new_value(p, json_null());
	x = new_expr(p, EXPR_CALL);
	if (x && !(x->func = func_find(name))) {
		fail(p, "no function is called \"%.*s\"", (int)name.n, name.p);
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
			fail(p, "a name is missing after the dot");
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
	fail(p, c < 0 ? "an action has no end" : "\"%c\" is not expected here", c);
	return NULL;
}

static bool at_operand(struct parser *p)
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
	return fail(p, "%s takes %u to %u arguments, not %u", x->func->name,
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
	while (x && at_operand(p)) {
		if (x->kind != EXPR_CALL) {
			fail(p, "only a function has arguments");
			return NULL;
		}
		arg = parse_operand(p);
		if (!arg || check_count(p, arg))
			return NULL;
		append(x, arg);
	}
	if (x && last && x->kind != EXPR_CALL) {
		fail(p, "after | comes a function");
		return NULL;
	}
	if (x && last)
		append(x, last);
	return x && check_count(p, x) == 0 ? x : NULL;
}

static struct expr *parse_pipe(struct parser *p)
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

/* ---- actions ---- */

static enum stop parse_nodes(struct parser *p, struct node **to);

/* Reads "}}" or " -}}". */
static int close_action(struct parser *p)
{
	bool blank = p->at > 0 && is_blank(p->text.p[p->at - 1]);

	if (is_blank(peek(p, 0)))
		blank = true;
	skip_blanks(p);
	if (blank && skip_word(p, "-}}"))
		p->trim = true;
	else if (!skip_word(p, "}}"))
		return fail(p, "}} is missing");
	return 0;
}

static int parse_variable_name(struct parser *p, struct slice *name)
{
	skip_blanks(p);
	if (!skip_word(p, "$"))
		return fail(p, "a variable is missing");
	*name = take_name(p);
	skip_blanks(p);
	return name->n ? 0 : fail(p, "a variable has no name");
}

/* "$a := " or "$a = " at the front; false: something else, and nothing was read. */
static bool is_assignment(struct parser *p)
{
	size_t from = p->at;
	bool yes;

	if (peek(p, 0) != '$')
		return false;
	p->at++;
	(void)take_name(p);
	skip_blanks(p);
	yes = looking_at(p, ":=") || (peek(p, 0) == '=' && peek(p, 1) != '=') ||
	      peek(p, 0) == ',';
	p->at = from;
	return yes;
}

static int parse_assignment(struct parser *p, struct node *n)
{
	if (parse_variable_name(p, &n->name))
		return -1;
	if (skip_word(p, ":="))
		n->kind = NODE_DECLARE;
	else if (skip_word(p, "="))
		n->kind = NODE_ASSIGN;
	else
		return fail(p, ":= is missing");
	n->expr = parse_pipe(p);
	return n->expr ? close_action(p) : -1;
}

/* "$x := " or "$key, $x := " of a range. */
static int parse_range_names(struct parser *p, struct node *n)
{
	if (parse_variable_name(p, &n->name))
		return -1;
	if (skip_word(p, ",")) {
		n->key = n->name;
		if (parse_variable_name(p, &n->name))
			return -1;
	}
	return skip_word(p, ":=") ? 0 : fail(p, ":= is missing");
}

static int parse_block(struct parser *p, struct node *n);

/* After {{ else: another block of the same kind, or the other branch. */
static int parse_else(struct parser *p, struct node *n)
{
	static const struct {
		const char *word;
		enum node_kind kind;
	} again[] = {{"if ", NODE_IF}, {"with ", NODE_WITH}};

	skip_blanks(p);
	for (size_t i = 0; i < countof(again); i++) {
		if (again[i].kind != n->kind || !skip_word(p, again[i].word))
			continue;
		n->other = make(p, sizeof *n->other);
		if (!n->other)
			return -1;
		n->other->kind = n->kind;
		return parse_block(p, n->other);
	}
	if (close_action(p))
		return -1;
	switch (parse_nodes(p, &n->other)) {
	case STOP_END:
		return 0;
	case STOP_FAILED:
		return -1;
	case STOP_ELSE:
	case STOP_TEXT_END:
		break;
	}
	return fail(p, "{{ end }} is missing");
}

/* Of if, with and range: from the condition to the end. */
static int parse_block(struct parser *p, struct node *n)
{
	int r = -1;

	skip_blanks(p);
	if (n->kind == NODE_RANGE && is_assignment(p) && parse_range_names(p, n))
		return -1;
	n->expr = parse_pipe(p);
	if (!n->expr || close_action(p))
		return -1;
	if (++p->depth > TMPL_DEPTH)
		return fail(p, "more than %d levels", TMPL_DEPTH);
	switch (parse_nodes(p, &n->body)) {
	case STOP_END:
		r = 0;
		break;
	case STOP_ELSE:
		r = parse_else(p, n);
		break;
	case STOP_TEXT_END:
		r = fail(p, "{{ end }} is missing");
		break;
	case STOP_FAILED:
		break;
	}
	p->depth--;
	return r;
}

static int parse_name_text(struct parser *p, struct slice *out)
{
	struct expr *x;

	skip_blanks(p);
	if (peek(p, 0) != '"')
		return fail(p, "a name in quotes is missing");
	x = parse_quoted(p);
	if (x)
		*out = slice_of(json_text(x->value));
	return x ? 0 : -1;
}

static int parse_template(struct parser *p, struct node *n)
{
	n->kind = NODE_TEMPLATE;
	if (parse_name_text(p, &n->text))
		return -1;
	n->expr = at_operand(p) ? parse_pipe(p) : new_value(p, json_null());
	return n->expr ? close_action(p) : -1;
}

static int add_tmpl(struct parser *p, struct slice name, struct node *body)
{
	struct tmpl *t = make(p, sizeof *t);

	if (!t)
		return -1;
	if (tmpl_find(p->set, name))
		return fail(p, "\"%.*s\" is defined twice", (int)name.n, name.p);
	*t = (struct tmpl){p->set->all, name, p->file, body};
	p->set->all = t;
	return 0;
}

static int parse_define(struct parser *p)
{
	struct node *body = NULL;
	struct slice name;
	enum stop stop;

	if (p->depth)
		return fail(p, "define stands inside of something");
	if (parse_name_text(p, &name) || close_action(p))
		return -1;
	p->depth++;
	stop = parse_nodes(p, &body);
	p->depth--;
	if (stop == STOP_END)
		return add_tmpl(p, name, body);
	return stop == STOP_FAILED ? -1 : fail(p, "{{ end }} of a define is missing");
}

/* ---- text and actions in turn ---- */

static struct slice trimmed(struct slice s, bool front, bool back)
{
	while (front && s.n && is_blank(s.p[0]))
		s = (struct slice){s.p + 1, s.n - 1};
	while (back && s.n && is_blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

/* The text up to the next {{, behind which `at` then is; false at the end. */
static bool take_text(struct parser *p, struct slice *text)
{
	const char *from = p->text.p + p->at;
	size_t left = p->text.n - p->at;
	const char *open = left ? memmem(from, left, "{{", 2) : NULL;
	bool front = p->trim, back;

	p->trim = false;
	if (!open) {
		*text = trimmed((struct slice){from, left}, front, false);
		p->at = p->text.n;
		return false;
	}
	p->at += (size_t)(open - from) + 2;
	back = peek(p, 0) == '-' && is_blank(peek(p, 1));
	if (back)
		p->at += 2;
	*text = trimmed((struct slice){from, (size_t)(open - from)}, front, back);
	return true;
}

static int skip_comment(struct parser *p)
{
	const char *end = memmem(p->text.p + p->at, p->text.n - p->at, "*/", 2);

	if (!end)
		return fail(p, "a comment has no end");
	p->at = (size_t)(end - p->text.p) + 2;
	return close_action(p);
}

/* A word that is a keyword here and not the beginning of a longer one. */
static bool take_keyword(struct parser *p, const char *word)
{
	size_t n = strlen(word);

	if (!looking_at(p, word) || is_name_char(peek(p, n)))
		return false;
	p->at += n;
	return true;
}

/* One action that is a node of its own; `n` is zeroed. */
static int parse_action(struct parser *p, struct node *n)
{
	static const struct {
		const char *word;
		enum node_kind kind;
	} blocks[] = {{"if", NODE_IF}, {"with", NODE_WITH}, {"range", NODE_RANGE}};

	for (size_t i = 0; i < countof(blocks); i++) {
		if (!take_keyword(p, blocks[i].word))
			continue;
		n->kind = blocks[i].kind;
		return parse_block(p, n);
	}
	if (take_keyword(p, "template"))
		return parse_template(p, n);
	if (is_assignment(p))
		return parse_assignment(p, n);
	n->kind = NODE_PRINT;
	n->expr = parse_pipe(p);
	return n->expr ? close_action(p) : -1;
}

static struct node *add_node(struct parser *p, struct node ***to)
{
	struct node *n = make(p, sizeof *n);

	if (n) {
		**to = n;
		*to = &n->next;
	}
	return n;
}

static int add_text(struct parser *p, struct slice text, struct node ***to)
{
	struct node *n;

	if (!text.n)
		return 0;
	n = add_node(p, to);
	if (n)
		n->text = text;
	return n ? 0 : -1;
}

static enum stop parse_nodes(struct parser *p, struct node **to)
{
	struct slice text;
	struct node *n;

	while (take_text(p, &text)) {
		if (add_text(p, text, &to))
			return STOP_FAILED;
		if (looking_at(p, "/*")) {
			if (skip_comment(p))
				return STOP_FAILED;
			continue;
		}
		skip_blanks(p);
		if (take_keyword(p, "end"))
			return close_action(p) ? STOP_FAILED : STOP_END;
		if (take_keyword(p, "else"))
			return STOP_ELSE;
		if (take_keyword(p, "define")) {
			if (parse_define(p))
				return STOP_FAILED;
			continue;
		}
		n = add_node(p, &to);
		if (!n || parse_action(p, n))
			return STOP_FAILED;
	}
	return add_text(p, text, &to) ? STOP_FAILED : STOP_TEXT_END;
}

int tmpl_add(struct tmpl_set *s, const char *file, struct slice text, struct err *e)
{
	struct parser p = {.set = s, .file = file, .text = text, .line = 1, .e = e};
	struct node *body = NULL;

	if (text.n > TMPL_TEXT)
		return err_set(
			e, ERR_LIMIT, "%s: more than %zu bytes", file, TMPL_TEXT);
	switch (parse_nodes(&p, &body)) {
	case STOP_TEXT_END:
		return add_tmpl(&p, slice_of(file), body);
	case STOP_END:
	case STOP_ELSE:
		return fail(&p, "nothing is open that this could belong to");
	case STOP_FAILED:
		break;
	}
	return -1;
}
