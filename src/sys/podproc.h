/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SYS_PODPROC_H
#define SYS_PODPROC_H

/*
 * Processes of a node's pods, told by their cgroups, and by them the pods' network
 * namespaces.  Needs to see the node's processes (hostPID).
 */
#include <sys/types.h>

#include "base/slice.h"

#define POD_UID 37 /* with its end */

/* The pod that a /proc/PID/cgroup speaks of ("…/pod<uid>/…", or the systemd form with
 * '_' for '-'); false when of none. */
bool podproc_uid(struct slice cgroup, char uid[POD_UID]);

/* Calls `fn` for each process of any pod, the oldest (by number) first. */
void podproc_each(void (*fn)(void *arg, const char *uid, pid_t pid), void *arg);

/* The network namespace of that pod's process, as an fd; -1 when the process is gone,
 * or shares ours. */
int podproc_net(pid_t pid, const char *uid);

#endif
