/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/cgroup.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "t.h"

TEST(the_tree_is_found_among_the_mounts)
{
	struct err e = {0};
	char at[64];

	OK(cgroup_mount("22 1 0:20 / /proc rw,nosuid - proc proc rw\n"
			"30 23 0:26 / /sys/fs/cgroup rw shared:9 master:2 - cgroup2 "
			"cgroup2 rw\n",
		   at, sizeof(at), &e) == 0);
	EQ_STR(at, "/sys/fs/cgroup");
	OK(cgroup_mount("23 1 0:21 / /cgroup2 rw - cgroup cgroup2 rw\n", at, sizeof(at),
		   &e) < 0);
	OK(cgroup_mount("23 1 0:21 - cgroup2\n", at, 2, &e) < 0);
	OK(cgroup_mount("", at, sizeof(at), &e) < 0);
}

/* A folder with the files of a group whose kernel has these controllers. */
static void make_file(const char *dir, const char *name)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	OK(fd >= 0);
	close(fd);
}

static void remove_file(const char *dir, const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	OK(unlink(path) == 0);
}

static void is(const char *dir, const char *name, const char *want)
{
	struct buf b = BUF_INIT;
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	OK(file_read(path, 1000, &b, NULL) == 0);
	buf_char(&b, 0);
	EQ_STR(b.p, want);
	buf_fini(&b);
}

TEST(limits_are_written_as_the_kernel_reads_them)
{
	struct cgroup_limits l = {.memory = 64 << 20, .cpu_milli = 250, .pids = 100};
	char dir[] = "/tmp/cgroup.XXXXXX";
	struct err e = {0};

	OK(mkdtemp(dir));
	make_file(dir, "memory.max");
	make_file(dir, "cpu.max");
	make_file(dir, "pids.max");
	OK(cgroup_limit(dir, &l, &e) == 0);
	is(dir, "memory.max", "67108864");
	is(dir, "cpu.max", "25000 100000");
	is(dir, "pids.max", "100");
	l.cpu_milli = 1;
	make_file(dir, "cpu.max");
	OK(cgroup_limit(dir, &l, &e) == 0);
	is(dir, "cpu.max", "1000 100000"); /* less is refused */
	remove_file(dir, "memory.max");
	remove_file(dir, "cpu.max");
	remove_file(dir, "pids.max");
	OK(rmdir(dir) == 0);
}

TEST(a_limit_that_cannot_hold_says_which)
{
	struct cgroup_limits l = {.memory = 1 << 20};
	char dir[] = "/tmp/cgroup.XXXXXX";
	struct err e = {0};

	OK(mkdtemp(dir));
	OK(cgroup_limit(dir, &l, &e) < 0);
	OK(strstr(e.msg, "memory controller"));
	l.memory = 0;
	OK(cgroup_limit(dir, &l, &e) == 0);
	OK(!cgroup_was_full(dir));
	cgroup_remove(dir, 0);
	OK(access(dir, F_OK) != 0);
	cgroup_remove(dir, 1000); /* what is not there is fine */
}
