/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EV_DNS_H
#define EV_DNS_H

/*
 * Names to addresses, without blocking: a stub resolver (evdns over /etc/resolv.conf,
 * search list honoured, /etc/hosts read).  One per loop.  Addresses that are literals
 * answer at once (in the next turn).
 *
 * SRV: for control-plane names; each target's first label may be an address with dashes
 * ("10-1-2-3.name…"), which is used without a second look-up.
 */
#include "base/addr.h"
#include "base/err.h"
#include "ev/loop.h"

struct dns;
struct dns_query;

struct dns *dns_new(struct loop *l, const char *resolv_conf, struct err *e);
void dns_free(struct dns *d);

#define DNS_MAX 64 /* answers beyond are dropped */

/* `addrs` is borrowed for the call; ttl in seconds; n is 0 when e says why. */
typedef void dns_done(void *arg, const struct addr *addrs, size_t n, uint32_t ttl,
	const struct err *e);

/* A and AAAA; every answer gets `port`.  NULL (and done is called later) never happens.
 */
struct dns_query *dns_resolve(
	struct dns *d, struct slice host, uint16_t port, dns_done *done, void *arg);
/* SRV of `host` first, else as dns_resolve(). */
struct dns_query *dns_resolve_srv(
	struct dns *d, struct slice host, uint16_t port, dns_done *done, void *arg);
void dns_cancel(struct dns_query *q); /* done will not be called */

#endif
