/* SPDX-License-Identifier: Apache-2.0 */
/* Functions that compare and choose. */
#include "chart/tmpl_int.h"

/* ---- and, or: what decides is what they give ---- */

static struct json *first_that_is(struct run *r, const struct expr *x, bool wanted)
{
	struct json *value = NULL;

	for (; x; x = x->next) {
		value = run_eval(r, x);
		if (!value || value_is_true(value) == wanted)
			return value;
	}
	return value;
}

static struct json *fn_and(struct run *r, const struct expr *args)
{
	return first_that_is(r, args, false);
}

static struct json *fn_or(struct run *r, const struct expr *args)
{
	return first_that_is(r, args, true);
}

/* ---- comparing ---- */

static bool is_number(const struct json *j)
{
	return json_kind(j) == JSON_INT || json_kind(j) == JSON_REAL;
}

/* -1: they are of different kinds, and the run has failed. */
static int equal(struct run *r, const struct json *a, const struct json *b)
{
	if (is_number(a) && is_number(b))
		return json_real(a, 0) == json_real(b, 0);
	if (json_kind(a) == JSON_NULL || json_kind(b) == JSON_NULL)
		return json_kind(a) == json_kind(b);
	if (json_kind(a) == json_kind(b) && json_kind(a) <= JSON_TEXT)
		return json_equal(a, b);
	run_fail(r, "values of different kinds are compared");
	return -1;
}

static struct json *fn_eq(struct run *r, struct json **args, unsigned n)
{
	int same = 0;

	for (unsigned i = 1; i < n && same == 0; i++)
		same = equal(r, args[0], args[i]);
	return same < 0 ? NULL : run_own(r, json_boolean(same == 1));
}

static struct json *fn_ne(struct run *r, struct json **args, unsigned n)
{
	int same = equal(r, args[0], args[n - 1]);

	return same < 0 ? NULL : run_own(r, json_boolean(same == 0));
}

static struct json *fn_gt(struct run *r, struct json **args, unsigned n)
{
	if (!is_number(args[0]) || !is_number(args[n - 1]))
		return run_fail(r, "gt compares numbers");
	return run_own(r, json_boolean(json_real(args[0], 0) > json_real(args[1], 0)));
}

static struct json *fn_not(struct run *r, struct json **args, unsigned n)
{
	return run_own(r, json_boolean(!value_is_true(args[n - 1])));
}

/* ---- choosing ---- */

static struct json *fn_default(struct run *r, struct json **args, unsigned n)
{
	(void)r;
	return n > 1 && value_is_true(args[1]) ? args[1] : args[0];
}

static struct json *fn_empty(struct run *r, struct json **args, unsigned n)
{
	return run_own(r, json_boolean(!value_is_true(args[n - 1])));
}

static struct json *fn_ternary(struct run *r, struct json **args, unsigned n)
{
	if (json_kind(args[n - 1]) != JSON_BOOL)
		return run_fail(r, "ternary decides by true or false");
	return value_is_true(args[2]) ? args[0] : args[1];
}

static struct json *fn_required(struct run *r, struct json **args, unsigned n)
{
	const struct json *value = args[n - 1];

	if (json_kind(value) == JSON_NULL ||
		(json_kind(value) == JSON_TEXT && !*json_text(value)))
		return run_fail(r, "%s", json_text_or(args[0], NULL, "needed"));
	return args[1];
}

static struct json *fn_fail(struct run *r, struct json **args, unsigned n)
{
	return run_fail(r, "%s", json_text_or(args[n - 1], NULL, "failed"));
}

static const struct func table[] = {
	{"and", 1, FUNC_ARGS, NULL, fn_and},
	{"default", 1, 2, fn_default, NULL},
	{"empty", 1, 1, fn_empty, NULL},
	{"eq", 2, FUNC_ARGS, fn_eq, NULL},
	{"fail", 1, 1, fn_fail, NULL},
	{"gt", 2, 2, fn_gt, NULL},
	{"ne", 2, 2, fn_ne, NULL},
	{"not", 1, 1, fn_not, NULL},
	{"or", 1, FUNC_ARGS, NULL, fn_or},
	{"required", 2, 2, fn_required, NULL},
	{"ternary", 3, 3, fn_ternary, NULL},
};
const struct func_part funcs_logic = {table, countof(table)};
