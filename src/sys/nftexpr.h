/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SYS_NFTEXPR_H
#define SYS_NFTEXPR_H

/*
 * The expressions that our rules are made of, as values and as the netlink attributes
 * of linux/netfilter/nf_tables.h.  An expression does one step of a rule: it loads
 * something into a register, compares one, or decides.
 *
 * Written, every field is there, also one that is zero; read, a field that is not there
 * is zero, and one that we do not know is passed over.  So what the kernel tells,
 * read and written again, is byte for byte what we sent it.
 */
#include "base/buf.h"

enum nft_kind {
	EXPR_META,
	EXPR_PAYLOAD,
	EXPR_CMP,
	EXPR_BITWISE,
	EXPR_IMMEDIATE,
	EXPR_FIB,
	EXPR_NUMGEN,
	EXPR_REDIR,
	EXPR_NAT,
	EXPR_MASQ,
	EXPR_REJECT,
};

#define NFT_CHAIN_NAME 32

/* `n` bytes; or with n == 0 a verdict, and the chain when it goes to one. */
struct nft_data {
	uint8_t n, b[16];
	uint32_t verdict;
	char chain[NFT_CHAIN_NAME];
};

struct nft_expr {
	enum nft_kind kind;
	union {
		struct {
			uint32_t key, dreg;
		} meta;
		struct {
			uint32_t dreg, base, offset, len;
		} payload;
		struct {
			uint32_t sreg, op;
			struct nft_data data;
		} cmp;
		struct {
			uint32_t sreg, dreg, len, op;
			struct nft_data mask, xor;
		} bitwise;
		struct {
			uint32_t dreg;
			struct nft_data data;
		} immediate;
		struct {
			uint32_t flags, result, dreg;
		} fib;
		struct {
			uint32_t dreg, modulus, type, offset;
		} numgen;
		struct {
			uint32_t port_min, port_max, flags; /* registers */
		} redir;
		struct {
			uint32_t type, family, addr_min, addr_max, port_min, port_max,
				flags;
		} nat;
		struct {
			uint32_t type, code;
		} reject;
	};
};

/* Appends one element of a list of expressions. */
void nft_expr_write(struct buf *b, const struct nft_expr *x);
/* `element` is its inside.  -1: malformed, or not one of ours. */
int nft_expr_read(struct slice element, struct nft_expr *x);
/* The same for a whole list, checked and appended in our own form. */
int nft_exprs_rewrite(struct slice list, struct buf *out);

/* The kernel module that brings the expression of this name; NULL: nf_tables itself. */
const char *nft_expr_module(const char *name);

#endif
