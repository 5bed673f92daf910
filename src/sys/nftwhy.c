/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's refusals in words for who runs the machine. */
#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include "sys/nftint.h"

#define HEAD (NLMSG_HDRLEN + sizeof(struct nfgenmsg)) /* before the attributes */

static bool is_lack(int error)
{
	return error == ENOENT || error == EOPNOTSUPP || error == EAFNOSUPPORT ||
	       error == EPROTONOSUPPORT;
}

/* The message with that number; p == NULL when there is none. */
static struct slice find_message(struct slice sent, uint32_t seq, uint16_t *type)
{
	struct nl_message m;

	while (nl_next_message(&sent, &m) > 0) {
		*type = m.type;
		if (m.seq == seq)
			return (struct slice){
				m.body.p - NLMSG_HDRLEN, m.body.n + NLMSG_HDRLEN};
	}
	return SLICE_NONE;
}

/* The module behind one element of a rule's list, if it is more than nf_tables. */
static const char *module_of(struct slice element)
{
	char name[16];

	if (nl_text(nl_find(element, NFTA_EXPR_NAME), name, sizeof(name)))
		return NULL;
	return nft_expr_module(name);
}

static void add_module(struct buf *out, const char *module)
{
	if (module)
		buf_printf(out, "%s%s", buf_len(out) ? " " : "", module);
}

/* The expression that the kernel points at; else every one that could be meant. */
static void rule_modules(struct slice message, size_t at, struct buf *out)
{
	struct slice list = {message.p + HEAD, message.n - HEAD};
	struct nl_attr a;

	list = nl_find(list, NFTA_RULE_EXPRESSIONS);
	while (nl_next_attr(&list, &a) > 0)
		if (!at || a.value.p == message.p + at + NLA_HDRLEN)
			add_module(out, module_of(a.value));
}

static void chain_modules(struct slice message, struct buf *out)
{
	struct slice attrs = {message.p + HEAD, message.n - HEAD};
	char type[16];

	if (nl_text(nl_find(attrs, NFTA_CHAIN_TYPE), type, sizeof(type)) == 0 && *type)
		buf_printf(out, "nft_chain_%s", type);
}

static void find_modules(struct slice sent, const struct nl_fault *f, struct buf *out)
{
	uint16_t type = 0;
	struct slice message = find_message(sent, f->seq, &type);

	if (message.n < HEAD)
		return;
	if (type == (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWRULE))
		rule_modules(message, f->at, out);
	else if (type == (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWCHAIN))
		chain_modules(message, out);
}

static int say_lack(struct slice sent, const struct nl_fault *f, struct err *e)
{
	struct buf names = BUF_INIT;
	int rc;

	find_modules(sent, f, &names);
	if (!buf_len(&names))
		buf_text(&names, "nf_tables");
	errno = f->error;
	rc = err_sys(e,
		"nf_tables: this kernel lacks a part; on the node, \"modprobe %.*s\" "
		"(inet nat needs Linux 5.2)",
		SLICE_FMT(buf_slice(&names)));
	buf_fini(&names);
	return rc;
}

int nft_why(struct slice sent, const struct nl_fault *f, struct err *e)
{
	errno = f->error;
	if (f->error == EPERM || f->error == EACCES)
		return err_sys(e, "nf_tables: not permitted: CAP_NET_ADMIN is needed");
	if (is_lack(f->error))
		return say_lack(sent, f, e);
	if (!f->seq)
		return err_sys(e, "nf_tables: no answer to the rules");
	if (*f->text)
		return err_sys(
			e, "nf_tables: the kernel refused the rules (%s)", f->text);
	return err_sys(e, "nf_tables: the kernel refused the rules");
}
