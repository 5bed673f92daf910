/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SYS_BOX_H
#define SYS_BOX_H

/*
 * A process in namespaces of its own: a container without an image format.
 *
 * It is the first of a new PID namespace, so that all it starts ends with it, and it
 * ends with the thread that started it.  Its root is a small tmpfs with the machine's
 * programs read-only (/usr, /bin, /lib …), a few files of /etc, its own /proc, /dev,
 * /tmp, /run and /var, and the mounts asked for; all of that ends with it too.
 */
#include <sys/types.h>

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "sys/ns.h"

struct box_mount {
	const char *source; /* a file or folder; NULL: a tmpfs */
	const char *target; /* absolute; made when absent */
	bool readonly;
};

struct box {
	char **argv, **envp; /* argv[0] is looked up in PATH of envp */
	const char *cwd;     /* NULL: "/" */
	const char *scratch; /* an empty folder of the caller's to mount on */
	struct ns_set ns;    /* to join */
	const struct box_mount *mounts;
	size_t nmounts;
	uint32_t uid, gid;
	uint64_t caps; /* those kept, by number */
	bool root_readonly, no_new_privileges;
	int in, out, err; /* fds; -1: /dev/null */
	int cgroup;       /* fd of cgroup.procs to join; -1: none */
};

#define BOX_CAPS_DEFAULT UINT64_C(0x00000000a80425fb) /* what containers have */
#define BOX_CAPS_ALL     UINT64_C(0x000001ffffffffff)

/* "NET_ADMIN", "CAP_NET_ADMIN" or "ALL" as bits; 0 when unknown. */
uint64_t box_cap(const char *name);

/* Returns the pidfd, or -1 when it could not be set up or executed.  *pid as seen here.
 * Reap it with box_reap(). */
int box_start(const struct box *b, pid_t *pid, struct err *e);

/* A further process beside one that runs (of pidfd): argv, envp, uid, gid, caps, in,
 * out, err, cgroup of `b` count.  Returns a pidfd of a helper that ends as the process
 * does. */
int box_enter(int pidfd, const struct box *b, pid_t *pid, struct err *e);

/* After the pidfd became readable: what waitpid() says.  Closes nothing. */
int box_reap(pid_t pid, int *status);
int box_kill(int pidfd, int signo);

#endif
