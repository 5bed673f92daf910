/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/chainfile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/obj.h"
#include "cni/conflist.h"

#define CONF_MAX  ((size_t)1024 * 1024)
#define FILES_MAX 256

/* ---- which are there ---- */

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void chain_files_fini(struct chain_files *f)
{
	for (size_t i = 0; i < f->n; i++)
		free(f->names[i]);
	free(f->names);
	*f = (struct chain_files){0};
}

int chain_list(const char *dir, struct chain_files *out, struct err *e)
{
	DIR *d = opendir(dir);
	struct dirent *it;

	*out = (struct chain_files){0};
	if (!d)
		return err_sys(e, "open %s", dir);
	out->names = calloc(FILES_MAX, sizeof *out->names);
	must(out->names);
	while ((it = readdir(d)) && out->n < FILES_MAX)
		if (conf_kind(it->d_name) != CONF_NONE) {
			out->names[out->n] = slice_dup(slice_of(it->d_name));
			must(out->names[out->n++]);
		}
	closedir(d);
	qsort(out->names, out->n, sizeof *out->names, by_name);
	return 0;
}

/* ---- one of them ---- */

struct edit {
	char path[4096]; /* of the file */
	char list[4096]; /* of the chain; the same when the file is one */
	char kept[4096]; /* where a *.conf is kept meanwhile */
	struct buf was, text;
	unsigned mode;
};

static void edit_begin(struct edit *x, const char *dir, const char *file)
{
	char *list = conf_list_name(file);

	*x = (struct edit){0};
	snprintf(x->path, sizeof x->path, "%s/%s", dir, file);
	snprintf(x->list, sizeof x->list, "%s/%s", dir, list);
	snprintf(x->kept, sizeof x->kept, "%s/.%s.before-" CNI_TYPE, dir, list);
	free(list);
}

static void edit_end(struct edit *x)
{
	buf_fini(&x->was);
	buf_fini(&x->text);
}

/* CHAIN_SAME: it is read. */
static enum chain_done edit_read(struct edit *x, struct err *e)
{
	struct stat st;

	if (stat(x->path, &st) == 0 && file_read(x->path, CONF_MAX, &x->was, e) == 0) {
		x->mode = st.st_mode & 0777;
		return CHAIN_SAME;
	}
	/* Gone since the directory was read. */
	return access(x->path, F_OK) ? CHAIN_DISTURBED : CHAIN_BROKEN;
}

static bool is_as_read(const struct edit *x, const char *path)
{
	struct buf now = BUF_INIT;
	bool same = file_read(path, CONF_MAX, &now, NULL) == 0 &&
		    buf_is(&now, buf_slice(&x->was));

	buf_fini(&now);
	return same;
}

/* The file and the new one change places; in the end only one is left. */
static enum chain_done exchange(const struct edit *x, const char *fresh, struct err *e)
{
	if (renameat2(AT_FDCWD, fresh, AT_FDCWD, x->path, RENAME_EXCHANGE)) {
		if (errno == ENOENT)
			return CHAIN_DISTURBED;
		/* A file system that cannot: as near as it gets. */
		if (!is_as_read(x, x->path))
			return CHAIN_DISTURBED;
		if (rename(fresh, x->path) == 0)
			return CHAIN_WRITTEN;
		err_sys(e, "rename %s", fresh);
		return CHAIN_FAILED;
	}
	if (is_as_read(x, fresh))
		return CHAIN_WRITTEN;
	(void)renameat2(AT_FDCWD, fresh, AT_FDCWD, x->path, RENAME_EXCHANGE);
	return CHAIN_DISTURBED;
}

/* The chain first, then the plugin's own file goes: never is there none. */
static enum chain_done succeed(const struct edit *x, const char *fresh, struct err *e)
{
	if (!is_as_read(x, x->path))
		return CHAIN_DISTURBED;
	if (rename(fresh, x->list) || rename(x->path, x->kept)) {
		err_sys(e, "rename %s", x->path);
		return CHAIN_FAILED;
	}
	return CHAIN_WRITTEN;
}

static enum chain_done edit_write(const struct edit *x, struct err *e)
{
	bool in_place = strcmp(x->path, x->list) == 0;
	enum chain_done done;
	char fresh[4200];

	snprintf(fresh, sizeof fresh, "%s.fresh", x->kept);
	if (file_replace(fresh, x->mode, buf_slice(&x->text), e))
		return CHAIN_FAILED;
	done = in_place ? exchange(x, fresh, e) : succeed(x, fresh, e);
	(void)unlink(fresh); /* the old one, or what nobody wants */
	return done;
}

enum chain_done chain_enter(
	const char *dir, const char *file, const struct json *entry, struct err *e)
{
	enum chain_done done;
	struct edit x;
	int rc;

	edit_begin(&x, dir, file);
	done = edit_read(&x, e);
	if (done == CHAIN_SAME) {
		rc = conflist_with(
			buf_slice(&x.was), conf_kind(file), entry, &x.text, e);
		if (rc <= 0)
			done = rc < 0 ? CHAIN_BROKEN : edit_write(&x, e);
	}
	edit_end(&x);
	return done;
}

/* What was a *.conf becomes it again, unless its owner has written another one. */
static enum chain_done restore(const struct edit *x, struct err *e)
{
	char conf[4096];
	size_t n = strlen(x->list);

	snprintf(conf, sizeof conf, "%.*s", (int)(n - strlen("list")), x->list);
	if (access(conf, F_OK) && rename(x->kept, conf)) {
		err_sys(e, "rename %s", x->kept);
		return CHAIN_FAILED;
	}
	(void)unlink(x->kept);
	if (unlink(x->list) && errno != ENOENT) {
		err_sys(e, "remove %s", x->list);
		return CHAIN_FAILED;
	}
	return CHAIN_WRITTEN;
}

enum chain_done chain_leave(const char *dir, const char *file, struct err *e)
{
	enum chain_done done;
	struct edit x;

	edit_begin(&x, dir, file);
	done = edit_read(&x, e);
	if (done == CHAIN_SAME && conf_kind(file) == CONF_LIST &&
		conflist_without(buf_slice(&x.was), &x.text, NULL) == 0)
		done = access(x.kept, F_OK) == 0 ? restore(&x, e) : edit_write(&x, e);
	edit_end(&x);
	return done == CHAIN_BROKEN ? CHAIN_SAME : done;
}
