/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SYS_REDIRECT_H
#define SYS_REDIRECT_H

/*
 * Sends a pod's TCP through its proxy: the rules of proxy-init as one nf_tables table
 * of our own, for IPv4 and IPv6 (spec ext.md §1).  Doing it again replaces the table in
 * one step; nothing else of the namespace's rules is touched.  Where another table
 * redirects too, the one whose chain comes first in priority decides; ours are where
 * iptables' nat table is.
 *
 * A connection that conntrack knows stays as it was begun, redirected or not.  One that
 * it does not know, because nothing tracked before, is taken for new at its next
 * packet.
 */
#include "sys/nft.h"

#define REDIRECT_TABLE "mesh_init"

struct port_range {
	uint16_t low, high;
};

#define REDIRECT_MAX 256 /* of each list */

struct redirect {
	uint16_t inbound, outbound; /* the proxy's ports */
	int64_t uid, gid; /* whose traffic is left alone; 0 or less: nobody's */
	bool ipv6;
	struct port_range only[REDIRECT_MAX]; /* inbound; none: all */
	size_t nonly;
	struct port_range skip_in[REDIRECT_MAX], skip_out[REDIRECT_MAX];
	size_t nskip_in, nskip_out;
	struct cidr skip_from[REDIRECT_MAX]; /* inbound, by source */
	size_t nskip_from;
};

/* Appends what a list like "25,9000-9100" says to one of the above. */
int redirect_ports(
	const char *text, struct port_range v[REDIRECT_MAX], size_t *n, struct err *e);
int redirect_subnets(const char *text, struct redirect *r, struct err *e);

/* The table, not yet in the kernel.  Returns owned. */
struct nft *redirect_rules(const struct redirect *r);

/* All in the namespace of the calling thread. */
/* Writes the rules, reads them back and compares. */
int redirect_apply(const struct redirect *r, struct err *e);
/* Compares only; ERR_MISSING when they are not there, or not as `r` wants them. */
int redirect_verify(const struct redirect *r, struct err *e);
int redirect_remove(struct err *e);
/* conntrack's close-wait timeout; after the rules, which bring the module that has it.
 */
int redirect_close_wait(int64_t seconds, struct err *e);
#define REDIRECT_CLOSE_WAIT "nf_conntrack_tcp_timeout_close_wait"

#endif
