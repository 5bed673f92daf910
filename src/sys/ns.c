/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/ns.h"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/obj.h"

static int open_ns(pid_t pid, const char *kind)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, kind);
	return open(path, O_RDONLY | O_CLOEXEC);
}

static int lo_up(void)
{
	struct ifreq r = {.ifr_name = "lo"};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), rc;

	if (fd < 0)
		return -1;
	r.ifr_flags = IFF_UP | IFF_RUNNING;
	rc = ioctl(fd, SIOCSIFFLAGS, &r);
	close(fd);
	return rc;
}

/* The child: makes them, says so, waits until they are held. */
static void live_in_new(int say, int hold, const char *hostname)
{
	char ok = 1;

	if (unshare(CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC) || lo_up() ||
		sethostname(hostname, strlen(hostname)) || write(say, &ok, 1) != 1)
		_exit(1);
	while (read(hold, &ok, 1) > 0)
		;
	_exit(0);
}

static int hold_all(struct ns_set *out, pid_t pid, int heard, struct err *e)
{
	char ok;

	*out = NS_NONE;
	if (read(heard, &ok, 1) != 1)
		return err_set(e, ERR_DENIED, "namespaces cannot be made here");
	out->net = open_ns(pid, "net");
	out->uts = open_ns(pid, "uts");
	out->ipc = open_ns(pid, "ipc");
	if (out->net >= 0 && out->uts >= 0 && out->ipc >= 0)
		return 0;
	err_sys(e, "hold namespace");
	ns_close(out);
	return -1;
}

int ns_make(struct ns_set *out, const char *hostname, struct err *e)
{
	int say[2], hold[2], rc;
	pid_t pid;

	if (pipe2(say, O_CLOEXEC))
		return err_sys(e, "pipe");
	if (pipe2(hold, O_CLOEXEC)) {
		close(say[0]);
		close(say[1]);
		return err_sys(e, "pipe");
	}
	pid = fork();
	if (pid == 0) {
		close(hold[1]);
		close(say[0]);
		live_in_new(say[1], hold[0], hostname);
	}
	close(say[1]);
	close(hold[0]);
	rc = pid < 0 ? err_sys(e, "fork") : hold_all(out, pid, say[0], e);
	close(say[0]);
	close(hold[1]);
	if (pid > 0)
		(void)waitpid(pid, NULL, 0); /* it ends when `hold` is closed */
	return rc;
}

static void close_one(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void ns_close(struct ns_set *s)
{
	close_one(&s->net);
	close_one(&s->uts);
	close_one(&s->ipc);
}

int ns_join(const struct ns_set *s, struct err *e)
{
	const struct {
		int fd, kind;
		const char *name;
	} each[] = {{s->net, CLONE_NEWNET, "network"}, {s->uts, CLONE_NEWUTS, "uts"},
		{s->ipc, CLONE_NEWIPC, "ipc"}};

	for (size_t i = 0; i < countof(each); i++)
		if (each[i].fd >= 0 && setns(each[i].fd, each[i].kind))
			return err_sys(e, "join %s namespace", each[i].name);
	return 0;
}

int ns_join_net(const char *path, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int rc;

	if (fd < 0)
		return err_sys(e, "open %s", path);
	rc = setns(fd, CLONE_NEWNET) ? err_sys(e, "join network namespace %s", path)
				     : 0;
	close(fd);
	return rc;
}

int ns_net_enter(int net, struct err *e)
{
	int back = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

	if (back < 0)
		return err_sys(e, "open own network namespace");
	if (setns(net, CLONE_NEWNET)) {
		close(back);
		return err_sys(e, "join network namespace");
	}
	return back;
}

void ns_net_leave(int back)
{
	must(setns(back, CLONE_NEWNET) == 0);
	close(back);
}
