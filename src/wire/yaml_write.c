/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <yaml.h>

#include "wire/json_node.h"
#include "wire/yaml.h"
#include "wire/yaml_scalar.h"

/* ---- the order of keys: letters last, runs of digits by their value ---- */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
	return ((c | 32) >= 'a' && (c | 32) <= 'z') || (unsigned char)c >= 0x80;
}

/* Compares the numbers that `*a` and `*b` begin with (with the digits before them). */
static int compare_numbers(const char *a, const char *b)
{
	size_t na, nb;
	int order;

	while (*a == '0' && is_digit(a[1]))
		a++;
	while (*b == '0' && is_digit(b[1]))
		b++;
	na = strspn(a, "0123456789");
	nb = strspn(b, "0123456789");
	if (na != nb)
		return na < nb ? -1 : 1;
	order = strncmp(a, b, na);
	return order;
}

static int compare_keys(const char *a, const char *b)
{
	size_t i = 0, number;
	int order;

	while (a[i] && a[i] == b[i])
		i++;
	if (!a[i] || !b[i])
		return (a[i] != 0) - (b[i] != 0);
	if (is_letter(a[i]) || is_letter(b[i])) {
		if (is_letter(a[i]) != is_letter(b[i]))
			return is_letter(a[i]) ? 1 : -1;
		return (unsigned char)a[i] < (unsigned char)b[i] ? -1 : 1;
	}
	number = i;
	while (number && is_digit(a[number - 1]))
		number--;
	if (is_digit(a[number]) && is_digit(b[number])) {
		order = compare_numbers(a + number, b + number);
		if (order)
			return order;
	}
	return (unsigned char)a[i] < (unsigned char)b[i] ? -1 : 1;
}

static int by_key(const void *a, const void *b)
{
	const struct json *const *x = a, *const *y = b;

	return compare_keys(json_key(*x), json_key(*y));
}

/* ---- events ---- */

struct writer {
	yaml_emitter_t lib;
	struct buf *out;
};

static int on_bytes(void *arg, unsigned char *p, size_t n)
{
	struct writer *w = arg;

	return buf_add(w->out, p, n) == 0;
}

static int emit(struct writer *w, yaml_event_t *ev)
{
	return yaml_emitter_emit(&w->lib, ev) ? 0 : -1;
}

static int emit_scalar(struct writer *w, struct slice text, yaml_scalar_style_t style)
{
	yaml_event_t ev;

	if (!yaml_scalar_event_initialize(&ev, NULL, NULL, (const yaml_char_t *)text.p,
		    (int)text.n, 1, 1, style))
		return -1; /* not UTF-8, or memory is out */
	return emit(w, &ev);
}

static int emit_text(struct writer *w, const char *text)
{
	struct slice s = slice_of(text);

	if (memchr(s.p, '\n', s.n))
		return emit_scalar(w, s, YAML_LITERAL_SCALAR_STYLE);
	if (scalar_needs_quotes(s))
		return emit_scalar(w, s, YAML_DOUBLE_QUOTED_SCALAR_STYLE);
	return emit_scalar(w, s, YAML_PLAIN_SCALAR_STYLE);
}

static int emit_word(struct writer *w, const struct json *j)
{
	struct buf b = BUF_INIT;
	int rc;

	json_write(j, 0, &b);
	rc = emit_scalar(w, buf_slice(&b), YAML_PLAIN_SCALAR_STYLE);
	buf_fini(&b);
	return rc;
}

static int emit_value(struct writer *w, const struct json *j);

static int emit_list(struct writer *w, const struct json *j)
{
	yaml_event_t ev;

	must(yaml_sequence_start_event_initialize(
		&ev, NULL, NULL, 1, YAML_BLOCK_SEQUENCE_STYLE));
	if (emit(w, &ev))
		return -1;
	json_each(it, j)
	{
		if (emit_value(w, it))
			return -1;
	}
	must(yaml_sequence_end_event_initialize(&ev));
	return emit(w, &ev);
}

static int emit_sorted(struct writer *w, const struct json *j)
{
	size_t n = json_count(j), i = 0;
	const struct json **all = calloc(n ? n : 1, sizeof *all);
	int rc = 0;

	must(all);
	json_each(it, j)
	{
		all[i++] = it;
	}
	qsort(all, n, sizeof *all, by_key);
	for (i = 0; i < n && rc == 0; i++) {
		rc = emit_text(w, json_key(all[i]));
		if (rc == 0)
			rc = emit_value(w, all[i]);
	}
	free(all);
	return rc;
}

static int emit_object(struct writer *w, const struct json *j)
{
	yaml_event_t ev;

	must(yaml_mapping_start_event_initialize(
		&ev, NULL, NULL, 1, YAML_BLOCK_MAPPING_STYLE));
	if (emit(w, &ev) || emit_sorted(w, j))
		return -1;
	must(yaml_mapping_end_event_initialize(&ev));
	return emit(w, &ev);
}

static int emit_value(struct writer *w, const struct json *j)
{
	switch (json_kind(j)) {
	case JSON_LIST:
		return emit_list(w, j);
	case JSON_OBJECT:
		return emit_object(w, j);
	case JSON_TEXT:
		return emit_text(w, json_text(j));
	case JSON_NONE:
	case JSON_NULL:
	case JSON_BOOL:
	case JSON_INT:
	case JSON_REAL:
		break;
	}
	return emit_word(w, j);
}

static int emit_document(struct writer *w, const struct json *j)
{
	yaml_event_t ev;

	must(yaml_stream_start_event_initialize(&ev, YAML_UTF8_ENCODING));
	if (emit(w, &ev))
		return -1;
	must(yaml_document_start_event_initialize(&ev, NULL, NULL, NULL, 1));
	if (emit(w, &ev) || emit_value(w, j))
		return -1;
	must(yaml_document_end_event_initialize(&ev, 1));
	if (emit(w, &ev))
		return -1;
	must(yaml_stream_end_event_initialize(&ev));
	return emit(w, &ev);
}

int yaml_write(const struct json *j, struct buf *out)
{
	struct writer w = {.out = out};
	int rc;

	must(yaml_emitter_initialize(&w.lib));
	yaml_emitter_set_output(&w.lib, on_bytes, &w);
	yaml_emitter_set_unicode(&w.lib, 1);
	yaml_emitter_set_indent(&w.lib, 2);
	yaml_emitter_set_width(&w.lib, 80);
	rc = emit_document(&w, j);
	yaml_emitter_delete(&w.lib);
	return rc || out->failed ? -1 : 0;
}
