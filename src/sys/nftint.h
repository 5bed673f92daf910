/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SYS_NFTINT_H
#define SYS_NFTINT_H

/* What nft.c (building) and nftapply.c (the kernel) share. */
#include <libnftnl/chain.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>

#include "base/obj.h"
#include "sys/nft.h"

struct nft_chain_of {
	char name[32];
	struct nft_hook hook;
	bool based;
};

struct nft_rule_of {
	size_t chain;
	struct nftnl_rule *rule;
	struct buf text;
	char comment[100];
};

struct nft {
	enum nft_family family;
	char table[32];
	struct nft_chain_of *chains;
	size_t nchains;
	struct nft_rule_of *rules;
	size_t nrules;
};

/* The kernel's number of the family. */
uint16_t nft_family_number(enum nft_family f);
uint32_t nft_hook_number(const struct nft_hook *h);

#endif
