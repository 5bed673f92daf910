/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/link.h"

#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <string.h>
#include <unistd.h>

#define ROOM 1024

static int answer(struct mnl_socket *s, const char *what, struct err *e)
{
	char bytes[8192];
	ssize_t n = mnl_socket_recvfrom(s, bytes, sizeof(bytes));

	if (n >= 0 && mnl_cb_run(bytes, (size_t)n, 1, mnl_socket_get_portid(s), NULL,
			      NULL) >= 0)
		return 0;
	return err_sys(e, "%s", what);
}

static int request(struct nlmsghdr *h, const char *what, struct err *e)
{
	struct mnl_socket *s = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	int rc;

	if (!s)
		return err_sys(e, "rtnetlink");
	h->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
	h->nlmsg_seq = 1;
	if (mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) < 0 ||
		mnl_socket_sendto(s, h, h->nlmsg_len) < 0)
		rc = err_sys(e, "%s", what);
	else
		rc = answer(s, what, e);
	mnl_socket_close(s);
	return rc;
}

static struct nlmsghdr *link_message(char *bytes, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(bytes);

	h->nlmsg_type = type;
	h->nlmsg_flags = flags;
	mnl_nlmsg_put_extra_header(h, sizeof(struct ifinfomsg));
	return h;
}

int link_veth(const char *name, const char *peer, int peer_net, struct err *e)
{
	char bytes[ROOM];
	struct nlmsghdr *h =
		link_message(bytes, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
	struct nlattr *info, *data, *other;

	mnl_attr_put_strz(h, IFLA_IFNAME, name);
	info = mnl_attr_nest_start(h, IFLA_LINKINFO);
	mnl_attr_put_str(h, IFLA_INFO_KIND, "veth");
	data = mnl_attr_nest_start(h, IFLA_INFO_DATA);
	other = mnl_attr_nest_start(h, VETH_INFO_PEER);
	mnl_nlmsg_put_extra_header(h, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(h, IFLA_IFNAME, peer);
	mnl_attr_put_u32(h, IFLA_NET_NS_FD, (uint32_t)peer_net);
	mnl_attr_nest_end(h, other);
	mnl_attr_nest_end(h, data);
	mnl_attr_nest_end(h, info);
	return request(h, "make a veth pair", e);
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
	char bytes[ROOM];
	struct nlmsghdr *h = link_message(bytes, RTM_DELLINK, 0);

	if (!if_nametoindex(name))
		return 0;
	mnl_attr_put_strz(h, IFLA_IFNAME, name);
	return request(h, "delete a link", e);
}

int link_up(const char *name, struct err *e)
{
	char bytes[ROOM];
	struct nlmsghdr *h = link_message(bytes, RTM_NEWLINK, 0);
	struct ifinfomsg *m = mnl_nlmsg_get_payload(h);

	m->ifi_flags = m->ifi_change = IFF_UP;
	mnl_attr_put_strz(h, IFLA_IFNAME, name);
	return request(h, "bring a link up", e);
}

static uint8_t family_of(const struct ip *ip)
{
	return ip->family == 6 ? AF_INET6 : AF_INET;
}

static void put_ip(struct nlmsghdr *h, uint16_t type, const struct ip *ip)
{
	mnl_attr_put(h, type, ip->family == 6 ? 16 : 4, ip->b);
}

int link_address(const char *name, const struct cidr *at, struct err *e)
{
	char bytes[ROOM];
	struct nlmsghdr *h = mnl_nlmsg_put_header(bytes);
	struct ifaddrmsg *m;

	h->nlmsg_type = RTM_NEWADDR;
	h->nlmsg_flags = NLM_F_CREATE | NLM_F_REPLACE;
	m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	m->ifa_family = family_of(&at->ip);
	m->ifa_prefixlen = at->bits;
	m->ifa_index = if_nametoindex(name);
	put_ip(h, IFA_LOCAL, &at->ip);
	put_ip(h, IFA_ADDRESS, &at->ip);
	return request(h, "add an address", e);
}

int link_route(const struct link_route *r, struct err *e)
{
	char bytes[ROOM];
	struct nlmsghdr *h = mnl_nlmsg_put_header(bytes);
	struct rtmsg *m;

	h->nlmsg_type = RTM_NEWROUTE;
	h->nlmsg_flags = NLM_F_CREATE | NLM_F_REPLACE;
	m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	m->rtm_family = family_of(&r->to.ip);
	m->rtm_dst_len = r->to.bits;
	m->rtm_table = RT_TABLE_MAIN;
	m->rtm_protocol = RTPROT_STATIC;
	m->rtm_type = RTN_UNICAST;
	m->rtm_scope = r->via ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
	m->rtm_flags = r->via ? RTNH_F_ONLINK : 0;
	if (r->to.bits)
		put_ip(h, RTA_DST, &r->to.ip);
	if (r->via)
		put_ip(h, RTA_GATEWAY, r->via);
	if (r->from)
		put_ip(h, RTA_PREFSRC, r->from);
	mnl_attr_put_u32(h, RTA_OIF, if_nametoindex(r->link));
	return request(h, "add a route", e);
}
