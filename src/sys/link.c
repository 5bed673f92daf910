/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/link.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <unistd.h>

#include "sys/netlink.h"

#define SEQ 1

/* Ends the message, and with it the buf. */
static int request(struct buf *b, const char *what, struct err *e)
{
	struct nl_ask ask = {.protocol = NETLINK_ROUTE, .messages = b, .last = SEQ};
	struct nl_fault f;
	int rc;

	nl_end(b, 0);
	rc = nl_ask(&ask, &f);
	buf_fini(b);
	if (rc == 0)
		return 0;
	errno = f.error;
	return err_sys(e, "%s", what);
}

static void begin(
	struct buf *b, uint16_t type, uint16_t flags, const void *head, size_t n)
{
	*b = BUF_INIT;
	(void)nl_begin(b, type, flags | NLM_F_ACK, SEQ); /* at 0: the only one */
	nl_put_head(b, head, n);
}

static void begin_link(struct buf *b, uint16_t type, uint16_t flags, unsigned state)
{
	struct ifinfomsg m = {.ifi_flags = state, .ifi_change = state};

	begin(b, type, flags, &m, sizeof(m));
}

int link_veth(const char *name, const char *peer, int peer_net, struct err *e)
{
	struct ifinfomsg other_head = {0};
	size_t info, data, other;
	struct buf b;

	begin_link(&b, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, 0);
	nl_put_text(&b, IFLA_IFNAME, name);
	info = nl_nest(&b, IFLA_LINKINFO);
	nl_put_text(&b, IFLA_INFO_KIND, "veth");
	data = nl_nest(&b, IFLA_INFO_DATA);
	other = nl_nest(&b, VETH_INFO_PEER);
	nl_put_head(&b, &other_head, sizeof(other_head));
	nl_put_text(&b, IFLA_IFNAME, peer);
	nl_put_u32(&b, IFLA_NET_NS_FD, (uint32_t)peer_net);
	nl_nest_end(&b, other);
	nl_nest_end(&b, data);
	nl_nest_end(&b, info);
	return request(&b, "make a veth pair", e);
}

int link_holder(const char *name, const char *peer, struct err *e)
{
	int net = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	int rc;

	if (net < 0)
		return err_sys(e, "open own network namespace");
	rc = link_veth(name, peer, net, e);
	close(net);
	return rc || link_up(name, e) || link_up(peer, e) ? -1 : 0;
}

int link_delete(const char *name, struct err *e)
{
	struct buf b;

	if (!if_nametoindex(name))
		return 0;
	begin_link(&b, RTM_DELLINK, 0, 0);
	nl_put_text(&b, IFLA_IFNAME, name);
	return request(&b, "delete a link", e);
}

int link_up(const char *name, struct err *e)
{
	struct buf b;

	begin_link(&b, RTM_NEWLINK, 0, IFF_UP);
	nl_put_text(&b, IFLA_IFNAME, name);
	return request(&b, "bring a link up", e);
}

static uint8_t family_of(const struct ip *ip)
{
	return ip->family == 6 ? AF_INET6 : AF_INET;
}

static void put_ip(struct buf *b, uint16_t type, const struct ip *ip)
{
	nl_put(b, type, ip->b, ip->family == 6 ? 16 : 4);
}

int link_address(const char *name, const struct cidr *at, struct err *e)
{
	struct ifaddrmsg m = {.ifa_family = family_of(&at->ip),
		.ifa_prefixlen = at->bits,
		.ifa_index = if_nametoindex(name)};
	struct buf b;

	begin(&b, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, &m, sizeof(m));
	put_ip(&b, IFA_LOCAL, &at->ip);
	put_ip(&b, IFA_ADDRESS, &at->ip);
	return request(&b, "add an address", e);
}

int link_route(const struct link_route *r, struct err *e)
{
	struct rtmsg m = {.rtm_family = family_of(&r->to.ip),
		.rtm_dst_len = r->to.bits,
		.rtm_table = RT_TABLE_MAIN,
		.rtm_protocol = RTPROT_STATIC,
		.rtm_type = RTN_UNICAST,
		.rtm_scope = r->via ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK,
		.rtm_flags = r->via ? RTNH_F_ONLINK : 0};
	struct buf b;

	begin(&b, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, &m, sizeof(m));
	if (r->to.bits)
		put_ip(&b, RTA_DST, &r->to.ip);
	if (r->via)
		put_ip(&b, RTA_GATEWAY, r->via);
	if (r->from)
		put_ip(&b, RTA_PREFSRC, r->from);
	nl_put_u32(&b, RTA_OIF, if_nametoindex(r->link));
	return request(&b, "add a route", e);
}
