/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/redirect.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define NAT_PREROUTING (-100) /* NF_IP_PRI_NAT_DST, where iptables' nat table is */
#define IN             "redirect"
#define OUT            "output"

/* ---- lists as text ---- */

static int add_range(struct slice s, struct port_range *v, size_t *n, struct err *e)
{
	struct slice low, high = s;
	uint64_t a, b;

	slice_cut(&high, '-', &low);
	if (!slice_u64(low, 65535, &a) || a == 0)
		return err_set(e, ERR_SYNTAX, "\"%.*s\" is not a port", SLICE_FMT(s));
	b = a;
	if (high.p && high.n && (!slice_u64(high, 65535, &b) || b < a))
		return err_set(e, ERR_SYNTAX, "\"%.*s\" is not a range of ports",
			SLICE_FMT(s));
	if (*n == REDIRECT_MAX)
		return err_set(e, ERR_LIMIT, "more than %d ports", REDIRECT_MAX);
	v[(*n)++] = (struct port_range){(uint16_t)a, (uint16_t)b};
	return 0;
}

int redirect_ports(
	const char *text, struct port_range v[REDIRECT_MAX], size_t *n, struct err *e)
{
	struct slice rest = slice_of(text), part;

	while (slice_cut(&rest, ',', &part)) {
		part = slice_trim(part);
		if (part.n && add_range(part, v, n, e))
			return -1;
	}
	return 0;
}

int redirect_subnets(const char *text, struct redirect *r, struct err *e)
{
	struct slice rest = slice_of(text), part;

	while (slice_cut(&rest, ',', &part)) {
		part = slice_trim(part);
		if (!part.n)
			continue;
		if (r->nskip_from == REDIRECT_MAX)
			return err_set(
				e, ERR_LIMIT, "more than %d subnets", REDIRECT_MAX);
		if (!cidr_parse(part, &r->skip_from[r->nskip_from]))
			return err_set(e, ERR_SYNTAX, "\"%.*s\" is not a subnet",
				SLICE_FMT(part));
		r->nskip_from++;
	}
	return 0;
}

/* ---- rules ---- */

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

int redirect_verify(const struct redirect *r, struct err *e)
{
	struct nft *t = redirect_rules(r);
	int rc = nft_verify(t, e);

	nft_free(t);
	return rc;
}

int redirect_remove(struct err *e)
{
	return nft_remove(NFT_INET, REDIRECT_TABLE, e);
}

/* The path is that of the namespace the caller is in. */
int redirect_close_wait(int64_t seconds, struct err *e)
{
	int fd = open(
		"/proc/sys/net/netfilter/" REDIRECT_CLOSE_WAIT, O_WRONLY | O_CLOEXEC);
	int rc = 0;

	if (fd < 0 || dprintf(fd, "%lld\n", (long long)seconds) < 0)
		rc = err_sys(e, "set " REDIRECT_CLOSE_WAIT
				" (wants root and a /proc/sys that can be written: a "
				"privileged container)");
	if (fd >= 0)
		close(fd);
	return rc;
}
