/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/selector.h"

#include <stdio.h>
#include <string.h>

/* ---- evaluation ---- */

static bool has_value(const struct json *values, const char *text)
{
	json_each(v, values)
	{
		if (json_text(v) && strcmp(json_text(v), text) == 0)
			return true;
	}
	return false;
}

/* `have` is NULL when the label or field is not there. */
static bool holds(const struct json *term, const char *have)
{
	const char *op = json_text_or(term, "operator", "");
	const struct json *values = json_get(term, "values");

	if (strcmp(op, "In") == 0)
		return have && has_value(values, have);
	if (strcmp(op, "NotIn") == 0)
		return !have || !has_value(values, have);
	if (strcmp(op, "Exists") == 0)
		return have != NULL;
	return strcmp(op, "DoesNotExist") == 0 && !have;
}

bool selector_labels(const struct json *requirements, const struct json *labels)
{
	json_each(term, requirements)
	{
		const char *key = json_text_or(term, "key", "");

		if (!holds(term, json_text(json_get(labels, key))))
			return false;
	}
	return true;
}

static const char *field_text(const struct json *obj, const char *path, char tmp[32])
{
	const struct json *v = json_path(obj, path);

	if (json_text(v))
		return json_text(v);
	if (json_kind(v) == JSON_BOOL)
		return json_bool_at(obj, path, false) ? "true" : "false";
	if (json_kind(v) != JSON_INT)
		return "";
	snprintf(tmp, 32, "%lld", (long long)json_int(v, 0));
	return tmp;
}

bool selector_fields(const struct json *requirements, const struct json *obj)
{
	json_each(term, requirements)
	{
		char tmp[32];

		if (!holds(term, field_text(obj, json_text_or(term, "key", ""), tmp)))
			return false;
	}
	return true;
}

bool selector_map(const struct json *map, const struct json *labels)
{
	if (!json_first(map))
		return false;
	json_each(want, map)
	{
		const char *have = json_text(json_get(labels, json_key(want)));

		if (!have || !json_text(want) || strcmp(have, json_text(want)) != 0)
			return false;
	}
	return true;
}

bool selector_matches(const struct json *selector, const struct json *labels)
{
	const struct json *map = json_get(selector, "matchLabels");

	if (json_kind(selector) != JSON_OBJECT)
		return false;
	if (json_first(map) && !selector_map(map, labels))
		return false;
	return selector_labels(json_get(selector, "matchExpressions"), labels);
}

/* ---- text ---- */

static struct json *add_term(
	struct json *list, struct slice key, const char *op, struct json *values)
{
	struct json *term = json_push(list, json_object());

	json_set(term, "key", json_string_n(key));
	json_set_text(term, "operator", op);
	json_set(term, "values", values ? values : json_list());
	return term;
}

static struct json *one_value(struct slice value)
{
	struct json *list = json_list();

	json_push(list, json_string_n(slice_trim(value)));
	return list;
}

/* "(a, b)" */
static struct json *set_values(struct slice text)
{
	struct json *list;
	struct slice part;

	text = slice_trim(text);
	if (text.n < 2 || text.p[0] != '(' || text.p[text.n - 1] != ')')
		return NULL;
	text = slice_bytes(text.p + 1, text.n - 2);
	list = json_list();
	while (slice_cut(&text, ',', &part))
		json_push(list, json_string_n(slice_trim(part)));
	return list;
}

static const char *find(struct slice s, const char *what)
{
	return memmem(s.p, s.n, what, strlen(what));
}

static struct slice before(struct slice s, const char *at)
{
	return slice_trim(slice_bytes(s.p, (size_t)(at - s.p)));
}

static struct slice after(struct slice s, const char *at, size_t skip)
{
	return slice_trim(slice_bytes(at + skip, s.n - (size_t)(at - s.p) - skip));
}

static bool is_key(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (memchr(" ()=!,", s.p[i], 6))
			return false;
	return s.n > 0;
}

static int parse_set(
	struct json *list, struct slice s, const char *at, size_t skip, const char *op)
{
	struct json *values = set_values(after(s, at, skip));

	if (!values || !is_key(before(s, at))) {
		json_free(values);
		return -1;
	}
	add_term(list, before(s, at), op, values);
	return 0;
}

static int parse_equals(struct json *list, struct slice s, const char *at)
{
	bool is_not = at > s.p && at[-1] == '!';
	bool is_double = !is_not && at + 1 < s.p + s.n && at[1] == '=';
	struct slice key = before(s, is_not ? at - 1 : at);

	if (!is_key(key))
		return -1;
	add_term(list, key, is_not ? "NotIn" : "In",
		one_value(after(s, at, is_double ? 2 : 1)));
	return 0;
}

static int parse_term(struct json *list, struct slice s)
{
	const char *at;

	s = slice_trim(s);
	if ((at = find(s, " notin ")) || (at = find(s, " notin(")))
		return parse_set(list, s, at, 6, "NotIn");
	if ((at = find(s, " in ")) || (at = find(s, " in(")))
		return parse_set(list, s, at, 3, "In");
	if ((at = find(s, "=")))
		return parse_equals(list, s, at);
	if (s.n && s.p[0] == '!') {
		s = slice_trim(slice_bytes(s.p + 1, s.n - 1));
		if (!is_key(s))
			return -1;
		add_term(list, s, "DoesNotExist", NULL);
		return 0;
	}
	if (!is_key(s))
		return -1;
	add_term(list, s, "Exists", NULL);
	return 0;
}

/* Cuts at commas that are not in parentheses. */
static bool cut_term(struct slice *rest, struct slice *term)
{
	int depth = 0;
	size_t i;

	if (!rest->n)
		return false;
	for (i = 0; i < rest->n; i++) {
		depth += (rest->p[i] == '(') - (rest->p[i] == ')');
		if (rest->p[i] == ',' && depth <= 0)
			break;
	}
	*term = slice_bytes(rest->p, i);
	i += i < rest->n;
	*rest = slice_bytes(rest->p + i, rest->n - i);
	return true;
}

struct json *selector_parse(struct slice text, struct err *e)
{
	struct json *list = json_list();
	struct slice term;

	while (cut_term(&text, &term)) {
		if (parse_term(list, term) == 0)
			continue;
		err_set(e, ERR_SYNTAX, "unable to parse requirement: \"%.*s\"",
			SLICE_FMT(term));
		json_free(list);
		return NULL;
	}
	return list;
}

struct json *selector_parse_fields(struct slice text, struct err *e)
{
	struct json *list = json_list();
	struct slice term;

	while (slice_cut(&text, ',', &term)) {
		const char *at = term.n ? find(term, "=") : NULL;

		if (!term.n || (at && parse_equals(list, term, at) == 0))
			continue;
		err_set(e, ERR_SYNTAX, "invalid field selector: \"%.*s\"",
			SLICE_FMT(term));
		json_free(list);
		return NULL;
	}
	return list;
}

static void term_text(const struct json *term, struct buf *out)
{
	const char *op = json_text_or(term, "operator", "");
	bool first = true;

	if (strcmp(op, "DoesNotExist") == 0)
		buf_char(out, '!');
	buf_text(out, json_text_or(term, "key", ""));
	if (strcmp(op, "In") != 0 && strcmp(op, "NotIn") != 0)
		return;
	buf_text(out, strcmp(op, "In") == 0 ? " in (" : " notin (");
	json_each(v, json_get(term, "values"))
	{
		buf_printf(out, "%s%s", first ? "" : ",",
			json_text(v) ? json_text(v) : "");
		first = false;
	}
	buf_char(out, ')');
}

void selector_text(const struct json *selector, struct buf *out)
{
	bool first = true;

	json_each(m, json_get(selector, "matchLabels"))
	{
		buf_printf(out, "%s%s=%s", first ? "" : ",", json_key(m),
			json_text(m) ? json_text(m) : "");
		first = false;
	}
	json_each(term, json_get(selector, "matchExpressions"))
	{
		if (!first)
			buf_char(out, ',');
		term_text(term, out);
		first = false;
	}
}
