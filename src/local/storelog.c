/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log: one line of JSON for each change, {"res":…,"obj":{…}} or {"res":…,"ns":…,
 * "name":…} when the object went, and {"version":N} in front of a rewritten one.
 *
 * A line is one write(2), so that whatever kills the process leaves whole lines and at
 * most one torn one at the end, which is cut off when reading back.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/obj.h"
#include "local/meta.h"
#include "local/storeint.h"

#define LOG_GROWTH ((int64_t)8 * 1024 * 1024)

static void path_of(const struct store *s, const char *name, char out[512])
{
	snprintf(out, 512, "%s/%s", s->cfg.dir, name);
}

static void record(struct buf *b, const char *res, const char *ns, const char *name,
	const struct json *json)
{
	buf_printf(b, "{\"res\":\"%s\",", res);
	if (json) {
		buf_text(b, "\"obj\":");
		json_write(json, 0, b);
		buf_text(b, "}\n");
		return;
	}
	buf_printf(b, "\"ns\":\"%s\",\"name\":\"%s\"}\n", ns, name);
}

/* Writes every object to a new log and puts it in the place of the old one. */
static int rewrite(struct store *s, struct err *e)
{
	char path[512], tmp[512];
	struct buf b = BUF_INIT;
	int fd;

	path_of(s, "objects.log", path);
	path_of(s, "objects.new", tmp);
	fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(e, "open %s", tmp);
	buf_printf(&b, "{\"version\":%llu}\n", (unsigned long long)s->version);
	for (size_t i = 0; i < s->nbuckets; i++)
		for (size_t k = 0; k < s->buckets[i]->n; k++)
			record(&b, s->buckets[i]->res, NULL, NULL,
				s->buckets[i]->v[k]->json);
	if (b.failed || file_write_all(fd, buf_slice(&b)) < 0 || fsync(fd) < 0 ||
		rename(tmp, path) < 0) {
		err_sys(e, "write %s", tmp);
		goto close_fd;
	}
	if (s->fd >= 0)
		close(s->fd);
	s->fd = fd;
	s->log_size = s->log_base = (int64_t)buf_len(&b);
	buf_fini(&b);
	return 0;
close_fd:
	buf_fini(&b);
	close(fd);
	unlink(tmp);
	return -1;
}

static void replay_one(struct store *s, struct json *line)
{
	const char *res = json_text_at(line, "res");
	struct json *obj = json_get(line, "obj");
	uint64_t version = (uint64_t)json_int_at(line, "version", 0);

	if (version > s->version)
		s->version = version;
	if (!res)
		return;
	if (!obj) {
		bucket_drop(store_bucket(s, res, true), json_text_or(line, "ns", ""),
			json_text_or(line, "name", ""));
		s->version++;
		return;
	}
	obj = json_detach(line, obj);
	version =
		strtoull(json_text_or(obj, "metadata.resourceVersion", "0"), NULL, 10);
	if (version > s->version)
		s->version = version;
	bucket_put(store_bucket(s, res, true), object_new(obj, version));
}

/* Reads whole lines; a line that cannot be read ends it unless others follow. */
static void replay(struct store *s, struct slice text)
{
	while (text.p && text.n) {
		const char *end = memchr(text.p, '\n', text.n);
		size_t n = end ? (size_t)(end - text.p) : text.n;
		struct err why = {.msg = "it is torn"};
		struct json *line =
			end ? json_parse((struct slice){text.p, n}, &why) : NULL;

		if (line)
			replay_one(s, line);
		else
			log_warn("local", "a record of the object log was dropped",
				LI("bytes", n), LE(&why));
		json_free(line);
		n += end != NULL;
		text.p += n;
		text.n -= n;
	}
}

static int read_file(int fd, struct buf *b)
{
	for (;;) {
		char *p = buf_room(b, 65536);
		ssize_t n = p ? read(fd, p, 65536) : -1;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return (int)n;
		buf_added(b, (size_t)n);
	}
}

int store_log_open(struct store *s, struct err *e)
{
	char path[512];
	struct buf b = BUF_INIT;
	int fd, r = 0;

	path_of(s, "objects.log", path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno != ENOENT)
		return err_sys(e, "open %s", path);
	if (fd >= 0) {
		r = read_file(fd, &b);
		close(fd);
	}
	if (r < 0)
		err_sys(e, "read %s", path);
	else
		replay(s, buf_slice(&b));
	buf_fini(&b);
	/* A copy without the past; the old log stays when there is no room for it. */
	return r < 0 ? -1 : rewrite(s, e);
}

void store_log_close(struct store *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

int store_log_write(struct store *s, const char *res, const char *ns, const char *name,
	const struct json *json, struct err *e)
{
	struct buf b = BUF_INIT;
	struct err why = {0};
	int r = 0;

	if (s->fd < 0)
		return 0;
	record(&b, res, ns, name, json);
	if (b.failed)
		r = err_set(e, ERR_LIMIT, "no memory for the object log");
	else if (file_write_all(s->fd, buf_slice(&b)) < 0) {
		r = err_sys(e, "write the object log in %s", s->cfg.dir);
		/* Half a line must not stay in front of the next one. */
		if (ftruncate(s->fd, s->log_size) < 0)
			log_error("local", "the object log could not be cut back");
	} else
		s->log_size += (int64_t)buf_len(&b);
	buf_fini(&b);
	if (r == 0 && s->log_size > 2 * s->log_base + LOG_GROWTH &&
		rewrite(s, &why) < 0) {
		log_warn("local", "the object log was not rewritten", LE(&why));
		s->log_base = s->log_size;
	}
	return r;
}
