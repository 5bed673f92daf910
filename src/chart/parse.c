/* SPDX-License-Identifier: Apache-2.0 */
/* From the text of a template to a tree: text and actions in turn. */
#include <stdlib.h>

#include "chart/parse_int.h"

/* What ended a list of nodes; after STOP_ELSE the rest of its action is still to be
 * read. */
enum stop { STOP_FAILED, STOP_TEXT_END, STOP_END, STOP_ELSE };

int parse_line(struct parser *p)
{
	for (; p->line_at < p->at; p->line_at++)
		p->line += p->text.p[p->line_at] == '\n';
	return p->line;
}

int parse_fail(struct parser *p, const char *fmt, ...)
{
	char why[160];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof why, fmt, ap);
	va_end(ap);
	return err_set(p->e, ERR_SYNTAX, "%s:%d: %s", p->file, parse_line(p), why);
}

void *parse_make(struct parser *p, size_t size)
{
	void *new = arena_alloc(&p->set->arena, size);

	if (!new)
		err_set(p->e, ERR_LIMIT, "%s: the templates are too large", p->file);
	return new;
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
		return parse_fail(p, "}} is missing");
	return 0;
}

static int parse_variable_name(struct parser *p, struct slice *name)
{
	skip_blanks(p);
	if (!skip_word(p, "$"))
		return parse_fail(p, "a variable is missing");
	*name = take_name(p);
	skip_blanks(p);
	return name->n ? 0 : parse_fail(p, "a variable has no name");
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
		return parse_fail(p, ":= is missing");
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
	return skip_word(p, ":=") ? 0 : parse_fail(p, ":= is missing");
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
		n->other = parse_make(p, sizeof *n->other);
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
	return parse_fail(p, "{{ end }} is missing");
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
		return parse_fail(p, "more than %d levels", TMPL_DEPTH);
	switch (parse_nodes(p, &n->body)) {
	case STOP_END:
		r = 0;
		break;
	case STOP_ELSE:
		r = parse_else(p, n);
		break;
	case STOP_TEXT_END:
		r = parse_fail(p, "{{ end }} is missing");
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
		return parse_fail(p, "a name in quotes is missing");
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
	n->expr = parse_at_operand(p) ? parse_pipe(p) : parse_new_value(p, json_null());
	return n->expr ? close_action(p) : -1;
}

static int add_tmpl(struct parser *p, struct slice name, struct node *body)
{
	struct tmpl *t = parse_make(p, sizeof *t);

	if (!t)
		return -1;
	if (tmpl_find(p->set, name))
		return parse_fail(p, "\"%.*s\" is defined twice", (int)name.n, name.p);
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
		return parse_fail(p, "define stands inside of something");
	if (parse_name_text(p, &name) || close_action(p))
		return -1;
	p->depth++;
	stop = parse_nodes(p, &body);
	p->depth--;
	if (stop == STOP_END)
		return add_tmpl(p, name, body);
	return stop == STOP_FAILED ? -1
				   : parse_fail(p, "{{ end }} of a define is missing");
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
		return parse_fail(p, "a comment has no end");
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
	struct node *n = parse_make(p, sizeof *n);

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
		return parse_fail(&p, "nothing is open that this could belong to");
	case STOP_FAILED:
		break;
	}
	return -1;
}
