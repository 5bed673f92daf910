/* SPDX-License-Identifier: Apache-2.0 */
#include "local/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void path_of(const char *dir, const char *name, char out[512])
{
	snprintf(out, 512, "%s/%s", dir, name);
}

/* ---- the lock ---- */

int daemon_lock(const char *dir, struct err *e)
{
	struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	char path[512];
	int fd;

	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return err_sys(e, "make %s", dir);
	path_of(dir, "lock", path);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(e, "open %s", path);
	if (fcntl(fd, F_SETLK, &l) == 0)
		return fd;
	close(fd);
	return err_set(e, ERR_BUSY, "it runs already in %s", dir);
}

pid_t daemon_pid(const char *dir)
{
	struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	char path[512];
	int fd;

	path_of(dir, "lock", path);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return 0;
	if (fcntl(fd, F_GETLK, &l) < 0)
		l.l_type = F_UNLCK;
	close(fd);
	return l.l_type == F_UNLCK ? 0 : l.l_pid;
}

/* ---- going into the background ---- */

static int become_daemon(const char *dir, struct err *e)
{
	char path[512];
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), log;

	path_of(dir, "log", path);
	log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (null < 0 || log < 0)
		return err_sys(e, "open %s", path);
	if (setsid() < 0 || dup2(null, 0) < 0 || dup2(log, 1) < 0 || dup2(log, 2) < 0)
		return err_sys(e, "leave the terminal");
	close(null);
	close(log);
	(void)prctl(PR_SET_NAME, "mesh-local"); /* only what ps shows */
	return 0;
}

void daemon_ready(int ready_fd, const struct err *failed)
{
	const char *text = failed ? failed->msg : "";

	/* The parent may have been ended: nobody to tell. */
	(void)!write(ready_fd, text, strlen(text) + 1);
	close(ready_fd);
}

/* One text that ends with a zero byte: "" is ready; nothing at all: it died. */
static int wait_ready(int fd, struct err *e)
{
	char text[240] = "";
	size_t n = 0;

	while (n < sizeof(text) - 1) {
		ssize_t r = read(fd, text + n, sizeof(text) - 1 - n);

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return err_set(
				e, ERR_CLOSED, "it ended at its start; see its log");
		n += (size_t)r;
		if (!text[n - 1])
			break;
	}
	return text[0] ? err_set(e, ERR_SYS, "%s", text) : 0;
}

pid_t daemon_begin(const char *dir, int *ready_fd, struct err *e)
{
	int fds[2], r;
	pid_t pid;

	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return err_sys(e, "make %s", dir);
	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_sys(e, "pipe");
	pid = fork();
	if (pid < 0) {
		close(fds[0]);
		close(fds[1]);
		return err_sys(e, "fork");
	}
	if (pid == 0) {
		struct err why = {0};

		close(fds[0]);
		*ready_fd = fds[1];
		if (become_daemon(dir, &why) == 0)
			return 0;
		daemon_ready(fds[1], &why);
		_exit(1);
	}
	close(fds[1]);
	r = wait_ready(fds[0], e);
	close(fds[0]);
	if (r < 0)
		(void)waitpid(pid, NULL, 0);
	return r < 0 ? -1 : pid;
}

/* ---- its end ---- */

static int wait_gone(const char *dir, int seconds)
{
	struct timespec tick = {.tv_nsec = 50 * 1000 * 1000};

	for (int i = 0; i < seconds * 20; i++) {
		if (!daemon_pid(dir))
			return 0;
		nanosleep(&tick, NULL);
	}
	return -1;
}

int daemon_end(const char *dir, int seconds, struct err *e)
{
	pid_t pid = daemon_pid(dir);

	if (!pid)
		return 0;
	if (kill(pid, SIGTERM) < 0 && errno != ESRCH)
		return err_sys(e, "end process %d", (int)pid);
	if (wait_gone(dir, seconds) == 0)
		return 0;
	pid = daemon_pid(dir);
	if (pid && kill(pid, SIGKILL) < 0 && errno != ESRCH)
		return err_sys(e, "kill process %d", (int)pid);
	if (wait_gone(dir, 5) == 0)
		return 0;
	return err_set(e, ERR_TIMEOUT, "process %d does not end", (int)pid);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st;
	(void)kind;
	(void)at;
	return remove(path) < 0 && errno != ENOENT ? -1 : 0;
}

int dir_remove(const char *dir, struct err *e)
{
	if (nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) < 0 &&
		errno != ENOENT)
		return err_sys(e, "remove %s", dir);
	return 0;
}
