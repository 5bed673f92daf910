/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/checkfiles.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/file.h"
#include "base/obj.h"
#include "wire/yaml.h"

#define FILES_MAX 10000
#define NAME      256

struct check_files {
	struct json *objects; /* lists by "group/plural" */
	char version[64];     /* of the server, or "" */
};

/* ---- reading ---- */

/* "NetworkPolicy" is asked for as "networkpolicies". */
static void plural_of(const char *kind, char out[NAME])
{
	size_t n = (size_t)snprintf(out, NAME, "%s", kind);

	n = n < NAME - 4 ? n : NAME - 4;
	for (size_t i = 0; i < n; i++)
		out[i] = (char)(out[i] >= 'A' && out[i] <= 'Z' ? out[i] | 32 : out[i]);
	if (n && out[n - 1] == 'y')
		snprintf(out + n - 1, 5, "ies");
	else
		snprintf(out + n, 4, n && out[n - 1] == 's' ? "es" : "s");
}

/* "apps" of "apps/v1", "" of "v1". */
static struct slice group_of(const char *version)
{
	const char *slash = strchr(version, '/');

	return slice_bytes(version, slash ? (size_t)(slash - version) : 0);
}

static void add(struct check_files *f, const struct json *j)
{
	const char *kind = json_text_or(j, "kind", "");
	struct slice group = group_of(json_text_or(j, "apiVersion", ""));
	const char *version = json_text_or(j, "serverVersion.gitVersion", "");
	char plural[NAME], key[2 * NAME];

	if (*version)
		snprintf(f->version, sizeof f->version, "%s", version);
	if (strcmp(kind, "List") == 0 || json_get(j, "items")) {
		json_each(it, json_get(j, "items"))
		{
			add(f, it);
		}
		return;
	}
	if (!*kind)
		return;
	plural_of(kind, plural);
	snprintf(key, sizeof key, "%.*s/%s", SLICE_FMT(group), plural);
	json_push(json_need_list(f->objects, key), json_copy(j));
}

static int read_file(struct check_files *f, const char *path, struct err *e)
{
	struct buf text = BUF_INIT;
	struct json *docs = NULL;

	if (file_read(path, YAML_MAX, &text, e) == 0) {
		docs = yaml_parse_all(buf_slice(&text), e);
		if (!docs)
			err_wrap(e, "%s", path);
	}
	json_each(d, docs)
	{
		add(f, d);
	}
	if (text.p)
		explicit_bzero(text.p, text.cap); /* Secrets */
	buf_fini(&text);
	json_free(docs);
	return docs ? 0 : -1;
}

static bool is_ours(const char *name)
{
	struct slice s = slice_of(name);

	return name[0] != '.' &&
	       (slice_ends(s, SLICE(".yaml")) || slice_ends(s, SLICE(".yml")) ||
		       slice_ends(s, SLICE(".json")));
}

static int read_dir(struct check_files *f, const char *dir, struct err *e)
{
	DIR *open = opendir(dir);
	struct dirent *d;
	char path[4096];
	int n = 0, rc = 0;

	if (!open)
		return err_sys(e, "open %s", dir);
	while (rc == 0 && (d = readdir(open))) {
		if (!is_ours(d->d_name))
			continue;
		snprintf(path, sizeof path, "%s/%s", dir, d->d_name);
		rc = ++n > FILES_MAX ? err_set(e, ERR_LIMIT, "%s: more than %d files",
					       dir, FILES_MAX)
				     : read_file(f, path, e);
	}
	closedir(open);
	if (rc == 0 && !json_count(f->objects))
		return err_set(e, ERR_MISSING,
			"%s has no file with objects: kubectl get … -A -o yaml "
			">%s/all.yaml",
			dir, dir);
	return rc;
}

struct check_files *check_files_new(const char *dir, struct err *e)
{
	struct check_files *f = calloc(1, sizeof *f);

	must(f);
	f->objects = json_object();
	if (read_dir(f, dir, e) == 0)
		return f;
	check_files_free(f);
	return NULL;
}

void check_files_free(struct check_files *f)
{
	if (!f)
		return;
	json_free(f->objects);
	free(f);
}

/* ---- answering ---- */

/* What a path of the API names. */
struct wanted {
	struct slice group, namespace, plural, name; /* p NULL: all */
};

static bool parse_path(const char *path, struct wanted *w)
{
	struct slice rest = slice_of(path), root, version, part;

	*w = (struct wanted){0};
	if (!slice_cut(&rest, '/', &part) || !slice_cut(&rest, '/', &root))
		return false;
	if (slice_is(root, "apis") && !slice_cut(&rest, '/', &w->group))
		return false;
	if (!slice_cut(&rest, '/', &version) || !slice_cut(&rest, '/', &w->plural))
		return false;
	if (!slice_is(w->plural, "namespaces") || !slice_cut(&rest, '/', &part)) {
		(void)slice_cut(&rest, '/', &w->name);
		return true;
	}
	if (!slice_cut(&rest, '/', &w->plural)) {
		w->name = part; /* a namespace itself */
		return true;
	}
	w->namespace = part;
	(void)slice_cut(&rest, '/', &w->name);
	return true;
}

static bool is_wanted(const struct json *j, const struct wanted *w)
{
	return (!w->namespace.p ||
		       slice_is(w->namespace,
			       json_text_or(j, "metadata.namespace", ""))) &&
	       (!w->name.p || slice_is(w->name, json_text_or(j, "metadata.name", "")));
}

static struct json *pick(const struct json *list, const struct wanted *w, struct err *e)
{
	struct json *out = json_object(), *items = json_need_list(out, "items");

	json_each(j, list)
	{
		if (is_wanted(j, w))
			json_push(items, json_copy(j));
	}
	if (!w->name.p)
		return out;
	items = json_detach(items, json_at(items, 0));
	json_free(out);
	if (!items)
		err_set(e, ERR_MISSING, "it is not among the files");
	return items;
}

static struct json *version(const struct check_files *f, struct err *e)
{
	struct json *j;

	if (!*f->version) {
		err_set(e, ERR_UNKNOWN,
			"not among the files: kubectl version -o yaml >version.yaml");
		return NULL;
	}
	j = json_object();
	json_set_text(j, "gitVersion", f->version);
	return j;
}

static struct json *get(void *arg, const char *path, struct err *e)
{
	const struct check_files *f = arg;
	const struct json *list;
	struct wanted w;
	char key[2 * NAME];

	if (strcmp(path, "/version") == 0)
		return version(f, e);
	if (!parse_path(path, &w)) {
		err_set(e, ERR_UNKNOWN, "only a cluster knows");
		return NULL;
	}
	snprintf(key, sizeof key, "%.*s/%.*s", SLICE_FMT(w.group), SLICE_FMT(w.plural));
	list = json_get(f->objects, key);
	if (list)
		return pick(list, &w, e);
	err_set(e, ERR_UNKNOWN,
		"none is among the files: kubectl get %.*s%s%.*s -A -o yaml",
		SLICE_FMT(w.plural), w.group.n ? "." : "", SLICE_FMT(w.group));
	return NULL;
}

static int may(void *arg, const char *verb, const char *group, const char *resource,
	const char *namespace, struct err *e)
{
	(void)arg, (void)verb, (void)group, (void)resource, (void)namespace;
	return err_set(e, ERR_UNKNOWN, "only a cluster knows what you may do");
}

static struct json *would(
	void *arg, const char *path, const struct json *object, struct err *e)
{
	(void)arg, (void)path, (void)object;
	err_set(e, ERR_UNKNOWN, "only a cluster knows what becomes of an object");
	return NULL;
}

struct check_source check_files_source(struct check_files *f)
{
	return (struct check_source){get, may, would, f};
}
