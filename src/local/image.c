/* SPDX-License-Identifier: Apache-2.0 */
#include "local/image.h"

#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/obj.h"
#include "wire/yaml.h"

struct images {
	struct json *map;   /* by name */
	char dir[PATH_MAX]; /* of the file, or the folder itself */
	bool folder;
};

/* A container sees the folder of its program by its one true name only: without "..".
 */
static void beside(const struct images *im, const char *program, char path[PATH_MAX])
{
	const char *name = strrchr(program, '/') + 1;
	char folder[PATH_MAX], real[PATH_MAX];

	snprintf(folder, sizeof(folder), "%.2000s/%.*s", im->dir,
		(int)(name - program < 2000 ? name - program : 2000), program);
	snprintf(path, PATH_MAX, "%.3000s/%.1000s",
		realpath(folder, real) ? real : folder, name);
}

/* Programs get their whole path. */
static void resolve(const struct images *im, struct json *entry, const char *self)
{
	struct json *command = json_get(entry, "command");
	struct json *first = json_at(command, 0);
	const char *p = json_text(first);
	char path[PATH_MAX];

	if (!p || *p == '/' || (*p != '@' && !strchr(p, '/')))
		return;
	if (strcmp(p, "@self") == 0)
		snprintf(path, sizeof(path), "%s", self);
	else
		beside(im, p, path);
	json_replace(command, first, json_string(path));
}

static int read_file(
	struct images *im, const char *path, const char *self, struct err *e)
{
	struct buf text = BUF_INIT;
	char full[PATH_MAX], *slash;

	if (!realpath(path, full))
		return err_sys(e, "images %s", path);
	slash = strrchr(full, '/');
	snprintf(im->dir, sizeof(im->dir), "%.*s", (int)(slash - full), full);
	if (file_read(path, 1 << 20, &text, e))
		return -1;
	im->map = yaml_parse(buf_slice(&text), e);
	buf_fini(&text);
	if (!im->map)
		return err_wrap(e, "images %s", path);
	json_each(entry, im->map)
	{
		if (!json_count(json_get(entry, "command")))
			return err_set(e, ERR_SYNTAX, "images %s: %s has no command",
				path, json_key(entry));
		resolve(im, entry, self);
	}
	return 0;
}

struct images *images_load(const char *path, const char *self, struct err *e)
{
	struct images *im = calloc(1, sizeof(*im));
	struct stat st;

	must(im);
	if (!path) {
		im->map = json_object();
		return im;
	}
	if (stat(path, &st)) {
		err_sys(e, "images %s", path);
		goto free_images;
	}
	im->folder = S_ISDIR(st.st_mode);
	if (im->folder) {
		im->map = json_object();
		if (realpath(path, im->dir))
			return im;
		err_sys(e, "images %s", path);
		goto free_images;
	}
	if (read_file(im, path, self, e) == 0)
		return im;
free_images:
	images_free(im);
	return NULL;
}

void images_free(struct images *im)
{
	if (!im)
		return;
	json_free(im->map);
	free(im);
}

/* Without ":tag" (of the last part only) and "@digest". */
static void strip_tag(char *name)
{
	char *slash, *colon, *at = strchr(name, '@');

	if (at)
		*at = 0;
	slash = strrchr(name, '/');
	colon = strchr(slash ? slash : name, ':');
	if (colon)
		*colon = 0;
}

static const struct json *from_folder(struct images *im, const char *last)
{
	char path[PATH_MAX * 2];
	struct json *entry;

	snprintf(path, sizeof(path), "%s/%s", im->dir, last);
	if (!*last || strchr(last, '/') || access(path, X_OK))
		return NULL;
	entry = json_set(im->map, last, json_object());
	json_push(json_need_list(entry, "command"), json_string(path));
	return entry;
}

const struct json *images_find(struct images *im, const char *name)
{
	const struct json *entry = json_get(im->map, name);
	char bare[512];
	const char *last;

	if (entry)
		return entry;
	snprintf(bare, sizeof(bare), "%s", name);
	strip_tag(bare);
	entry = json_get(im->map, bare);
	if (entry)
		return entry;
	last = strrchr(bare, '/');
	last = last ? last + 1 : bare;
	entry = json_get(im->map, last);
	if (!entry && im->folder)
		entry = from_folder(im, last);
	return entry;
}
