/* SPDX-License-Identifier: Apache-2.0 */
#include "http/spelling.h"

#include <stdlib.h>

#include "base/obj.h"
#include "t.h"

#define MAX 300

static struct field v[MAX];
static struct fields fields = {.v = v, .cap = MAX};

static void lower(char *to, struct slice from)
{
	for (size_t i = 0; i < from.n; i++)
		to[i] = (char)(from.p[i] >= 'A' && from.p[i] <= 'Z' ? from.p[i] | 0x20
								    : from.p[i]);
}

/* Fields with these names (with commas between), as a codec would have read them. */
static void set(struct arena *a, const char *names)
{
	struct slice rest = slice_of(names), name;

	fields.n = 0;
	while (slice_cut(&rest, ',', &name)) {
		char *p = arena_alloc(a, name.n + 1);

		lower(p, name);
		v[fields.n++] = (struct field){.name = {p, name.n},
			.spelt = memcmp(p, name.p, name.n) == 0 ? NULL : name.p};
	}
}

/* Of a list that HTTP/2 did not leave anything of but lower case. */
static void check_names(const char *names)
{
	struct slice rest = slice_of(names), want;
	char name[64];

	for (size_t i = 0; slice_cut(&rest, ',', &want); i++) {
		spell(&v[i], name);
		OK(slice_eq(slice_bytes(name, v[i].name.n), want));
	}
}

static void check(const char *names, bool titled, const char *want)
{
	char said[SPELLING_ROOM], again[SPELLING_ROOM];
	struct arena a;
	size_t n;

	arena_init(&a, 1 << 20);
	set(&a, names);
	n = spelling_say(&fields, titled, said);
	if (!slice_eq(slice_bytes(said, n), slice_of(want)))
		T_FAIL("%s: %.*s, want %s", names, (int)n, said, want);
	for (size_t i = 0; i < fields.n; i++)
		v[i].spelt = NULL; /* what HTTP/2 leaves of it */
	EQ_INT(spelling_restore(&fields, slice_bytes(said + 5, n - 5)), titled);
	EQ_INT(spelling_say(&fields, titled, again), n);
	EQ_INT(memcmp(said, again, n), 0);
	check_names(names);
	arena_fini(&a);
}

TEST(spelling_survives_a_hop_without_it)
{
	check("Accept,User-Agent,X-One", true, "case=title");
	check("accept,user-agent", false, "case=lower");
	check("Accept,SOAPAction,x-low,ETag", true, "case=title,SOAPAction,x-low,ETag");
	check("accept,X-up", false, "case=lower,X-up");
	check("1-A,-B,C-,a--B", true, "case=title,a--B");
}

TEST(what_does_not_fit_goes_in_lower_case)
{
	char name[64], said[SPELLING_ROOM];
	struct arena a;
	size_t n;

	arena_init(&a, 1 << 20);
	fields.n = 0;
	memset(name, 'X', sizeof name);
	for (size_t i = 0; i < MAX; i++)
		v[fields.n++] = (struct field){
			.name = SLICE("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"),
			.spelt = name};
	n = spelling_say(&fields, false, said);
	OK(n <= SPELLING_MAX);
	OK(spelling_restore(&fields, slice_bytes(said + 5, n - 5)) == false);
	arena_fini(&a);
}

TEST(what_a_stranger_says_of_spelling_is_harmless)
{
	static const char *const rows[] = {"", ",", "title", "title,", "title,,",
		"other,A", "lower,B-c", "LOWER", "title;x", "title,A B"};
	struct arena a;
	char *long_one = malloc(60000), name[8];

	arena_init(&a, 1 << 20);
	memset(long_one, ',', 60000);
	for (size_t i = 0; i < countof(rows); i++) {
		set(&a, "a,b-c,d");
		spelling_restore(&fields, slice_of(rows[i]));
		for (size_t k = 0; k < fields.n; k++) {
			spell(&v[k], name);
			OK(slice_ieq(slice_bytes(name, v[k].name.n), v[k].name));
		}
	}
	OK(!spelling_restore(&fields, slice_bytes(long_one, 60000)));
	free(long_one);
	arena_fini(&a);
}
