/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <sched.h>

#include "base/obj.h"
#include "sys/nftint.h"
#include "t.h"

/* ---- expressions as bytes ---- */

static const struct nft_expr every[] = {
	{.kind = EXPR_META, .meta = {.key = NFT_META_SKUID, .dreg = NFT_REG_1}},
	{.kind = EXPR_PAYLOAD, .payload = {.dreg = NFT_REG_1, .offset = 2, .len = 2}},
	{.kind = EXPR_CMP,
		.cmp = {NFT_REG_1, NFT_CMP_NEQ, {.n = 4, .b = {1, 2, 3, 4}}}},
	{.kind = EXPR_BITWISE,
		.bitwise = {NFT_REG_1, NFT_REG_2, 16, 0, {.n = 16, .b = {255, 240}},
			{.n = 16}}},
	{.kind = EXPR_IMMEDIATE, .immediate = {NFT_REG_2, {.n = 2, .b = {31, 144}}}},
	{.kind = EXPR_IMMEDIATE, .immediate = {0, {.verdict = (uint32_t)NFT_RETURN}}},
	{.kind = EXPR_IMMEDIATE,
		.immediate = {0, {.verdict = (uint32_t)NFT_JUMP, .chain = "services"}}},
	{.kind = EXPR_FIB, .fib = {NFTA_FIB_F_DADDR, NFT_FIB_RESULT_ADDRTYPE, 1}},
	{.kind = EXPR_NUMGEN, .numgen = {NFT_REG_1, 3, NFT_NG_RANDOM, 4}},
	{.kind = EXPR_REDIR, .redir = {NFT_REG_1, NFT_REG_1, 2}},
	{.kind = EXPR_NAT, .nat = {NFT_NAT_DNAT, 2, 1, 1, 2, 2, 3}},
	{.kind = EXPR_MASQ},
	{.kind = EXPR_REJECT, .reject = {NFT_REJECT_ICMP_UNREACH, 3}},
};

static void write_every(struct buf *b)
{
	for (size_t i = 0; i < countof(every); i++)
		nft_expr_write(b, &every[i]);
}

TEST(an_expression_is_the_bytes_the_kernel_defines)
{
	static const char want[] = "\x2c\0\1\x80"
				   "\x0a\0\1\0redir\0\0\0"
				   "\x1c\0\2\x80"
				   "\x08\0\1\0\0\0\0\1"
				   "\x08\0\2\0\0\0\0\1"
				   "\x08\0\3\0\0\0\0\2"
				   "\x30\0\1\x80"
				   "\x0e\0\1\0immediate\0\0\0"
				   "\x1c\0\2\x80"
				   "\x08\0\1\0\0\0\0\0"
				   "\x10\0\2\x80\x0c\0\2\x80\x08\0\1\0\xff\xff\xff\xfb";
	struct buf b = BUF_INIT;

	nft_expr_write(&b, &every[9]);
	nft_expr_write(&b, &every[5]);
	OK(slice_eq(buf_slice(&b), slice_bytes(want, sizeof(want) - 1)));
	buf_fini(&b);
}

TEST(an_expression_is_read_as_it_was_written)
{
	for (size_t i = 0; i < countof(every); i++) {
		struct buf b = BUF_INIT, again = BUF_INIT;
		struct nft_expr x;
		struct nl_attr a;
		struct slice rest;

		nft_expr_write(&b, &every[i]);
		rest = buf_slice(&b);
		EQ_INT(nl_next_attr(&rest, &a), 1);
		EQ_INT(rest.n, 0);
		OK(nft_expr_read(a.value, &x) == 0);
		EQ_INT(x.kind, every[i].kind);
		nft_expr_write(&again, &x);
		OK(slice_eq(buf_slice(&b), buf_slice(&again)));
		buf_fini(&again);
		buf_fini(&b);
	}
}

TEST(values_come_back)
{
	struct buf b = BUF_INIT;
	struct nft_expr x;
	struct slice s;

	nft_expr_write(&b, &every[6]);
	s = buf_slice(&b);
	OK(nft_expr_read((struct slice){s.p + 4, s.n - 4}, &x) == 0);
	EQ_INT((int)x.immediate.data.verdict, NFT_JUMP);
	EQ_STR(x.immediate.data.chain, "services");
	EQ_INT(x.immediate.data.n, 0);
	buf_clear(&b);
	nft_expr_write(&b, &every[8]);
	s = buf_slice(&b);
	OK(nft_expr_read((struct slice){s.p + 4, s.n - 4}, &x) == 0);
	EQ_INT(x.numgen.modulus, 3);
	EQ_INT(x.numgen.offset, 4);
	buf_fini(&b);
}

/* Every cut that is not between two expressions. */
TEST(a_list_cut_short_is_refused)
{
	struct buf b = BUF_INIT;
	size_t whole = 0;

	write_every(&b);
	for (size_t n = 0; n < buf_len(&b); n++) {
		char *copy = malloc(n + 1); /* its end is seen by ASan */
		struct buf out = BUF_INIT;
		struct slice s = {copy, n};

		memcpy(copy, b.p, n);
		if (nft_exprs_rewrite(s, &out) == 0) {
			whole++;
			EQ_INT(buf_len(&out), n);
		}
		buf_fini(&out);
		free(copy);
	}
	EQ_INT(whole, countof(every));
	buf_fini(&b);
}

/* Whatever the bytes are: refused, or what comes out is stable. */
TEST(changed_bytes_do_no_harm)
{
	struct buf b = BUF_INIT;

	write_every(&b);
	for (size_t i = 0; i < buf_len(&b); i++)
		for (int bit = 0; bit < 8; bit++) {
			struct buf once = BUF_INIT, twice = BUF_INIT;

			b.p[i] ^= (char)(1 << bit);
			if (nft_exprs_rewrite(buf_slice(&b), &once) == 0) {
				OK(!nft_exprs_rewrite(buf_slice(&once), &twice));
				OK(slice_eq(buf_slice(&once), buf_slice(&twice)));
			}
			b.p[i] ^= (char)(1 << bit);
			buf_fini(&once);
			buf_fini(&twice);
		}
	buf_fini(&b);
}

static void put_meta(struct buf *b, const char *name, size_t key_size)
{
	size_t element = nl_nest(b, NFTA_LIST_ELEM), data;
	uint32_t key[2] = {htonl(7), 0};

	nl_put_text(b, NFTA_EXPR_NAME, name);
	data = nl_nest(b, NFTA_EXPR_DATA);
	nl_put(b, NFTA_META_KEY, key, key_size);
	nl_put_u32(b, 99, 1);
	nl_nest_end(b, data);
	nl_nest_end(b, element);
}

TEST(what_we_do_not_know_is_passed_over_in_an_expression_and_refused_as_one)
{
	static const struct {
		const char *name;
		size_t key_size;
		int rc;
	} cases[] = {{"meta", 4, 0}, {"meta", 2, -1}, {"meta", 8, -1}, {"log", 4, -1},
		{"", 4, -1}, {"a name that is far too long", 4, -1}};

	for (size_t i = 0; i < countof(cases); i++) {
		struct buf b = BUF_INIT, out = BUF_INIT;

		put_meta(&b, cases[i].name, cases[i].key_size);
		EQ_INT(nft_exprs_rewrite(buf_slice(&b), &out), cases[i].rc);
		buf_fini(&out);
		buf_fini(&b);
	}
}

/* ---- refusals in words ---- */

static size_t put_message(struct buf *b, int type, uint32_t seq)
{
	struct nfgenmsg head = {0};
	size_t m = nl_begin(b, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), 0, seq);

	nl_put_head(b, &head, sizeof(head));
	return m;
}

/* 1: a table, 2: a chain, 3: a rule; where the rule's second expression begins. */
static size_t put_sent(struct buf *b)
{
	size_t m, list, second;

	nl_end(b, put_message(b, NFT_MSG_NEWTABLE, 1));
	m = put_message(b, NFT_MSG_NEWCHAIN, 2);
	nl_put_text(b, NFTA_CHAIN_TYPE, "nat");
	nl_end(b, m);
	m = put_message(b, NFT_MSG_NEWRULE, 3);
	list = nl_nest(b, NFTA_RULE_EXPRESSIONS);
	nft_expr_write(b, &every[7]);
	second = buf_len(b) - m;
	nft_expr_write(b, &every[9]);
	nl_nest_end(b, list);
	nl_end(b, m);
	return second;
}

TEST(a_refusal_names_what_is_missing)
{
	struct buf b = BUF_INIT;
	size_t second = put_sent(&b);
	const struct {
		struct nl_fault f;
		const char *says;
	} cases[] = {
		{{EPERM, 1, 0, ""}, "CAP_NET_ADMIN"},
		{{EPROTONOSUPPORT, 0, 0, ""}, "modprobe nf_tables\""},
		{{EOPNOTSUPP, 1, 0, ""}, "modprobe nf_tables\""},
		{{ENOENT, 2, 0, ""}, "modprobe nft_chain_nat\""},
		{{ENOENT, 3, 0, ""}, "modprobe nft_fib_inet nft_redir\""},
		{{ENOENT, 3, second, ""}, "modprobe nft_redir\""},
		{{ENOENT, 3, 9999, ""}, "modprobe nf_tables\""},
		{{EINVAL, 3, second, "bad"}, "refused the rules (bad)"},
		{{ETIMEDOUT, 0, 0, ""}, "no answer"},
	};

	for (size_t i = 0; i < countof(cases); i++) {
		struct err e = {0};

		EQ_INT(nft_why(buf_slice(&b), &cases[i].f, &e), -1);
		if (!strstr(e.msg, cases[i].says))
			T_FAIL("%zu: %s", i, e.msg);
		EQ_INT(e.sys, cases[i].f.error);
	}
	buf_fini(&b);
}

/* ---- with the kernel, where it lets us ---- */

static bool have_kernel(void)
{
	struct err e = {0};

	if (unshare(CLONE_NEWNET) == 0 && nft_remove(NFT_INET, "t", &e) == 0)
		return true;
	printf("# not asked: needs root and nf_tables\n");
	return false;
}

static struct cidr net(const char *text)
{
	struct cidr c;

	must(cidr_parse(slice_of(text), &c));
	return c;
}

static void put_matches(struct nft *t)
{
	struct cidr c4 = net("10.1.0.0/12"), c6 = net("fd00::/61"), h = net("fd00::7");

	nft_rule(t, "in", "networks");
	nft_source(t, &c4);
	nft_dest_not(t, &c4);
	nft_return(t);
	nft_rule(t, "in", "networks");
	nft_source(t, &c6);
	nft_dest(t, &h);
	nft_jump(t, "sub");
	nft_rule(t, "out", "");
	nft_uid(t, 2102);
	nft_gid(t, 2103);
	nft_out_link(t, "lo");
	nft_return(t);
	nft_rule(t, "in", "one of three");
	nft_dest_local(t);
	nft_udp(t);
	nft_dport(t, 80, 90);
	nft_one_in(t, 3);
	nft_return(t);
}

static struct nft *every_rule(const char *comment)
{
	struct nft *t = nft_new(NFT_INET, "t");
	struct addr to = {.ip = net("10.0.0.9").ip, .port = 8080};

	nft_chain(t, "sub", NULL);
	nft_chain(t, "in", &(struct nft_hook){"nat", NFT_PREROUTING, -100});
	nft_chain(t, "out", &(struct nft_hook){"nat", NFT_OUTPUT, -100});
	nft_chain(t, "leave", &(struct nft_hook){"nat", NFT_POSTROUTING, 100});
	nft_chain(t, "drop", &(struct nft_hook){"filter", NFT_INPUT, 0});
	put_matches(t);
	nft_rule(t, "in", comment);
	nft_tcp(t);
	nft_dport(t, 80, 80);
	nft_redirect(t, 4143);
	nft_rule(t, "sub", comment);
	nft_family_is(t, 4);
	nft_tcp(t);
	nft_dnat(t, &to);
	nft_rule(t, "leave", comment);
	nft_masquerade(t);
	nft_rule(t, "drop", comment);
	nft_tcp(t);
	nft_reset(t);
	nft_rule(t, "drop", comment);
	nft_refuse(t);
	return t;
}

TEST(the_kernel_tells_what_it_was_told)
{
	struct nft *t = every_rule("why");
	struct err e = {0};

	if (!have_kernel())
		return;
	for (int i = 0; i < 2; i++)
		if (nft_apply(t, &e) || nft_verify(t, &e))
			T_FAIL("%s", e.msg);
	OK(nft_remove(NFT_INET, "t", &e) == 0);
	OK(nft_remove(NFT_INET, "t", &e) == 0);
	OK(nft_verify(t, &e) < 0);
	nft_free(t);
}

TEST(a_table_that_is_not_as_it_was_built_is_noticed)
{
	struct nft *is = every_rule("why"), *more = every_rule("why");
	struct nft *other = every_rule("why");
	struct err e = {0};

	if (!have_kernel())
		return;
	nft_rule(more, "out", "one more");
	nft_return(more);
	nft_rule(is, "out", "the last");
	nft_uid(is, 1);
	nft_rule(other, "out", "the last");
	nft_uid(other, 2);
	OK(nft_apply(is, &e) == 0);
	OK(nft_verify(other, &e) < 0);
	OK(strstr(e.msg, "in out, another rule is where \"the last\" (meta skuid 2 )"));
	OK(nft_apply(more, &e) == 0);
	OK(nft_verify(more, &e) == 0);
	nft_free(other);
	other = every_rule("why");
	OK(nft_verify(other, &e) < 0);
	OK(strstr(e.msg, "a rule too many in out"));
	nft_free(other);
	nft_free(more);
	nft_free(is);
}

static void says(struct nft *t, const char *what)
{
	struct err e = {0};

	OK(nft_verify(t, &e) < 0);
	EQ_INT(e.code, ERR_MISSING);
	if (!strstr(e.msg, what))
		T_FAIL("\"%s\" is not in \"%s\"", what, e.msg);
	nft_free(t);
}

static struct nft *one_chain(int priority, bool rule)
{
	struct nft *t = nft_new(NFT_INET, "t");

	nft_chain(t, "in", &(struct nft_hook){"nat", NFT_PREROUTING, priority});
	nft_rule(t, "in", "first");
	nft_return(t);
	if (rule) {
		nft_rule(t, "in", "second");
		nft_return(t);
	}
	return t;
}

TEST(what_is_missing_is_named)
{
	struct nft *is = one_chain(-100, false), *two = one_chain(-100, false);
	struct err e = {0};

	if (!have_kernel())
		return;
	says(one_chain(-100, false), "no table is called t");
	OK(nft_apply(is, &e) == 0);
	says(one_chain(-100, true), "in in, the rule \"second\" (return) is missing");
	says(one_chain(-99, false),
		"the chain in is hooked in otherwise (type \"nat\"");
	nft_chain(two, "more", NULL);
	says(two, "the chain more is missing");
	two = one_chain(-100, false);
	nft_chain(two, "more", NULL);
	OK(nft_apply(two, &e) == 0);
	says(is, "a chain too many: more");
	nft_free(two);
}

/* nat outside a nat chain; nothing of the transaction is done. */
TEST(a_refused_table_leaves_the_old_one)
{
	struct nft *good = every_rule("why"), *bad = every_rule("why");
	struct err e = {0};

	if (!have_kernel())
		return;
	OK(nft_apply(good, &e) == 0);
	nft_rule(bad, "drop", "");
	nft_redirect(bad, 1);
	OK(nft_apply(bad, &e) < 0);
	EQ_INT(e.code, ERR_SYS);
	OK(nft_verify(good, &e) == 0);
	nft_free(bad);
	nft_free(good);
}

TEST(thousands_of_rules_go_in_one_transaction)
{
	struct nft *t = nft_new(NFT_INET, "t");
	struct err e = {0};

	if (!have_kernel())
		return;
	nft_chain(t, "in", NULL);
	for (uint16_t i = 1; i <= 4000; i++) {
		nft_rule(t, "in", "many");
		nft_tcp(t);
		nft_dport(t, i, i);
		nft_return(t);
	}
	if (nft_apply(t, &e) || nft_verify(t, &e))
		T_FAIL("%s", e.msg);
	nft_free(t);
}
