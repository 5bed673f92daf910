/* SPDX-License-Identifier: Apache-2.0 */
#include "local/podvol.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/obj.h"
#include "local/meta.h"
#include "local/podenv.h"

/* ---- folders ---- */

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st;
	(void)kind;
	(void)at;
	return remove(path);
}

void tree_remove(const char *path)
{
	(void)nftw(path, remove_one, 32, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

int folder_make(const char *path, unsigned mode)
{
	char part[PATH_MAX];
	size_t n = strlen(path);

	if (n >= sizeof(part))
		return -1;
	for (size_t i = 1; i <= n; i++) {
		if (path[i] != '/' && path[i])
			continue;
		snprintf(part, sizeof(part), "%.*s", (int)i, path);
		if (mkdir(part, i == n ? mode : 0755) && errno != EEXIST)
			return -1;
	}
	return chmod(path, mode);
}

/* ---- files ---- */

struct filling {
	const struct podvol *v;
	const char *dir; /* of the volume */
	unsigned mode;
};

static unsigned mode_of(const struct json *at, const char *key, unsigned other)
{
	return (unsigned)json_int_at(at, key, other) & 0777;
}

static bool holds(const char *path, struct slice text)
{
	struct buf b = BUF_INIT;
	bool same = file_read(path, 4 << 20, &b, NULL) == 0 &&
		    slice_eq(buf_slice(&b), text);

	buf_fini(&b);
	return same;
}

static int put_file(const struct filling *f, const char *name, unsigned mode,
	struct slice text, struct err *e)
{
	char path[PATH_MAX], tmp[PATH_MAX + 8], *slash;
	int fd, rc;

	if (strstr(name, "..") ||
		snprintf(path, sizeof(path), "%s/%s", f->dir, name) >= PATH_MAX)
		return err_set(e, ERR_SYNTAX, "volume path \"%s\"", name);
	if (holds(path, text))
		return 0;
	slash = strrchr(path, '/');
	*slash = 0;
	if (folder_make(path, 0755))
		return err_sys(e, "make %s", path);
	*slash = '/';
	snprintf(tmp, sizeof(tmp), "%s.new", path);
	fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	if (fd < 0)
		return err_sys(e, "write %s", tmp);
	rc = file_write_all(fd, text) || fchmod(fd, mode) || rename(tmp, path);
	close(fd);
	return rc ? err_sys(e, "write %s", path) : 0;
}

/* ---- ConfigMaps and Secrets ---- */

static int put_member(const struct filling *f, const struct json *member, bool secret,
	const char *path, unsigned mode, struct err *e)
{
	struct slice text = slice_of(json_text(member));
	struct buf b = BUF_INIT;
	int rc;

	if (secret && buf_unbase64(&b, text) == 0)
		text = buf_slice(&b);
	rc = put_file(f, path, mode, text, e);
	buf_fini(&b);
	return rc;
}

static int put_items(const struct filling *f, const struct json *obj,
	const struct json *items, bool secret, bool optional, struct err *e)
{
	json_each(item, items)
	{
		const char *key = json_text_or(item, "key", "");
		const struct json *m = json_get(json_get(obj, "data"), key);

		if (!json_text(m) && optional)
			continue;
		if (!json_text(m))
			return err_set(
				e, ERR_MISSING, "references non-existent key: %s", key);
		if (put_member(f, m, secret, json_text_or(item, "path", key),
			    mode_of(item, "mode", f->mode), e))
			return -1;
	}
	return 0;
}

static int put_object(const struct filling *f, const struct json *src, const char *name,
	bool secret, struct err *e)
{
	const struct json *items = json_get(src, "items");
	bool optional = json_bool_at(src, "optional", false);
	const struct json *obj = store_get(f->v->store,
		secret ? "secrets" : "configmaps", meta_ns(f->v->pod), name);

	if (!obj)
		return optional ? 0
				: err_set(e, ERR_MISSING, "%s \"%s\" not found",
					  secret ? "secret" : "configmap", name);
	if (items)
		return put_items(f, obj, items, secret, optional, e);
	json_each(m, json_get(obj, "data"))
	{
		if (put_member(f, m, secret, json_key(m), f->mode, e))
			return -1;
	}
	json_each(m, json_get(obj, "binaryData"))
	{
		if (put_member(f, m, true, json_key(m), f->mode, e))
			return -1;
	}
	return 0;
}

/* ---- the downward API ---- */

static const struct json *container_named(const struct json *pod, const char *name)
{
	static const char *const lists[] = {"spec.containers", "spec.initContainers"};

	for (size_t i = 0; i < countof(lists); i++)
		json_each(c, json_path(pod, lists[i]))
		{
			if (strcmp(json_text_or(c, "name", ""), name) == 0)
				return c;
		}
	return NULL;
}

static int put_downward(const struct filling *f, const struct json *src, struct err *e)
{
	json_each(item, json_get(src, "items"))
	{
		const struct json *res = json_get(item, "resourceFieldRef");
		const char *path = json_text_or(item, "path", "");
		struct buf b = BUF_INIT;
		int rc = 0;

		if (res)
			rc = resource_value(
				container_named(f->v->pod,
					json_text_or(res, "containerName", "")),
				res, &b, e);
		else
			(void)field_value(f->v->pod,
				json_text_or(item, "fieldRef.fieldPath", ""), &b);
		if (rc == 0)
			rc = put_file(f, path, mode_of(item, "mode", f->mode),
				buf_slice(&b), e);
		buf_fini(&b);
		if (rc)
			return -1;
	}
	return 0;
}

/* ---- tokens ---- */

static bool is_fresh(const char *path, int64_t seconds)
{
	struct stat st;

	return stat(path, &st) == 0 && time(NULL) - st.st_mtime < seconds * 4 / 5;
}

static int put_token(const struct filling *f, const struct json *src, struct err *e)
{
	const struct json *pod = f->v->pod;
	const char *audience = json_text_at(src, "audience");
	const char *name = json_text_or(src, "path", "token");
	struct token_spec spec = {.ns = meta_ns(pod),
		.account = json_text_or(pod, "spec.serviceAccountName", "default"),
		.seconds = json_int_at(src, "expirationSeconds", 3600),
		.pod = meta_name(pod),
		.pod_uid = meta_uid(pod)};
	struct buf b = BUF_INIT;
	char path[PATH_MAX * 2];
	int rc;

	spec.audience[0] = audience && *audience ? audience : NULL;
	snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	if (is_fresh(path, spec.seconds))
		return 0;
	if (!f->v->cfg->token)
		return err_set(e, ERR_MISSING, "nobody makes tokens here");
	rc = f->v->cfg->token(f->v->cfg->arg, &spec, &b, e);
	if (rc == 0)
		rc = put_file(f, name, f->mode, buf_slice(&b), e);
	buf_fini(&b);
	return rc;
}

static int put_source(const struct filling *f, const struct json *src, struct err *e)
{
	const struct json *j = json_get(src, "serviceAccountToken");

	if (j)
		return put_token(f, j, e);
	j = json_get(src, "configMap");
	if (j)
		return put_object(f, j, json_text_or(j, "name", ""), false, e);
	j = json_get(src, "secret");
	if (j)
		return put_object(f, j, json_text_or(j, "name", ""), true, e);
	j = json_get(src, "downwardAPI");
	return j ? put_downward(f, j, e) : 0;
}

/* ---- volumes ---- */

static int fill(
	const struct podvol *v, const struct json *vol, const char *dir, struct err *e)
{
	struct filling f = {v, dir, 0644};
	const struct json *j;

	if (folder_make(dir, json_get(vol, "emptyDir") ? 0777 : 0755))
		return err_sys(e, "make %s", dir);
	j = json_get(vol, "configMap");
	f.mode = mode_of(j, "defaultMode", 0644);
	if (j)
		return put_object(&f, j, json_text_or(j, "name", ""), false, e);
	j = json_get(vol, "secret");
	f.mode = mode_of(j, "defaultMode", 0644);
	if (j)
		return put_object(&f, j, json_text_or(j, "secretName", ""), true, e);
	j = json_get(vol, "downwardAPI");
	f.mode = mode_of(j, "defaultMode", 0644);
	if (j)
		return put_downward(&f, j, e);
	f.mode = mode_of(json_get(vol, "projected"), "defaultMode", 0644);
	json_each(src, json_path(vol, "projected.sources"))
	{
		if (put_source(&f, src, e))
			return -1;
	}
	return 0;
}

int podvol_fill(const struct podvol *v, struct err *e)
{
	char dir[PATH_MAX];

	json_each(vol, json_path(v->pod, "spec.volumes"))
	{
		const char *name = json_text_or(vol, "name", "");

		if (json_get(vol, "hostPath"))
			continue;
		if (podvol_path(v, name, dir, sizeof(dir)) || fill(v, vol, dir, e))
			return err_wrap(
				e, "MountVolume.SetUp failed for volume \"%s\"", name);
	}
	return 0;
}

int podvol_path(const struct podvol *v, const char *name, char *out, size_t size)
{
	json_each(vol, json_path(v->pod, "spec.volumes"))
	{
		if (strcmp(json_text_or(vol, "name", ""), name) != 0)
			continue;
		if (json_get(vol, "hostPath"))
			snprintf(out, size, "%s",
				json_text_or(vol, "hostPath.path", "/"));
		else if (strcmp(json_text_or(vol, "emptyDir.medium", ""), "Memory") ==
			 0)
			snprintf(out, size, LOCAL_NODE_SHM "/%s/%s", meta_uid(v->pod),
				name);
		else
			snprintf(out, size, "%s/volumes/%s", v->dir, name);
		return 0;
	}
	return -1;
}
