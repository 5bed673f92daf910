/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/check.h"

#include <stdio.h>

#include "base/obj.h"
#include "cli/checksint.h"

struct json *check_get(struct check_run *r, struct err *e, const char *fmt, ...)
{
	const struct check_source *s = r->cfg->source;
	char path[700];
	struct err why = {0};
	struct json *j;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(path, sizeof path, fmt, ap);
	va_end(ap);
	j = json_get(r->cache, path);
	if (j)
		return j;
	j = s->get(s->arg, path, &why);
	if (!j && why.code == ERR_UNKNOWN)
		r->unknown = why;
	r->forbidden |= !j && why.code == ERR_DENIED;
	if (!j && e)
		*e = why;
	return j ? json_set(r->cache, path, j) : NULL;
}

static void forget(struct check_run *r)
{
	json_free(r->cache);
	r->cache = json_object();
}

static bool is_skipped(const struct err *e)
{
	return e->code == ERR_UNKNOWN;
}

static int try(struct check_run *r, const struct check *c, struct err *e)
{
	unsigned left = c->flags & CHECK_RETRY ? r->cfg->tries : 1;

	for (;;) {
		*e = r->unknown = (struct err){0};
		r->forbidden = false;
		if (c->run(r, e) == 0) {
			*e = r->unknown;
			return 0;
		}
		if (left-- <= 1 || is_skipped(e))
			return -1;
		r->cfg->pause();
		forget(r);
	}
}

static bool concerns(struct check_run *r, const struct check *c)
{
	for (size_t i = 0; i < check_conditions_count; i++)
		if (strcmp(check_conditions[i].category, c->category) == 0)
			return check_conditions[i].holds(r);
	return true;
}

/* What may not be seen is not mended by making it. */
static void tell(const struct check_run *r, const struct check *c, const struct err *e)
{
	struct check with_rights = *c;

	if (e->code == ERR_DENIED && r->forbidden)
		with_rights.cure = "ask for the right to read it: kubectl auth can-i "
				   "--list";
	r->cfg->on_result(r->cfg->arg, &with_rights, e);
}

bool check_all(const struct check_config *cfg)
{
	struct check_run r = {.cfg = cfg, .cache = json_object()};
	bool good = true, stop = false;
	struct err e;

	for (size_t i = 0; i < checks_count && !stop; i++) {
		const struct check *c = &checks[i];

		if (!(c->when & cfg->when) || !concerns(&r, c))
			continue;
		if (try(&r, c, &e) && !is_skipped(&e)) {
			good &= (c->flags & CHECK_WARN) != 0;
			stop = (c->flags & CHECK_FATAL) != 0;
		}
		tell(&r, c, &e);
	}
	json_free(r.cache);
	return good;
}

/* ---- what is written ---- */

static const struct mark {
	const char *sign, *color, *word;
} marks[] = {
	{"√", "32", "success"},
	{"‼", "33", "warning"},
	{"×", "31", "error"},
	{"-", "90", "skipped"},
};

static const struct mark *mark_of(const struct check *c, const struct err *e)
{
	if (e->code == ERR_NONE)
		return &marks[0];
	if (is_skipped(e))
		return &marks[3];
	return &marks[c->flags & CHECK_WARN ? 1 : 2];
}

static void put_sign(
	const struct check_writer *w, const struct mark *m, struct buf *out)
{
	if (w->color)
		buf_printf(out, "\033[%sm%s\033[0m", m->color, m->sign);
	else
		buf_text(out, m->sign);
}

static void add_json(struct check_writer *w, const struct check *c, const struct err *e)
{
	struct json *category, *j;

	if (!w->list)
		w->list = json_list();
	if (!w->category || strcmp(w->category, c->category) != 0)
		json_set_text(
			json_push(w->list, json_object()), "categoryName", c->category);
	w->category = c->category;
	category = json_at(w->list, json_count(w->list) - 1);
	j = json_push(json_need_list(category, "checks"), json_object());
	json_set_text(j, "description", c->name);
	json_set_text(j, "result", mark_of(c, e)->word);
	if (e->code == ERR_NONE)
		return;
	json_set_text(j, "error", e->msg);
	if (!is_skipped(e))
		json_set_text(j, "hint", c->cure);
}

static void put_heading(struct check_writer *w, const char *category, struct buf *out)
{
	if (w->category && strcmp(w->category, category) == 0)
		return;
	buf_printf(out, "%s%s\n", w->category ? "\n" : "", category);
	for (size_t i = 0; i < strlen(category); i++)
		buf_char(out, '-');
	buf_char(out, '\n');
	w->category = category;
}

void check_write(struct check_writer *w, const struct check *c, const struct err *e,
	struct buf *out)
{
	bool brief = strcmp(w->form, "short") == 0;

	if (strcmp(w->form, "json") == 0) {
		add_json(w, c, e);
		return;
	}
	if (brief && e->code == ERR_NONE)
		return;
	put_heading(w, c->category, out);
	put_sign(w, mark_of(c, e), out);
	buf_printf(out, " %s\n", c->name);
	if (is_skipped(e))
		buf_printf(out, "    skipped: %s\n", e->msg);
	else if (e->code != ERR_NONE)
		buf_printf(out, "    %s\n    %s\n", e->msg, c->cure);
}

void check_write_end(struct check_writer *w, bool success, struct buf *out)
{
	struct json *j;

	if (strcmp(w->form, "json") != 0) {
		buf_printf(out, "%sStatus check results are ", w->category ? "\n" : "");
		put_sign(w, &marks[success ? 0 : 2], out);
		buf_char(out, '\n');
		return;
	}
	j = json_object();
	json_set_bool(j, "success", success);
	json_set(j, "categories", w->list ? w->list : json_list());
	json_write(j, 2, out);
	buf_char(out, '\n');
	json_free(j);
	w->list = NULL;
}
