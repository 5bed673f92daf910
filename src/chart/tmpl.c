/* SPDX-License-Identifier: Apache-2.0 */
/* A set of templates, and what can be said of it before any is run. */
#include "chart/tmpl_int.h"

struct tmpl_set *tmpl_new(const struct tmpl_host *host)
{
	struct tmpl_set *s = calloc(1, sizeof *s);

	must(s);
	s->host = host;
	arena_init(&s->arena, TMPL_MEMORY);
	s->arena.chunk = 64 * 1024;
	s->values = json_list();
	return s;
}

void tmpl_free(struct tmpl_set *s)
{
	if (!s)
		return;
	json_free(s->values);
	arena_fini(&s->arena);
	free(s);
}

const struct tmpl *tmpl_find(const struct tmpl_set *s, struct slice name)
{
	for (const struct tmpl *t = s->all; t; t = t->next)
		if (slice_eq(t->name, name))
			return t;
	return NULL;
}

const struct func *func_find(struct slice name)
{
	const struct func_part *const parts[] = {
		&funcs_logic, &funcs_text, &funcs_tree};

	for (size_t i = 0; i < countof(parts); i++)
		for (size_t k = 0; k < parts[i]->n; k++)
			if (slice_is(name, parts[i]->funcs[k].name))
				return &parts[i]->funcs[k];
	return NULL;
}

static int check_nodes(
	const struct tmpl_set *s, const struct node *n, unsigned depth, struct err *e)
{
	for (; n && depth < 2 * TMPL_DEPTH; n = n->next) {
		if (n->kind == NODE_TEMPLATE && !tmpl_find(s, n->text))
			return err_set(e, ERR_MISSING,
				"%s:%d: no template is called \"%.*s\"", n->expr->file,
				n->expr->line, (int)n->text.n, n->text.p);
		if (check_nodes(s, n->body, depth + 1, e) ||
			check_nodes(s, n->other, depth + 1, e))
			return -1;
	}
	return 0;
}

int tmpl_check(const struct tmpl_set *s, struct err *e)
{
	for (const struct tmpl *t = s->all; t; t = t->next)
		if (check_nodes(s, t->body, 0, e))
			return -1;
	for (const struct expr_list *l = s->exprs; l; l = l->next) {
		const struct expr *x = l->expr;
		const char *name;

		if (x->kind != EXPR_CALL || strcmp(x->func->name, "include") != 0)
			continue;
		name = x->args->kind == EXPR_VALUE ? json_text(x->args->value) : NULL;
		if (name && !tmpl_find(s, slice_of(name)))
			return err_set(e, ERR_MISSING,
				"%s:%d: no template is called \"%s\"", x->file, x->line,
				name);
	}
	return 0;
}

/* The value that `x` names below .Values; *known tells whether it is such a path at
 * all. */
static const struct json *follow(
	const struct expr *x, const struct json *values, bool *known, unsigned depth)
{
	const struct json *of;
	char name[80];

	*known = false;
	if (x->kind != EXPR_FIELD || depth > TMPL_DEPTH)
		return NULL;
	if (slice_is(x->name, "Values")) {
		*known = true;
		return values;
	}
	of = follow(x->args, values, known, depth + 1);
	if (!*known)
		return NULL;
	/* below what users fill in themselves nothing is known */
	if (json_kind(of) != JSON_OBJECT || json_count(of) == 0) {
		*known = false;
		return NULL;
	}
	snprintf(name, sizeof name, "%.*s", SLICE_FMT(x->name));
	return json_get(of, name);
}

int tmpl_check_values(
	const struct tmpl_set *s, const struct json *values, struct err *e)
{
	for (const struct expr_list *l = s->exprs; l; l = l->next) {
		const struct expr *x = l->expr;
		bool known;
		const struct json *value = follow(x, values, &known, 0);

		if (known && !value)
			return err_set(e, ERR_MISSING,
				"%s:%d: the values have no \"%.*s\" there", x->file,
				x->line, (int)x->name.n, x->name.p);
	}
	return 0;
}
