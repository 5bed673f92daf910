/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SYS_NS_H
#define SYS_NS_H

/*
 * Namespaces.  A namespace lives as long as a process is in it or an fd refers to it;
 * ours are held by fds only, so that they end with the process that made them.
 */
#include "base/err.h"

/* The network, host name and IPC namespaces of a pod. */
struct ns_set {
	int net, uts, ipc; /* fds; -1: none */
};
#define NS_NONE ((struct ns_set){-1, -1, -1})

/* New ones, with `lo` up and the host name set. */
int ns_make(struct ns_set *out, const char *hostname, struct err *e);
void ns_close(struct ns_set *s);

/* Puts the calling process (or thread) into those that are not -1. */
int ns_join(const struct ns_set *s, struct err *e);
/* The network namespace at `path`, for good. */
int ns_join_net(const char *path, struct err *e);

/* The calling thread works in network namespace `net` between the two.  Returns the fd
 * to go back with, or -1. */
int ns_net_enter(int net, struct err *e);
void ns_net_leave(int back);

#endif
