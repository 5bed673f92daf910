/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits of containers, where there is a control group tree that can be written:
 * <mount>/mesh-local-<net>/<pod's uid>/<container>.  <net> is the number of the node's
 * network namespace, as there is one node in each.  Elsewhere pods run without limits,
 * and are told.
 */
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "local/nodeint.h"
#include "sys/cgroup.h"

#define POD_PIDS_MAX 4096 /* a pod that forks without end must not end the machine */
#define MOUNTS_MAX   ((size_t)1 << 20)
#define END_MS       2000

static int tree_path(char *out, size_t size, struct err *e)
{
	struct buf mounts = BUF_LIMIT(MOUNTS_MAX);
	char mount[256];
	struct stat net;
	int rc = file_read("/proc/self/mountinfo", MOUNTS_MAX, &mounts, e);

	if (rc == 0 && buf_char(&mounts, '\0') == 0)
		rc = cgroup_mount(mounts.p, mount, sizeof(mount), e);
	if (rc == 0 && stat("/proc/self/ns/net", &net))
		rc = err_sys(e, "look at the network namespace");
	if (rc == 0)
		snprintf(out, size, "%s/mesh-local-%llu", mount,
			(unsigned long long)net.st_ino);
	buf_fini(&mounts);
	return rc;
}

void node_limits_up(struct local_node *n)
{
	struct err e = {0};
	char *slash;

	if (tree_path(n->cgroup, sizeof(n->cgroup), &e) == 0) {
		slash = strrchr(n->cgroup, '/');
		*slash = 0;
		(void)cgroup_make(n->cgroup, NULL); /* the mount: lets ours limit */
		*slash = '/';
		if (cgroup_make(n->cgroup, &e) == 0)
			return;
	}
	n->cgroup[0] = 0;
	log_info("node", "limits are not enforced", LE(&e));
}

void node_limits_sweep(void)
{
	char path[320];

	if (tree_path(path, sizeof(path), NULL) == 0)
		cgroup_remove(path, END_MS);
}

static bool pod_path(const struct pod *p, const char *container, char *out, size_t size)
{
	snprintf(out, size, "%s/%s%s%s", p->node->cgroup, p->uid, *container ? "/" : "",
		container);
	return *p->node->cgroup;
}

void pod_limits_down(struct pod *p)
{
	char path[700];

	if (pod_path(p, "", path, sizeof(path)))
		cgroup_remove(path, 0);
}

/* ---- a container's ---- */

static void tell(struct container *c, const char *why)
{
	pod_tell(c->pod, "Warning", "LimitsNotEnforced",
		"Limits of container %s are not enforced: %s", c->name, why);
}

static int64_t limit_of(const struct container *c, const char *name)
{
	int64_t n = resource_milli(c->spec, "limits", name);

	return n > 0 ? n : 0;
}

static int make_group(struct container *c, const char *path, struct err *e)
{
	static const struct cgroup_limits whole = {.pids = POD_PIDS_MAX};
	char parent[700];

	(void)pod_path(c->pod, "", parent, sizeof(parent));
	if (cgroup_make(parent, e))
		return -1;
	(void)cgroup_limit(parent, &whole, NULL); /* nobody asked for this one */
	cgroup_remove(path, 0);                   /* what it counted before */
	return cgroup_make(path, e);
}

int container_limit(struct container *c)
{
	struct cgroup_limits l = {.memory = limit_of(c, "memory") / 1000,
		.cpu_milli = limit_of(c, "cpu")};
	struct err e = {0};
	char path[700];
	int fd = -1;

	if (!pod_path(c->pod, c->name, path, sizeof(path))) {
		if (l.memory || l.cpu_milli)
			tell(c, "no control groups can be made here");
		return -1;
	}
	if (make_group(c, path, &e) == 0) {
		(void)cgroup_limit(path, &l, &e);
		fd = cgroup_open(path);
	}
	if (e.code)
		tell(c, e.msg);
	return fd;
}

int container_group(const struct container *c)
{
	char path[700];

	return pod_path(c->pod, c->name, path, sizeof(path)) ? cgroup_open(path) : -1;
}

bool container_was_full(const struct container *c)
{
	char path[700];

	return pod_path(c->pod, c->name, path, sizeof(path)) && cgroup_was_full(path);
}
