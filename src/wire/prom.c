/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/prom.h"

#include <math.h>
#include <stdlib.h>

#define NUMBER_MAX 64 /* characters of a value */

static bool is_name(char c)
{
	return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') ||
	       c == '_' || c == ':';
}

static void skip_blanks(struct slice *s)
{
	while (s->n && (*s->p == ' ' || *s->p == '\t'))
		s->p++, s->n--;
}

static struct slice take_name(struct slice *s)
{
	struct slice name = {s->p, 0};

	while (name.n < s->n && is_name(s->p[name.n]))
		name.n++;
	if (name.n) /* there may be no bytes at all */
		s->p += name.n, s->n -= name.n;
	return name;
}

/* "…" with its quotes taken off, not unescaped. */
static bool take_quoted(struct slice *s, struct slice *out)
{
	size_t n = 1;

	if (!s->n || *s->p != '"')
		return false;
	while (n < s->n && s->p[n] != '"')
		n += s->p[n] == '\\' ? 2 : 1;
	if (n >= s->n)
		return false;
	*out = (struct slice){s->p + 1, n - 1};
	s->p += n + 1, s->n -= n + 1;
	return true;
}

/* One `key="value"` and the comma behind it. */
static bool take_label(struct slice *s, struct slice *key, struct slice *value)
{
	skip_blanks(s);
	*key = take_name(s);
	skip_blanks(s);
	if (!key->n || !s->n || *s->p != '=')
		return false;
	s->p++, s->n--;
	skip_blanks(s);
	if (!take_quoted(s, value))
		return false;
	skip_blanks(s);
	if (s->n && *s->p == ',')
		s->p++, s->n--;
	return true;
}

static bool take_labels(struct slice *s, struct slice *out)
{
	struct slice key, value;
	const char *begin;

	*out = SLICE_NONE;
	if (!s->n || *s->p != '{')
		return true;
	s->p++, s->n--;
	begin = s->p;
	skip_blanks(s);
	while (s->n && *s->p != '}') {
		if (!take_label(s, &key, &value))
			return false;
		skip_blanks(s);
	}
	if (!s->n)
		return false;
	*out = (struct slice){begin, (size_t)(s->p - begin)};
	s->p++, s->n--;
	return true;
}

static bool number(struct slice s, double *out)
{
	char text[NUMBER_MAX], *end;
	struct slice word = {s.p, 0};

	while (word.n < s.n && s.p[word.n] != ' ' && s.p[word.n] != '\t')
		word.n++;
	if (!word.n || word.n >= sizeof text)
		return false;
	memcpy(text, word.p, word.n);
	text[word.n] = '\0';
	*out = strtod(text, &end); /* NaN, +Inf and -Inf too */
	return !*end;
}

static bool read_line(struct slice line, struct prom_sample *out)
{
	const char *begin;

	skip_blanks(&line);
	begin = line.p;
	out->name = take_name(&line);
	if (!out->name.n || !take_labels(&line, &out->labels))
		return false;
	out->series = (struct slice){begin, (size_t)(line.p - begin)};
	skip_blanks(&line);
	return number(line, &out->value);
}

bool prom_next(struct slice *rest, struct prom_sample *out)
{
	struct slice line;

	while (slice_cut(rest, '\n', &line)) {
		if (line.n && line.p[line.n - 1] == '\r')
			line.n--;
		if (read_line(line, out))
			return true;
	}
	return false;
}

bool prom_label(struct slice labels, const char *key, struct slice *value)
{
	struct slice k;

	while (take_label(&labels, &k, value))
		if (slice_is(k, key))
			return true;
	return false;
}

bool prom_label_is(struct slice labels, const char *key, const char *value)
{
	struct slice v;

	return prom_label(labels, key, &v) && slice_is(v, value);
}
