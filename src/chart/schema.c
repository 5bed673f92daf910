/* SPDX-License-Identifier: Apache-2.0 */
/* Values against a JSON Schema: a table of its words, a function for each. */

#include <inttypes.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/obj.h"
#include "chart/values.h"

#define CHECK_PATH  200
#define CHECK_DEPTH 32

struct check {
	const struct json *root;
	char path[CHECK_PATH];
	unsigned depth;
	struct err *e;
};

static int wrong(struct check *c, const char *fmt, ...) PRINTF_LIKE(2, 3);
static int wrong(struct check *c, const char *fmt, ...)
{
	char why[160];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof why, fmt, ap);
	va_end(ap);
	return err_set(c->e, ERR_SYNTAX, "%s%s%s", c->path, *c->path ? ": " : "", why);
}

static int check(struct check *c, const struct json *schema, const struct json *value);

/* Goes down by one step, and back up. */
static int check_below(struct check *c, const char *step, const struct json *schema,
	const struct json *value)
{
	size_t n = strlen(c->path);
	int r;

	snprintf(c->path + n, sizeof c->path - n, "%s%s", n && *step != '[' ? "." : "",
		step);
	r = check(c, schema, value);
	c->path[n] = '\0';
	return r;
}

static bool is_type(const char *type, const struct json *value)
{
	static const struct {
		const char *type;
		enum json_kind kind;
	} types[] = {{"null", JSON_NULL}, {"boolean", JSON_BOOL}, {"integer", JSON_INT},
		{"number", JSON_INT}, {"number", JSON_REAL}, {"string", JSON_TEXT},
		{"array", JSON_LIST}, {"object", JSON_OBJECT}};

	for (size_t i = 0; i < countof(types); i++)
		if (types[i].kind == json_kind(value) &&
			strcmp(types[i].type, type) == 0)
			return true;
	return false;
}

/* "string or number" */
static void add_word(struct buf *list, const char *between, const char *word)
{
	buf_printf(list, "%s%s", buf_len(list) ? between : "", word);
}

static void describe(const struct json *value, struct buf *out)
{
	if (json_kind(value) == JSON_LIST || json_kind(value) == JSON_OBJECT)
		buf_text(out, json_kind(value) == JSON_LIST ? "a list" : "a map");
	else
		(void)json_write(value, 0, out);
}

static int wrong_kind(
	struct check *c, const char *what, struct buf *wanted, const struct json *value)
{
	struct buf is = BUF_INIT;
	int r;

	describe(value, &is);
	r = wrong(c, "%.50s is not %s%.100s", buf_char(&is, '\0') ? "" : is.p, what,
		buf_char(wanted, '\0') ? "" : wanted->p);
	buf_fini(&is);
	buf_fini(wanted);
	return r;
}

static int check_type(
	struct check *c, const struct json *types, const struct json *value)
{
	struct buf wanted = BUF_LIMIT(200);

	if (json_text(types)) {
		if (is_type(json_text(types), value))
			return 0;
		buf_text(&wanted, json_text(types));
	}
	json_each(t, types)
	{
		if (is_type(json_text_or(t, NULL, ""), value)) {
			buf_fini(&wanted);
			return 0;
		}
		add_word(&wanted, " or ", json_text_or(t, NULL, ""));
	}
	return wrong_kind(c, "of the type ", &wanted, value);
}

static int check_enum(
	struct check *c, const struct json *list, const struct json *value)
{
	struct buf wanted = BUF_LIMIT(200);

	json_each(it, list)
	{
		if (json_equal(it, value)) {
			buf_fini(&wanted);
			return 0;
		}
		add_word(&wanted, ", ", json_text_or(it, NULL, "…"));
	}
	return wrong_kind(c, "one of ", &wanted, value);
}

static int check_pattern(
	struct check *c, const struct json *pattern, const struct json *value)
{
	const char *text = json_text(value);
	struct buf wanted = BUF_LIMIT(200);
	regex_t re;
	bool fits;

	if (!text)
		return 0;
	if (regcomp(&re, json_text_or(pattern, NULL, "("), REG_EXTENDED | REG_NOSUB))
		return wrong(c, "the schema's pattern is none");
	fits = regexec(&re, text, 0, NULL, 0) == 0;
	regfree(&re);
	if (fits)
		return 0;
	buf_text(&wanted, json_text(pattern));
	return wrong_kind(c, "as ", &wanted, value);
}

static int check_bound(struct check *c, const char *keyword, const struct json *bound,
	const struct json *value)
{
	double is = json_real(value, 0), to = json_real(bound, 0);
	bool low = strcmp(keyword, "minimum") == 0;

	if (json_kind(value) != JSON_INT && json_kind(value) != JSON_REAL)
		return 0;
	if (low ? is >= to : is <= to)
		return 0;
	return wrong(c, "%g is %s than %g", is, low ? "less" : "more", to);
}

static int check_required(
	struct check *c, const struct json *names, const struct json *value)
{
	json_each(n, names)
	{
		if (json_kind(value) == JSON_OBJECT &&
			!json_get(value, json_text_or(n, NULL, "")))
			return wrong(c, "%s is missing", json_text_or(n, NULL, ""));
	}
	return 0;
}

/* The name among `known` that differs only in case. */
static const char *nearest(const struct json *known, const char *name)
{
	json_each(it, known)
	{
		if (strcasecmp(json_key(it), name) == 0)
			return json_key(it);
	}
	return NULL;
}

static int check_member(
	struct check *c, const struct json *schema, const struct json *member)
{
	const struct json *known = json_get(schema, "properties");
	const struct json *other = json_get(schema, "additionalProperties");
	const struct json *of = json_get(known, json_key(member));
	const char *near;
	size_t n = strlen(c->path);

	if (of || json_kind(other) == JSON_OBJECT)
		return check_below(c, json_key(member), of ? of : other, member);
	if (json_kind(other) != JSON_BOOL || json_bool_at(other, NULL, true))
		return 0;
	near = nearest(known, json_key(member));
	snprintf(c->path + n, sizeof c->path - n, "%s%s", n ? "." : "",
		json_key(member));
	return near ? wrong(c, "no value is called so; there is %s", near)
		    : wrong(c, "no value is called so");
}

static int check_members(
	struct check *c, const struct json *schema, const struct json *value)
{
	if (json_kind(value) != JSON_OBJECT)
		return 0;
	json_each(it, value)
	{
		if (check_member(c, schema, it))
			return -1;
	}
	return 0;
}

static int check_items(
	struct check *c, const struct json *schema, const struct json *value)
{
	char step[24];
	unsigned i = 0;

	if (json_kind(value) != JSON_LIST)
		return 0;
	json_each(it, value)
	{
		snprintf(step, sizeof step, "[%u]", i++);
		if (check_below(c, step, schema, it))
			return -1;
	}
	return 0;
}

static int check_ref(struct check *c, const struct json *ref, const struct json *value)
{
	static const char head[] = "#/$defs/";
	const char *to = json_text_or(ref, NULL, "");
	const struct json *schema = NULL;

	if (strncmp(to, head, sizeof head - 1) == 0)
		schema = json_get(json_get(c->root, "$defs"), to + sizeof head - 1);
	return schema ? check(c, schema, value)
		      : wrong(c, "the schema refers to %s, which is not there", to);
}

enum keyword {
	KEY_NONE,
	KEY_TYPE,
	KEY_ENUM,
	KEY_PATTERN,
	KEY_BOUND,
	KEY_REQUIRED,
	KEY_MEMBERS,
	KEY_OTHERS,
	KEY_ITEMS,
	KEY_REF,
};
static const struct {
	const char *name;
	enum keyword key;
} keywords[] = {{"$schema", KEY_NONE}, {"$defs", KEY_NONE}, {"title", KEY_NONE},
	{"description", KEY_NONE}, {"type", KEY_TYPE}, {"enum", KEY_ENUM},
	{"pattern", KEY_PATTERN}, {"minimum", KEY_BOUND}, {"maximum", KEY_BOUND},
	{"required", KEY_REQUIRED}, {"properties", KEY_MEMBERS},
	{"additionalProperties", KEY_OTHERS}, {"items", KEY_ITEMS}, {"$ref", KEY_REF}};

static int check_keyword(struct check *c, const struct json *schema,
	const struct json *rule, const struct json *value)
{
	for (size_t i = 0; i < countof(keywords); i++) {
		if (strcmp(keywords[i].name, json_key(rule)) != 0)
			continue;
		switch (keywords[i].key) {
		case KEY_NONE:
			return 0;
		case KEY_TYPE:
			return check_type(c, rule, value);
		case KEY_ENUM:
			return check_enum(c, rule, value);
		case KEY_PATTERN:
			return check_pattern(c, rule, value);
		case KEY_BOUND:
			return check_bound(c, json_key(rule), rule, value);
		case KEY_REQUIRED:
			return check_required(c, rule, value);
		case KEY_MEMBERS:
			return check_members(c, schema, value);
		case KEY_OTHERS: /* beside properties: read there */
			return json_get(schema, "properties")
				       ? 0
				       : check_members(c, schema, value);
		case KEY_ITEMS:
			return check_items(c, rule, value);
		case KEY_REF:
			return check_ref(c, rule, value);
		}
	}
	return wrong(c, "the schema has the unknown word %s", json_key(rule));
}

static int check(struct check *c, const struct json *schema, const struct json *value)
{
	int r = 0;

	if (++c->depth > CHECK_DEPTH)
		return wrong(c, "more than %d levels", CHECK_DEPTH);
	json_each(rule, schema)
	{
		if (r == 0)
			r = check_keyword(c, schema, rule, value);
	}
	c->depth--;
	return r;
}

int values_check(const struct json *schema, const struct json *value, struct err *e)
{
	struct check c = {.root = schema, .e = e};

	return check(&c, schema, value);
}
