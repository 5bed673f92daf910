/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RFC 8259, strictly, with Go's answers where it leaves a choice: the last of equal
 * keys wins, bytes that are no UTF-8 and lone surrogates become U+FFFD.  A zero byte in
 * a string is refused, because texts are handed out zero-terminated.
 */
#include <errno.h>
#include <stdlib.h>

#include "wire/json.h"
#include "wire/json_node.h"
#include "wire/utf8.h"

struct parser {
	const char *start, *p, *end;
	int depth;
	struct buf scratch; /* the string being decoded */
	struct err *e;
};

static cJSON *parse_value(struct parser *ps);

/* Always NULL. */
static cJSON *fail(struct parser *ps, enum errc code, const char *what)
{
	unsigned line = 1, column = 1;

	for (const char *c = ps->start; c < ps->p; c++) {
		column++;
		if (*c == '\n')
			line++, column = 1;
	}
	err_set(ps->e, code, "JSON line %u:%u: %s", line, column, what);
	return NULL;
}

static int peek(const struct parser *ps)
{
	return ps->p < ps->end ? (unsigned char)*ps->p : -1;
}

static void skip_blanks(struct parser *ps)
{
	while (ps->p < ps->end &&
		(*ps->p == ' ' || *ps->p == '\t' || *ps->p == '\n' || *ps->p == '\r'))
		ps->p++;
}

/* ---- strings ---- */

static int hex4(struct parser *ps)
{
	int v = 0;

	if (ps->end - ps->p < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		char c = ps->p[i];

		if (c >= '0' && c <= '9')
			v = v * 16 + c - '0';
		else if ((c | 32) >= 'a' && (c | 32) <= 'f')
			v = v * 16 + (c | 32) - 'a' + 10;
		else
			return -1;
	}
	ps->p += 4;
	return v;
}

static void add_rune(struct parser *ps, uint32_t rune)
{
	char out[4];

	buf_add(&ps->scratch, out, utf8_put(rune, out));
}

/* Behind "\u". */
static int parse_unicode(struct parser *ps)
{
	int high = hex4(ps), low;

	if (high < 0)
		return -1;
	if (high < 0xd800 || high > 0xdfff) {
		add_rune(ps, (uint32_t)high);
		return high == 0 ? -1 : 0;
	}
	if (high < 0xdc00 && ps->end - ps->p >= 6 && ps->p[0] == '\\' &&
		ps->p[1] == 'u') {
		const char *back = ps->p;

		ps->p += 2;
		low = hex4(ps);
		if (low >= 0xdc00 && low <= 0xdfff) {
			add_rune(ps, 0x10000u + ((uint32_t)(high - 0xd800) << 10) +
					     (uint32_t)(low - 0xdc00));
			return 0;
		}
		ps->p = back;
	}
	add_rune(ps, UTF8_BAD);
	return 0;
}

static int parse_escape(struct parser *ps)
{
	static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
	const char *at;

	ps->p++;
	if (ps->p == ps->end)
		return -1;
	if (*ps->p == 'u') {
		ps->p++;
		return parse_unicode(ps);
	}
	at = *ps->p ? strchr(names, *ps->p) : NULL;
	if (!at)
		return -1;
	ps->p++;
	return buf_char(&ps->scratch, values[at - names]);
}

/* Bytes that stand for themselves, up to a quote or a backslash. */
static int parse_plain(struct parser *ps)
{
	const char *from = ps->p;

	while (ps->p < ps->end && (unsigned char)*ps->p >= 0x20 &&
		(unsigned char)*ps->p < 0x80 && *ps->p != '"' && *ps->p != '\\')
		ps->p++;
	if (ps->p > from)
		return buf_add(&ps->scratch, from, (size_t)(ps->p - from));
	if (peek(ps) >= 0x80) {
		uint32_t rune;

		ps->p += utf8_get(slice_bytes(ps->p, (size_t)(ps->end - ps->p)), &rune);
		add_rune(ps, rune);
		return 0;
	}
	return -1;
}

/* At the opening quote; the text is then in ps->scratch. */
static int parse_text(struct parser *ps)
{
	buf_clear(&ps->scratch);
	ps->p++;
	while (peek(ps) != '"') {
		if (peek(ps) < 0)
			return fail(ps, ERR_SYNTAX, "the text ends in a string"), -1;
		if (peek(ps) == '\\' ? parse_escape(ps) : parse_plain(ps))
			return fail(ps, ERR_SYNTAX, "bad character in a string"), -1;
	}
	ps->p++;
	must(!ps->scratch.failed);
	return 0;
}

/* ---- numbers ---- */

static size_t digits(struct parser *ps)
{
	const char *from = ps->p;

	while (ps->p < ps->end && *ps->p >= '0' && *ps->p <= '9')
		ps->p++;
	return (size_t)(ps->p - from);
}

/* Moves over the number; 1 when it is whole, 0 when not, -1 when malformed. */
static int scan_number(struct parser *ps)
{
	int whole = 1;
	const char *first;

	if (peek(ps) == '-')
		ps->p++;
	first = ps->p;
	if (digits(ps) == 0 || (*first == '0' && ps->p - first > 1))
		return -1;
	if (peek(ps) == '.') {
		ps->p++;
		whole = 0;
		if (digits(ps) == 0)
			return -1;
	}
	if (peek(ps) == 'e' || peek(ps) == 'E') {
		ps->p++;
		whole = 0;
		if (peek(ps) == '+' || peek(ps) == '-')
			ps->p++;
		if (digits(ps) == 0)
			return -1;
	}
	return whole;
}

#define NUMBER_MAX 1024 /* characters */

static cJSON *parse_number(struct parser *ps)
{
	const char *from = ps->p;
	int whole = scan_number(ps);
	size_t n = (size_t)(ps->p - from);
	char text[NUMBER_MAX + 1];
	long long v;
	double d;

	if (whole < 0)
		return fail(ps, ERR_SYNTAX, "bad number");
	if (n > NUMBER_MAX)
		return fail(ps, ERR_LIMIT, "a number is too long");
	memcpy(text, from, n);
	text[n] = '\0';
	errno = 0;
	v = whole ? strtoll(text, NULL, 10) : 0;
	if (whole && errno == 0)
		return node_integer(v);
	d = strtod(text, NULL);
	if (d > 1.7976931348623157e308 || d < -1.7976931348623157e308)
		return fail(ps, ERR_LIMIT, "a number is too large");
	return node_must(cJSON_CreateNumber(d));
}

/* ---- objects: the last of equal keys wins ---- */

static bool repeats_a_key(const cJSON *obj, const cJSON *added)
{
	for (const cJSON *it = obj->child; it != added; it = it->next)
		if (strcmp(it->string, added->string) == 0)
			return true;
	return false;
}

#define FEW 32

static int parse_member(struct parser *ps, cJSON *obj)
{
	cJSON *value = NULL;
	char *key;

	if (peek(ps) != '"')
		return fail(ps, ERR_SYNTAX, "expected a key in quotes"), -1;
	if (parse_text(ps))
		return -1;
	key = slice_dup(buf_slice(&ps->scratch));
	must(key);
	skip_blanks(ps);
	if (peek(ps) == ':') {
		ps->p++;
		value = parse_value(ps);
	} else {
		fail(ps, ERR_SYNTAX, "expected ':'");
	}
	if (value)
		node_append_key(obj, slice_of(key), value);
	free(key);
	return value ? 0 : -1;
}

/* After a member: 1 to go on, 0 at the end, -1. */
static int after_member(struct parser *ps, char close)
{
	skip_blanks(ps);
	if (peek(ps) == close) {
		ps->p++;
		return 0;
	}
	if (peek(ps) != ',') {
		fail(ps, ERR_SYNTAX,
			close == '}' ? "expected ',' or '}'" : "expected ',' or ']'");
		return -1;
	}
	ps->p++;
	skip_blanks(ps);
	return 1;
}

static int parse_members(struct parser *ps, cJSON *obj)
{
	bool repeated = false;
	size_t n = 0;
	int more = 1;

	while (more == 1) {
		if (parse_member(ps, obj))
			return -1;
		if (++n <= FEW && repeats_a_key(obj, obj->child->prev))
			repeated = true;
		more = after_member(ps, '}');
	}
	if (more == 0 && (repeated || n > FEW))
		node_drop_repeated(obj, KEEP_LAST);
	return more;
}

static int parse_elements(struct parser *ps, cJSON *list)
{
	int more = 1;

	while (more == 1) {
		cJSON *value = parse_value(ps);

		if (!value)
			return -1;
		node_append(list, value);
		more = after_member(ps, ']');
	}
	return more;
}

static cJSON *parse_container(struct parser *ps)
{
	bool object = *ps->p == '{';
	cJSON *n;

	if (ps->depth == JSON_DEPTH)
		return fail(ps, ERR_LIMIT, "nested too deeply");
	n = node_must(object ? cJSON_CreateObject() : cJSON_CreateArray());
	ps->depth++;
	ps->p++;
	skip_blanks(ps);
	if (peek(ps) == (object ? '}' : ']')) {
		ps->p++;
	} else if (object ? parse_members(ps, n) : parse_elements(ps, n)) {
		cJSON_Delete(n);
		return NULL;
	}
	ps->depth--;
	return n;
}

/* ---- values ---- */

static cJSON *parse_word(struct parser *ps)
{
	static const struct {
		struct slice word;
		int type;
	} words[] = {
		{SLICE("true"), cJSON_True},
		{SLICE("false"), cJSON_False},
		{SLICE("null"), cJSON_NULL},
	};
	struct slice rest = slice_bytes(ps->p, (size_t)(ps->end - ps->p));

	for (size_t i = 0; i < countof(words); i++) {
		cJSON *n;

		if (!slice_starts(rest, words[i].word))
			continue;
		ps->p += words[i].word.n;
		n = node_must(cJSON_CreateNull());
		n->type = words[i].type;
		return n;
	}
	return fail(ps, ERR_SYNTAX,
		rest.n ? "expected a value" : "the text ends where a value should be");
}

static cJSON *parse_value(struct parser *ps)
{
	int c;

	skip_blanks(ps);
	c = peek(ps);
	if (c == '{' || c == '[')
		return parse_container(ps);
	if (c == '-' || (c >= '0' && c <= '9'))
		return parse_number(ps);
	if (c != '"')
		return parse_word(ps);
	if (parse_text(ps))
		return NULL;
	return node_of(json_string_n(buf_slice(&ps->scratch)));
}

struct json *json_parse(struct slice text, struct err *e)
{
	const char *p = text.n ? text.p : "";
	struct parser ps = {p, p, p + text.n, 0, BUF_INIT, e};
	cJSON *n = parse_value(&ps);

	skip_blanks(&ps);
	if (n && ps.p != ps.end) {
		cJSON_Delete(n);
		n = fail(&ps, ERR_SYNTAX, "more text behind the value");
	}
	buf_fini(&ps.scratch);
	return json_of(n);
}
