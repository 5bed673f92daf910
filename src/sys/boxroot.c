/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/mount.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/obj.h"
#include "sys/boxint.h"

/* What a program may need of the machine; links are made again, folders bound. */
static const char *const shown[] = {"bin", "sbin", "lib", "lib64", "lib32", "usr",
	"opt", "etc/ssl", "etc/alternatives", "etc/ca-certificates", "etc/fonts",
	"etc/passwd", "etc/group", "etc/nsswitch.conf", "etc/ld.so.cache",
	"etc/ld.so.conf", "etc/localtime", "etc/protocols", "etc/services"};
static const char *const folders[] = {"etc", "proc", "sys", "dev", "dev/shm", "dev/pts",
	"run", "var", "var/run", "var/tmp", "var/log", "var/lib", "var/cache", "tmp",
	"root", "home", "mnt", ".old"};
static const char *const devices[] = {
	"null", "zero", "full", "random", "urandom", "tty"};

static int bind_at(const char *from, const char *to, bool readonly)
{
	struct mount_attr ro = {.attr_set = MOUNT_ATTR_RDONLY};

	if (mount(from, to, NULL, MS_BIND | MS_REC, NULL))
		return -1;
	if (readonly &&
		syscall(SYS_mount_setattr, AT_FDCWD, to, AT_RECURSIVE, &ro,
			sizeof(ro)) &&
		errno != ENOSYS)
		return -1;
	return 0;
}

static int make_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	if (fd < 0)
		return -1;
	close(fd);
	return 0;
}

/* The folders above `path` that are not there, from `from` on. */
static int make_above(char *path, size_t from)
{
	for (char *p = path + from + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = 0;
		if (mkdir(path, 0755) && errno != EEXIST)
			return -1;
		*p = '/';
	}
	return 0;
}

static int show(const char *root, const char *name)
{
	char from[PATH_MAX], to[PATH_MAX], link[PATH_MAX];
	struct stat st;
	ssize_t n;

	snprintf(from, sizeof(from), "/%s", name);
	snprintf(to, sizeof(to), "%s/%s", root, name);
	if (lstat(from, &st))
		return 0;
	if (S_ISLNK(st.st_mode)) {
		n = readlink(from, link, sizeof(link) - 1);
		if (n < 0)
			return -1;
		link[n] = 0;
		return symlink(link, to);
	}
	if (S_ISDIR(st.st_mode) ? mkdir(to, 0755) : make_file(to))
		return -1;
	return bind_at(from, to, true);
}

static int make_devices(const char *root)
{
	char from[64], to[PATH_MAX];

	for (size_t i = 0; i < countof(devices); i++) {
		snprintf(from, sizeof(from), "/dev/%s", devices[i]);
		snprintf(to, sizeof(to), "%s/dev/%s", root, devices[i]);
		if (make_file(to) || bind_at(from, to, false))
			return -1;
	}
	snprintf(to, sizeof(to), "%s/dev/pts", root);
	(void)bind_at("/dev/pts", to, false); /* only terminals need it */
	snprintf(to, sizeof(to), "%s/dev/shm", root);
	if (mount("tmpfs", to, "tmpfs", MS_NOSUID | MS_NODEV, "size=64m"))
		return -1;
	snprintf(to, sizeof(to), "%s/dev/fd", root);
	if (symlink("/proc/self/fd", to))
		return -1;
	snprintf(to, sizeof(to), "%s/dev/stdout", root);
	(void)!symlink("/proc/self/fd/1", to);
	snprintf(to, sizeof(to), "%s/dev/stderr", root);
	(void)!symlink("/proc/self/fd/2", to);
	return 0;
}

static int make_base(const char *root)
{
	char path[PATH_MAX];

	for (size_t i = 0; i < countof(folders); i++) {
		snprintf(path, sizeof(path), "%s/%s", root, folders[i]);
		if (mkdir(path, 0755) ||
			(strstr(path, "/tmp") && strlen(folders[i]) < 8 &&
				strstr(folders[i], "tmp") && chmod(path, 01777)))
			return -1;
	}
	for (size_t i = 0; i < countof(shown); i++)
		if (show(root, shown[i]))
			return -1;
	snprintf(path, sizeof(path), "%s/proc", root);
	if (mount("proc", path, "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL))
		return -1;
	snprintf(path, sizeof(path), "%s/sys", root);
	(void)bind_at("/sys", path, true); /* some sandboxes have none */
	return make_devices(root);
}

static int put_mount(const struct box *b, const struct box_mount *m, struct err *e)
{
	char to[PATH_MAX];
	struct stat st;
	int n = snprintf(to, sizeof(to), "%s%s", b->scratch, m->target);

	if (n < 0 || (size_t)n >= sizeof(to))
		return err_set(e, ERR_LIMIT, "mount %s: too long", m->target);
	if (make_above(to, strlen(b->scratch)))
		return err_sys(e, "mount %s", m->target);
	if (!m->source) {
		if ((mkdir(to, 01777) && errno != EEXIST) ||
			mount("tmpfs", to, "tmpfs", MS_NOSUID | MS_NODEV, "size=64m"))
			return err_sys(e, "mount tmpfs at %s", m->target);
		return 0;
	}
	if (stat(m->source, &st))
		return err_sys(e, "mount %s", m->source);
	if (S_ISDIR(st.st_mode) ? mkdir(to, 0755) && errno != EEXIST
				: access(to, F_OK) && make_file(to))
		return err_sys(e, "mount at %s", m->target);
	if (bind_at(m->source, to, m->readonly))
		return err_sys(e, "mount %s at %s", m->source, m->target);
	return 0;
}

int box_root(const struct box *b, struct err *e)
{
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
		mount("tmpfs", b->scratch, "tmpfs", MS_NOSUID, "size=256m,mode=755"))
		return err_sys(e, "mount its root");
	if (make_base(b->scratch))
		return err_sys(e, "furnish its root");
	for (size_t i = 0; i < b->nmounts; i++)
		if (put_mount(b, &b->mounts[i], e))
			return -1;
	if (chdir(b->scratch) || syscall(SYS_pivot_root, ".", ".old") || chdir("/") ||
		umount2("/.old", MNT_DETACH))
		return err_sys(e, "change its root");
	(void)rmdir("/.old"); /* empty, harmless */
	if (b->root_readonly &&
		mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL))
		return err_sys(e, "make its root read-only");
	return 0;
}
