/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/podproc.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

#define CGROUP_MAX ((size_t)16 * 1024)

static bool is_uid(const char *p, char uid[POD_UID])
{
	for (size_t i = 0; i < POD_UID - 1; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;
		bool hex = (p[i] >= '0' && p[i] <= '9') || (p[i] >= 'a' && p[i] <= 'f');

		if (dash ? p[i] != '-' && p[i] != '_' : !hex)
			return false;
		uid[i] = (char)(dash ? '-' : p[i]);
	}
	uid[POD_UID - 1] = '\0';
	return true;
}

bool podproc_uid(struct slice s, char uid[POD_UID])
{
	for (size_t i = 0; s.p && i + 4 + POD_UID - 1 <= s.n; i++)
		if ((s.p[i] == '/' || s.p[i] == '-') &&
			memcmp(s.p + i + 1, "pod", 3) == 0 && is_uid(s.p + i + 4, uid))
			return true;
	return false;
}

static bool uid_of(pid_t pid, char uid[POD_UID])
{
	struct buf b = BUF_INIT;
	char path[64];
	bool found;

	snprintf(path, sizeof path, "/proc/%d/cgroup", (int)pid);
	found = file_read(path, CGROUP_MAX, &b, NULL) == 0 &&
		podproc_uid(buf_slice(&b), uid);
	buf_fini(&b);
	return found;
}

void podproc_each(void (*fn)(void *arg, const char *uid, pid_t pid), void *arg)
{
	DIR *d = opendir("/proc");
	struct dirent *it;
	char uid[POD_UID];
	uint64_t pid;

	/* The kernel lists processes in the order of their numbers. */
	while (d && (it = readdir(d)))
		if (slice_u64(slice_of(it->d_name), INT32_MAX, &pid) &&
			uid_of((pid_t)pid, uid))
			fn(arg, uid, (pid_t)pid);
	if (d)
		closedir(d);
}

/* Whether it is ours. */
static bool is_own(int fd)
{
	struct stat own, st;

	return stat("/proc/self/ns/net", &own) || fstat(fd, &st) ||
	       (own.st_ino == st.st_ino && own.st_dev == st.st_dev);
}

int podproc_net(pid_t pid, const char *uid)
{
	char path[64], now[POD_UID];
	int fd;

	snprintf(path, sizeof path, "/proc/%d/ns/net", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	/* Its number may have been given to another process meanwhile. */
	if (fd >= 0 && uid_of(pid, now) && strcmp(now, uid) == 0 && !is_own(fd))
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}
