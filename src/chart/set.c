/* SPDX-License-Identifier: Apache-2.0 */
/* Layers of values; --set and its like: values given as words, read as helm reads them.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/obj.h"
#include "chart/values.h"

#define KEY_MAX 256

/* Where a value goes: a member of a map, or of a list. */
struct place {
	struct json *in;
	char key[KEY_MAX];
	size_t index;
};

struct words {
	const char *at;
	enum values_set how;
	values_read *read;
	struct err *e;
};

void values_put(struct json *into, const struct json *over)
{
	json_each(it, over)
	{
		struct json *have = json_get(into, json_key(it));

		if (json_kind(it) == JSON_OBJECT && json_kind(have) == JSON_OBJECT)
			values_put(have, it);
		else
			json_set(into, json_key(it), json_copy(it));
	}
}

/* ---- places ---- */

static struct json *get(const struct place *to)
{
	return json_kind(to->in) == JSON_LIST ? json_at(to->in, to->index)
					      : json_get(to->in, to->key);
}

static void put(const struct place *to, struct json *value)
{
	struct json *old = get(to);

	if (json_kind(to->in) != JSON_LIST) {
		json_set(to->in, to->key, value);
		return;
	}
	while (json_count(to->in) < to->index)
		json_push(to->in, json_null());
	if (old)
		json_replace(to->in, old, value);
	else
		json_push(to->in, value);
}

/* What is there, if it is of that kind; else it becomes so. */
static struct json *need(const struct place *to, enum json_kind kind)
{
	struct json *have = get(to);

	if (json_kind(have) == kind)
		return have;
	have = kind == JSON_LIST ? json_list() : json_object();
	put(to, have);
	return have;
}

/* ---- words ---- */

/* The text up to one of `ends`, freed of its backslashes. */
static void take(struct words *w, const char *ends, struct buf *out)
{
	while (*w->at && !strchr(ends, *w->at)) {
		if (*w->at == '\\' && w->at[1])
			w->at++;
		buf_char(out, *w->at++);
	}
}

static int read_key(struct words *w, struct place *to)
{
	struct buf b = BUF_LIMIT(KEY_MAX - 1);
	int r = 0;

	take(w, "=[,.", &b);
	snprintf(to->key, sizeof to->key, "%.*s", SLICE_FMT(buf_slice(&b)));
	if (b.failed)
		r = err_set(w->e, ERR_LIMIT, "a name is longer than %d", KEY_MAX);
	else if (!*to->key)
		r = err_set(w->e, ERR_SYNTAX, "a name is missing");
	buf_fini(&b);
	return r;
}

/* "0]" */
static int read_index(struct words *w, struct place *to)
{
	size_t n = strspn(w->at, "0123456789");
	uint64_t index;

	if (!slice_u64((struct slice){w->at, n}, VALUES_INDEX_MAX - 1, &index) ||
		w->at[n] != ']')
		return err_set(w->e, ERR_SYNTAX, "[0] to [%d] is expected",
			VALUES_INDEX_MAX - 1);
	to->index = (size_t)index;
	w->at += n + 1;
	if (!strchr("=[.", *w->at) || !*w->at)
		return err_set(w->e, ERR_SYNTAX, "no value after ]");
	return 0;
}

/* From the first name to behind the =. */
static int read_place(struct words *w, struct place *to)
{
	if (read_key(w, to))
		return -1;
	for (;;) {
		switch (*w->at) {
		case '=':
			w->at++;
			return 0;
		case '.':
			w->at++;
			to->in = need(to, JSON_OBJECT);
			if (read_key(w, to))
				return -1;
			break;
		case '[':
			w->at++;
			to->in = need(to, JSON_LIST);
			if (read_index(w, to))
				return -1;
			break;
		default:
			return err_set(w->e, ERR_SYNTAX, "no value");
		}
	}
}

/* ---- values ---- */

/* Only numbers that come out as they went in: 007 and 1.5 are texts. */
static struct json *typed(const char *text)
{
	char *end;
	long long n;

	if (strcasecmp(text, "true") == 0 || strcasecmp(text, "false") == 0)
		return json_boolean(*text == 't' || *text == 'T');
	if (strcasecmp(text, "null") == 0)
		return json_null();
	errno = 0;
	n = strtoll(text, &end, 10);
	if (errno || *end || end == text || *text == ' ' || (*text == '0' && text[1]))
		return json_string(text);
	return json_integer(n);
}

static struct json *value_of(struct words *w, struct buf *word)
{
	struct buf file = BUF_INIT;
	struct json *j = NULL;

	if (buf_char(word, '\0')) {
		err_set(w->e, ERR_LIMIT, "it is too long");
		return NULL;
	}
	switch (w->how) {
	case VALUES_TYPED:
		return typed(word->p + word->at);
	case VALUES_TEXT:
		return json_string(word->p + word->at);
	case VALUES_FILE:
		if (w->read(word->p + word->at, &file, w->e) == 0)
			j = json_string_n(buf_slice(&file));
		buf_fini(&file);
		break;
	}
	return j;
}

static struct json *read_word(struct words *w, const char *ends)
{
	struct buf word = BUF_LIMIT(VALUES_SET_MAX);
	struct json *j;

	take(w, ends, &word);
	j = value_of(w, &word);
	buf_fini(&word);
	return j;
}

/* Behind the { */
static struct json *read_list(struct words *w)
{
	struct json *list = json_list(), *j;

	while (*w->at != '}') {
		j = read_word(w, ",}");
		if (!j || !*w->at) {
			json_free(j);
			json_free(list);
			if (!*w->at)
				err_set(w->e, ERR_SYNTAX, "} is missing");
			return NULL;
		}
		json_push(list, j);
		if (*w->at == ',')
			w->at++;
	}
	w->at++;
	if (!*w->at || *w->at == ',')
		return list;
	json_free(list);
	err_set(w->e, ERR_SYNTAX, "something follows the }");
	return NULL;
}

static struct json *read_value(struct words *w)
{
	if (*w->at != '{' || w->how == VALUES_FILE)
		return read_word(w, ",");
	w->at++;
	return read_list(w);
}

int values_set(struct json *into, const char *text, enum values_set how,
	values_read *read, struct err *e)
{
	struct words w = {.at = text, .how = how, .read = read, .e = e};

	if (strlen(text) >= VALUES_SET_MAX)
		return err_set(e, ERR_LIMIT, "more than %zu bytes", VALUES_SET_MAX);
	while (*w.at) {
		struct place to = {.in = into};
		const char *from = w.at;
		struct json *value = read_place(&w, &to) ? NULL : read_value(&w);

		if (!value)
			return err_wrap(
				e, "%.*s", (int)strcspn(from, "=,") & 0xff, from);
		put(&to, value);
		if (*w.at)
			w.at++;
	}
	return 0;
}
