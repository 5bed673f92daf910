/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/yaml_scalar.h"

#include <errno.h>
#include <stdlib.h>

#include "base/obj.h"

enum word { WORD_TRUE, WORD_FALSE, WORD_NULL, WORD_NAN };

static const struct {
	const char *text;
	enum word word;
} words[] = {
	{"y", WORD_TRUE},
	{"Y", WORD_TRUE},
	{"yes", WORD_TRUE},
	{"Yes", WORD_TRUE},
	{"YES", WORD_TRUE},
	{"true", WORD_TRUE},
	{"True", WORD_TRUE},
	{"TRUE", WORD_TRUE},
	{"on", WORD_TRUE},
	{"On", WORD_TRUE},
	{"ON", WORD_TRUE},
	{"n", WORD_FALSE},
	{"N", WORD_FALSE},
	{"no", WORD_FALSE},
	{"No", WORD_FALSE},
	{"NO", WORD_FALSE},
	{"false", WORD_FALSE},
	{"False", WORD_FALSE},
	{"FALSE", WORD_FALSE},
	{"off", WORD_FALSE},
	{"Off", WORD_FALSE},
	{"OFF", WORD_FALSE},
	{"", WORD_NULL},
	{"~", WORD_NULL},
	{"null", WORD_NULL},
	{"Null", WORD_NULL},
	{"NULL", WORD_NULL},
	{".nan", WORD_NAN},
	{".NaN", WORD_NAN},
	{".NAN", WORD_NAN},
	{".inf", WORD_NAN},
	{".Inf", WORD_NAN},
	{".INF", WORD_NAN},
	{"+.inf", WORD_NAN},
	{"+.Inf", WORD_NAN},
	{"+.INF", WORD_NAN},
	{"-.inf", WORD_NAN},
	{"-.Inf", WORD_NAN},
	{"-.INF", WORD_NAN},
};

static struct json *read_word(struct slice text, bool *nan)
{
	for (size_t i = 0; i < countof(words); i++) {
		if (!slice_is(text, words[i].text))
			continue;
		*nan = words[i].word == WORD_NAN;
		if (words[i].word == WORD_TRUE || words[i].word == WORD_FALSE)
			return json_boolean(words[i].word == WORD_TRUE);
		return json_null();
	}
	return NULL;
}

#define NUMBER_MAX 128

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static size_t digits(const char *p)
{
	size_t n = 0;

	while (is_digit(p[n]))
		n++;
	return n;
}

/* The base that a prefix says, and where its digits begin. */
static int base_of(const char **p)
{
	static const struct {
		char mark;
		int base;
	} marks[] = {{'x', 16}, {'o', 8}, {'b', 2}};

	if ((*p)[0] != '0' || (*p)[1] == '\0')
		return 10;
	for (size_t i = 0; i < countof(marks); i++) {
		if (((*p)[1] | 32) == marks[i].mark) {
			*p += 2;
			return marks[i].base;
		}
	}
	return 8;
}

static struct json *read_integer(const char *text)
{
	const char *p = text + (*text == '-' || *text == '+');
	int base = base_of(&p);
	unsigned long long v;
	char *end;

	/* strtoull() itself would accept blanks and another sign. */
	if (!is_digit(*p) && !(base == 16 && (*p | 32) >= 'a' && (*p | 32) <= 'f'))
		return NULL;
	errno = 0;
	v = strtoull(p, &end, base);
	if (*end)
		return NULL;
	if (errno == 0 && *text == '-' && v <= (unsigned long long)INT64_MAX + 1)
		return json_integer((int64_t)(0 - v));
	if (errno == 0 && *text != '-' && v <= INT64_MAX)
		return json_integer((int64_t)v);
	if (base != 10)
		return NULL;
	return json_number(strtod(text, NULL));
}

/* [-+]? ( .digits | digits [. digits*] ) ( [eE] [-+]? digits )? */
static struct json *read_real(const char *text)
{
	const char *p = text + (*text == '-' || *text == '+');
	size_t whole = digits(p);

	p += whole;
	if (*p == '.') {
		p++;
		if (whole == 0 && digits(p) == 0)
			return NULL;
		p += digits(p);
	} else if (whole == 0) {
		return NULL;
	}
	if (*p == 'e' || *p == 'E') {
		p++;
		p += *p == '-' || *p == '+';
		if (digits(p) == 0)
			return NULL;
		p += digits(p);
	}
	return *p ? NULL : json_number(strtod(text, NULL));
}

static struct json *read_number(struct slice text, bool *nan)
{
	char plain[NUMBER_MAX + 1];
	struct json *j;
	size_t n = 0;

	if (text.n > NUMBER_MAX || !(is_digit(text.p[0]) || strchr("+-.", text.p[0])))
		return NULL;
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '\0')
			return NULL;
		if (text.p[i] != '_')
			plain[n++] = text.p[i];
	}
	plain[n] = '\0';
	j = read_integer(plain);
	if (!j)
		j = read_real(plain);
	*nan = j && json_kind(j) == JSON_NULL; /* too large for a double */
	return j;
}

struct json *scalar_read(struct slice text, bool *nan)
{
	struct json *j = read_word(text, nan);

	if (!j)
		j = read_number(text, nan);
	return j ? j : json_string_n(text);
}

/* "1:30" is 90 to YAML 1.1: quoted for the sake of other readers. */
static bool is_base_60(struct slice text)
{
	size_t i = text.n && (text.p[0] == '-' || text.p[0] == '+');
	bool colon = false;

	if (i == text.n || !is_digit(text.p[i]))
		return false;
	for (; i < text.n && text.p[i] != '.'; i++) {
		if (text.p[i] == ':')
			colon = true;
		else if (!is_digit(text.p[i]) && text.p[i] != '_')
			return false;
	}
	for (i += i < text.n; i < text.n; i++)
		if (!is_digit(text.p[i]) && text.p[i] != '_')
			return false;
	return colon;
}

/* yyyy-m-d, alone or with a time behind it. */
static bool is_date(struct slice text)
{
	size_t at[3] = {0}, part = 0;

	for (size_t i = 0; i < text.n; i++) {
		if (is_digit(text.p[i]))
			at[part]++;
		else if (text.p[i] == '-' && part < 2)
			part++;
		else if (part < 2 || !strchr("Tt ", text.p[i]))
			return false;
		else
			break;
	}
	return part == 2 && at[0] == 4 && at[1] && at[1] <= 2 && at[2] && at[2] <= 2;
}

bool scalar_needs_quotes(struct slice text)
{
	bool nan = false;
	struct json *j = scalar_read(text, &nan);
	bool text_again = json_kind(j) == JSON_TEXT;

	json_free(j);
	return !text_again || is_base_60(text) || is_date(text) || slice_is(text, "<<");
}
