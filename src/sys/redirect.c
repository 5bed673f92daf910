/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/redirect.h"

#include <stdio.h>

#define NAT_PREROUTING (-100) /* NF_IP_PRI_NAT_DST, where iptables' nat table is */
#define IN             "redirect"
#define OUT            "output"

static void begin(
	struct nft *t, const struct redirect *r, const char *chain, const char *comment)
{
	char text[100];

	snprintf(text, sizeof(text), "proxy-init/%s", comment);
	nft_rule(t, chain, text);
	if (!r->ipv6)
		nft_family_is(t, 4);
}

/* Begins the rule for these ports; the comment is "HOW-9000-9100TAIL". */
static void begin_ports(struct nft *t, const struct redirect *r, const char *chain,
	const struct port_range *p, const char *const how[2])
{
	char text[80];

	if (p->low == p->high)
		snprintf(text, sizeof(text), "%s-%u%s", how[0], p->low, how[1]);
	else
		snprintf(text, sizeof(text), "%s-%u-%u%s", how[0], p->low, p->high,
			how[1]);
	begin(t, r, chain, text);
	nft_tcp(t);
	nft_dport(t, p->low, p->high);
}

static void skip_ports(struct nft *t, const struct redirect *r, const char *chain,
	const struct port_range *p, size_t n)
{
	static const char *const how[] = {"ignore-port", ""};

	for (size_t i = 0; i < n; i++) {
		begin_ports(t, r, chain, &p[i], how);
		nft_return(t);
	}
}

static void skip_subnets(struct nft *t, const struct redirect *r)
{
	char text[ADDR_TEXT + 32], ip[ADDR_TEXT];

	for (size_t i = 0; i < r->nskip_from; i++) {
		const struct cidr *c = &r->skip_from[i];

		snprintf(text, sizeof(text), "proxy-init/ignore-subnet-%s/%u",
			ip_text(&c->ip, ip), c->bits);
		nft_rule(t, IN, text);
		nft_source(t, c);
		nft_return(t);
	}
}

static void inbound(struct nft *t, const struct redirect *r)
{
	static const char *const how[] = {"redirect-port", "-to-proxy-port"};

	skip_ports(t, r, IN, r->skip_in, r->nskip_in);
	skip_subnets(t, r);
	for (size_t i = 0; i < r->nonly; i++) {
		begin_ports(t, r, IN, &r->only[i], how);
		nft_redirect(t, r->inbound);
	}
	if (r->nonly)
		return;
	begin(t, r, IN, "redirect-all-incoming-to-proxy-port");
	nft_tcp(t);
	nft_redirect(t, r->inbound);
}

static void outbound(struct nft *t, const struct redirect *r)
{
	if (r->uid > 0) {
		begin(t, r, OUT, "ignore-proxy-user-id");
		nft_uid(t, (uint32_t)r->uid);
		nft_return(t);
	}
	if (r->gid > 0) {
		begin(t, r, OUT, "ignore-proxy-group-id");
		nft_gid(t, (uint32_t)r->gid);
		nft_return(t);
	}
	begin(t, r, OUT, "ignore-loopback");
	nft_out_link(t, "lo");
	nft_return(t);
	skip_ports(t, r, OUT, r->skip_out, r->nskip_out);
	begin(t, r, OUT, "redirect-all-outgoing-to-proxy-port");
	nft_tcp(t);
	nft_redirect(t, r->outbound);
}

struct nft *redirect_rules(const struct redirect *r)
{
	struct nft *t = nft_new(NFT_INET, REDIRECT_TABLE);

	nft_chain(t, IN, &(struct nft_hook){"nat", NFT_PREROUTING, NAT_PREROUTING});
	nft_chain(t, OUT, &(struct nft_hook){"nat", NFT_OUTPUT, NAT_PREROUTING});
	inbound(t, r);
	outbound(t, r);
	return t;
}

int redirect_apply(const struct redirect *r, struct err *e)
{
	struct nft *t = redirect_rules(r);
	int rc = nft_apply(t, e);

	if (rc == 0)
		rc = nft_verify(t, e);
	nft_free(t);
	return rc;
}

int redirect_remove(struct err *e)
{
	return nft_remove(NFT_INET, REDIRECT_TABLE, e);
}
