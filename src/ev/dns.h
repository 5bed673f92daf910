/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EV_DNS_H
#define EV_DNS_H

/*
 * Names to addresses, without blocking: a stub resolver that follows resolv.conf(5)
 * (nameserver, search, domain; options ndots, timeout, attempts, rotate) and reads
 * /etc/hosts first.  Both files are read again when they change.  A nameserver may also
 * be "address:port".  UDP, and TCP for answers that do not fit.  One per loop; nothing
 * is cached.  Literal addresses, names in the hosts file and localhost are answered in
 * the next turn.
 *
 * SRV: for control-plane names; each target's first label may be an address with dashes
 * ("10-1-2-3.name…"); other targets count when the answer brings their address along.
 */
#include "base/addr.h"
#include "base/err.h"
#include "ev/loop.h"

struct dns;
struct dns_query;

/* NULL: /etc/resolv.conf.  A file that is missing means the server at 127.0.0.1, as it
 * does for libc. */
struct dns *dns_new(struct loop *l, const char *resolv_conf, struct err *e);
void dns_free(struct dns *d); /* cancels what is under way */

/* Reads another file than /etc/hosts ("": none).  The text is copied. */
void dns_set_hosts(struct dns *d, const char *path);
/* Bounds for every TTL handed out, in seconds; 0 and UINT32_MAX: none. */
void dns_set_ttl(struct dns *d, uint32_t min, uint32_t max);

#define DNS_MAX      64    /* answers beyond are dropped */
#define DNS_TTL_MAX  86400 /* no answer is believed for longer */
#define DNS_TTL_NO   300   /* nor a "no such name" */
#define DNS_TTL_FAIL 5     /* when nobody could say: ask again after this */

/*
 * `addrs` is borrowed for the call; n is 0 when e says why: ERR_MISSING (no such name,
 * or no address), ERR_TIMEOUT, ERR_SYS, ERR_BUSY (the servers failed), ERR_SYNTAX (not
 * a name).  ttl in seconds: how long the answer holds, also when it is "no".
 */
typedef void dns_done(void *arg, const struct addr *addrs, size_t n, uint32_t ttl,
	const struct err *e);

/* A and AAAA, IPv4 first; every answer gets `port`.  done is called later, once; not
 * when NULL is returned: memory is out. */
struct dns_query *dns_resolve(
	struct dns *d, struct slice host, uint16_t port, dns_done *done, void *arg);
/* SRV of `host` first, with the ports it says; else as dns_resolve(). */
struct dns_query *dns_resolve_srv(
	struct dns *d, struct slice host, uint16_t port, dns_done *done, void *arg);
/* `fn` is told, with the query's arg, how each kind of question was answered. */
void dns_query_watch(
	struct dns_query *q, void (*fn)(void *arg, bool is_srv, bool found));
void dns_cancel(struct dns_query *q); /* done will not be called */

#endif
