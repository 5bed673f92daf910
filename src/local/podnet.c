/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pod networking: a veth pair for each pod, its address routed to it one by one.  All
 * traffic between pods passes the machine's routing, so that Service addresses are
 * translated back on the way (a bridge would let answers pass by).
 */
#include <fcntl.h>
#include <unistd.h>

#include "local/nodeint.h"
#include "sys/link.h"

static void write_sysctl(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	(void)!write(fd, value, strlen(value)); /* best effort */
	close(fd);
}

static uint32_t ip_number(const struct ip *ip)
{
	return (uint32_t)ip->b[0] << 24 | (uint32_t)ip->b[1] << 16 |
	       (uint32_t)ip->b[2] << 8 | ip->b[3];
}

static struct ip ip_of(uint32_t n)
{
	return (struct ip){4, {(uint8_t)(n >> 24), (uint8_t)(n >> 16),
				      (uint8_t)(n >> 8), (uint8_t)n}};
}

/* The machine's own calls to Service addresses need a route to be translated on. */
static int route_services(struct local_node *n, const struct ip *dns, struct err *e)
{
	struct link_route to = {
		.to = {.bits = 16}, .from = &n->gateway, .link = LOCAL_NODE_LINK};

	to.to.ip = *dns;
	to.to.ip.b[2] = to.to.ip.b[3] = 0;
	return link_route(&to, e);
}

int node_net_up(struct local_node *n, struct err *e)
{
	struct cidr at = {.bits = 32}, dns = {.bits = 32};

	n->gateway = ip_of(ip_number(&n->pods_cidr.ip) + 1);
	n->last_ip = ip_number(&n->gateway);
	at.ip = n->gateway;
	if (link_delete(LOCAL_NODE_LINK, e) ||
		link_holder(LOCAL_NODE_LINK, LOCAL_NODE_LINK "-p", e) ||
		link_address(LOCAL_NODE_LINK, &at, e))
		return -1;
	if (ip_parse(slice_of(n->cfg.dns), &dns.ip) &&
		link_address(LOCAL_NODE_LINK, &dns, e))
		return -1;
	write_sysctl("/proc/sys/net/ipv4/ip_forward", "1");
	return route_services(n, &dns.ip, e);
}

static bool is_used(const struct local_node *n, const struct ip *ip)
{
	struct pod *p;

	map_each(p, &n->pods, by_name)
	{
		if (ip_eq(&p->ip, ip))
			return true;
	}
	return false;
}

/* Addresses come round again only after all others were used. */
static int choose_ip(struct local_node *n, struct ip *out, struct err *e)
{
	uint32_t base = ip_number(&n->pods_cidr.ip);
	uint32_t size = n->pods_cidr.bits < 32 ? 1u << (32 - n->pods_cidr.bits) : 1;

	for (uint32_t i = 0; i < size; i++) {
		n->last_ip++;
		if (n->last_ip < base + 2 || n->last_ip >= base + size - 1)
			n->last_ip = base + 2;
		*out = ip_of(n->last_ip);
		if (!is_used(n, out))
			return 0;
	}
	return err_set(e, ERR_LIMIT, "no address is left for a pod");
}

static int inside_up(struct pod *p, struct err *e)
{
	struct cidr at = {.ip = p->ip, .bits = 32};
	struct link_route all = {
		.to.ip.family = 4, .via = &p->node->gateway, .link = "eth0"};
	int back = ns_net_enter(p->ns.net, e), rc;

	if (back < 0)
		return -1;
	rc = link_up("eth0", e) || link_address("eth0", &at, e) || link_route(&all, e);
	ns_net_leave(back);
	return rc ? -1 : 0;
}

int pod_net_up(struct pod *p, struct err *e)
{
	struct link_route to = {.to = {.bits = 32}, .from = &p->node->gateway};
	struct ip ip;
	char host[64];

	p->ip.family = 0;
	snprintf(host, sizeof(host), "%.63s",
		json_text_or(p->spec, "hostname", p->obj->name));
	if (choose_ip(p->node, &ip, e) || ns_make(&p->ns, host, e))
		return -1;
	p->ip = ip;
	snprintf(p->link, sizeof(p->link), "mlp%08x", ip_number(&p->ip));
	to.to.ip = p->ip;
	to.link = p->link;
	if (link_delete(p->link, e) || link_veth(p->link, "eth0", p->ns.net, e) ||
		link_up(p->link, e) || inside_up(p, e) || link_route(&to, e)) {
		pod_net_down(p);
		ns_close(&p->ns);
		p->ip.family = 0;
		return -1;
	}
	return 0;
}

void pod_net_down(struct pod *p)
{
	if (*p->link)
		(void)link_delete(p->link, NULL); /* it ends with the namespace too */
	*p->link = 0;
}
