/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EV_DNSINT_H
#define EV_DNSINT_H

/* What dns.c, dnsask.c and dnsconf.c share. */
#include <time.h>

#include "base/buf.h"
#include "ev/dns.h"
#include "wire/dns.h"

/* ---- dnsconf.c: resolv.conf and the hosts file ---- */

#define DNS_SERVERS  3
#define DNS_SEARCHES 32 /* as glibc and Kubernetes allow */

struct dns_file { /* which state of a file has been read */
	char *path;
	struct timespec changed;
	uint64_t inode;
	int64_t size;
	bool was_there, was_read;
};

struct dns_host {
	struct list node;
	struct ip ip;
	char name[DNS_NAME_MAX];
};

struct dns_conf {
	struct dns_file resolv, hosts_file;
	struct addr servers[DNS_SERVERS];
	size_t nservers;
	char searches[DNS_SEARCHES][DNS_NAME_MAX];
	size_t nsearches;
	unsigned ndots, attempts;
	uint64_t timeout;
	bool rotate;
	struct list hosts; /* struct dns_host, in the file's order */
};

int dns_conf_init(struct dns_conf *c, const char *resolv, const char *hosts);
void dns_conf_fini(struct dns_conf *c);
/* Reads what has changed since the last time. */
void dns_conf_refresh(struct dns_conf *c);
/* The addresses of `name` in the hosts file, or of localhost; returns how many. */
size_t dns_conf_hosts(
	const struct dns_conf *c, struct slice name, struct ip *out, size_t max);

/* ---- dnsask.c: one question, asked until a server answers it ---- */

enum ask_at { ASK_IDLE, ASK_NEXT, ASK_UDP, ASK_TCP_SEND, ASK_TCP_READ };

/* `answer` is a whole message that answers the question with a yes or a no (DNS_OK,
 * DNS_NO_NAME); NULL when none came: e says why.  The ask is idle again. */
struct ask;
typedef void ask_done(struct ask *a, const struct slice *answer, const struct err *e);

struct ask {
	struct loop *loop;
	const struct dns_conf *conf;
	ask_done *done;
	enum ask_at at;
	int fd;
	struct watch watch;
	struct timer timer;
	unsigned tries, first; /* which server comes first */
	bool no_edns;
	uint16_t id, type;
	char name[DNS_NAME_MAX];
	struct buf out; /* the query, its length in front as TCP wants it */
	size_t sent;
	struct buf in; /* TCP */
	struct err why;
};

void ask_init(struct ask *a, struct loop *l, const struct dns_conf *c, ask_done *done);
/* `name` is a full name.  done comes later, never from within this call. */
void ask_begin(struct ask *a, const char *name, uint16_t type);
void ask_end(struct ask *a); /* done is not called */

#endif
