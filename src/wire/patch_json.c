/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/obj.h"
#include "wire/patch.h"

/* ---- pointers ---- */

/* Takes the first token off, decoded (~1 is '/', ~0 is '~'); the caller frees it. */
static char *take_token(struct slice *rest)
{
	struct buf b = BUF_INIT;
	size_t i = 1;

	for (; i < rest->n && rest->p[i] != '/'; i++) {
		char c = rest->p[i];

		if (c == '~' && i + 1 < rest->n && rest->p[i + 1] == '0')
			i++;
		else if (c == '~' && i + 1 < rest->n && rest->p[i + 1] == '1')
			c = '/', i++;
		buf_char(&b, c);
	}
	*rest = slice_bytes(rest->p + i, rest->n - i);
	return buf_steal(&b);
}

/* An index without leading zeros; -1 when it is none. */
static long index_of(const char *token)
{
	uint64_t i;

	if (!slice_u64(slice_of(token), INT32_MAX, &i) || (token[0] == '0' && token[1]))
		return -1;
	return (long)i;
}

static struct json *child(struct json *j, const char *token)
{
	if (json_kind(j) == JSON_OBJECT)
		return json_get(j, token);
	if (json_kind(j) == JSON_LIST && index_of(token) >= 0)
		return json_at(j, (size_t)index_of(token));
	return NULL;
}

struct json *json_pointer(struct json *j, struct slice pointer)
{
	if (pointer.n && pointer.p[0] != '/')
		return NULL;
	while (j && pointer.n) {
		char *token = take_token(&pointer);

		must(token);
		j = child(j, token);
		free(token);
	}
	return j;
}

/* ---- where an operation works ---- */

struct place {
	struct json *parent; /* NULL: the whole document */
	char *token;         /* the last of the path; the place's own */
	struct json *now;    /* what is there, or NULL */
};

static int find(struct json *doc, const char *path, struct place *out, struct err *e)
{
	struct slice s = slice_of(path), rest;
	const char *slash = strrchr(path, '/');

	*out = (struct place){.now = doc};
	if (s.n == 0)
		return 0;
	if (s.p[0] != '/')
		return err_set(e, ERR_SYNTAX, "path %s does not begin with '/'", path);
	out->parent = json_pointer(doc, slice_bytes(s.p, (size_t)(slash - path)));
	if (!out->parent)
		return err_set(e, ERR_MISSING, "path %s is not there", path);
	rest = slice_of(slash);
	out->token = take_token(&rest);
	must(out->token);
	out->now = child(out->parent, out->token);
	return 0;
}

/* ---- operations ---- */

struct patcher {
	struct json *doc;
	size_t spread;
	struct err *e;
};

static size_t weight(const struct json *j)
{
	const char *text = json_text(j);
	size_t n = 64 + (text ? strlen(text) : 0);

	json_each(it, j)
	{
		n += weight(it);
	}
	return n;
}

static struct json *copy_of(struct patcher *p, const struct json *value)
{
	p->spread += weight(value);
	if (p->spread > PATCH_SPREAD) {
		err_set(p->e, ERR_LIMIT, "the patch makes too much");
		return NULL;
	}
	return json_copy(value);
}

static int depth_of(const struct json *j)
{
	int deepest = 0;

	json_each(it, j)
	{
		int d = depth_of(it);

		deepest = d > deepest ? d : deepest;
	}
	return deepest + 1;
}

/* Trees stay as shallow as those that are read: everything walks them recursively. */
static bool fits(struct patcher *p, const char *path, const struct json *value)
{
	int depth = depth_of(value);

	for (const char *c = path; *c; c++)
		depth += *c == '/';
	if (depth > PATCH_DEPTH)
		err_set(p->e, ERR_LIMIT, "path %.40s is too deep", path);
	return depth <= PATCH_DEPTH;
}

static int nowhere(struct patcher *p, const char *path)
{
	return err_set(p->e, ERR_MISSING, "path %s is not there", path);
}

/* Takes `value`. */
static int put(
	struct patcher *p, const char *path, struct place *at, struct json *value)
{
	long i;

	if (!at->parent) {
		json_free(p->doc);
		p->doc = value;
		return 0;
	}
	if (json_kind(at->parent) == JSON_OBJECT) {
		json_set(at->parent, at->token, value);
		return 0;
	}
	i = strcmp(at->token, "-") == 0 ? (long)json_count(at->parent)
					: index_of(at->token);
	if (json_kind(at->parent) != JSON_LIST || i < 0 ||
		(size_t)i > json_count(at->parent)) {
		json_free(value);
		return nowhere(p, path);
	}
	json_insert(at->parent, (size_t)i, value);
	return 0;
}

static int add(struct patcher *p, const char *path, struct json *value)
{
	struct place at;
	int rc;

	if (!value)
		return -1;
	if (!fits(p, path, value) || find(p->doc, path, &at, p->e)) {
		json_free(value);
		return -1;
	}
	rc = put(p, path, &at, value);
	free(at.token);
	return rc;
}

/* Takes what is at `path` out of the document; the caller owns it. */
static struct json *cut(struct patcher *p, const char *path)
{
	struct place at;
	struct json *out = NULL;

	if (find(p->doc, path, &at, p->e))
		return NULL;
	if (!at.parent)
		err_set(p->e, ERR_SYNTAX, "the whole document cannot be removed");
	else if (!at.now)
		nowhere(p, path);
	else
		out = json_detach(at.parent, at.now);
	free(at.token);
	return out;
}

static int op_add(struct patcher *p, const char *path, const struct json *op)
{
	return add(p, path, copy_of(p, json_get(op, "value")));
}

static int op_remove(struct patcher *p, const char *path, const struct json *op)
{
	struct json *old = cut(p, path);

	(void)op;
	json_free(old);
	return old ? 0 : -1;
}

static int op_replace(struct patcher *p, const char *path, const struct json *op)
{
	struct place at;
	struct json *value;
	int rc = -1;

	if (find(p->doc, path, &at, p->e))
		return -1;
	value = at.now ? copy_of(p, json_get(op, "value")) : NULL;
	if (!at.now) {
		nowhere(p, path);
	} else if (value && !fits(p, path, value)) {
		json_free(value);
	} else if (value && at.parent) {
		json_replace(at.parent, at.now, value);
		rc = 0;
	} else if (value) {
		rc = put(p, path, &at, value);
	}
	free(at.token);
	return rc;
}

static int op_move(struct patcher *p, const char *path, const struct json *op)
{
	const char *from = json_text_or(op, "from", "");
	size_t n = strlen(from);
	struct json *value;

	if (strncmp(path, from, n) == 0 && path[n] == '/')
		return err_set(p->e, ERR_SYNTAX, "%s cannot move into itself", from);
	if (strcmp(path, from) == 0)
		return json_pointer(p->doc, slice_of(from)) ? 0 : nowhere(p, from);
	value = cut(p, from);
	return value ? add(p, path, value) : -1;
}

static int op_copy(struct patcher *p, const char *path, const struct json *op)
{
	const char *from = json_text_or(op, "from", "");
	struct json *value = json_pointer(p->doc, slice_of(from));

	if (!value)
		return nowhere(p, from);
	return add(p, path, copy_of(p, value));
}

static int op_test(struct patcher *p, const char *path, const struct json *op)
{
	struct json *now = json_pointer(p->doc, slice_of(path));

	if (!now)
		return nowhere(p, path);
	if (!json_equal(now, json_get(op, "value")))
		return err_set(p->e, ERR_DENIED, "test of %s failed", path);
	return 0;
}

static const struct {
	const char *name, *needs;
	int (*run)(struct patcher *p, const char *path, const struct json *op);
} ops[] = {
	{"add", "value", op_add},
	{"remove", NULL, op_remove},
	{"replace", "value", op_replace},
	{"move", "from", op_move},
	{"copy", "from", op_copy},
	{"test", "value", op_test},
};

static int run(struct patcher *p, const struct json *op)
{
	const char *name = json_text_or(op, "op", ""), *path = json_text_at(op, "path");

	for (size_t i = 0; i < countof(ops); i++) {
		if (strcmp(name, ops[i].name) != 0)
			continue;
		if (!path)
			return err_set(p->e, ERR_SYNTAX, "%s without path", name);
		if (ops[i].needs && !json_get(op, ops[i].needs))
			return err_set(
				p->e, ERR_SYNTAX, "%s without %s", name, ops[i].needs);
		return ops[i].run(p, path, op);
	}
	return err_set(p->e, ERR_SYNTAX, "no operation is called \"%s\"", name);
}

int patch_json(struct json **doc, const struct json *list, struct err *e)
{
	struct patcher p = {json_copy(*doc), 0, e};
	size_t n = 0;

	if (json_kind(list) != JSON_LIST) {
		json_free(p.doc);
		return err_set(e, ERR_SYNTAX, "a JSON patch is a list");
	}
	json_each(op, list)
	{
		int rc = n < PATCH_OPS_MAX
				 ? run(&p, op)
				 : err_set(e, ERR_LIMIT, "too many operations");

		if (rc) {
			json_free(p.doc);
			return err_wrap(e, "JSON patch, operation %zu", n);
		}
		n++;
	}
	json_free(*doc);
	*doc = p.doc;
	return 0;
}
