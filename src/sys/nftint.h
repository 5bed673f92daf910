/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SYS_NFTINT_H
#define SYS_NFTINT_H

/* What nft.c (building), nftapply.c (into the kernel), nftverify.c (reading back) and
 * nftwhy.c (the kernel's refusals) share. */
#include "base/obj.h"
#include "sys/netlink.h"
#include "sys/nft.h"
#include "sys/nftexpr.h"

#define NFT_COMMENT 100

struct nft_chain_of {
	char name[NFT_CHAIN_NAME];
	struct nft_hook hook;
	bool based;
};

struct nft_rule_of {
	size_t chain;
	struct buf exprs; /* as attributes, ready to be sent */
	struct buf text;
	char comment[NFT_COMMENT];
};

struct nft {
	enum nft_family family;
	char table[NFT_CHAIN_NAME];
	struct nft_chain_of *chains;
	size_t nchains;
	struct nft_rule_of *rules;
	size_t nrules;
};

/* The kernel's number of the family. */
uint8_t nft_family_number(enum nft_family f);
uint32_t nft_hook_number(const struct nft_hook *h);

/* Begins the message NFT_MSG_<type> of that family; nl_end() ends it. */
size_t nft_begin(
	struct buf *b, int type, enum nft_family family, uint16_t flags, uint32_t seq);

/* Why the kernel refused the messages `sent`, and what to do about it.  Returns -1. */
int nft_why(struct slice sent, const struct nl_fault *f, struct err *e);

#endif
