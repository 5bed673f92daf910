/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/set.h"

#include "base/obj.h"

#define WORD_MAX ((size_t)64 * 1024)

/* Cuts off what is before the next `end`, freed of backslashes; false: nothing left. */
static bool cut(const char **text, char end, struct buf *out)
{
	const char *p = *text;

	if (!p)
		return false;
	buf_take(out, buf_len(out));
	for (; *p && *p != end; p++) {
		if (*p == '\\' && p[1])
			p++;
		buf_char(out, *p);
	}
	*text = *p ? p + 1 : NULL;
	buf_char(out, '\0');
	return true;
}

/* Only numbers that come out as they went in: 007 and 1e3 are texts. */
static struct json *typed(const char *text)
{
	struct json *j = json_parse(slice_of(text), NULL);
	enum json_kind kind = json_kind(j);
	struct buf again = BUF_INIT;
	bool same = kind == JSON_NULL || kind == JSON_BOOL;

	if (kind == JSON_INT && json_write(j, 0, &again) == 0 &&
		buf_char(&again, '\0') == 0)
		same = strcmp(again.p, text) == 0;
	buf_fini(&again);
	if (same)
		return j;
	json_free(j);
	return json_string(text);
}

/* Goes down by one name; `known` NULL: nobody minds any more. */
static int step(const struct json **known, const char *name, struct err *e)
{
	if (!*known)
		return 0;
	if (json_kind(*known) == JSON_OBJECT && json_count(*known) == 0) {
		*known = NULL;
		return 0;
	}
	*known = json_get(*known, name);
	return *known ? 0 : err_set(e, ERR_MISSING, "no value is called so");
}

static int set_one(struct json *values, const struct json *known, const char *path,
	struct json *value, struct err *e)
{
	struct buf name = BUF_LIMIT(WORD_MAX);
	int r = 0;

	while (r == 0 && cut(&path, '.', &name)) {
		r = *name.p ? step(&known, name.p, e)
			    : err_set(e, ERR_SYNTAX, "a name is missing");
		if (r == 0 && path)
			values = json_need_object(values, name.p);
	}
	if (r == 0 && json_kind(known) == JSON_OBJECT && json_count(known))
		r = err_set(e, ERR_SYNTAX, "it is a group of values");
	if (r == 0)
		json_set(values, name.p, value);
	else
		json_free(value);
	buf_fini(&name);
	return r;
}

int set_apply(struct json *values, const struct json *known, const char *text,
	bool plain, struct err *e)
{
	struct buf word = BUF_LIMIT(WORD_MAX);
	const char *rest = text;
	int r = 0;

	if (strlen(text) >= WORD_MAX)
		return err_set(e, ERR_LIMIT, "more than 64 KB");
	while (r == 0 && rest && *rest) {
		/* the name keeps its backslashes: set_one() cuts it at dots */
		size_t n = strcspn(rest, "=,");
		struct buf path = BUF_INIT;

		buf_add(&path, rest, n);
		buf_char(&path, '\0');
		if (rest[n] != '=') {
			r = err_set(e, ERR_SYNTAX, "%s: no value", path.p);
		} else {
			rest += n + 1;
			(void)cut(&rest, ',', &word);
			r = set_one(values, known, path.p,
				plain ? json_string(word.p) : typed(word.p), e);
			if (r)
				err_wrap(e, "%s", path.p);
		}
		buf_fini(&path);
	}
	buf_fini(&word);
	return r;
}
