/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

static int start(const struct run *r, int to, pid_t *pid, struct err *e)
{
	posix_spawn_file_actions_t act;
	int rc = posix_spawn_file_actions_init(&act);

	if (rc == 0 && !r->gives_input)
		rc = posix_spawn_file_actions_addopen(
			&act, 0, "/dev/null", O_RDONLY, 0);
	if (rc == 0)
		rc = posix_spawn_file_actions_adddup2(&act, to, 1);
	if (rc == 0)
		rc = posix_spawnp(pid, r->argv[0], &act, NULL, r->argv, r->envp);
	(void)posix_spawn_file_actions_destroy(&act);
	if (rc == 0)
		return 0;
	if (rc == ENOENT)
		return err_set(e, ERR_MISSING, "there is no program %s", r->argv[0]);
	errno = rc;
	return err_sys(e, "run %s", r->argv[0]);
}

/* What is left of the time, for poll(); -1: no limit. */
static int left(const struct run *r, uint64_t until)
{
	uint64_t now = clock_mono();

	if (!r->patience)
		return -1;
	return now < until ? (int)((until - now) / NS_PER_MS + 1) : 0;
}

static int too_slow(const struct run *r, struct err *e)
{
	return err_set(e, ERR_TIMEOUT, "%s: not done within %u s", r->argv[0],
		(unsigned)(r->patience / NS_PER_S));
}

static int read_all(const struct run *r, int fd, struct buf *out, struct err *e)
{
	uint64_t until = clock_mono() + r->patience;
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char part[4096];
	ssize_t n;

	for (;;) {
		int ready = poll(&p, 1, left(r, until));

		if (ready < 0 && errno != EINTR)
			return err_sys(e, "poll");
		if (ready == 0)
			return too_slow(r, e);
		n = ready < 0 ? -1 : read(fd, part, sizeof part);
		if (n == 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return err_sys(e, "read");
		if (n > 0 && (buf_len(out) + (size_t)n > r->max ||
				     buf_add(out, part, (size_t)n)))
			return err_set(e, ERR_LIMIT, "%s writes more than %zu bytes",
				r->argv[0], r->max);
	}
}

/* All it had to say is there, or it is to be killed. */
static int await(const struct run *r, pid_t pid, struct err *e)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_sys(e, "wait for %s", r->argv[0]);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return err_set(e, ERR_MISSING, "there is no program %s", r->argv[0]);
	return WIFEXITED(status) ? err_set(e, ERR_DENIED, "%s ends with %d", r->argv[0],
					   WEXITSTATUS(status))
				 : err_set(e, ERR_DENIED, "%s ends by signal %d",
					   r->argv[0], WTERMSIG(status));
}

int run_for_output(const struct run *r, struct buf *out, struct err *e)
{
	int fd[2], rc;
	pid_t pid;

	if (pipe2(fd, O_CLOEXEC) < 0)
		return err_sys(e, "pipe");
	rc = start(r, fd[1], &pid, e);
	close(fd[1]);
	if (rc == 0) {
		rc = read_all(r, fd[0], out, e);
		if (rc)
			kill(pid, SIGKILL);
		if (await(r, pid, rc ? NULL : e))
			rc = -1;
	}
	close(fd[0]);
	return rc;
}
