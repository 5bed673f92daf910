/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOCAL_NODEINT_H
#define LOCAL_NODEINT_H

/* Inside the node: pods, their containers, probes and logs. */
#include <limits.h>

#include "base/map.h"
#include "local/image.h"
#include "local/meta.h"
#include "local/node.h"
#include "local/podenv.h"
#include "local/podvol.h"
#include "net/conn.h"
#include "sys/box.h"
#include "sys/ns.h"

#define POD_CONTAINERS_MAX 64

struct local_node {
	struct local_node_config cfg;
	struct loop *loop;
	struct store *store;
	struct images *images;
	struct cidr pods_cidr;
	struct ip gateway; /* of all pods, and what they call the node's address */
	char self[PATH_MAX], dir[PATH_MAX - 1024];
	struct map pods; /* by namespace/name */
	uint32_t last_ip;
	struct store_watch watch;
	struct later changed;
	struct timer refresh; /* of volumes */
	int claim;            /* fd: this is the machine's node */
	char cgroup[320];     /* path of its tree; "": it has none */
	struct services *services;
	struct cluster_dns *dns;
};

enum container_kind { CONTAINER_INIT, CONTAINER_SIDECAR, CONTAINER_APP };
enum container_at { CONTAINER_WAITING, CONTAINER_RUNNING, CONTAINER_ENDED };
enum probe_kind { PROBE_STARTUP, PROBE_READINESS, PROBE_LIVENESS };

struct container;

struct probe {
	struct container *of;
	enum probe_kind kind;
	const struct json *spec; /* NULL: none */
	struct timer timer;      /* the next attempt, or the end of this one's time */
	bool asking;
	int good, bad; /* in a row */
	struct conn *conn;
	char head[16]; /* the start of an HTTP answer */
	size_t nhead;
	pid_t pid;
	struct watch exec;
};

struct log_pipe {
	struct container *of;
	const char *stream;
	struct watch watch; /* fd -1: closed */
	struct buf line;
};

struct container {
	struct pod *pod;
	const struct json *spec; /* in pod->obj's tree of the time it was admitted */
	const char *name;
	enum container_kind kind;
	enum container_at at;
	bool started, ready, stopping, image_known;
	pid_t pid;
	struct watch exit; /* fd: the pidfd */
	int restarts;
	uint64_t backoff, due; /* mono ns; not before `due` */
	uint64_t began;        /* wall ns */
	uint64_t began_mono;
	struct json *last; /* terminated state before this one */
	struct json *ended;
	char reason[64], message[240]; /* of waiting */
	struct probe probes[3];
	struct log_pipe logs[2];
	int log_fd;
	off_t log_size;
	struct watch in;  /* to its standard input; fd -1: none */
	struct buf input; /* what waits to be written there */
	bool in_ends;     /* close it after that */
	struct list attached;
	struct timer stop; /* preStop has had its time, then: kill */
	struct watch hook;
	pid_t hook_pid;
};

enum pod_at { POD_NEW, POD_UP, POD_ENDING, POD_OVER };

struct pod {
	struct local_node *node;
	struct map_node by_name;
	char key[600], uid[64], link[16];
	struct object *obj; /* the newest */
	struct json *spec;  /* what its containers' specs are in: a copy */
	enum pod_at at;
	struct ns_set ns;
	struct ip ip;
	char dir[PATH_MAX - 512];
	struct container *containers;
	size_t ncontainers;
	struct later sync;
	struct timer due, kill;
	bool doomed; /* its time is over: kill what still runs */
	bool deleting;
	char last_failure[240];
};

/* pod.c */
struct pod *pod_new(struct local_node *n, struct object *o);
void pod_changed(struct pod *p, struct object *o); /* the store has a newer one */
void pod_sync_soon(struct pod *p);
void pod_free(struct pod *p); /* kills what runs */
void pod_tell(struct pod *p, const char *type, const char *reason, const char *fmt, ...)
	PRINTF_LIKE(4, 5);
struct container *pod_container(struct pod *p, const char *name);
struct podvol pod_volumes(struct pod *p);

/* podnet.c */
int pod_net_up(struct pod *p, struct err *e);
void pod_net_down(struct pod *p);
int node_net_up(struct local_node *n, struct err *e);

/* podlimit.c */
void node_limits_up(struct local_node *n);
void node_limits_sweep(void);
void pod_limits_down(struct pod *p);
/* Makes the container's group with its limits; a fd for box.cgroup, or -1 (and those
 * who set limits are told). */
int container_limit(struct container *c);
int container_group(const struct container *c); /* the same of one that runs */
bool container_was_full(const struct container *c);

/* podrun.c */
void container_start(struct container *c);
void container_stop(struct container *c, uint64_t grace_ns); /* preStop, then TERM */
void container_kill(struct container *c);
void container_fini(struct container *c);
/* No postStart is going on: what comes after it may start. */
bool container_is_settled(const struct container *c);

/* podbox.c */
/* Fills what a process of the container needs; free with box_fini(). */
struct box_parts {
	struct words argv, env;
	struct box_mount *mounts;
	size_t nmounts;
	char **paths;
	size_t npaths;
	struct box box;
	char scratch[PATH_MAX];
};
int container_box(struct container *c, struct box_parts *b, struct err *e);
void box_fini(struct box_parts *b);
/* Runs argv in the running container. Returns a pidfd. */
int container_exec(struct container *c, char **argv, int in, int out, int err,
	pid_t *pid, struct err *e);

/* podlog.c */
void container_log_open(struct container *c, int out, int err); /* takes; -1: none */
void container_log_close(struct container *c);
void container_log_path(const struct container *c, int restart, char *out, size_t size);

/* podattach.c */
/* What it wrote, for those who are attached. */
void container_show(struct container *c, bool is_err, struct slice bytes);
void container_take_in(struct container *c, int fd); /* takes; -1: none */
void container_feed(struct container *c);
void container_close_in(struct container *c);
void container_detach(struct container *c); /* it has ended */

/* podprobe.c */
void probes_start(struct container *c);
void probes_stop(struct container *c);

/* podstatus.c */
void pod_write_status(struct pod *p);

/* services.c: Service addresses */
struct services *services_start(struct local_node *n, struct err *e);
void services_stop(struct services *s);
/* The rules for what is in the store; for tests too.  Returns owned. */
struct nft;
struct nft *services_rules(const struct store *s, const struct cidr *pods);

/* clusterdns.c, dnsanswer.c */
struct cluster_dns *cluster_dns_start(struct local_node *n, struct err *e);
void cluster_dns_stop(struct cluster_dns *d);
/* The answer to one message; false: none.  For tests too. */
bool cluster_dns_answer(const struct store *s, const char *domain, struct slice query,
	size_t max, struct buf *out);

#endif
