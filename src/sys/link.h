/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SYS_LINK_H
#define SYS_LINK_H

/*
 * Network links, addresses and routes over rtnetlink, in the network namespace of the
 * calling thread.  Each is one request; -1 with ERR_SYS when the kernel refuses.
 */
#include "base/addr.h"
#include "base/err.h"

/* A pair: `name` here, `peer` in the namespace of `peer_net` (an fd). */
int link_veth(const char *name, const char *peer, int peer_net, struct err *e);
/* A pair with both ends here: a place for addresses, on every kernel that has pods. */
int link_holder(const char *name, const char *peer, struct err *e);
int link_delete(const char *name, struct err *e); /* 0 also when there is none */
int link_up(const char *name, struct err *e);
int link_address(const char *name, const struct cidr *at, struct err *e);

struct link_route {
	struct cidr to;        /* bits 0: everything */
	const struct ip *via;  /* taken to be on the link; NULL: directly */
	const struct ip *from; /* source to prefer; NULL: the kernel's choice */
	const char *link;
};
int link_route(const struct link_route *r, struct err *e);

#endif
