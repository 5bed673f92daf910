/* SPDX-License-Identifier: Apache-2.0 */
#include "base/logfilter.h"

#include <stdio.h>
#include <string.h>

#include "base/obj.h"

static const char *const level_names[] = {
	"OFF", "ERROR", "WARN", "INFO", "DEBUG", "TRACE"};

/* What the control plane's flags may say beside those. */
static const struct {
	const char *name;
	enum log_level level;
} other_names[] = {{"WARNING", LOG_WARN}, {"FATAL", LOG_ERROR}, {"PANIC", LOG_ERROR}};

const char *log_level_name(enum log_level lv)
{
	return level_names[lv];
}

static bool level_parse(struct slice s, enum log_level *out)
{
	for (size_t i = 0; i < countof(level_names); i++)
		if (slice_ieq(s, slice_of(level_names[i]))) {
			*out = (enum log_level)i;
			return true;
		}
	for (size_t i = 0; i < countof(other_names); i++)
		if (slice_ieq(s, slice_of(other_names[i].name))) {
			*out = other_names[i].level;
			return true;
		}
	return false;
}

static bool means_all(struct slice floor)
{
	return slice_is(floor, "linkerd") || slice_is(floor, "mesh");
}

/* `of_all`: what every floor of ours does; `bare`: what applies when that is not said.
 */
struct defaults {
	enum log_level bare, of_all;
	bool all_said;
};

static int add_floor(
	struct log_filter *f, struct slice floor, enum log_level lv, struct err *e)
{
	struct log_filter_entry *v = &f->v[f->n];

	if (f->n == LOG_FILTER_MAX || floor.n >= sizeof v->floor)
		return err_set(e, ERR_LIMIT,
			"log filter: at most %d targets of 31 bytes", LOG_FILTER_MAX);
	memcpy(v->floor, floor.p, floor.n);
	v->floor[floor.n] = '\0';
	v->level = lv;
	f->n++;
	return 0;
}

static int entry_parse(
	struct slice part, struct log_filter *f, struct defaults *d, struct err *e)
{
	struct slice floor = SLICE_NONE, level = part;
	enum log_level lv;

	if (memchr(part.p, '=', part.n)) {
		slice_cut(&level, '=', &floor);
		floor = slice_trim(floor);
	}
	if (!level_parse(slice_trim(level), &lv))
		return err_set(e, ERR_SYNTAX,
			"log filter: \"%.*s\" is no level (off, error, warn, info, "
			"debug, trace)",
			SLICE_FMT(level));
	if (means_all(floor)) {
		d->of_all = lv;
		d->all_said = true;
		return 0;
	}
	if (!floor.n) {
		d->bare = lv;
		return 0;
	}
	return add_floor(f, floor, lv, e);
}

int log_filter_parse(struct slice text, struct log_filter *out, struct err *e)
{
	struct log_filter f = {.n = 0};
	struct defaults d = {.bare = LOG_INFO};
	struct slice part;

	while (slice_cut(&text, ',', &part)) {
		part = slice_trim(part);
		if (part.n && entry_parse(part, &f, &d, e) < 0)
			return -1;
	}
	f.fallback = d.all_said ? d.of_all : d.bare;
	*out = f;
	return 0;
}

void log_filter_print(const struct log_filter *f, char *out, size_t size)
{
	size_t at = (size_t)snprintf(out, size, "%s", level_names[f->fallback]);

	for (size_t i = 0; i < f->n && at < size; i++)
		at += (size_t)snprintf(out + at, size - at, ",%s=%s", f->v[i].floor,
			level_names[f->v[i].level]);
	for (size_t i = 0; i < size && out[i]; i++)
		if (out[i] >= 'A' && out[i] <= 'Z')
			out[i] = (char)(out[i] + 32);
}

bool log_filter_wants(const struct log_filter *f, enum log_level lv, const char *floor)
{
	enum log_level want = f->fallback;

	for (size_t i = 0; i < f->n; i++)
		if (strcmp(f->v[i].floor, floor) == 0)
			want = f->v[i].level;
	return lv <= want;
}

enum log_level log_filter_most(const struct log_filter *f)
{
	enum log_level most = f->fallback;

	for (size_t i = 0; i < f->n; i++)
		most = f->v[i].level > most ? f->v[i].level : most;
	return most;
}
