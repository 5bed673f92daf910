/* SPDX-License-Identifier: Apache-2.0 */
/* Building a table: every match is written twice, as expressions and as text. */
#include "sys/nft.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/rtnetlink.h>

#include "sys/nftint.h"

static const char *const hook_names[] = {
	"prerouting", "input", "forward", "output", "postrouting"};

uint8_t nft_family_number(enum nft_family f)
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
		buf_fini(&t->rules[i].exprs);
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

void nft_rule(struct nft *t, const char *chain, const char *comment)
{
	struct nft_rule_of *r;

	t->rules = reallocarray(t->rules, t->nrules + 1, sizeof(*r));
	must(t->rules);
	r = &t->rules[t->nrules++];
	*r = (struct nft_rule_of){.chain = chain_index(t, chain)};
	snprintf(r->comment, sizeof(r->comment), "%s", comment);
}

/* ---- expressions ---- */

static struct nft_rule_of *last(struct nft *t)
{
	must(t->nrules);
	return &t->rules[t->nrules - 1];
}

#define ADD(t, what, ...)                                                              \
	nft_expr_write(&last(t)->exprs, &(struct nft_expr){.kind = what, __VA_ARGS__})

static struct nft_data data_of(const void *p, size_t n)
{
	struct nft_data d = {.n = (uint8_t)n};

	must(n && n <= sizeof(d.b));
	memcpy(d.b, p, n);
	return d;
}

static void add_meta(struct nft *t, uint32_t key)
{
	ADD(t, EXPR_META, .meta = {.key = key, .dreg = NFT_REG_1});
}

static void add_payload(struct nft *t, uint32_t base, uint32_t at, uint32_t len)
{
	ADD(t, EXPR_PAYLOAD,
		.payload = {.dreg = NFT_REG_1, .base = base, .offset = at, .len = len});
}

static void add_cmp(struct nft *t, uint32_t op, const void *data, uint32_t len)
{
	ADD(t, EXPR_CMP,
		.cmp = {.sreg = NFT_REG_1, .op = op, .data = data_of(data, len)});
}

static void add_load(struct nft *t, uint32_t reg, const void *data, uint32_t len)
{
	ADD(t, EXPR_IMMEDIATE, .immediate = {.dreg = reg, .data = data_of(data, len)});
}

static void add_mask(struct nft *t, const void *mask, uint32_t len)
{
	static const uint8_t none[16];

	ADD(t, EXPR_BITWISE,
		.bitwise = {.sreg = NFT_REG_1,
			.dreg = NFT_REG_1,
			.op = NFT_BITWISE_BOOL,
			.len = len,
			.mask = data_of(mask, len),
			.xor = data_of(none, len)});
}

static void add_verdict(struct nft *t, int verdict, const char *chain)
{
	struct nft_data d = {.verdict = (uint32_t)verdict};

	snprintf(d.chain, sizeof(d.chain), "%s", chain);
	ADD(t, EXPR_IMMEDIATE, .immediate = {.dreg = NFT_REG_VERDICT, .data = d});
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
	uint32_t local = RTN_LOCAL;

	ADD(t, EXPR_FIB,
		.fib = {.flags = NFTA_FIB_F_DADDR,
			.result = NFT_FIB_RESULT_ADDRTYPE,
			.dreg = NFT_REG_1});
	add_cmp(t, NFT_CMP_EQ, &local, sizeof(local));
	buf_text(&last(t)->text, "fib daddr type local ");
}

void nft_one_in(struct nft *t, uint32_t n)
{
	uint32_t zero = 0;

	ADD(t, EXPR_NUMGEN,
		.numgen = {.dreg = NFT_REG_1, .modulus = n, .type = NFT_NG_RANDOM});
	add_cmp(t, NFT_CMP_EQ, &zero, sizeof(zero));
	buf_printf(&last(t)->text, "numgen random mod %u 0 ", n);
}

/* ---- verdicts ---- */

void nft_return(struct nft *t)
{
	add_verdict(t, NFT_RETURN, "");
	buf_text(&last(t)->text, "return");
}

void nft_jump(struct nft *t, const char *chain)
{
	add_verdict(t, NFT_JUMP, chain);
	buf_printf(&last(t)->text, "jump %s", chain);
}

void nft_redirect(struct nft *t, uint16_t port)
{
	uint16_t be = htons(port);

	add_load(t, NFT_REG_1, &be, sizeof(be));
	ADD(t, EXPR_REDIR,
		.redir = {.port_min = NFT_REG_1,
			.port_max = NFT_REG_1,
			.flags = NF_NAT_RANGE_PROTO_SPECIFIED});
	buf_printf(&last(t)->text, "redirect to :%u", port);
}

void nft_dnat(struct nft *t, const struct addr *to)
{
	bool six = to->ip.family == 6;
	uint16_t be = htons(to->port);
	char text[ADDR_TEXT];

	add_load(t, NFT_REG_1, to->ip.b, six ? 16 : 4);
	add_load(t, NFT_REG_2, &be, sizeof(be));
	ADD(t, EXPR_NAT,
		.nat = {.type = NFT_NAT_DNAT,
			.family = six ? NFPROTO_IPV6 : NFPROTO_IPV4,
			.addr_min = NFT_REG_1,
			.addr_max = NFT_REG_1,
			.port_min = NFT_REG_2,
			.port_max = NFT_REG_2,
			.flags = NF_NAT_RANGE_MAP_IPS | NF_NAT_RANGE_PROTO_SPECIFIED});
	buf_printf(&last(t)->text, "dnat to %s", addr_text(to, text));
}

void nft_masquerade(struct nft *t)
{
	ADD(t, EXPR_MASQ);
	buf_text(&last(t)->text, "masquerade");
}

static void reject(struct nft *t, uint32_t type, uint8_t code, const char *text)
{
	ADD(t, EXPR_REJECT, .reject = {.type = type, .code = code});
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
