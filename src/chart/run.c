/* SPDX-License-Identifier: Apache-2.0 */
/* Running a template: nodes write, expressions give values. */
#include <inttypes.h>
#include <math.h>

#include "chart/tmpl_int.h"

struct json *run_fail(struct run *r, const char *fmt, ...)
{
	char why[200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof why, fmt, ap);
	va_end(ap);
	if (r->at)
		err_set(r->e, ERR_SYNTAX, "%s:%d: %s", r->at->file, r->at->line, why);
	else
		err_set(r->e, ERR_SYNTAX, "%s", why);
	return NULL;
}

struct json *run_own(struct run *r, struct json *value)
{
	return json_push(r->made, value);
}

static bool may_make(struct run *r, size_t bytes)
{
	r->made_bytes += bytes;
	if (r->made_bytes <= RUN_MADE)
		return true;
	run_fail(r, "too much is made of the values");
	return false;
}

struct json *run_text(struct run *r, struct slice s)
{
	return may_make(r, s.n) ? run_own(r, json_string_n(s)) : NULL;
}

static size_t weight(const struct json *j)
{
	size_t n = 100;

	if (json_text(j))
		n += strlen(json_text(j));
	json_each(it, j)
	{
		n += weight(it);
	}
	return n;
}

struct json *run_copy(struct run *r, const struct json *j)
{
	return may_make(r, weight(j)) ? run_own(r, json_copy(j)) : NULL;
}

struct json *run_buf(struct run *r, struct buf *b)
{
	struct json *j = b->failed ? run_fail(r, "a text is too long")
				   : run_text(r, buf_slice(b));

	buf_fini(b);
	return j;
}

/* ---- values ---- */

bool value_is_true(const struct json *j)
{
	switch (json_kind(j)) {
	case JSON_NONE:
	case JSON_NULL:
		return false;
	case JSON_BOOL:
		return json_bool_at(j, NULL, false);
	case JSON_INT:
		return json_int(j, 0) != 0;
	case JSON_REAL:
		return json_real(j, 0) != 0;
	case JSON_TEXT:
		return *json_text(j) != '\0';
	case JSON_LIST:
	case JSON_OBJECT:
		return json_count(j) > 0;
	}
	return false;
}

/* The fewest digits that give the number back. */
static void print_real(double d, struct buf *out)
{
	char text[40];

	for (int digits = 1; digits <= 17; digits++) {
		snprintf(text, sizeof text, "%.*g", digits, d);
		if (strtod(text, NULL) == d)
			break;
	}
	buf_text(out, text);
}

int value_print(const struct json *j, struct buf *out)
{
	switch (json_kind(j)) {
	case JSON_NONE:
	case JSON_NULL:
		return 0;
	case JSON_BOOL:
		return buf_text(out, value_is_true(j) ? "true" : "false");
	case JSON_INT:
		return buf_printf(out, "%" PRId64, json_int(j, 0));
	case JSON_REAL:
		print_real(json_real(j, 0), out);
		return 0;
	case JSON_TEXT:
		return buf_text(out, json_text(j));
	case JSON_LIST:
	case JSON_OBJECT:
		break;
	}
	return -1;
}

/* ---- variables ---- */

static struct run_var *find_var(struct run *r, struct slice name)
{
	for (unsigned i = r->nvars; i-- > r->base;)
		if (slice_eq(r->vars[i].name, name))
			return &r->vars[i];
	return NULL;
}

static int declare(struct run *r, struct slice name, struct json *value)
{
	if (r->nvars == RUN_VARS)
		return run_fail(r, "more than %d variables", RUN_VARS) ? 0 : -1;
	r->vars[r->nvars++] = (struct run_var){name, value};
	return 0;
}

/* ---- expressions ---- */

static struct json *eval_field(struct run *r, const struct expr *x)
{
	struct json *of = run_eval(r, x->args), *member;
	char name[80];

	r->at = x;
	if (!of)
		return NULL;
	snprintf(name, sizeof name, "%.*s", SLICE_FMT(x->name));
	if (json_kind(of) != JSON_OBJECT)
		return run_fail(r, "there is no .%s of what is %s", name,
			json_kind(of) == JSON_NULL ? "nil" : "no map");
	member = json_get(of, name);
	return member ? member : r->nil;
}

static struct json *eval_call(struct run *r, const struct expr *x)
{
	struct json *args[FUNC_ARGS], *result;
	unsigned n = 0;

	if (x->func->lazy)
		return x->func->lazy(r, x->args);
	for (const struct expr *a = x->args; a; a = a->next) {
		args[n] = run_eval(r, a);
		if (!args[n++])
			return NULL;
	}
	r->at = x;
	result = x->func->call(r, args, n);
	return result;
}

struct json *run_eval(struct run *r, const struct expr *x)
{
	struct run_var *v;
	struct json *result = NULL;

	r->at = x;
	if (++r->steps > TMPL_STEPS)
		return run_fail(r, "more than %d steps", TMPL_STEPS);
	if (++r->depth > 8 * TMPL_DEPTH)
		return run_fail(r, "too deep");
	switch (x->kind) {
	case EXPR_VALUE:
		result = x->value;
		break;
	case EXPR_DOT:
		result = r->dot;
		break;
	case EXPR_VAR:
		v = find_var(r, x->name);
		result = v ? v->value
			   : run_fail(r, "no variable is called $%.*s", (int)x->name.n,
				     x->name.p);
		break;
	case EXPR_FIELD:
		result = eval_field(r, x);
		break;
	case EXPR_CALL:
		result = eval_call(r, x);
		break;
	}
	r->depth--;
	return result;
}

/* ---- nodes ---- */

static int run_nodes(struct run *r, const struct node *n);

/* The variables of a block end with it. */
static int run_block(struct run *r, const struct node *body, struct json *dot)
{
	struct json *outer = r->dot;
	unsigned nvars = r->nvars;
	int result;

	r->dot = dot;
	result = run_nodes(r, body);
	r->dot = outer;
	r->nvars = nvars;
	return result;
}

static int run_if(struct run *r, const struct node *n)
{
	struct json *value = run_eval(r, n->expr);
	bool with = n->kind == NODE_WITH;

	if (!value)
		return -1;
	if (value_is_true(value))
		return run_block(r, n->body, with ? value : r->dot);
	return run_block(r, n->other, r->dot);
}

static int by_key(const void *a, const void *b)
{
	const struct json *const *x = a, *const *y = b;

	return strcmp(json_key(*x), json_key(*y));
}

/* Of a map in the order of its keys, as Go has it.  Owned by the caller; NULL when
 * empty. */
static struct json **members(const struct json *j)
{
	size_t n = json_count(j), i = 0;
	struct json **list = n ? calloc(n, sizeof *list) : NULL;

	if (!n)
		return NULL;
	must(list);
	json_each(it, j)
	{
		list[i++] = it;
	}
	if (json_kind(j) == JSON_OBJECT)
		qsort(list, n, sizeof(*list), by_key);
	return list;
}

static int run_turn(struct run *r, const struct node *n, struct json *member, size_t i)
{
	const char *key = json_key(member);
	struct json *at =
		key ? run_text(r, slice_of(key)) : run_own(r, json_integer((int64_t)i));
	unsigned nvars = r->nvars;
	int result = at ? 0 : -1;

	if (result == 0 && n->key.n)
		result = declare(r, n->key, at);
	if (result == 0 && n->name.n)
		result = declare(r, n->name, member);
	if (result == 0)
		result = run_block(r, n->body, member);
	r->nvars = nvars;
	return result;
}

static int run_range(struct run *r, const struct node *n)
{
	struct json *over = run_eval(r, n->expr), **list;
	size_t count;
	int result = 0;

	if (!over)
		return -1;
	if (!value_is_true(over))
		return run_block(r, n->other, r->dot);
	if (json_kind(over) != JSON_LIST && json_kind(over) != JSON_OBJECT)
		return run_fail(r, "a range is over a list or a map") ? 0 : -1;
	over = run_copy(r, over); /* the body may change the other */
	if (!over)
		return -1;
	count = json_count(over);
	list = members(over);
	for (size_t i = 0; i < count && result == 0; i++)
		result = run_turn(r, n, list[i], i);
	free(list);
	return result;
}

static int run_assign(struct run *r, const struct node *n)
{
	struct json *value = run_eval(r, n->expr);
	struct run_var *v;

	if (!value)
		return -1;
	if (n->kind == NODE_DECLARE)
		return declare(r, n->name, value);
	v = find_var(r, n->name);
	if (!v)
		return run_fail(r, "no variable is called $%.*s", (int)n->name.n,
			       n->name.p)
			       ? 0
			       : -1;
	v->value = value;
	return 0;
}

static int run_print(struct run *r, const struct node *n)
{
	struct json *value = run_eval(r, n->expr);

	if (!value)
		return -1;
	if (value_print(value, r->out) == 0)
		return 0;
	r->at = n->expr;
	run_fail(r, r->out->failed ? "the output is too long"
				   : "a list or map is printed with toYaml");
	return -1;
}

static int run_named(struct run *r, const struct tmpl *t, struct json *dot)
{
	unsigned base = r->base, nvars = r->nvars;
	struct json *outer = r->dot;
	int result;

	r->base = nvars;
	result = declare(r, SLICE(""), dot);
	r->dot = dot;
	if (result == 0)
		result = run_nodes(r, t->body);
	r->dot = outer;
	r->nvars = nvars;
	r->base = base;
	return result;
}

static int run_template(struct run *r, const struct node *n)
{
	const struct tmpl *t = tmpl_find(r->set, n->text);
	struct json *dot = run_eval(r, n->expr);

	if (!dot)
		return -1;
	if (!t)
		return run_fail(r, "no template is called \"%.*s\"", (int)n->text.n,
			       n->text.p)
			       ? 0
			       : -1;
	return run_named(r, t, dot);
}

static int run_node(struct run *r, const struct node *n)
{
	switch (n->kind) {
	case NODE_TEXT:
		return buf_adds(r->out, n->text) == 0          ? 0
		       : run_fail(r, "the output is too long") ? 0
							       : -1;
	case NODE_PRINT:
		return run_print(r, n);
	case NODE_DECLARE:
	case NODE_ASSIGN:
		return run_assign(r, n);
	case NODE_IF:
	case NODE_WITH:
		return run_if(r, n);
	case NODE_RANGE:
		return run_range(r, n);
	case NODE_TEMPLATE:
		return run_template(r, n);
	}
	return -1;
}

static int run_nodes(struct run *r, const struct node *n)
{
	int result = 0;

	if (++r->depth > 8 * TMPL_DEPTH)
		return run_fail(r, "too deep") ? 0 : -1;
	for (; n && result == 0; n = n->next) {
		if (++r->steps > TMPL_STEPS)
			result = run_fail(r, "more than %d steps", TMPL_STEPS) ? 0 : -1;
		else
			result = run_node(r, n);
	}
	r->depth--;
	return result;
}

struct json *run_include(struct run *r, struct slice name, struct json *dot)
{
	const struct tmpl *t = tmpl_find(r->set, name);
	struct buf *outer = r->out, out = BUF_LIMIT(TMPL_OUT);
	int result;

	if (!t)
		return run_fail(
			r, "no template is called \"%.*s\"", (int)name.n, name.p);
	r->out = &out;
	result = run_named(r, t, dot);
	r->out = outer;
	if (result == 0)
		return run_buf(r, &out);
	buf_fini(&out);
	return NULL;
}

int tmpl_run(const struct tmpl_set *s, const char *file, struct json *root,
	struct buf *out, struct err *e)
{
	const struct tmpl *t = tmpl_find(s, slice_of(file));
	struct buf text = BUF_LIMIT(TMPL_OUT);
	struct run r = {.set = s, .made = json_list(), .out = &text, .e = e};
	int result;

	must(t);
	r.nil = run_own(&r, json_null());
	result = run_named(&r, t, root);
	if (result == 0 && buf_adds(out, buf_slice(&text)))
		result = err_set(e, ERR_LIMIT, "%s: the output is too long", file);
	buf_fini(&text);
	json_free(r.made);
	return result;
}
