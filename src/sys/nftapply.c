/* SPDX-License-Identifier: Apache-2.0 */
/* A built table into the kernel, and back. */
#include <errno.h>
#include <netinet/in.h>

#include <libmnl/libmnl.h>
#include <libnftnl/common.h>
#include <libnftnl/table.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <sys/time.h>
#include <unistd.h>

#include "sys/nftint.h"

#define RULE_ROOM     2048 /* bytes of one message, with plenty to spare */
#define ANSWER_WAIT_S 10

struct batch {
	char *bytes;
	struct mnl_nlmsg_batch *b;
	uint32_t seq, last;
};

static struct mnl_socket *open_socket(struct err *e)
{
	struct mnl_socket *s = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	struct timeval wait = {.tv_sec = ANSWER_WAIT_S};

	if (!s) {
		err_sys(e, "nf_tables: the kernel has no netfilter netlink");
		return NULL;
	}
	if (mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) < 0 ||
		setsockopt(mnl_socket_get_fd(s), SOL_SOCKET, SO_RCVTIMEO, &wait,
			sizeof(wait)) < 0) {
		err_sys(e, "nf_tables: netlink");
		mnl_socket_close(s);
		return NULL;
	}
	return s;
}

/* ---- one transaction ---- */

static void batch_begin(struct batch *b, size_t messages)
{
	size_t limit = (messages + 8) * RULE_ROOM;

	b->bytes = malloc(limit + RULE_ROOM);
	must(b->bytes);
	b->b = mnl_nlmsg_batch_start(b->bytes, limit);
	must(b->b);
	b->seq = 1;
	nftnl_batch_begin(mnl_nlmsg_batch_current(b->b), b->seq++);
	must(mnl_nlmsg_batch_next(b->b));
}

static void batch_fini(struct batch *b)
{
	mnl_nlmsg_batch_stop(b->b);
	free(b->bytes);
}

static struct nlmsghdr *batch_message(
	struct batch *b, uint16_t type, uint16_t family, uint16_t flags)
{
	b->last = b->seq++;
	return nftnl_nlmsg_build_hdr(
		mnl_nlmsg_batch_current(b->b), type, family, flags, b->last);
}

static void batch_table(
	struct batch *b, uint16_t type, enum nft_family f, const char *name, int flags)
{
	struct nftnl_table *t = nftnl_table_alloc();
	uint16_t family = nft_family_number(f);

	must(t);
	nftnl_table_set_u32(t, NFTNL_TABLE_FAMILY, family);
	nftnl_table_set_str(t, NFTNL_TABLE_NAME, name);
	nftnl_table_nlmsg_build_payload(
		batch_message(b, type, family, (uint16_t)flags), t);
	nftnl_table_free(t);
	must(mnl_nlmsg_batch_next(b->b));
}

static void batch_chain(
	struct batch *b, const struct nft *t, const struct nft_chain_of *c)
{
	struct nftnl_chain *n = nftnl_chain_alloc();
	uint16_t family = nft_family_number(t->family);

	must(n);
	nftnl_chain_set_u32(n, NFTNL_CHAIN_FAMILY, family);
	nftnl_chain_set_str(n, NFTNL_CHAIN_TABLE, t->table);
	nftnl_chain_set_str(n, NFTNL_CHAIN_NAME, c->name);
	if (c->based) {
		nftnl_chain_set_str(n, NFTNL_CHAIN_TYPE, c->hook.type);
		nftnl_chain_set_u32(n, NFTNL_CHAIN_HOOKNUM, nft_hook_number(&c->hook));
		nftnl_chain_set_s32(n, NFTNL_CHAIN_PRIO, c->hook.priority);
		nftnl_chain_set_u32(n, NFTNL_CHAIN_POLICY, NF_ACCEPT);
	}
	nftnl_chain_nlmsg_build_payload(
		batch_message(b, NFT_MSG_NEWCHAIN, family, NLM_F_CREATE), n);
	nftnl_chain_free(n);
	must(mnl_nlmsg_batch_next(b->b));
}

static void batch_rule(struct batch *b, const struct nft *t, struct nftnl_rule *r)
{
	nftnl_rule_nlmsg_build_payload(
		batch_message(b, NFT_MSG_NEWRULE, nft_family_number(t->family),
			NLM_F_CREATE | NLM_F_APPEND),
		r);
	must(mnl_nlmsg_batch_next(b->b));
}

static int say_why(struct err *e, int error)
{
	const char *why = error == EPERM || error == EACCES
				  ? "not permitted: CAP_NET_ADMIN is needed"
			  : error == EOPNOTSUPP || error == ENOENT ||
					  error == EAFNOSUPPORT ||
					  error == EPROTONOSUPPORT
				  ? "the kernel lacks a part of nf_tables (inet nat "
				    "needs Linux 5.2 and "
				    "the modules nft_chain_nat, nft_redir, nft_ct)"
				  : "the kernel refused the rules";

	errno = error;
	return err_sys(e, "nf_tables: %s", why);
}

/* The kernel answers failures first, in order; then the last message's ack. */
static int await_answer(struct mnl_socket *s, uint32_t last, struct err *e)
{
	char bytes[8192];

	for (;;) {
		ssize_t n = mnl_socket_recvfrom(s, bytes, sizeof(bytes));
		struct nlmsghdr *h = (struct nlmsghdr *)bytes;
		int left = (int)n;

		if (n < 0)
			return err_sys(e, "nf_tables: answer");
		for (; mnl_nlmsg_ok(h, left); h = mnl_nlmsg_next(h, &left)) {
			const struct nlmsgerr *m = mnl_nlmsg_get_payload(h);

			if (h->nlmsg_type != NLMSG_ERROR)
				continue;
			if (m->error)
				return say_why(e, -m->error);
			if (h->nlmsg_seq == last)
				return 0;
		}
	}
}

static int batch_send(struct batch *b, struct nlmsghdr *last, struct err *e)
{
	struct mnl_socket *s = open_socket(e);
	size_t n;
	int size, rc = -1;

	if (!s)
		return -1;
	if (last)
		last->nlmsg_flags |= NLM_F_ACK;
	nftnl_batch_end(mnl_nlmsg_batch_current(b->b), b->seq++);
	must(mnl_nlmsg_batch_next(b->b));
	n = mnl_nlmsg_batch_size(b->b);
	size = (int)n * 2;
	(void)setsockopt(mnl_socket_get_fd(s), SOL_SOCKET, SO_SNDBUFFORCE, &size,
		sizeof(size)); /* refused: small tables still fit */
	if (mnl_socket_sendto(s, mnl_nlmsg_batch_head(b->b), n) < 0)
		err_sys(e, "nf_tables: send");
	else
		rc = await_answer(s, b->last, e);
	mnl_socket_close(s);
	return rc;
}

static void replace_table(struct batch *b, enum nft_family f, const char *name)
{
	batch_table(b, NFT_MSG_NEWTABLE, f, name, NLM_F_CREATE);
	batch_table(b, NFT_MSG_DELTABLE, f, name, 0);
}

int nft_apply(struct nft *t, struct err *e)
{
	struct nlmsghdr *last;
	struct batch b;
	int rc;

	batch_begin(&b, t->nchains + t->nrules);
	replace_table(&b, t->family, t->table);
	batch_table(&b, NFT_MSG_NEWTABLE, t->family, t->table, NLM_F_CREATE);
	for (size_t i = 0; i < t->nchains; i++)
		batch_chain(&b, t, &t->chains[i]);
	last = mnl_nlmsg_batch_current(b.b);
	if (!t->nrules)
		batch_table(&b, NFT_MSG_NEWTABLE, t->family, t->table, NLM_F_CREATE);
	for (size_t i = 0; i < t->nrules; i++) {
		last = mnl_nlmsg_batch_current(b.b);
		batch_rule(&b, t, t->rules[i].rule);
	}
	rc = batch_send(&b, last, e);
	batch_fini(&b);
	return rc;
}

int nft_remove(enum nft_family family, const char *table, struct err *e)
{
	struct nlmsghdr *last;
	struct batch b;
	int rc;

	batch_begin(&b, 4);
	batch_table(&b, NFT_MSG_NEWTABLE, family, table, NLM_F_CREATE);
	last = mnl_nlmsg_batch_current(b.b);
	batch_table(&b, NFT_MSG_DELTABLE, family, table, 0);
	rc = batch_send(&b, last, e);
	batch_fini(&b);
	return rc;
}

/* ---- reading back ---- */

static void rule_exprs(struct nftnl_rule *r, struct buf *out)
{
	struct nftnl_expr_iter *it = nftnl_expr_iter_create(r);
	struct nftnl_expr *x;
	char text[512];

	must(it);
	while ((x = nftnl_expr_iter_next(it))) {
		nftnl_expr_snprintf(text, sizeof(text), x, NFTNL_OUTPUT_DEFAULT, 0);
		buf_printf(
			out, "[%s %s] ", nftnl_expr_get_str(x, NFTNL_EXPR_NAME), text);
	}
	nftnl_expr_iter_destroy(it);
}

struct reading {
	const struct nft *t;
	size_t *of_chain; /* how many rules of the chain were seen */
	size_t seen;
	struct err *e;
};

static struct nft_rule_of *nth_rule(const struct nft *t, size_t chain, size_t nth)
{
	for (size_t i = 0; i < t->nrules; i++)
		if (t->rules[i].chain == chain && nth-- == 0)
			return &t->rules[i];
	return NULL;
}

static int compare(struct reading *r, struct nftnl_rule *got)
{
	const char *chain = nftnl_rule_get_str(got, NFTNL_RULE_CHAIN);
	struct buf a = BUF_INIT, b = BUF_INIT;
	struct nft_rule_of *want = NULL;
	int rc = 0;

	for (size_t i = 0; i < r->t->nchains; i++)
		if (strcmp(r->t->chains[i].name, chain) == 0)
			want = nth_rule(r->t, i, r->of_chain[i]++);
	if (!want)
		return err_set(
			r->e, ERR_BUG, "nf_tables: a rule too many in %s", chain);
	rule_exprs(got, &a);
	rule_exprs(want->rule, &b);
	if (!slice_eq(buf_slice(&a), buf_slice(&b)))
		rc = err_set(r->e, ERR_BUG, "nf_tables: \"%s\" reads back as %.*s",
			want->comment, SLICE_FMT(buf_slice(&a)));
	buf_fini(&a);
	buf_fini(&b);
	r->seen++;
	return rc;
}

static int on_rule(const struct nlmsghdr *h, void *arg)
{
	struct reading *r = arg;
	struct nftnl_rule *got = nftnl_rule_alloc();
	int rc = MNL_CB_OK;

	must(got);
	if (nftnl_rule_nlmsg_parse(h, got) == 0 &&
		strcmp(nftnl_rule_get_str(got, NFTNL_RULE_TABLE), r->t->table) == 0 &&
		compare(r, got))
		rc = MNL_CB_ERROR;
	nftnl_rule_free(got);
	return rc;
}

static int read_all(struct mnl_socket *s, struct reading *r)
{
	char bytes[32768];

	for (;;) {
		ssize_t n = mnl_socket_recvfrom(s, bytes, sizeof(bytes));
		int rc;

		if (n < 0)
			return err_sys(r->e, "nf_tables: read back");
		errno = 0;
		rc = mnl_cb_run(
			bytes, (size_t)n, 2, mnl_socket_get_portid(s), on_rule, r);
		if (rc == MNL_CB_STOP)
			return 0;
		if (rc == MNL_CB_ERROR)
			return r->e->code ? -1 : err_sys(r->e, "nf_tables: read back");
	}
}

int nft_verify(struct nft *t, struct err *e)
{
	char bytes[RULE_ROOM];
	struct err local = {0};
	struct reading r = {.t = t, .e = e ? e : &local};
	struct nftnl_rule *which = nftnl_rule_alloc();
	struct mnl_socket *s = open_socket(e);
	struct nlmsghdr *h;
	int rc = -1;

	r.of_chain = calloc(t->nchains, sizeof(*r.of_chain));
	must(which && r.of_chain);
	r.e->code = ERR_NONE;
	h = nftnl_nlmsg_build_hdr(
		bytes, NFT_MSG_GETRULE, nft_family_number(t->family), NLM_F_DUMP, 2);
	nftnl_rule_set_str(which, NFTNL_RULE_TABLE, t->table);
	nftnl_rule_nlmsg_build_payload(h, which);
	if (s && mnl_socket_sendto(s, h, h->nlmsg_len) < 0)
		err_sys(e, "nf_tables: read back");
	else if (s)
		rc = read_all(s, &r);
	if (rc == 0 && r.seen != t->nrules)
		rc = err_set(e, ERR_BUG, "nf_tables: %zu rules of %zu are there",
			r.seen, t->nrules);
	if (s)
		mnl_socket_close(s);
	nftnl_rule_free(which);
	free(r.of_chain);
	return rc;
}
