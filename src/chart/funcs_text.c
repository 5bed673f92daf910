/* SPDX-License-Identifier: Apache-2.0 */
/* Functions that make texts and numbers. */
#include <ctype.h>
#include <math.h>

#include "chart/tmpl_int.h"
#include "wire/yaml.h"

#define INDENT_MAX 200

/* ---- arguments ---- */

/* The value as printed, appended; for lists and maps the run fails. */
static int text_of(struct run *r, const struct json *j, struct buf *out)
{
	if (value_print(j, out) == 0)
		return 0;
	run_fail(r, "a list or map is no text");
	return -1;
}

static bool whole(struct run *r, const struct json *j, int64_t *out)
{
	char *end;

	*out = 0;
	switch (json_kind(j)) {
	case JSON_INT:
	case JSON_REAL:
		*out = json_int(j, (int64_t)json_real(j, 0));
		return true;
	case JSON_TEXT:
		*out = strtoll(json_text(j), &end, 10);
		if (end != json_text(j) && !*end)
			return true;
		break;
	case JSON_NONE:
	case JSON_NULL:
	case JSON_BOOL:
	case JSON_LIST:
	case JSON_OBJECT:
		break;
	}
	run_fail(r, "a whole number is expected");
	return false;
}

/* The last argument, which is what a pipe hands on, as a text. */
static bool last_text(struct run *r, struct json **args, unsigned n, struct slice *out)
{
	*out = slice_of(json_text(args[n - 1]));
	if (out->p)
		return true;
	run_fail(r, "a text is expected");
	return false;
}

static bool both_texts(
	struct run *r, struct json **args, struct slice *a, struct slice *b)
{
	return last_text(r, args, 1, a) && last_text(r, args, 2, b);
}

/* ---- quoting ---- */

/* As Go's %q, for what is UTF-8. */
static void go_quote(struct slice s, struct buf *out)
{
	buf_char(out, '"');
	for (size_t i = 0; s.p && i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c == '"' || c == '\\')
			buf_printf(out, "\\%c", c);
		else if (c == '\n')
			buf_text(out, "\\n");
		else if (c == '\t')
			buf_text(out, "\\t");
		else if (c == '\r')
			buf_text(out, "\\r");
		else if (c < ' ' || c == 0x7f)
			buf_printf(out, "\\x%02x", c);
		else
			buf_char(out, (char)c);
	}
	buf_char(out, '"');
}

static struct json *fn_quote(struct run *r, struct json **args, unsigned n)
{
	struct buf b = BUF_INIT, out = BUF_LIMIT(TMPL_OUT);
	int failed;

	if (json_kind(args[n - 1]) == JSON_NULL)
		return run_text(r, SLICE(""));
	failed = text_of(r, args[n - 1], &b);
	go_quote(buf_slice(&b), &out);
	buf_fini(&b);
	if (failed)
		buf_fini(&out);
	return failed ? NULL : run_buf(r, &out);
}

static struct json *fn_to_string(struct run *r, struct json **args, unsigned n)
{
	struct buf b = BUF_LIMIT(TMPL_OUT);

	if (text_of(r, args[n - 1], &b) == 0)
		return run_buf(r, &b);
	buf_fini(&b);
	return NULL;
}

/* ---- trimming and asking ---- */

static struct json *fn_trim(struct run *r, struct json **args, unsigned n)
{
	struct slice s;

	if (!last_text(r, args, n, &s))
		return NULL;
	while (s.n && isspace((unsigned char)s.p[0]))
		s = (struct slice){s.p + 1, s.n - 1};
	while (s.n && isspace((unsigned char)s.p[s.n - 1]))
		s.n--;
	return run_text(r, s);
}

static struct json *fn_trim_suffix(struct run *r, struct json **args, unsigned n)
{
	struct slice tail, s;

	(void)n;
	if (!both_texts(r, args, &tail, &s))
		return NULL;
	if (slice_ends(s, tail))
		s.n -= tail.n;
	return run_text(r, s);
}

static struct json *fn_has_suffix(struct run *r, struct json **args, unsigned n)
{
	struct slice tail, s;

	(void)n;
	if (!both_texts(r, args, &tail, &s))
		return NULL;
	return run_own(r, json_boolean(slice_ends(s, tail)));
}

static struct json *fn_has_prefix(struct run *r, struct json **args, unsigned n)
{
	struct slice head, s;

	(void)n;
	if (!both_texts(r, args, &head, &s))
		return NULL;
	return run_own(r, json_boolean(slice_starts(s, head)));
}

static struct json *fn_replace(struct run *r, struct json **args, unsigned n)
{
	struct buf b = BUF_LIMIT(TMPL_OUT);
	struct slice from, to, s;

	if (!both_texts(r, args, &from, &to) || !last_text(r, args, n, &s))
		return NULL;
	if (!from.n)
		return run_fail(r, "nothing cannot be replaced");
	while (s.n) {
		bool here = slice_starts(s, from);

		buf_adds(&b, here ? to : (struct slice){s.p, 1});
		s = (struct slice){
			s.p + (here ? from.n : 1), s.n - (here ? from.n : 1)};
	}
	return run_buf(r, &b);
}

/* ---- lines ---- */

static struct json *indented(struct run *r, struct json **args, const char *before)
{
	struct buf b = BUF_LIMIT(TMPL_OUT);
	struct slice s, line;
	int64_t blanks;

	if (!whole(r, args[0], &blanks) || !last_text(r, args, 2, &s))
		return NULL;
	if (blanks < 0 || blanks > INDENT_MAX)
		return run_fail(r, "an indent of 0 to %d is expected", INDENT_MAX);
	buf_text(&b, before);
	for (bool first = true; slice_cut(&s, '\n', &line); first = false)
		buf_printf(&b, "%s%*s%.*s", first ? "" : "\n", (int)blanks, "",
			SLICE_FMT(line));
	return run_buf(r, &b);
}

static struct json *fn_indent(struct run *r, struct json **args, unsigned n)
{
	(void)n;
	return indented(r, args, "");
}

static struct json *fn_nindent(struct run *r, struct json **args, unsigned n)
{
	(void)n;
	return indented(r, args, "\n");
}

/* ---- other forms ---- */

static struct json *fn_to_yaml(struct run *r, struct json **args, unsigned n)
{
	struct buf b = BUF_LIMIT(TMPL_OUT);

	if (yaml_write(args[n - 1], &b) && !b.failed) {
		buf_fini(&b);
		return run_fail(r, "it cannot be written as YAML");
	}
	if (buf_len(&b) && b.p[b.end - 1] == '\n')
		b.end--;
	return run_buf(r, &b);
}

static struct json *fn_b64enc(struct run *r, struct json **args, unsigned n)
{
	struct buf b = BUF_LIMIT(TMPL_OUT);
	struct slice s;

	if (!last_text(r, args, n, &s))
		return NULL;
	buf_base64(&b, s);
	return run_buf(r, &b);
}

static struct json *fn_b64dec(struct run *r, struct json **args, unsigned n)
{
	struct buf b = BUF_LIMIT(TMPL_OUT);
	struct slice s;

	if (!last_text(r, args, n, &s))
		return NULL;
	if (buf_unbase64(&b, s) == 0)
		return run_buf(r, &b);
	buf_fini(&b);
	return run_fail(r, "it is no base64");
}

static struct json *fn_sha256sum(struct run *r, struct json **args, unsigned n)
{
	char sum[65];
	struct slice s;

	if (!last_text(r, args, n, &s))
		return NULL;
	if (!r->set->host)
		return run_fail(r, "nobody here can make a hash");
	r->set->host->sha256_hex(s, sum);
	return run_text(r, slice_of(sum));
}

/* One verb of printf: with the argument `arg`, which may be NULL for there are no more.
 */
static bool print_verb(
	struct run *r, char verb, const struct json *arg, struct buf *out)
{
	struct buf one = BUF_INIT;
	bool ok = arg && verb && strchr("sdvq", verb) && text_of(r, arg, &one) == 0;

	if (ok && verb == 'q')
		go_quote(buf_slice(&one), out);
	else if (ok)
		buf_adds(out, buf_slice(&one));
	buf_fini(&one);
	return ok;
}

/* %s, %d, %v and %q; a verb for each argument, an argument for each verb. */
static struct json *fn_printf(struct run *r, struct json **args, unsigned n)
{
	struct buf b = BUF_LIMIT(TMPL_OUT);
	struct slice f;
	unsigned used = 1;
	bool ok = last_text(r, args, 1, &f);

	for (size_t i = 0; ok && i < f.n; i++) {
		char verb = f.p[i] == '%' && i + 1 < f.n ? f.p[i + 1] : 0;

		if (f.p[i] != '%' || verb == '%') {
			buf_char(&b, f.p[i]);
		} else {
			ok = print_verb(r, verb, used < n ? args[used] : NULL, &b);
			used++;
		}
		i += f.p[i] == '%';
	}
	if (ok && used == n)
		return run_buf(r, &b);
	buf_fini(&b);
	return run_fail(r, "printf knows %%s %%d %%v %%q, one for each argument");
}

/* ---- numbers ---- */

static struct json *fn_int(struct run *r, struct json **args, unsigned n)
{
	int64_t value;

	return whole(r, args[n - 1], &value) ? run_own(r, json_integer(value)) : NULL;
}

static struct json *fn_float64(struct run *r, struct json **args, unsigned n)
{
	const char *text = json_text(args[n - 1]);
	char *end = NULL;
	double d = text ? strtod(text, &end) : json_real(args[n - 1], NAN);

	if (!isfinite(d) || (text && (end == text || *end)))
		return run_fail(r, "a number is expected");
	return run_own(r, json_number(d));
}

static struct json *fn_ceil(struct run *r, struct json **args, unsigned n)
{
	double d = json_real(args[n - 1], NAN);

	if (!isfinite(d) || fabs(d) > 1e15)
		return run_fail(r, "a number is expected");
	return run_own(r, json_integer((int64_t)ceil(d)));
}

static struct json *fn_add(struct run *r, struct json **args, unsigned n)
{
	int64_t sum = 0, value;

	for (unsigned i = 0; i < n; i++) {
		if (!whole(r, args[i], &value))
			return NULL;
		if (__builtin_add_overflow(sum, value, &sum))
			return run_fail(r, "the sum is too large");
	}
	return run_own(r, json_integer(sum));
}

static struct json *fn_div(struct run *r, struct json **args, unsigned n)
{
	int64_t a, b;

	if (!whole(r, args[0], &a) || !whole(r, args[n - 1], &b))
		return NULL;
	if (b == 0 || (a == INT64_MIN && b == -1))
		return run_fail(r, "it cannot be divided");
	return run_own(r, json_integer(a / b));
}

static const struct func table[] = {
	{"add", 1, FUNC_ARGS, fn_add, NULL},
	{"b64dec", 1, 1, fn_b64dec, NULL},
	{"b64enc", 1, 1, fn_b64enc, NULL},
	{"ceil", 1, 1, fn_ceil, NULL},
	{"div", 2, 2, fn_div, NULL},
	{"float64", 1, 1, fn_float64, NULL},
	{"hasPrefix", 2, 2, fn_has_prefix, NULL},
	{"hasSuffix", 2, 2, fn_has_suffix, NULL},
	{"indent", 2, 2, fn_indent, NULL},
	{"int", 1, 1, fn_int, NULL},
	{"int64", 1, 1, fn_int, NULL},
	{"nindent", 2, 2, fn_nindent, NULL},
	{"printf", 1, FUNC_ARGS, fn_printf, NULL},
	{"quote", 1, 1, fn_quote, NULL},
	{"replace", 3, 3, fn_replace, NULL},
	{"sha256sum", 1, 1, fn_sha256sum, NULL},
	{"toString", 1, 1, fn_to_string, NULL},
	{"toYaml", 1, 1, fn_to_yaml, NULL},
	{"trim", 1, 1, fn_trim, NULL},
	{"trimSuffix", 2, 2, fn_trim_suffix, NULL},
};
const struct func_part funcs_text = {table, countof(table)};
