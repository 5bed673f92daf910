/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/obj.h"
#include "base/slice.h"

#define CPU_PERIOD 100000 /* µs */
#define DEPTH_MAX  8
#define LOOK_MS    10

/* ---- where it is ---- */

/* "36 25 0:31 / /sys/fs/cgroup rw,… [tags] - cgroup2 cgroup2 rw" (proc(5)). */
static bool is_cgroup2(struct slice line, struct slice *at)
{
	struct slice word;
	int i = 0;

	*at = SLICE_NONE;
	while (slice_cut(&line, ' ', &word)) {
		if (i++ == 4)
			*at = word;
		if (slice_is(word, "-"))
			return slice_cut(&line, ' ', &word) &&
			       slice_is(word, "cgroup2");
	}
	return false;
}

int cgroup_mount(const char *mounts, char *out, size_t size, struct err *e)
{
	struct slice rest = slice_of(mounts), line, at;

	while (slice_cut(&rest, '\n', &line))
		if (is_cgroup2(line, &at) && at.n && at.n < size) {
			snprintf(out, size, "%.*s", SLICE_FMT(at));
			return 0;
		}
	return err_set(e, ERR_MISSING, "no cgroup2 file system is mounted here");
}

/* ---- files of a group ---- */

static int open_in(const char *path, const char *file, int flags)
{
	char name[PATH_MAX];

	snprintf(name, sizeof(name), "%.4000s/%s", path, file);
	return open(name, flags | O_CLOEXEC);
}

static bool put(const char *path, const char *file, const char *text)
{
	int fd = open_in(path, file, O_WRONLY), saved;
	bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	saved = errno;
	if (fd >= 0)
		close(fd);
	errno = saved;
	return ok;
}

int cgroup_make(const char *path, struct err *e)
{
	static const char *const controllers[] = {"+memory", "+cpu", "+pids"};

	if (mkdir(path, 0755) && errno != EEXIST)
		return err_sys(e, "make %s", path);
	/* Which of them are there shows when one limits. */
	for (size_t i = 0; i < countof(controllers); i++)
		(void)put(path, "cgroup.subtree_control", controllers[i]);
	return 0;
}

static bool put_number(const char *path, const char *file, int64_t n)
{
	char text[32];

	snprintf(text, sizeof(text), "%lld", (long long)n);
	return put(path, file, text);
}

static bool put_cpu(const char *path, int64_t milli)
{
	int64_t quota =
		milli > INT64_MAX / CPU_PERIOD ? INT64_MAX : milli * CPU_PERIOD / 1000;
	char text[64];

	if (quota < 1000) /* the kernel's least */
		quota = 1000;
	snprintf(text, sizeof(text), "%lld %d", (long long)quota, CPU_PERIOD);
	return put(path, "cpu.max", text);
}

static int cannot(const char *what, struct err *e)
{
	if (errno == ENOENT)
		return err_set(e, ERR_MISSING,
			"the %s controller is not to be had here", what);
	return err_sys(e, "limit %s", what);
}

int cgroup_limit(const char *path, const struct cgroup_limits *l, struct err *e)
{
	int rc = 0;

	if (l->pids && !put_number(path, "pids.max", l->pids))
		rc = cannot("pids", e);
	if (l->cpu_milli && !put_cpu(path, l->cpu_milli))
		rc = cannot("cpu", e);
	if (l->memory && !put_number(path, "memory.max", l->memory))
		rc = cannot("memory", e);
	if (l->memory) /* all of it ends, not one process: old kernels do not know */
		(void)put(path, "memory.oom.group", "1");
	return rc;
}

int cgroup_open(const char *path)
{
	return open_in(path, "cgroup.procs", O_WRONLY);
}

bool cgroup_was_full(const char *path)
{
	char text[512], *at;
	int fd = open_in(path, "memory.events", O_RDONLY);
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = 0;
	at = strstr(text, "oom_kill ");
	return at && strtol(at + 9, NULL, 10) > 0;
}

/* ---- the end ---- */

static bool is_group(int parent, const struct dirent *d)
{
	struct stat st;

	return d->d_name[0] != '.' &&
	       fstatat(parent, d->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISDIR(st.st_mode);
}

/* From the leaves up.  False when one is still in use. */
static bool remove_tree(const char *path, int depth)
{
	DIR *dir = depth < DEPTH_MAX ? opendir(path) : NULL;
	char below[PATH_MAX];
	bool ok = true;

	for (struct dirent *d; dir && (d = readdir(dir));)
		if (is_group(dirfd(dir), d)) {
			snprintf(below, sizeof(below), "%.3800s/%s", path, d->d_name);
			ok = remove_tree(below, depth + 1) && ok;
		}
	if (dir)
		closedir(dir);
	return (rmdir(path) == 0 || errno == ENOENT) && ok;
}

void cgroup_remove(const char *path, int wait_ms)
{
	(void)put(path, "cgroup.kill", "1");
	while (!remove_tree(path, 0) && wait_ms > 0) {
		usleep(LOOK_MS * 1000);
		wait_ms -= LOOK_MS;
	}
}
