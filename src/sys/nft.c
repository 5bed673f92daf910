/* SPDX-License-Identifier: Apache-2.0 */
/* Building a table: every match is written twice, as expressions and as text. */
#include "sys/nft.h"

#include <arpa/inet.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/rtnetlink.h>

#include "sys/nftint.h"

static const char *const hook_names[] = {
	"prerouting", "input", "forward", "output", "postrouting"};

uint16_t nft_family_number(enum nft_family f)
{
	return f == NFT_INET ? NFPROTO_INET : NFPROTO_IPV4;
}

uint32_t nft_hook_number(const struct nft_hook *h)
{
	static const uint32_t numbers[] = {NF_INET_PRE_ROUTING, NF_INET_LOCAL_IN,
		NF_INET_FORWARD, NF_INET_LOCAL_OUT, NF_INET_POST_ROUTING};

	return numbers[h->at];
}

struct nft *nft_new(enum nft_family family, const char *table)
{
	struct nft *t = calloc(1, sizeof(*t));

	must(t);
	t->family = family;
	snprintf(t->table, sizeof(t->table), "%s", table);
	return t;
}

void nft_free(struct nft *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->nrules; i++) {
		nftnl_rule_free(t->rules[i].rule);
		buf_fini(&t->rules[i].text);
	}
	free(t->rules);
	free(t->chains);
	free(t);
}

void nft_chain(struct nft *t, const char *name, const struct nft_hook *hook)
{
	struct nft_chain_of *c;

	t->chains = reallocarray(t->chains, t->nchains + 1, sizeof(*c));
	must(t->chains);
	c = &t->chains[t->nchains++];
	*c = (struct nft_chain_of){.based = hook != NULL};
	snprintf(c->name, sizeof(c->name), "%s", name);
	if (hook)
		c->hook = *hook;
}

static size_t chain_index(const struct nft *t, const char *name)
{
	for (size_t i = 0; i < t->nchains; i++)
		if (strcmp(t->chains[i].name, name) == 0)
			return i;
	must(!"a rule's chain is there");
	return 0;
}

static void set_comment(struct nftnl_rule *r, const char *comment)
{
	struct nftnl_udata_buf *b = nftnl_udata_buf_alloc(NFT_USERDATA_MAXLEN);

	must(b);
	nftnl_udata_put_strz(b, NFTNL_UDATA_RULE_COMMENT, comment);
	nftnl_rule_set_data(r, NFTNL_RULE_USERDATA, nftnl_udata_buf_data(b),
		nftnl_udata_buf_len(b));
	nftnl_udata_buf_free(b);
}

void nft_rule(struct nft *t, const char *chain, const char *comment)
{
	struct nft_rule_of *r;

	t->rules = reallocarray(t->rules, t->nrules + 1, sizeof(*r));
	must(t->rules);
	r = &t->rules[t->nrules++];
	*r = (struct nft_rule_of){.chain = chain_index(t, chain)};
	r->rule = nftnl_rule_alloc();
	must(r->rule);
	snprintf(r->comment, sizeof(r->comment), "%s", comment);
	nftnl_rule_set_u32(r->rule, NFTNL_RULE_FAMILY, nft_family_number(t->family));
	nftnl_rule_set_str(r->rule, NFTNL_RULE_TABLE, t->table);
	nftnl_rule_set_str(r->rule, NFTNL_RULE_CHAIN, chain);
	if (*comment)
		set_comment(r->rule, r->comment);
}

/* ---- expressions ---- */

static struct nft_rule_of *last(struct nft *t)
{
	must(t->nrules);
	return &t->rules[t->nrules - 1];
}

static struct nftnl_expr *add(struct nft *t, const char *name)
{
	struct nftnl_expr *x = nftnl_expr_alloc(name);

	must(x);
	nftnl_rule_add_expr(last(t)->rule, x);
	return x;
}

static void add_meta(struct nft *t, uint32_t key)
{
	struct nftnl_expr *x = add(t, "meta");

	nftnl_expr_set_u32(x, NFTNL_EXPR_META_KEY, key);
	nftnl_expr_set_u32(x, NFTNL_EXPR_META_DREG, NFT_REG_1);
}

static void add_payload(struct nft *t, uint32_t base, uint32_t at, uint32_t len)
{
	struct nftnl_expr *x = add(t, "payload");

	nftnl_expr_set_u32(x, NFTNL_EXPR_PAYLOAD_BASE, base);
	nftnl_expr_set_u32(x, NFTNL_EXPR_PAYLOAD_DREG, NFT_REG_1);
	nftnl_expr_set_u32(x, NFTNL_EXPR_PAYLOAD_OFFSET, at);
	nftnl_expr_set_u32(x, NFTNL_EXPR_PAYLOAD_LEN, len);
}

static void add_cmp(struct nft *t, uint32_t op, const void *data, uint32_t len)
{
	struct nftnl_expr *x = add(t, "cmp");

	nftnl_expr_set_u32(x, NFTNL_EXPR_CMP_SREG, NFT_REG_1);
	nftnl_expr_set_u32(x, NFTNL_EXPR_CMP_OP, op);
	nftnl_expr_set(x, NFTNL_EXPR_CMP_DATA, data, len);
}

static void add_load(struct nft *t, uint32_t reg, const void *data, uint32_t len)
{
	struct nftnl_expr *x = add(t, "immediate");

	nftnl_expr_set_u32(x, NFTNL_EXPR_IMM_DREG, reg);
	nftnl_expr_set(x, NFTNL_EXPR_IMM_DATA, data, len);
}

static void add_mask(struct nft *t, const void *mask, uint32_t len)
{
	static const uint8_t none[16];
	struct nftnl_expr *x = add(t, "bitwise");

	nftnl_expr_set_u32(x, NFTNL_EXPR_BITWISE_SREG, NFT_REG_1);
	nftnl_expr_set_u32(x, NFTNL_EXPR_BITWISE_DREG, NFT_REG_1);
	nftnl_expr_set_u32(x, NFTNL_EXPR_BITWISE_OP, NFT_BITWISE_BOOL);
	nftnl_expr_set_u32(x, NFTNL_EXPR_BITWISE_LEN, len);
	nftnl_expr_set(x, NFTNL_EXPR_BITWISE_MASK, mask, len);
	nftnl_expr_set(x, NFTNL_EXPR_BITWISE_XOR, none, len);
}

static void add_verdict(struct nft *t, uint32_t verdict, const char *chain)
{
	struct nftnl_expr *x = add(t, "immediate");

	nftnl_expr_set_u32(x, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
	nftnl_expr_set_u32(x, NFTNL_EXPR_IMM_VERDICT, verdict);
	if (chain)
		nftnl_expr_set_str(x, NFTNL_EXPR_IMM_CHAIN, chain);
}

/* ---- matches ---- */

void nft_family_is(struct nft *t, int family)
{
	uint8_t f = family == 6 ? NFPROTO_IPV6 : NFPROTO_IPV4;

	if (t->family != NFT_INET)
		return;
	add_meta(t, NFT_META_NFPROTO);
	add_cmp(t, NFT_CMP_EQ, &f, 1);
	buf_printf(&last(t)->text, "meta nfproto ipv%d ", family == 6 ? 6 : 4);
}

static void protocol(struct nft *t, uint8_t number, const char *name)
{
	add_meta(t, NFT_META_L4PROTO);
	add_cmp(t, NFT_CMP_EQ, &number, 1);
	buf_printf(&last(t)->text, "meta l4proto %s ", name);
}

void nft_tcp(struct nft *t)
{
	protocol(t, IPPROTO_TCP, "tcp");
}

void nft_udp(struct nft *t)
{
	protocol(t, IPPROTO_UDP, "udp");
}

void nft_dport(struct nft *t, uint16_t low, uint16_t high)
{
	uint16_t a = htons(low), b = htons(high);

	add_payload(t, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2);
	if (low == high) {
		add_cmp(t, NFT_CMP_EQ, &a, 2);
		buf_printf(&last(t)->text, "th dport %u ", low);
		return;
	}
	add_cmp(t, NFT_CMP_GTE, &a, 2);
	add_cmp(t, NFT_CMP_LTE, &b, 2);
	buf_printf(&last(t)->text, "th dport %u-%u ", low, high);
}

static void network(struct nft *t, const struct cidr *c, bool source, uint32_t op)
{
	bool six = c->ip.family == 6;
	uint32_t len = six ? 16 : 4, at = six ? (source ? 8 : 24) : (source ? 12 : 16);
	uint8_t mask[16] = {0}, net[16] = {0};
	char text[ADDR_TEXT];

	for (unsigned i = 0; i < c->bits; i++)
		mask[i / 8] |= (uint8_t)(0x80 >> i % 8);
	for (unsigned i = 0; i < len; i++)
		net[i] = c->ip.b[i] & mask[i];
	nft_family_is(t, c->ip.family);
	add_payload(t, NFT_PAYLOAD_NETWORK_HEADER, at, len);
	if (c->bits < len * 8)
		add_mask(t, mask, len);
	add_cmp(t, op, net, len);
	buf_printf(&last(t)->text, "ip%s %caddr %s%s/%u ", six ? "6" : "",
		source ? 's' : 'd', op == NFT_CMP_NEQ ? "!= " : "",
		ip_text(&c->ip, text), c->bits);
}

void nft_source(struct nft *t, const struct cidr *c)
{
	network(t, c, true, NFT_CMP_EQ);
}

void nft_dest(struct nft *t, const struct cidr *c)
{
	network(t, c, false, NFT_CMP_EQ);
}

void nft_dest_not(struct nft *t, const struct cidr *c)
{
	network(t, c, false, NFT_CMP_NEQ);
}

static void number(struct nft *t, uint32_t key, uint32_t value, const char *name)
{
	add_meta(t, key);
	add_cmp(t, NFT_CMP_EQ, &value, sizeof(value));
	buf_printf(&last(t)->text, "%s %u ", name, value);
}

void nft_uid(struct nft *t, uint32_t uid)
{
	number(t, NFT_META_SKUID, uid, "meta skuid");
}

void nft_gid(struct nft *t, uint32_t gid)
{
	number(t, NFT_META_SKGID, gid, "meta skgid");
}

void nft_out_link(struct nft *t, const char *name)
{
	char padded[16] = {0};

	snprintf(padded, sizeof(padded), "%s", name);
	add_meta(t, NFT_META_OIFNAME);
	add_cmp(t, NFT_CMP_EQ, padded, sizeof(padded));
	buf_printf(&last(t)->text, "oifname \"%s\" ", padded);
}

void nft_dest_local(struct nft *t)
{
	struct nftnl_expr *x = add(t, "fib");
	uint32_t local = RTN_LOCAL;

	nftnl_expr_set_u32(x, NFTNL_EXPR_FIB_DREG, NFT_REG_1);
	nftnl_expr_set_u32(x, NFTNL_EXPR_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
	nftnl_expr_set_u32(x, NFTNL_EXPR_FIB_FLAGS, NFTA_FIB_F_DADDR);
	add_cmp(t, NFT_CMP_EQ, &local, sizeof(local));
	buf_text(&last(t)->text, "fib daddr type local ");
}

void nft_one_in(struct nft *t, uint32_t n)
{
	struct nftnl_expr *x = add(t, "numgen");
	uint32_t zero = 0;

	nftnl_expr_set_u32(x, NFTNL_EXPR_NG_DREG, NFT_REG_1);
	nftnl_expr_set_u32(x, NFTNL_EXPR_NG_MODULUS, n);
	nftnl_expr_set_u32(x, NFTNL_EXPR_NG_TYPE, NFT_NG_RANDOM);
	add_cmp(t, NFT_CMP_EQ, &zero, sizeof(zero));
	buf_printf(&last(t)->text, "numgen random mod %u 0 ", n);
}

/* ---- verdicts ---- */

void nft_return(struct nft *t)
{
	add_verdict(t, (uint32_t)NFT_RETURN, NULL);
	buf_text(&last(t)->text, "return");
}

void nft_jump(struct nft *t, const char *chain)
{
	add_verdict(t, (uint32_t)NFT_JUMP, chain);
	buf_printf(&last(t)->text, "jump %s", chain);
}

void nft_redirect(struct nft *t, uint16_t port)
{
	uint16_t be = htons(port);
	struct nftnl_expr *x;

	add_load(t, NFT_REG_1, &be, sizeof(be));
	x = add(t, "redir");
	nftnl_expr_set_u32(x, NFTNL_EXPR_REDIR_REG_PROTO_MIN, NFT_REG_1);
	nftnl_expr_set_u32(x, NFTNL_EXPR_REDIR_REG_PROTO_MAX, NFT_REG_1);
	nftnl_expr_set_u32(x, NFTNL_EXPR_REDIR_FLAGS, NF_NAT_RANGE_PROTO_SPECIFIED);
	buf_printf(&last(t)->text, "redirect to :%u", port);
}

void nft_dnat(struct nft *t, const struct addr *to)
{
	bool six = to->ip.family == 6;
	uint16_t be = htons(to->port);
	char text[ADDR_TEXT];
	struct nftnl_expr *x;

	add_load(t, NFT_REG_1, to->ip.b, six ? 16 : 4);
	add_load(t, NFT_REG_2, &be, sizeof(be));
	x = add(t, "nat");
	nftnl_expr_set_u32(x, NFTNL_EXPR_NAT_TYPE, NFT_NAT_DNAT);
	nftnl_expr_set_u32(x, NFTNL_EXPR_NAT_FAMILY, six ? NFPROTO_IPV6 : NFPROTO_IPV4);
	nftnl_expr_set_u32(x, NFTNL_EXPR_NAT_REG_ADDR_MIN, NFT_REG_1);
	nftnl_expr_set_u32(x, NFTNL_EXPR_NAT_REG_ADDR_MAX, NFT_REG_1);
	nftnl_expr_set_u32(x, NFTNL_EXPR_NAT_REG_PROTO_MIN, NFT_REG_2);
	nftnl_expr_set_u32(x, NFTNL_EXPR_NAT_REG_PROTO_MAX, NFT_REG_2);
	nftnl_expr_set_u32(x, NFTNL_EXPR_NAT_FLAGS,
		NF_NAT_RANGE_MAP_IPS | NF_NAT_RANGE_PROTO_SPECIFIED);
	buf_printf(&last(t)->text, "dnat to %s", addr_text(to, text));
}

void nft_masquerade(struct nft *t)
{
	add(t, "masq");
	buf_text(&last(t)->text, "masquerade");
}

static void reject(struct nft *t, uint32_t type, uint8_t code, const char *text)
{
	struct nftnl_expr *x = add(t, "reject");

	nftnl_expr_set_u32(x, NFTNL_EXPR_REJECT_TYPE, type);
	nftnl_expr_set_u8(x, NFTNL_EXPR_REJECT_CODE, code);
	buf_text(&last(t)->text, text);
}

void nft_reset(struct nft *t)
{
	reject(t, NFT_REJECT_TCP_RST, 0, "reject with tcp reset");
}

void nft_refuse(struct nft *t)
{
	reject(t, NFT_REJECT_ICMP_UNREACH, 3, "reject");
}

/* ---- text ---- */

static void chain_text(const struct nft *t, size_t at, struct buf *out)
{
	const struct nft_chain_of *c = &t->chains[at];

	buf_printf(out, "\tchain %s {\n", c->name);
	if (c->based)
		buf_printf(out, "\t\ttype %s hook %s priority %d;\n", c->hook.type,
			hook_names[c->hook.at], c->hook.priority);
	for (size_t i = 0; i < t->nrules; i++) {
		const struct nft_rule_of *r = &t->rules[i];

		if (r->chain != at)
			continue;
		buf_text(out, "\t\t");
		buf_adds(out, buf_slice(&r->text));
		if (*r->comment)
			buf_printf(out, " comment \"%s\"", r->comment);
		buf_char(out, '\n');
	}
	buf_text(out, "\t}\n");
}

void nft_text(const struct nft *t, struct buf *out)
{
	buf_printf(out, "table %s %s {\n", t->family == NFT_INET ? "inet" : "ip",
		t->table);
	for (size_t i = 0; i < t->nchains; i++)
		chain_text(t, i, out);
	buf_text(out, "}\n");
}
