/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <yaml.h>

#include "base/list.h"
#include "wire/json_node.h"
#include "wire/yaml.h"
#include "wire/yaml_scalar.h"

struct anchor {
	struct list node;
	char *name;
	const cJSON *value; /* in the document's tree, or in `kept` */
};

struct reader {
	yaml_parser_t lib;
	yaml_event_t ev; /* the current one */
	bool has_event;
	int depth;
	size_t spread; /* bytes that aliases made */
	struct list anchors;
	cJSON *kept; /* what was merged from: anchors may point into it */
	struct err *e;
};

static cJSON *read_node(struct reader *r);

/* Always NULL. */
static cJSON *fail(struct reader *r, enum errc code, const char *what, const char *arg)
{
	err_set(r->e, code, "YAML line %zu: %s%s%s%s", r->ev.start_mark.line + 1, what,
		arg ? " \"" : "", arg ? arg : "", arg ? "\"" : "");
	return NULL;
}

/* ---- events ---- */

static int fail_lib(struct reader *r)
{
	const yaml_parser_t *p = &r->lib;

	return err_set(r->e, ERR_SYNTAX, "YAML line %zu: %s%s%s",
		(p->problem_mark.line ? p->problem_mark.line : p->context_mark.line) +
			1,
		p->problem ? p->problem : "malformed", p->context ? " " : "",
		p->context ? p->context : "");
}

static int next(struct reader *r)
{
	if (r->has_event)
		yaml_event_delete(&r->ev);
	r->has_event = yaml_parser_parse(&r->lib, &r->ev);
	return r->has_event ? 0 : fail_lib(r);
}

static struct slice text_of(const yaml_event_t *ev)
{
	return slice_bytes(ev->data.scalar.value, ev->data.scalar.length);
}

/* ---- anchors and aliases ---- */

static void anchor_add(struct reader *r, char *name, const cJSON *value)
{
	struct anchor *a = calloc(1, sizeof *a);

	must(a);
	a->name = name;
	a->value = value;
	list_push_front(&r->anchors, &a->node);
}

static void anchors_drop(struct reader *r)
{
	struct anchor *a;

	list_each(a, &r->anchors, node)
	{
		list_remove(&a->node);
		free(a->name);
		free(a);
	}
}

/* The latest of a name counts. */
static const cJSON *anchor_find(struct reader *r, const char *name)
{
	struct anchor *a;

	list_each(a, &r->anchors, node)
	{
		if (strcmp(a->name, name) == 0)
			return a->value;
	}
	return NULL;
}

static size_t length(const char *text)
{
	return text ? strlen(text) : 0;
}

/* Charges what a copy of `n` costs; false when it is too deep or the budget is spent.
 */
static bool charge(struct reader *r, const cJSON *n, int depth)
{
	r->spread += sizeof *n + length(n->valuestring) + length(n->string);
	if (r->spread > YAML_SPREAD || depth > JSON_DEPTH)
		return false;
	for (const cJSON *it = n->child; it; it = it->next)
		if (!charge(r, it, depth + 1))
			return false;
	return true;
}

static cJSON *copy_of(struct reader *r, const cJSON *n)
{
	if (!charge(r, n, r->depth))
		return fail(r, ERR_LIMIT, "aliases stand for too much", NULL);
	return node_of(json_copy(json_of(n)));
}

/* What the alias at hand stands for, borrowed. */
static const cJSON *alias_target(struct reader *r)
{
	const char *name = (const char *)r->ev.data.alias.anchor;
	const cJSON *n = anchor_find(r, name);

	return n ? n : fail(r, ERR_SYNTAX, "unknown alias", name);
}

static cJSON *read_alias(struct reader *r)
{
	const cJSON *n = alias_target(r);
	cJSON *copy = n ? copy_of(r, n) : NULL;

	if (copy && next(r)) {
		cJSON_Delete(copy);
		return NULL;
	}
	return copy;
}

/* ---- scalars ---- */

#define TAG "tag:yaml.org,2002:"

static cJSON *tagged(struct reader *r, const char *tag, cJSON *n)
{
	static const struct {
		const char *tag;
		enum json_kind kind;
	} kinds[] = {
		{TAG "int", JSON_INT},
		{TAG "float", JSON_REAL},
		{TAG "bool", JSON_BOOL},
		{TAG "null", JSON_NULL},
	};
	enum json_kind kind = json_kind(json_of(n));

	for (size_t i = 0; i < countof(kinds); i++) {
		if (strcmp(kinds[i].tag, tag) != 0 || kinds[i].kind == kind ||
			(kinds[i].kind == JSON_REAL && kind == JSON_INT))
			continue;
		cJSON_Delete(n);
		return fail(r, ERR_SYNTAX, "a value does not fit its tag", tag);
	}
	return n;
}

static cJSON *binary(struct reader *r, struct slice text)
{
	struct buf b = BUF_INIT;
	cJSON *n = NULL;

	if (buf_unbase64(&b, text) == 0 && !memchr(buf_slice(&b).p, 0, buf_len(&b)))
		n = node_of(json_string_n(buf_slice(&b)));
	else
		fail(r, ERR_SYNTAX, "binary data that is no text", NULL);
	buf_fini(&b);
	return n;
}

static bool is_typed(const char *tag)
{
	return strncmp(tag, TAG, sizeof TAG - 1) == 0 && strcmp(tag, TAG "str") != 0 &&
	       strcmp(tag, TAG "timestamp") != 0;
}

static cJSON *scalar(struct reader *r)
{
	const char *tag = (const char *)r->ev.data.scalar.tag;
	struct slice text = text_of(&r->ev);
	bool nan = false;
	cJSON *n;

	if (text.n && memchr(text.p, 0, text.n))
		return fail(r, ERR_SYNTAX, "a zero byte in a text", NULL);
	if (tag && strcmp(tag, TAG "binary") == 0)
		return binary(r, text);
	if (tag ? !is_typed(tag) : !r->ev.data.scalar.plain_implicit)
		return node_of(json_string_n(text));
	n = node_of(scalar_read(text, &nan));
	if (nan) {
		cJSON_Delete(n);
		return fail(r, ERR_SYNTAX, "JSON has no such number", NULL);
	}
	return tag ? tagged(r, tag, n) : n;
}

static cJSON *read_scalar(struct reader *r)
{
	cJSON *n = scalar(r);

	if (n && next(r)) {
		cJSON_Delete(n);
		return NULL;
	}
	return n;
}

/* ---- mappings ---- */

/* Keys are strings in JSON: 8080, true and 1.5 are written out. */
static char *key_text(struct reader *r, cJSON *n)
{
	struct buf b = BUF_INIT;
	enum json_kind kind = json_kind(json_of(n));

	if (kind == JSON_TEXT)
		return slice_dup(slice_of(n->valuestring));
	if (kind == JSON_INT || kind == JSON_REAL || kind == JSON_BOOL) {
		json_write(json_of(n), 0, &b);
		return buf_steal(&b);
	}
	fail(r, ERR_SYNTAX, "a key must be a string", NULL);
	return NULL;
}

static bool is_merge_key(const yaml_event_t *ev)
{
	return ev->type == YAML_SCALAR_EVENT && ev->data.scalar.plain_implicit &&
	       slice_is(text_of(ev), "<<");
}

/* Appends copies of what `from` has; the caller drops what was there before. */
static int merge_object(struct reader *r, cJSON *obj, const cJSON *from)
{
	if (node_type(from) != cJSON_Object)
		return fail(r, ERR_SYNTAX, "only mappings can be merged", NULL), -1;
	for (const cJSON *it = from->child; it; it = it->next) {
		cJSON *copy = copy_of(r, it);

		if (!copy)
			return -1;
		node_append_key(obj, slice_of(it->string), copy);
	}
	return 0;
}

/* `obj` gathers what is merged; the first that has a key wins. */
static int merge(struct reader *r, cJSON *obj, const cJSON *from)
{
	if (node_type(from) != cJSON_Array)
		return merge_object(r, obj, from);
	for (const cJSON *it = from->child; it; it = it->next)
		if (merge_object(r, obj, it))
			return -1;
	return 0;
}

/* Behind "<<". */
static int read_merge(struct reader *r, cJSON *merged)
{
	cJSON *from;

	if (r->ev.type == YAML_ALIAS_EVENT) {
		const cJSON *n = alias_target(r);

		return n && merge(r, merged, n) == 0 ? next(r) : -1;
	}
	from = read_node(r);
	if (!from)
		return -1;
	node_append(r->kept, from);
	return merge(r, merged, from);
}

static int read_pair(struct reader *r, cJSON *obj, cJSON *merged)
{
	cJSON *key_node, *value;
	char *key;

	if (is_merge_key(&r->ev))
		return next(r) ? -1 : read_merge(r, merged);
	key_node = read_node(r);
	if (!key_node)
		return -1;
	key = key_text(r, key_node);
	node_append(r->kept, key_node);
	if (!key)
		return -1;
	value = read_node(r);
	if (value)
		node_append_key(obj, slice_of(key), value);
	free(key);
	return value ? 0 : -1;
}

static void take_members(cJSON *obj, cJSON *from)
{
	while (from->child) {
		cJSON *it = cJSON_DetachItemViaPointer(from, from->child);

		node_append(obj, it);
	}
}

static int read_pairs(struct reader *r, cJSON *obj)
{
	cJSON *merged = node_of(json_object());
	const char *twice;
	int rc = -1;

	while (r->ev.type != YAML_MAPPING_END_EVENT)
		if (read_pair(r, obj, merged))
			goto out;
	twice = node_repeated_key(obj);
	if (twice) {
		fail(r, ERR_SYNTAX, "this mapping ends with a key given twice:", twice);
		goto out;
	}
	if (merged->child) {
		take_members(obj, merged);
		node_drop_repeated(obj, KEEP_FIRST);
	}
	rc = next(r);
out:
	cJSON_Delete(merged);
	return rc;
}

static int read_elements(struct reader *r, cJSON *list)
{
	while (r->ev.type != YAML_SEQUENCE_END_EVENT) {
		cJSON *value = read_node(r);

		if (!value)
			return -1;
		node_append(list, value);
	}
	return next(r);
}

static cJSON *read_container(struct reader *r)
{
	bool object = r->ev.type == YAML_MAPPING_START_EVENT;
	cJSON *n;

	if (r->depth == JSON_DEPTH)
		return fail(r, ERR_LIMIT, "nested too deeply", NULL);
	n = node_of(object ? json_object() : json_list());
	r->depth++;
	if (next(r) || (object ? read_pairs(r, n) : read_elements(r, n))) {
		cJSON_Delete(n);
		return NULL;
	}
	r->depth--;
	return n;
}

/* ---- nodes and documents ---- */

static char *anchor_of(const yaml_event_t *ev)
{
	const yaml_char_t *name = NULL;

	if (ev->type == YAML_SCALAR_EVENT)
		name = ev->data.scalar.anchor;
	else if (ev->type == YAML_SEQUENCE_START_EVENT)
		name = ev->data.sequence_start.anchor;
	else if (ev->type == YAML_MAPPING_START_EVENT)
		name = ev->data.mapping_start.anchor;
	return name ? slice_dup(slice_of((const char *)name)) : NULL;
}

/* Reads the node that begins at the current event, and the event behind it. */
static cJSON *read_node(struct reader *r)
{
	char *name = anchor_of(&r->ev);
	cJSON *n;

	if (r->ev.type == YAML_ALIAS_EVENT)
		n = read_alias(r);
	else if (r->ev.type == YAML_SCALAR_EVENT)
		n = read_scalar(r);
	else
		n = read_container(r);
	if (n && name)
		anchor_add(r, name, n);
	else
		free(name);
	return n;
}

/* At DOCUMENT-START. */
static int read_document(struct reader *r, cJSON *docs)
{
	cJSON *n;

	r->spread = 0;
	if (next(r))
		return -1;
	n = read_node(r);
	anchors_drop(r);
	if (!n)
		return -1;
	if (node_type(n) == cJSON_NULL)
		cJSON_Delete(n);
	else
		node_append(docs, n);
	return next(r); /* DOCUMENT-END */
}

static int read_stream(struct reader *r, cJSON *docs)
{
	if (next(r) || next(r)) /* STREAM-START */
		return -1;
	while (r->ev.type == YAML_DOCUMENT_START_EVENT)
		if (read_document(r, docs))
			return -1;
	return 0;
}

static struct json *read_all(struct slice text, struct err *e)
{
	struct reader r = {.e = e};
	cJSON *docs = node_of(json_list());
	int rc;

	list_init(&r.anchors);
	r.kept = node_of(json_list());
	must(yaml_parser_initialize(&r.lib));
	yaml_parser_set_encoding(&r.lib, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&r.lib, (const unsigned char *)text.p, text.n);
	rc = read_stream(&r, docs);
	if (r.has_event)
		yaml_event_delete(&r.ev);
	yaml_parser_delete(&r.lib);
	anchors_drop(&r);
	cJSON_Delete(r.kept);
	if (rc == 0)
		return json_of(docs);
	cJSON_Delete(docs);
	return NULL;
}

/* kubectl, too, takes what begins with a brace for JSON. */
static struct json *read_json(struct slice text)
{
	struct json *j, *docs;
	size_t i = 0;

	while (i < text.n && strchr(" \t\r\n", text.p[i]) && text.p[i])
		i++;
	if (i == text.n || text.p[i] != '{')
		return NULL;
	j = json_parse(text, NULL);
	if (!j)
		return NULL;
	docs = json_list();
	json_push(docs, j);
	return docs;
}

struct json *yaml_parse_all(struct slice text, struct err *e)
{
	struct json *j;

	if (text.n > YAML_MAX) {
		err_set(e, ERR_LIMIT, "YAML of more than %zu bytes", YAML_MAX);
		return NULL;
	}
	if (!text.n)
		text.p = "";
	j = read_json(text);
	return j ? j : read_all(text, e);
}

struct json *yaml_parse(struct slice text, struct err *e)
{
	struct json *docs = yaml_parse_all(text, e), *j = NULL;

	if (!docs)
		return NULL;
	if (json_count(docs) == 1)
		j = json_detach(docs, json_first(docs));
	else if (json_first(docs))
		err_set(e, ERR_SYNTAX, "more than one YAML document");
	else
		err_set(e, ERR_MISSING, "no YAML document");
	json_free(docs);
	return j;
}
