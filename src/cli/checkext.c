/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/checkext.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/obj.h"
#include "cli/extensions.h"
#include "sys/run.h"

#define WORDS_MAX  64
#define OUTPUT_MAX ((size_t)4 * 1024 * 1024)
#define ASKING     (5 * NS_PER_S)
#define CHECKING   (600 * NS_PER_S)

void check_ext_fini(struct check_ext *x)
{
	json_free(x->said);
	x->said = NULL;
}

/* Owned: what it wrote, also where it ended with a failure. */
static struct json *run(
	const char *path, const char *const *words, uint64_t patience, struct err *e)
{
	char *argv[WORDS_MAX + 2] = {(char *)path};
	struct run r = {
		.argv = argv, .envp = environ, .patience = patience, .max = OUTPUT_MAX};
	struct buf out = BUF_INIT;
	struct json *j = NULL;
	struct err why = {0};
	int rc;

	for (size_t i = 0; words[i] && i < WORDS_MAX; i++)
		argv[1 + i] = (char *)words[i];
	rc = run_for_output(&r, &out, &why);
	if (rc == 0 || why.code == ERR_DENIED)
		j = json_parse(buf_slice(&out), rc ? NULL : &why);
	buf_fini(&out);
	if (!j && e)
		*e = why;
	return j;
}

/* ---- which ---- */

static bool always_checks(const char *path)
{
	static const char *const words[] = {"_extension-metadata", NULL};
	struct json *j = run(path, words, ASKING, NULL);
	bool yes = strcmp(json_text_or(j, "checks", ""), "always") == 0;

	json_free(j);
	return yes;
}

/* Names to paths; "" where the program is missing. */
static void add(struct json *found, const char *name)
{
	char path[4096];

	if (!json_get(found, name))
		json_set_text(found, name,
			extension_find(name, path, sizeof path) ? path : "");
}

static struct json *find_all(const struct check_ext *x, struct check_run *r)
{
	struct json *found = json_object();
	const struct json *list = check_get(r, NULL, "/api/v1/namespaces");
	char **installed = extensions_list(x->is_own), path[4096];

	json_each(ns, json_get(list, "items"))
	{
		const char *name = json_text(json_get(
			json_path(ns, "metadata.labels"), "linkerd.io/extension"));

		if (name && *name)
			add(found, name);
	}
	for (size_t i = 0; installed[i]; i++)
		if (extension_find(installed[i], path, sizeof path) &&
			!json_get(found, installed[i]) && always_checks(path))
			add(found, installed[i]);
	free(installed);
	return found;
}

/* ---- what they say ---- */

static bool tell(const struct check_ext *x, const char *category, const char *name,
	const char *hint, unsigned flags, const struct err *e)
{
	struct check c = {category, name, 0, flags, NULL, hint};

	x->cfg->on_result(x->cfg->arg, &c, e);
	return e->code == ERR_NONE || (flags & CHECK_WARN);
}

static bool tell_said(struct check_ext *x, const struct json *said)
{
	bool good = true;

	json_each(c, json_get(said, "categories"))
	{
		json_each(k, json_get(c, "checks"))
		{
			const char *result = json_text_or(k, "result", "error");
			struct err e = {0};

			if (strcmp(result, "success") != 0)
				err_set(&e, ERR_DENIED, "%s",
					json_text_or(k, "error", result));
			good &= tell(x, json_text_or(c, "categoryName", "extension"),
				json_text_or(k, "description", ""),
				json_text_or(k, "hint", ""),
				strcmp(result, "warning") == 0 ? CHECK_WARN : 0, &e);
		}
	}
	return good;
}

/* Its own words first; then those that every command has. */
static struct json *ask(const struct check_ext *x, const char *path, struct err *e)
{
	const char *words[WORDS_MAX + 1] = {"check", "--output", "json"};
	size_t n = 3;

	if (x->cfg->when == CHECK_PRE)
		words[n++] = "--pre";
	if (x->cfg->when == CHECK_PROXY)
		words[n++] = "--proxy";
	for (size_t i = 0; x->words[i] && n < WORDS_MAX; i++)
		words[n++] = x->words[i];
	return run(path, words, CHECKING, e);
}

static bool check_one(struct check_ext *x, const char *name, const char *path)
{
	struct err e = {0};
	struct json *said;
	bool good;

	if (!*path) {
		err_set(&e, ERR_MISSING,
			"neither mesh-%s nor linkerd-%s is on PATH, so nobody can "
			"check "
			"it",
			name, name);
		return tell(x, name, "its command is there", "install its program",
			CHECK_WARN, &e);
	}
	said = ask(x, path, &e);
	if (!said) {
		err_wrap(&e, "check of extension %s", name);
		return tell(x, name, "its command works", "run it alone to see more", 0,
			&e);
	}
	good = tell_said(x, said);
	json_push(x->said, said); /* the writer still looks at its texts */
	return good;
}

bool check_extensions(struct check_ext *x)
{
	struct check_run r = {.cfg = x->cfg, .cache = json_object()};
	struct json *all;
	bool good = true;

	x->said = json_list();
	all = find_all(x, &r);
	json_each(it, all)
	{
		good &= check_one(x, json_key(it), json_text(it));
	}
	json_push(x->said, all);
	json_free(r.cache);
	return good;
}
