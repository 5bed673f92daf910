/* SPDX-License-Identifier: Apache-2.0 */
/* Functions on lists and maps, and on other templates. */
#include "chart/tmpl_int.h"

/* A copy that becomes a part of something else. */
static struct json *copy_free(struct run *r, const struct json *j)
{
	struct json *copy = run_copy(r, j);

	return copy ? json_detach(r->made, copy) : NULL;
}

static struct json *fn_list(struct run *r, struct json **args, unsigned n)
{
	struct json *list = run_own(r, json_list());

	for (unsigned i = 0; i < n; i++) {
		struct json *copy = copy_free(r, args[i]);

		if (!copy)
			return NULL;
		json_push(list, copy);
	}
	return list;
}

static struct json *fn_dict(struct run *r, struct json **args, unsigned n)
{
	struct json *map = run_own(r, json_object());

	if (n % 2)
		return run_fail(r, "dict takes names and values in turn");
	for (unsigned i = 0; i < n; i += 2) {
		const char *key = json_text(args[i]);
		struct json *copy = key ? copy_free(r, args[i + 1]) : NULL;

		if (!copy)
			return key ? NULL : run_fail(r, "a name of dict is no text");
		json_set(map, key, copy);
	}
	return map;
}

/* The map and the key of set, unset and hasKey. */
static const char *key_of(struct run *r, struct json **args)
{
	const char *key = json_text(args[1]);

	if (key && json_kind(args[0]) == JSON_OBJECT)
		return key;
	run_fail(r, "a map and a name are expected");
	return NULL;
}

/* What is replaced or removed may still be somebody's: it lives as long as the run. */
static void set_aside(struct run *r, struct json *map, const char *key)
{
	struct json *old = json_detach(map, json_get(map, key));

	if (old)
		run_own(r, old);
}

static struct json *fn_set(struct run *r, struct json **args, unsigned n)
{
	const char *key = key_of(r, args);
	struct json *copy;

	if (!key)
		return NULL;
	copy = copy_free(r, args[n - 1]); /* before: it may be what is set aside */
	if (!copy)
		return NULL;
	set_aside(r, args[0], key);
	json_set(args[0], key, copy);
	return args[0];
}

static struct json *fn_unset(struct run *r, struct json **args, unsigned n)
{
	const char *key = key_of(r, args);

	(void)n;
	if (!key)
		return NULL;
	set_aside(r, args[0], key);
	return args[0];
}

static struct json *fn_has_key(struct run *r, struct json **args, unsigned n)
{
	const char *key = key_of(r, args);

	(void)n;
	return key ? run_own(r, json_boolean(json_get(args[0], key) != NULL)) : NULL;
}

static struct json *fn_get(struct run *r, struct json **args, unsigned n)
{
	const char *key = key_of(r, args);
	struct json *value = key ? json_get(args[0], key) : NULL;

	(void)n;
	return !key || value ? value : run_own(r, json_string(""));
}

static struct json *fn_deep_copy(struct run *r, struct json **args, unsigned n)
{
	return run_copy(r, args[n - 1]);
}

static struct json *fn_join(struct run *r, struct json **args, unsigned n)
{
	const char *between = json_text(args[0]);
	struct buf b = BUF_LIMIT(TMPL_OUT);
	bool ok = between && json_kind(args[n - 1]) == JSON_LIST, first = true;

	if (ok)
		json_each(it, args[1])
		{
			buf_text(&b, first ? "" : between);
			ok = ok && value_print(it, &b) == 0;
			first = false;
		}
	if (ok)
		return run_buf(r, &b);
	buf_fini(&b);
	return run_fail(r, "join takes a text and a list of texts");
}

static struct json *fn_include(struct run *r, struct json **args, unsigned n)
{
	const char *name = json_text(args[0]);

	(void)n;
	if (!name)
		return run_fail(r, "include takes a name");
	return run_include(r, slice_of(name), args[1]);
}

/*
 * Helm looks for a key in the cluster here, and makes one.  Whoever renders with us has
 * done so already, and says so in the values: what is installed must be found again by
 * the next rendering.
 */
static struct json *fn_not_here(struct run *r, struct json **args, unsigned n)
{
	(void)args, (void)n;
	return run_fail(r, "certificates are given in the values, not found or made "
			   "here");
}

static const struct func table[] = {
	{"deepCopy", 1, 1, fn_deep_copy, NULL},
	{"dict", 0, FUNC_ARGS, fn_dict, NULL},
	{"genPrivateKey", 1, 1, fn_not_here, NULL},
	{"genSelfSignedCertWithKey", 5, 5, fn_not_here, NULL},
	{"get", 2, 2, fn_get, NULL},
	{"hasKey", 2, 2, fn_has_key, NULL},
	{"include", 2, 2, fn_include, NULL},
	{"join", 2, 2, fn_join, NULL},
	{"list", 0, FUNC_ARGS, fn_list, NULL},
	{"lookup", 4, 4, fn_not_here, NULL},
	{"set", 3, 3, fn_set, NULL},
	{"unset", 2, 2, fn_unset, NULL},
};
const struct func_part funcs_tree = {table, countof(table)};
