/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/flags.h"

#include "base/file.h"
#include "base/obj.h"
#include "chart/values.h"
#include "wire/yaml.h"

/* ---- as options ---- */

static int add_file(void *field, const char *text, struct err *e)
{
	struct value_flags *f = field;

	if (f->nfiles == FLAG_FILES)
		return err_set(e, ERR_LIMIT, "more than %d", FLAG_FILES);
	f->files[f->nfiles++] = text;
	return 0;
}

static int add_set(
	struct value_flags *f, enum values_set how, const char *text, struct err *e)
{
	if (f->nsets[how] == FLAG_SETS)
		return err_set(e, ERR_LIMIT, "more than %d", FLAG_SETS);
	f->sets[how][f->nsets[how]++] = text;
	return 0;
}

static int add_typed(void *field, const char *text, struct err *e)
{
	return add_set(field, VALUES_TYPED, text, e);
}

static int add_text(void *field, const char *text, struct err *e)
{
	return add_set(field, VALUES_TEXT, text, e);
}

static int add_read(void *field, const char *text, struct err *e)
{
	return add_set(field, VALUES_FILE, text, e);
}

void value_flags_options(struct opt out[FLAG_OPTIONS], size_t offset)
{
	static const struct opt options[FLAG_OPTIONS] = {
		{.flag = "values",
			.brief = 'f',
			.kind = OPT_CUSTOM,
			.parse = add_file,
			.arg = "FILE",
			.help = "values that differ from the chart's (YAML)"},
		{.flag = "set",
			.kind = OPT_CUSTOM,
			.parse = add_typed,
			.arg = "NAME=VALUE,...",
			.help = "the same, by name: proxy.logLevel=debug"},
		{.flag = "set-string",
			.kind = OPT_CUSTOM,
			.parse = add_text,
			.arg = "NAME=VALUE,...",
			.help = "the same, and every value is a text"},
		{.flag = "set-file",
			.kind = OPT_CUSTOM,
			.parse = add_read,
			.arg = "NAME=FILE,...",
			.help = "the same, and every value is what the file holds"},
	};

	for (size_t i = 0; i < FLAG_OPTIONS; i++) {
		out[i] = options[i];
		out[i].offset = offset;
	}
}

void value_flag_options(
	const struct value_flag *table, size_t n, struct opt *out, size_t offset)
{
	must(n <= FLAG_ONES);
	for (size_t i = 0; i < n; i++)
		out[i] = (struct opt){
			.flag = table[i].flag,
			.kind = table[i].when_true ? OPT_BOOL : OPT_TEXT,
			.offset = offset +
				  (table[i].when_true
						  ? offsetof(struct value_flags, on[i])
						  : offsetof(struct value_flags,
							    ones[i])),
			.arg = table[i].arg,
			.help = table[i].help,
		};
}

/* ---- as values ---- */

static int read_text(const char *path, struct buf *out, struct err *e)
{
	return file_read(path, FLAG_FILE_MAX, out, e);
}

static int apply_file(const char *path, struct json *into, struct err *e)
{
	struct buf b = BUF_INIT;
	struct err why = {0};
	struct json *j = NULL;
	int r = file_read(path, FLAG_FILE_MAX, &b, e);

	if (r == 0) {
		j = yaml_parse(buf_slice(&b), &why);
		if (json_kind(j) == JSON_OBJECT)
			values_put(into, j);
		else if (j || why.code != ERR_MISSING)
			r = err_set(e, ERR_SYNTAX, "%s: %s", path,
				j ? "not a map" : why.msg);
	}
	json_free(j);
	buf_fini(&b);
	return r;
}

/* The text of a flag is one value, whatever is in it; numbers are numbers. */
static int apply_one(
	const char *paths, const char *text, struct json *into, struct err *e)
{
	struct slice rest = slice_of(paths), path;
	struct buf b = BUF_INIT;
	int r = 0;

	while (r == 0 && slice_cut(&rest, ',', &path)) {
		buf_clear(&b);
		buf_printf(&b, "%.*s=", SLICE_FMT(path));
		for (const char *p = text; *p; p++)
			buf_printf(&b, "%s%c", strchr(",\\{}", *p) ? "\\" : "", *p);
		buf_char(&b, '\0');
		r = b.failed ? err_set(e, ERR_LIMIT, "out of memory")
			     : values_set(into, b.p, VALUES_TYPED, NULL, e);
	}
	buf_fini(&b);
	return r;
}

static int apply_ones(const struct value_flags *f, const struct value_flag *table,
	size_t n, struct json *into, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		const char *text = f->on[i] ? table[i].when_true : f->ones[i];

		if (text && apply_one(table[i].paths, text, into, e))
			return err_wrap(e, "--%s", table[i].flag);
	}
	return 0;
}

int value_flags_apply(const struct value_flags *f, const struct value_flag *table,
	size_t n, struct json *into, struct err *e)
{
	static const char *const names[] = {
		[VALUES_TYPED] = "--set",
		[VALUES_TEXT] = "--set-string",
		[VALUES_FILE] = "--set-file",
	};

	if (apply_ones(f, table, n, into, e))
		return -1;
	for (size_t i = 0; i < f->nfiles; i++)
		if (apply_file(f->files[i], into, e))
			return -1;
	for (size_t how = 0; how < countof(names); how++)
		for (size_t i = 0; i < f->nsets[how]; i++)
			if (values_set(into, f->sets[how][i], (enum values_set)how,
				    read_text, e))
				return err_wrap(e, "%s", names[how]);
	return 0;
}
