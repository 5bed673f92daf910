/* SPDX-License-Identifier: Apache-2.0 */
/* A built table into the kernel. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include "sys/nftint.h"

struct batch {
	struct buf b;
	uint32_t seq; /* of the message that was begun last */
};

/* ---- messages ---- */

static size_t begin(struct buf *b, uint16_t type, uint16_t flags, uint32_t seq,
	const struct nfgenmsg *head)
{
	size_t m = nl_begin(b, type, flags, seq);

	nl_put_head(b, head, sizeof(*head));
	return m;
}

size_t nft_begin(
	struct buf *b, int type, enum nft_family family, uint16_t flags, uint32_t seq)
{
	struct nfgenmsg head = {.nfgen_family = nft_family_number(family)};

	return begin(
		b, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), flags, seq, &head);
}

static void edge(struct batch *b, uint16_t type)
{
	struct nfgenmsg head = {.res_id = htons(NFNL_SUBSYS_NFTABLES)};

	nl_end(&b->b, begin(&b->b, type, 0, ++b->seq, &head));
}

static size_t message(struct batch *b, int type, enum nft_family f, uint16_t flags)
{
	return nft_begin(&b->b, type, f, flags, ++b->seq);
}

static void put_table(
	struct batch *b, int type, enum nft_family f, const char *name, uint16_t flags)
{
	size_t m = message(b, type, f, flags);

	nl_put_text(&b->b, NFTA_TABLE_NAME, name);
	nl_end(&b->b, m);
}

static void put_hook(struct buf *b, const struct nft_hook *h)
{
	size_t in = nl_nest(b, NFTA_CHAIN_HOOK);

	nl_put_u32(b, NFTA_HOOK_HOOKNUM, htonl(nft_hook_number(h)));
	nl_put_u32(b, NFTA_HOOK_PRIORITY, htonl((uint32_t)h->priority));
	nl_nest_end(b, in);
	nl_put_u32(b, NFTA_CHAIN_POLICY, htonl(NF_ACCEPT));
	nl_put_text(b, NFTA_CHAIN_TYPE, h->type);
}

static void put_chain(
	struct batch *b, const struct nft *t, const struct nft_chain_of *c)
{
	size_t m = message(b, NFT_MSG_NEWCHAIN, t->family, NLM_F_CREATE);

	nl_put_text(&b->b, NFTA_CHAIN_TABLE, t->table);
	nl_put_text(&b->b, NFTA_CHAIN_NAME, c->name);
	if (c->based)
		put_hook(&b->b, &c->hook);
	nl_end(&b->b, m);
}

/* As nft(8) keeps a comment: its kind, its length, the text with its zero. */
static void put_comment(struct buf *b, const char *text)
{
	enum { COMMENT = 0 };
	char bytes[2 + NFT_COMMENT] = {COMMENT, (char)(strlen(text) + 1)};

	memcpy(bytes + 2, text, strlen(text) + 1);
	nl_put(b, NFTA_RULE_USERDATA, bytes, strlen(text) + 3);
}

static void put_rule(struct batch *b, const struct nft *t, const struct nft_rule_of *r)
{
	struct slice exprs = buf_slice(&r->exprs);
	size_t m = message(b, NFT_MSG_NEWRULE, t->family, NLM_F_CREATE | NLM_F_APPEND);

	nl_put_text(&b->b, NFTA_RULE_TABLE, t->table);
	nl_put_text(&b->b, NFTA_RULE_CHAIN, t->chains[r->chain].name);
	if (*r->comment)
		put_comment(&b->b, r->comment);
	nl_put(&b->b, NFTA_RULE_EXPRESSIONS | NLA_F_NESTED, exprs.p, exprs.n);
	nl_end(&b->b, m);
	b->b.failed |= r->exprs.failed;
}

/* ---- one transaction ---- */

/* A table that is there already is as good: a removal then never fails for want. */
static void drop_table(struct batch *b, enum nft_family f, const char *name)
{
	edge(b, NFNL_MSG_BATCH_BEGIN);
	put_table(b, NFT_MSG_NEWTABLE, f, name, NLM_F_CREATE);
	put_table(b, NFT_MSG_DELTABLE, f, name, 0);
}

/* Ends the batch; its last message is a table's, which is to be acknowledged. */
static int commit(struct batch *b, int type, enum nft_family f, const char *name,
	uint16_t flags, struct err *e)
{
	struct nl_ask ask = {.protocol = NETLINK_NETFILTER, .messages = &b->b};
	struct nl_fault fault;
	int rc = 0;

	put_table(b, type, f, name, flags | NLM_F_ACK);
	ask.last = b->seq;
	edge(b, NFNL_MSG_BATCH_END);
	if (nl_ask(&ask, &fault))
		rc = nft_why(buf_slice(&b->b), &fault, e);
	buf_fini(&b->b);
	return rc;
}

int nft_apply(struct nft *t, struct err *e)
{
	struct batch b = {0};

	drop_table(&b, t->family, t->table);
	put_table(&b, NFT_MSG_NEWTABLE, t->family, t->table, NLM_F_CREATE);
	for (size_t i = 0; i < t->nchains; i++)
		put_chain(&b, t, &t->chains[i]);
	for (size_t i = 0; i < t->nrules; i++)
		put_rule(&b, t, &t->rules[i]);
	return commit(&b, NFT_MSG_NEWTABLE, t->family, t->table, NLM_F_CREATE, e);
}

int nft_remove(enum nft_family family, const char *table, struct err *e)
{
	struct batch b = {0};

	edge(&b, NFNL_MSG_BATCH_BEGIN);
	put_table(&b, NFT_MSG_NEWTABLE, family, table, NLM_F_CREATE);
	return commit(&b, NFT_MSG_DELTABLE, family, table, 0, e);
}
