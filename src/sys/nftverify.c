/* SPDX-License-Identifier: Apache-2.0 */
/* A built table, compared with what the kernel has. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include "sys/nftint.h"

#define READ_TRIES 5 /* a dump is disturbed by every change of another's rules, too */

struct reading {
	const struct nft *t;
	size_t *of_chain; /* how many rules of the chain were seen */
	bool *chain_seen;
	bool table_seen;
	struct err *e;
};

/* What follows the header of a message; p == NULL when there is none. */
static struct slice attrs_of(const struct nl_message *m)
{
	if (m->body.n < sizeof(struct nfgenmsg))
		return SLICE_NONE;
	return (struct slice){m->body.p + sizeof(struct nfgenmsg),
		m->body.n - sizeof(struct nfgenmsg)};
}

/* An old kernel tells of every table. */
static bool is_ours(const struct reading *r, struct slice name)
{
	char table[NFT_CHAIN_NAME];

	return nl_text(name, table, sizeof(table)) == 0 &&
	       strcmp(table, r->t->table) == 0;
}

/* ---- the table ---- */

static int on_table(void *arg, const struct nl_message *m)
{
	struct slice attrs = attrs_of(m);
	struct reading *r = arg;
	uint32_t flags = 0;

	if (!is_ours(r, nl_find(attrs, NFTA_TABLE_NAME)))
		return 0;
	r->table_seen = true;
	(void)nl_u32(nl_find(attrs, NFTA_TABLE_FLAGS), &flags); /* absent: none */
	if (ntohl(flags) & NFT_TABLE_F_DORMANT)
		return err_set(r->e, ERR_MISSING,
			"nf_tables: the table %s is switched off (dormant)",
			r->t->table);
	return 0;
}

/* ---- chains ---- */

/* Where the chain is hooked in; both are zero for one that is only jumped to. */
static void read_hook(struct slice attrs, uint32_t *number, int32_t *priority)
{
	struct slice hook = nl_find(attrs, NFTA_CHAIN_HOOK);
	uint32_t n = 0, p = 0;

	(void)nl_u32(nl_find(hook, NFTA_HOOK_HOOKNUM), &n);
	(void)nl_u32(nl_find(hook, NFTA_HOOK_PRIORITY), &p);
	*number = ntohl(n);
	*priority = (int32_t)ntohl(p);
}

static int compare_chain(
	struct reading *r, const struct nft_chain_of *want, struct slice attrs)
{
	char type[16] = "";
	uint32_t hook;
	int32_t priority;

	if (!want->based)
		return 0;
	(void)nl_text(nl_find(attrs, NFTA_CHAIN_TYPE), type, sizeof(type));
	read_hook(attrs, &hook, &priority);
	if (strcmp(type, want->hook.type) == 0 &&
		hook == nft_hook_number(&want->hook) && priority == want->hook.priority)
		return 0;
	return err_set(r->e, ERR_MISSING,
		"nf_tables: the chain %s is hooked in otherwise (type \"%s\", hook %u, "
		"priority %d)",
		want->name, type, hook, priority);
}

static int on_chain(void *arg, const struct nl_message *m)
{
	struct slice attrs = attrs_of(m);
	struct reading *r = arg;
	char name[NFT_CHAIN_NAME];

	if (!is_ours(r, nl_find(attrs, NFTA_CHAIN_TABLE)) ||
		nl_text(nl_find(attrs, NFTA_CHAIN_NAME), name, sizeof(name)))
		return 0;
	for (size_t i = 0; i < r->t->nchains; i++)
		if (strcmp(r->t->chains[i].name, name) == 0) {
			r->chain_seen[i] = true;
			return compare_chain(r, &r->t->chains[i], attrs);
		}
	return err_set(r->e, ERR_MISSING, "nf_tables: a chain too many: %s", name);
}

/* ---- rules ---- */

static const struct nft_rule_of *nth_rule(const struct nft *t, size_t chain, size_t nth)
{
	for (size_t i = 0; i < t->nrules; i++)
		if (t->rules[i].chain == chain && nth-- == 0)
			return &t->rules[i];
	return NULL;
}

static const struct nft_rule_of *next_wanted(struct reading *r, const char *chain)
{
	for (size_t i = 0; i < r->t->nchains; i++)
		if (strcmp(r->t->chains[i].name, chain) == 0)
			return nth_rule(r->t, i, r->of_chain[i]++);
	return NULL;
}

static int compare_rule(
	struct reading *r, const struct nft_rule_of *want, struct slice list)
{
	struct buf got = BUF_INIT;
	int rc = 0;

	if (nft_exprs_rewrite(list, &got) || !buf_is(&got, buf_slice(&want->exprs)))
		rc = err_set(r->e, ERR_MISSING,
			"nf_tables: in %s, another rule is where \"%s\" (%.*s) belongs",
			r->t->chains[want->chain].name, want->comment,
			SLICE_FMT(buf_slice(&want->text)));
	buf_fini(&got);
	return rc;
}

static int on_rule(void *arg, const struct nl_message *m)
{
	struct slice attrs = attrs_of(m);
	const struct nft_rule_of *want;
	char chain[NFT_CHAIN_NAME];
	struct reading *r = arg;

	if (!is_ours(r, nl_find(attrs, NFTA_RULE_TABLE)))
		return 0;
	if (nl_text(nl_find(attrs, NFTA_RULE_CHAIN), chain, sizeof(chain)))
		return err_set(r->e, ERR_MISSING, "nf_tables: a rule without chain");
	want = next_wanted(r, chain);
	if (!want)
		return err_set(
			r->e, ERR_MISSING, "nf_tables: a rule too many in %s", chain);
	return compare_rule(r, want, nl_find(attrs, NFTA_RULE_EXPRESSIONS));
}

/* ---- asking ---- */

/* In the order of asking: what is read first explains what is missing later. */
static const struct {
	int type;
	int (*each)(void *arg, const struct nl_message *m);
	uint16_t table_attr; /* to ask for one table's only; 0: cannot be asked */
} dumps[] = {
	{NFT_MSG_GETTABLE, on_table, 0},
	{NFT_MSG_GETCHAIN, on_chain, 0},
	{NFT_MSG_GETRULE, on_rule, NFTA_RULE_TABLE},
};

/* 1: disturbed, to be done again. */
static int read_once(struct reading *r, const struct nl_ask *ask)
{
	struct nl_fault f;

	memset(r->of_chain, 0, r->t->nchains * sizeof(*r->of_chain));
	if (nl_ask(ask, &f) == 0)
		return 0;
	errno = f.error;
	if (f.error)
		err_sys(r->e, "nf_tables: read back");
	return f.error == EINTR ? 1 : -1;
}

static int read_all(struct reading *r, size_t which)
{
	struct buf b = BUF_INIT;
	struct nl_ask ask = {.protocol = NETLINK_NETFILTER,
		.messages = &b,
		.each = dumps[which].each,
		.arg = r};
	size_t m = nft_begin(&b, dumps[which].type, r->t->family, NLM_F_DUMP, 1);
	int rc = 1;

	if (dumps[which].table_attr)
		nl_put_text(&b, dumps[which].table_attr, r->t->table);
	nl_end(&b, m);
	for (int i = 0; i < READ_TRIES && rc > 0; i++)
		rc = read_once(r, &ask);
	buf_fini(&b);
	return rc ? -1 : 0;
}

static int find_missing(const struct reading *r)
{
	const struct nft_rule_of *want;

	if (!r->table_seen)
		return err_set(r->e, ERR_MISSING, "nf_tables: no table is called %s",
			r->t->table);
	for (size_t i = 0; i < r->t->nchains; i++) {
		if (!r->chain_seen[i])
			return err_set(r->e, ERR_MISSING,
				"nf_tables: the chain %s is missing",
				r->t->chains[i].name);
		want = nth_rule(r->t, i, r->of_chain[i]);
		if (want)
			return err_set(r->e, ERR_MISSING,
				"nf_tables: in %s, the rule \"%s\" (%.*s) is missing",
				r->t->chains[i].name, want->comment,
				SLICE_FMT(buf_slice(&want->text)));
	}
	return 0;
}

int nft_verify(struct nft *t, struct err *e)
{
	struct reading r = {.t = t, .e = e};
	int rc = 0;

	r.of_chain = calloc(t->nchains + 1, sizeof(*r.of_chain));
	r.chain_seen = calloc(t->nchains + 1, sizeof(*r.chain_seen));
	must(r.of_chain && r.chain_seen);
	for (size_t i = 0; i < countof(dumps) && rc == 0; i++)
		rc = read_all(&r, i);
	if (rc == 0)
		rc = find_missing(&r);
	free(r.of_chain);
	free(r.chain_seen);
	return rc;
}
