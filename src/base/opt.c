/* SPDX-License-Identifier: Apache-2.0 */
#include "base/opt.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>

#include "base/clock.h"

struct reading {
	const struct opt *table;
	size_t n;
	void *into;
	opt_complain *complain;
	void *arg;
	int mistakes;
};

static void complain(struct reading *r, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void complain(struct reading *r, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	r->mistakes++;
	r->complain(r->arg, text);
}

static int store_int(const struct opt *o, void *field, const char *text, struct err *e)
{
	char *end;
	long long v;

	errno = 0;
	v = strtoll(text, &end, 10);
	if (!*text || *end || errno)
		return err_set(e, ERR_SYNTAX, "\"%s\" is not a whole number", text);
	if ((o->min || o->max) && (v < o->min || v > o->max))
		return err_set(e, ERR_LIMIT, "%s is not between %lld and %lld", text,
			(long long)o->min, (long long)o->max);
	*(int64_t *)field = v;
	return 0;
}

static int store_bool(void *field, const char *text, struct err *e)
{
	bool on = strcmp(text, "true") == 0;

	if (!on && strcmp(text, "false") != 0)
		return err_set(e, ERR_SYNTAX, "\"%s\" is neither true nor false", text);
	*(bool *)field = on;
	return 0;
}

static int store_duration(void *field, const char *text, struct err *e)
{
	uint64_t *ns = field;

	if (duration_parse(slice_of(text), ns) || duration_parse_go(slice_of(text), ns))
		return 0;
	return err_set(
		e, ERR_SYNTAX, "\"%s\" is not a duration such as 500ms, 10s, 1h", text);
}

static int store(
	const struct reading *r, const struct opt *o, const char *text, struct err *e)
{
	void *field = (char *)r->into + o->offset;

	switch (o->kind) {
	case OPT_TEXT:
		*(const char **)field = text;
		return 0;
	case OPT_BOOL:
		return store_bool(field, text, e);
	case OPT_INT:
		return store_int(o, field, text, e);
	case OPT_DURATION:
		return store_duration(field, text, e);
	case OPT_CUSTOM:
		return o->parse(field, text, e);
	}
	return 0;
}

static void set(
	struct reading *r, const struct opt *o, const char *name, const char *text)
{
	struct err e;

	if (store(r, o, text, &e) < 0)
		complain(r, "%s: %s", name, e.msg);
}

static void presets(struct reading *r)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->table[i].preset)
			set(r, &r->table[i], "default", r->table[i].preset);
}

static void environment(struct reading *r, bool *seen)
{
	for (size_t i = 0; i < r->n; i++) {
		const char *text = r->table[i].env ? getenv(r->table[i].env) : NULL;

		if (!text || !*text)
			continue;
		seen[i] = true;
		set(r, &r->table[i], r->table[i].env, text);
	}
}

/* ---- argv ---- */

static const struct opt *find(const struct reading *r, struct slice name)
{
	for (size_t i = 0; i < r->n; i++) {
		const struct opt *o = &r->table[i];

		if (o->flag && slice_is(name, o->flag))
			return o;
		if (o->brief && name.n == 1 && name.p[0] == o->brief)
			return o;
	}
	return NULL;
}

/* One option at argv[i]; returns how many words it took. */
static int flag(struct reading *r, int argc, char **argv, int i, bool *seen)
{
	struct slice rest = slice_of(argv[i]), name;
	const struct opt *o;
	char shown[64];

	rest.p += rest.n > 1 && rest.p[1] == '-' ? 2 : 1;
	rest.n = strlen(rest.p);
	slice_cut(&rest, '=', &name);
	snprintf(shown, sizeof shown, "--%.*s", SLICE_FMT(name));
	o = find(r, name);
	if (!o) {
		complain(r, "%s: no such option", shown);
		return 1;
	}
	seen[o - r->table] = true;
	if (rest.p) {
		set(r, o, shown, rest.p);
		return 1;
	}
	if (o->kind == OPT_BOOL) {
		set(r, o, shown, "true");
		return 1;
	}
	if (i + 1 >= argc) {
		complain(r, "%s: wants a value", shown);
		return 1;
	}
	set(r, o, shown, argv[i + 1]);
	return 2;
}

static void arguments(struct reading *r, int argc, char **argv, int *nrest, bool *seen)
{
	int kept = 0, i = 1;
	bool flags = true;

	while (i < argc) {
		if (flags && strcmp(argv[i], "--") == 0) {
			flags = false;
			i++;
		} else if (flags && argv[i][0] == '-' && argv[i][1]) {
			i += flag(r, argc, argv, i, seen);
		} else if (nrest) {
			argv[1 + kept++] = argv[i++];
		} else {
			complain(r, "\"%s\": not expected here", argv[i++]);
		}
	}
	if (nrest)
		*nrest = kept;
}

static void needed(struct reading *r, const bool *seen)
{
	for (size_t i = 0; i < r->n; i++) {
		const struct opt *o = &r->table[i];

		if (o->needed && !seen[i])
			complain(r, "%s%s: must be set", o->env ? "" : "--",
				o->env ? o->env : o->flag);
	}
}

int opt_read(const struct opt *table, size_t n, void *into, int argc, char **argv,
	int *nrest, opt_complain *fn, void *arg)
{
	struct reading r = {table, n, into, fn, arg, 0};
	bool seen[256] = {false};

	if (n > sizeof seen)
		return 1;
	presets(&r);
	environment(&r, seen);
	if (argv)
		arguments(&r, argc, argv, nrest, seen);
	needed(&r, seen);
	return r.mistakes;
}

/* One process shows help once. */
static struct {
	opt_help_fn *fn;
	void *arg;
	const char *words;
} help_to;

void opt_help_to(opt_help_fn *fn, void *arg)
{
	help_to.fn = fn;
	help_to.arg = arg;
	help_to.words = NULL;
}

void opt_help_words(const char *words)
{
	help_to.words = words;
}

void opt_help(FILE *to, const char *synopsis, const char *text, const struct opt *table,
	size_t n)
{
	if (help_to.fn) {
		help_to.fn(help_to.arg, help_to.words, table, n);
		return;
	}
	fprintf(to, "usage: %s\n\n%s\n", synopsis, text);
	for (size_t i = 0; i < n; i++) {
		const struct opt *o = &table[i];
		char left[80] = "";

		if (o->flag)
			snprintf(left, sizeof left, "%c%c%c --%s %s",
				o->brief ? '-' : ' ', o->brief ? o->brief : ' ',
				o->brief ? ',' : ' ', o->flag, o->arg ? o->arg : "");
		else if (o->env)
			snprintf(left, sizeof left, "    %s", o->env);
		fprintf(to, "  %-36s %s", left, o->help ? o->help : "");
		if (o->preset && *o->preset)
			fprintf(to, " (%s)", o->preset);
		fputc('\n', to);
	}
}

bool opt_asks_help(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "-h") == 0 || strcmp(argv[i], "--help") == 0 ||
			strcmp(argv[i], "-help") == 0)
			return true;
	return false;
}
