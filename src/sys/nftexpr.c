/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/nftexpr.h"

#include <arpa/inet.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netlink.h>

#include "base/obj.h"
#include "sys/netlink.h"

/* How a field looks on the wire. */
enum form { U32, U8, DATA };

struct field {
	uint8_t attr; /* 0: no more of them */
	uint8_t form;
	uint16_t at;
};

struct shape {
	const char *name, *module;
	struct field fields[8]; /* the last one is empty */
};

#define F(attr, form, member)                                                          \
	{                                                                              \
		attr, form, offsetof(struct nft_expr, member)                          \
	}

static const struct shape shapes[] = {
	[EXPR_META] = {"meta", NULL,
		{F(NFTA_META_KEY, U32, meta.key), F(NFTA_META_DREG, U32, meta.dreg)}},
	[EXPR_PAYLOAD] = {"payload", NULL,
		{F(NFTA_PAYLOAD_DREG, U32, payload.dreg),
			F(NFTA_PAYLOAD_BASE, U32, payload.base),
			F(NFTA_PAYLOAD_OFFSET, U32, payload.offset),
			F(NFTA_PAYLOAD_LEN, U32, payload.len)}},
	[EXPR_CMP] = {"cmp", NULL,
		{F(NFTA_CMP_SREG, U32, cmp.sreg), F(NFTA_CMP_OP, U32, cmp.op),
			F(NFTA_CMP_DATA, DATA, cmp.data)}},
	[EXPR_BITWISE] = {"bitwise", NULL,
		{F(NFTA_BITWISE_SREG, U32, bitwise.sreg),
			F(NFTA_BITWISE_DREG, U32, bitwise.dreg),
			F(NFTA_BITWISE_OP, U32, bitwise.op),
			F(NFTA_BITWISE_LEN, U32, bitwise.len),
			F(NFTA_BITWISE_MASK, DATA, bitwise.mask),
			F(NFTA_BITWISE_XOR, DATA, bitwise.xor)}},
	[EXPR_IMMEDIATE] = {"immediate", NULL,
		{F(NFTA_IMMEDIATE_DREG, U32, immediate.dreg),
			F(NFTA_IMMEDIATE_DATA, DATA, immediate.data)}},
	[EXPR_FIB] = {"fib", "nft_fib_inet",
		{F(NFTA_FIB_FLAGS, U32, fib.flags), F(NFTA_FIB_RESULT, U32, fib.result),
			F(NFTA_FIB_DREG, U32, fib.dreg)}},
	[EXPR_NUMGEN] = {"numgen", "nft_numgen",
		{F(NFTA_NG_DREG, U32, numgen.dreg),
			F(NFTA_NG_MODULUS, U32, numgen.modulus),
			F(NFTA_NG_TYPE, U32, numgen.type),
			F(NFTA_NG_OFFSET, U32, numgen.offset)}},
	[EXPR_REDIR] = {"redir", "nft_redir",
		{F(NFTA_REDIR_REG_PROTO_MIN, U32, redir.port_min),
			F(NFTA_REDIR_REG_PROTO_MAX, U32, redir.port_max),
			F(NFTA_REDIR_FLAGS, U32, redir.flags)}},
	[EXPR_NAT] = {"nat", "nft_nat",
		{F(NFTA_NAT_TYPE, U32, nat.type), F(NFTA_NAT_FAMILY, U32, nat.family),
			F(NFTA_NAT_REG_ADDR_MIN, U32, nat.addr_min),
			F(NFTA_NAT_REG_ADDR_MAX, U32, nat.addr_max),
			F(NFTA_NAT_REG_PROTO_MIN, U32, nat.port_min),
			F(NFTA_NAT_REG_PROTO_MAX, U32, nat.port_max),
			F(NFTA_NAT_FLAGS, U32, nat.flags)}},
	[EXPR_MASQ] = {"masq", "nft_masq", {{0}}},
	[EXPR_REJECT] = {"reject", "nft_reject_inet",
		{F(NFTA_REJECT_TYPE, U32, reject.type),
			F(NFTA_REJECT_ICMP_CODE, U8, reject.code)}},
};

static const struct shape *shape_of(const char *name)
{
	for (size_t i = 0; i < countof(shapes); i++)
		if (strcmp(shapes[i].name, name) == 0)
			return &shapes[i];
	return NULL;
}

const char *nft_expr_module(const char *name)
{
	const struct shape *s = shape_of(name);

	return s ? s->module : NULL;
}

/* ---- data ---- */

static void write_data(struct buf *b, uint16_t attr, const struct nft_data *d)
{
	size_t outer = nl_nest(b, attr), inner;

	if (d->n) {
		nl_put(b, NFTA_DATA_VALUE, d->b, d->n);
	} else {
		inner = nl_nest(b, NFTA_DATA_VERDICT);
		nl_put_u32(b, NFTA_VERDICT_CODE, htonl(d->verdict));
		if (*d->chain)
			nl_put_text(b, NFTA_VERDICT_CHAIN, d->chain);
		nl_nest_end(b, inner);
	}
	nl_nest_end(b, outer);
}

static int read_number(struct slice value, uint32_t *out)
{
	if (nl_u32(value, out))
		return -1;
	*out = ntohl(*out);
	return 0;
}

static int read_data(struct slice in, struct nft_data *d)
{
	struct slice value = nl_find(in, NFTA_DATA_VALUE);
	struct slice verdict = nl_find(in, NFTA_DATA_VERDICT);

	*d = (struct nft_data){0};
	if (!value.n)
		return read_number(nl_find(verdict, NFTA_VERDICT_CODE), &d->verdict) ||
				       nl_text(nl_find(verdict, NFTA_VERDICT_CHAIN),
					       d->chain, sizeof(d->chain))
			       ? -1
			       : 0;
	if (value.n > sizeof(d->b))
		return -1;
	d->n = (uint8_t)value.n;
	memcpy(d->b, value.p, value.n);
	return 0;
}

/* ---- fields ---- */

static void write_field(struct buf *b, const struct field *f, const void *at)
{
	const uint32_t *number = at;

	switch ((enum form)f->form) {
	case U32:
		nl_put_u32(b, f->attr, htonl(*number));
		return;
	case U8:
		nl_put(b, f->attr, &(uint8_t){(uint8_t)*number}, 1);
		return;
	case DATA:
		write_data(b, f->attr, at);
		return;
	}
}

static int read_field(struct slice value, const struct field *f, void *at)
{
	uint32_t *number = at;

	switch ((enum form)f->form) {
	case U32:
		return read_number(value, number);
	case U8:
		if (value.n != 1)
			return -1;
		*number = (uint8_t)*value.p;
		return 0;
	case DATA:
		return read_data(value, at);
	}
	return -1;
}

static int read_fields(const struct shape *s, struct slice attrs, struct nft_expr *x)
{
	struct nl_attr a;
	int got;

	while ((got = nl_next_attr(&attrs, &a)) > 0)
		for (const struct field *f = s->fields; f->attr; f++)
			if (f->attr == a.type &&
				read_field(a.value, f, (char *)x + f->at))
				return -1;
	return got;
}

/* ---- expressions ---- */

void nft_expr_write(struct buf *b, const struct nft_expr *x)
{
	const struct shape *s = &shapes[x->kind];
	size_t element = nl_nest(b, NFTA_LIST_ELEM), data;

	nl_put_text(b, NFTA_EXPR_NAME, s->name);
	data = nl_nest(b, NFTA_EXPR_DATA);
	for (const struct field *f = s->fields; f->attr; f++)
		write_field(b, f, (const char *)x + f->at);
	nl_nest_end(b, data);
	nl_nest_end(b, element);
}

int nft_expr_read(struct slice element, struct nft_expr *x)
{
	struct slice data = SLICE_NONE;
	const struct shape *s;
	char name[16] = "";
	struct nl_attr a;
	int got;

	while ((got = nl_next_attr(&element, &a)) > 0)
		if (a.type == NFTA_EXPR_DATA)
			data = a.value;
		else if (a.type == NFTA_EXPR_NAME &&
			 nl_text(a.value, name, sizeof(name)))
			return -1;
	s = shape_of(name);
	if (got < 0 || !s)
		return -1;
	*x = (struct nft_expr){.kind = (enum nft_kind)(s - shapes)};
	return read_fields(s, data, x);
}

int nft_exprs_rewrite(struct slice list, struct buf *out)
{
	struct nft_expr x;
	struct nl_attr a;
	int got;

	while ((got = nl_next_attr(&list, &a)) > 0) {
		if (a.type != NFTA_LIST_ELEM || nft_expr_read(a.value, &x))
			return -1;
		nft_expr_write(out, &x);
	}
	return got;
}
