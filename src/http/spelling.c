/* SPDX-License-Identifier: Apache-2.0 */
#include "http/spelling.h"

/* The letter `c` of a name Spelt-Like-This, behind `before`. */
static char title_of(char c, char before)
{
	return before == '-' && c >= 'a' && c <= 'z' ? (char)(c - 0x20) : c;
}

static void spell_title(struct slice name, char *out)
{
	char before = '-';

	for (size_t i = 0; i < name.n; before = name.p[i++])
		out[i] = title_of(name.p[i], before);
}

const char spelt_title;

void spell(const struct field *f, char *out)
{
	if (f->spelt == SPELT_TITLE)
		spell_title(f->name, out);
	else
		memcpy(out, f->spelt ? f->spelt : f->name.p, f->name.n);
}

static bool is_regular(const struct field *f, bool titled)
{
	char before = '-';

	if (!titled || !f->spelt)
		return !titled && !f->spelt;
	if (f->spelt == SPELT_TITLE)
		return true;
	for (size_t i = 0; i < f->name.n; before = f->name.p[i++])
		if (f->spelt[i] != title_of(f->name.p[i], before))
			return false;
	return true;
}

size_t spelling_say(const struct fields *f, bool titled, char *out)
{
	size_t n = sizeof "case=title" - 1;

	memcpy(out, titled ? "case=title" : "case=lower", n);
	for (size_t i = 0; i < f->n; i++) {
		const struct field *one = &f->v[i];

		if (is_regular(one, titled) || n + one->name.n + 1 > SPELLING_MAX)
			continue;
		out[n++] = ',';
		spell(one, out + n);
		n += one->name.n;
	}
	return n;
}

static void spell_titles(const struct fields *f)
{
	for (size_t i = 0; i < f->n; i++)
		f->v[i].spelt = SPELT_TITLE;
}

static void spell_one(const struct fields *f, struct slice as)
{
	for (size_t i = 0; i < f->n; i++)
		if (slice_ieq(f->v[i].name, as))
			f->v[i].spelt = as.p;
}

bool spelling_restore(struct fields *f, struct slice text)
{
	struct slice part;
	bool titled;

	if (text.n > SPELLING_MAX || !slice_cut(&text, ',', &part))
		return false;
	titled = slice_is(part, "title");
	if (titled)
		spell_titles(f);
	while (slice_cut(&text, ',', &part))
		spell_one(f, part);
	return titled;
}

void spelling_restore_trailers(
	const struct fields *trailers, const struct fields *head, bool titled)
{
	size_t room = SPELLING_MAX;

	if (titled)
		spell_titles(trailers);
	for (size_t i = 0; i < head->n; i++) {
		struct slice list = head->v[i].value, one;

		if (!slice_is(head->v[i].name, "trailer") || list.n > room)
			continue;
		room -= list.n;
		while (slice_cut(&list, ',', &one))
			spell_one(trailers, slice_trim(one));
	}
}
