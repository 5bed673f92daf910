/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/box.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/obj.h"
#include "sys/boxint.h"

/* ---- capabilities ---- */

static const char *const cap_names[] = {"CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH",
	"FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP", "LINUX_IMMUTABLE",
	"NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK",
	"IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT",
	"SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME",
	"SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
	"MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND",
	"AUDIT_READ", "PERFMON", "BPF", "CHECKPOINT_RESTORE"};

uint64_t box_cap(const char *name)
{
	if (strcmp(name, "ALL") == 0)
		return BOX_CAPS_ALL;
	if (strncmp(name, "CAP_", 4) == 0)
		name += 4;
	for (size_t i = 0; i < countof(cap_names); i++)
		if (strcmp(cap_names[i], name) == 0)
			return UINT64_C(1) << i;
	return 0;
}

static int set_caps(uint64_t caps)
{
	struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct d[2];

	for (int i = 0; i < 2; i++) {
		d[i].effective = d[i].permitted = d[i].inheritable =
			(uint32_t)(caps >> 32 * i);
	}
	return (int)syscall(SYS_capset, &h, d);
}

/* As root: what is bounded.  As another: kept over the change of user, and ambient. */
static int become(const struct box *b)
{
	for (unsigned i = 0; i < countof(cap_names); i++)
		if (!(b->caps >> i & 1))
			(void)prctl(PR_CAPBSET_DROP, i); /* unknown to old kernels */
	if (prctl(PR_SET_KEEPCAPS, 1) || setgroups(0, NULL) ||
		setresgid(b->gid, b->gid, b->gid) || setresuid(b->uid, b->uid, b->uid))
		return -1;
	if (b->uid == 0)
		return set_caps(b->caps);
	/* Only what was asked for beyond the default is for everybody. */
	if (set_caps(b->caps & ~BOX_CAPS_DEFAULT))
		return -1;
	for (unsigned i = 0; i < countof(cap_names); i++)
		if ((b->caps & ~BOX_CAPS_DEFAULT) >> i & 1)
			(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, i, 0, 0);
	return 0;
}

/* ---- in the child ---- */

static void child_fail(int say, const char *what)
{
	struct err e = {0};

	err_sys(&e, "%s", what);
	(void)!write(say, &e, sizeof(e)); /* nobody else to tell */
	_exit(127);
}

static void take_fd(int fd, int as, int null)
{
	(void)dup2(fd >= 0 ? fd : null, as);
}

/* Everything but 0, 1, 2 is close-on-exec already; make sure. */
static void set_fds(const struct box *b)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	take_fd(b->in, 0, null);
	take_fd(b->out, 1, null);
	take_fd(b->err, 2, null);
	(void)syscall(SYS_close_range, 3U, ~0U, 1U << 2 /* CLOSE_RANGE_CLOEXEC */);
}

static void reset_signals(void)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (int i = 1; i < 32; i++)
		(void)signal(i, SIG_DFL);
}

static void run(const struct box *b, int say)
{
	char *path = NULL;

	set_fds(b);
	if (become(b))
		child_fail(say, "become its user");
	if (b->no_new_privileges)
		(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* a change of user clears it */
	reset_signals();
	for (char **p = b->envp; *p; p++)
		if (strncmp(*p, "PATH=", 5) == 0)
			path = *p + 5;
	if (path)
		(void)setenv("PATH", path, 1);
	execvpe(b->argv[0], b->argv, b->envp);
	child_fail(say, b->argv[0]);
}

static void child(const struct box *b, int say)
{
	struct err e = {0};

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	setsid();
	if (b->in >= 0 && isatty(b->in))
		(void)ioctl_tty(b->in);
	if (b->cgroup >= 0)
		(void)!write(b->cgroup, "0", 1);
	if (ns_join(&b->ns, &e) || box_root(b, &e)) {
		(void)!write(say, &e, sizeof(e));
		_exit(127);
	}
	if (chdir(b->cwd && *b->cwd ? b->cwd : "/"))
		child_fail(say, b->cwd);
	run(b, say);
}

/* ---- in the parent ---- */

static pid_t clone_pidfd(uint64_t flags, int *pidfd)
{
	struct clone_args a = {.flags = flags | CLONE_PIDFD,
		.pidfd = (uint64_t)(uintptr_t)pidfd,
		.exit_signal = SIGCHLD};

	return (pid_t)syscall(SYS_clone3, &a, sizeof(a));
}

/* The child's word on why it failed; nothing when it was executed. */
static int heard(int fd, pid_t pid, int pidfd, struct err *e)
{
	struct err why;
	ssize_t n;

	do
		n = read(fd, &why, sizeof(why));
	while (n < 0 && errno == EINTR);
	if (n != sizeof(why))
		return pidfd;
	if (e)
		*e = why;
	(void)waitpid(pid, NULL, 0);
	close(pidfd);
	return -1;
}

int box_start(const struct box *b, pid_t *pid, struct err *e)
{
	int say[2], pidfd = -1;

	if (pipe2(say, O_CLOEXEC))
		return err_sys(e, "pipe");
	*pid = clone_pidfd(CLONE_NEWPID | CLONE_NEWNS, &pidfd);
	if (*pid == 0) {
		close(say[0]);
		child(b, say[1]);
	}
	close(say[1]);
	if (*pid < 0)
		err_sys(e, "clone");
	else
		pidfd = heard(say[0], *pid, pidfd, e);
	close(say[0]);
	return pidfd;
}

/* Waits for the process within and ends as it did. */
static void follow(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			_exit(1);
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

static void enter(int into, const struct box *b, int say)
{
	pid_t pid;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	setsid();
	if (setns(into, CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWUTS |
				CLONE_NEWIPC))
		child_fail(say, "join the container");
	pid = fork();
	if (pid < 0)
		child_fail(say, "fork");
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (b->cgroup >= 0)
			(void)!write(b->cgroup, "0", 1);
		if (b->in >= 0 && isatty(b->in)) {
			setsid();
			(void)ioctl_tty(b->in);
		}
		if (b->cwd && chdir(b->cwd) && chdir("/"))
			child_fail(say, b->cwd);
		run(b, say);
	}
	/* It holds nothing: others wait for the ends of these pipes. */
	(void)syscall(SYS_close_range, 0U, ~0U, 0U);
	follow(pid);
}

int box_enter(int into, const struct box *b, pid_t *pid, struct err *e)
{
	int say[2], pidfd = -1;

	if (pipe2(say, O_CLOEXEC))
		return err_sys(e, "pipe");
	*pid = clone_pidfd(0, &pidfd);
	if (*pid == 0) {
		close(say[0]);
		enter(into, b, say[1]);
	}
	close(say[1]);
	if (*pid < 0)
		err_sys(e, "clone");
	else
		pidfd = heard(say[0], *pid, pidfd, e);
	close(say[0]);
	return pidfd;
}

int box_reap(pid_t pid, int *status)
{
	return waitpid(pid, status, WNOHANG) == pid ? 0 : -1;
}

int box_kill(int pidfd, int signo)
{
	return (int)syscall(SYS_pidfd_send_signal, pidfd, signo, NULL, 0);
}
