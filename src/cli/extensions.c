/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/extensions.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/obj.h"

#define NAME_MAX_ 64
#define LIST_MAX  256

static const char *const prefixes[] = {"mesh-", "linkerd-"};

/* "" in PATH is the folder we are in, which is not looked into: a program there is run
 * by its path. */
static bool next_dir(struct slice *rest, struct slice *dir)
{
	while (slice_cut(rest, ':', dir))
		if (dir->n && dir->p[0] == '/')
			return true;
	return false;
}

static bool is_program(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

bool extension_find(const char *name, char *out, size_t size)
{
	if (!*name || strlen(name) > NAME_MAX_ || strchr(name, '/'))
		return false;
	for (size_t i = 0; i < countof(prefixes); i++) {
		struct slice rest = slice_of(getenv("PATH")), dir;

		while (next_dir(&rest, &dir)) {
			int n = snprintf(out, size, "%.*s/%s%s", SLICE_FMT(dir),
				prefixes[i], name);

			if (n > 0 && (size_t)n < size && is_program(out))
				return true;
		}
	}
	return false;
}

bool extension_run(const char *name, char **argv)
{
	char path[4096];

	if (!extension_find(name, path, sizeof path))
		return false;
	argv[0] = path;
	execv(path, argv);
	fprintf(stderr, "mesh: %s cannot be run: %s\n", path, strerror(errno));
	return true;
}

/* ---- the list ---- */

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static const char *name_of(const char *file)
{
	for (size_t i = 0; i < countof(prefixes); i++)
		if (strncmp(file, prefixes[i], strlen(prefixes[i])) == 0)
			return file + strlen(prefixes[i]);
	return NULL;
}

struct names {
	char text[LIST_MAX][NAME_MAX_ + 1];
	char *list[LIST_MAX + 1];
	size_t n;
};

static void add(struct names *v, const char *dir, const char *file,
	bool (*but)(const char *name))
{
	const char *name = name_of(file);
	char path[4096];

	if (!name || !*name || strlen(name) > NAME_MAX_ || v->n == LIST_MAX ||
		but(name))
		return;
	for (size_t i = 0; i < v->n; i++)
		if (strcmp(v->text[i], name) == 0)
			return;
	snprintf(path, sizeof path, "%s/%s", dir, file);
	if (!is_program(path))
		return;
	snprintf(v->text[v->n], sizeof v->text[0], "%s", name);
	v->list[v->n] = v->text[v->n];
	v->n++;
}

static void add_dir(struct names *v, struct slice dir, bool (*but)(const char *name))
{
	char path[2048];
	struct dirent *d;
	DIR *open;

	snprintf(path, sizeof path, "%.*s", SLICE_FMT(dir));
	open = opendir(path);
	while (open && (d = readdir(open)))
		add(v, path, d->d_name, but);
	if (open)
		closedir(open);
}

char **extensions_list(bool (*but)(const char *name))
{
	struct slice rest = slice_of(getenv("PATH")), dir;
	struct names *v = calloc(1, sizeof *v);
	char **out;

	must(v);
	while (next_dir(&rest, &dir))
		add_dir(v, dir, but);
	qsort(v->list, v->n, sizeof *v->list, by_text);
	out = calloc(v->n + 1, sizeof *out + NAME_MAX_ + 1);
	must(out);
	for (size_t i = 0; i < v->n; i++) {
		out[i] = (char *)(out + v->n + 1) + i * (NAME_MAX_ + 1);
		snprintf(out[i], NAME_MAX_ + 1, "%s", v->list[i]);
	}
	free(v);
	return out;
}
