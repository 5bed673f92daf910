/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SYS_CGROUP_H
#define SYS_CGROUP_H

/*
 * Control groups (version 2), named by their paths in the file system.
 *
 * What they cannot limit, because the kernel or whoever runs this machine does not give
 * the controller, is told by cgroup_limit(); groups without limits are made where
 * groups can be made at all.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct cgroup_limits {
	int64_t memory;    /* bytes; 0: none, here and below */
	int64_t cpu_milli; /* thousandths of one CPU */
	int64_t pids;
};

/* Where the tree is mounted; `mounts` is the text of a mountinfo file.  -1: nowhere. */
int cgroup_mount(const char *mounts, char *out, size_t size, struct err *e);

/* Makes the group, and lets those below it limit what it may itself. */
int cgroup_make(const char *path, struct err *e);
/* -1: not all of them hold; e says which and why. */
int cgroup_limit(const char *path, const struct cgroup_limits *l, struct err *e);
/* For box.cgroup: an fd to write "0" to, or -1. */
int cgroup_open(const char *path);
/* A process of it was ended because there was no memory left within the limit. */
bool cgroup_was_full(const char *path);

/* Ends what is in it and in those below it, and takes all of them away; waits for
 * the ends up to `wait_ms`.  What is not there is fine. */
void cgroup_remove(const char *path, int wait_ms);

#endif
