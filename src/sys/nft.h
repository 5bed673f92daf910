/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SYS_NFT_H
#define SYS_NFT_H

/*
 * One nf_tables table of our own, built in memory, then put into the kernel in one
 * transaction that replaces whatever the table held.
 *
 *	struct nft *t = nft_new(NFT_INET, "mesh_init");
 *	nft_chain(t, "in", &(struct nft_hook){"nat", NFT_PREROUTING, -100});
 *	nft_rule(t, "in", "why"); nft_tcp(t); nft_dport(t, 80, 80); nft_redirect(t,
 *4143); nft_apply(t, e) || nft_verify(t, e);
 *
 * Matches and the verdict belong to the rule begun last.  Everything happens in the
 * network namespace of the calling thread.  Errors: ERR_SYS, with what the kernel lacks
 * or forbids in words; nothing is changed then.
 */
#include "base/addr.h"
#include "base/buf.h"
#include "base/err.h"

enum nft_family { NFT_INET = 1, NFT_IP4 = 2 };
enum nft_at { NFT_PREROUTING, NFT_INPUT, NFT_FORWARD, NFT_OUTPUT, NFT_POSTROUTING };

struct nft;

struct nft_hook {
	const char *type; /* "nat" or "filter" */
	enum nft_at at;
	int priority;
};

struct nft *nft_new(enum nft_family family, const char *table); /* returns owned */
void nft_free(struct nft *t);

void nft_chain(struct nft *t, const char *name, const struct nft_hook *hook);
void nft_rule(struct nft *t, const char *chain, const char *comment);

/* ---- matches ---- */
void nft_family_is(struct nft *t, int family); /* 4 or 6, in an inet table */
void nft_tcp(struct nft *t);
void nft_udp(struct nft *t);
void nft_dport(struct nft *t, uint16_t low, uint16_t high); /* after tcp or udp */
void nft_source(struct nft *t, const struct cidr *c);
void nft_dest(struct nft *t, const struct cidr *c);
void nft_dest_not(struct nft *t, const struct cidr *c);
void nft_uid(struct nft *t, uint32_t uid); /* of the socket that sends */
void nft_gid(struct nft *t, uint32_t gid);
void nft_out_link(struct nft *t, const char *name);
void nft_dest_local(struct nft *t); /* an address of this machine */
/* True for one packet in `n`, at random. */
void nft_one_in(struct nft *t, uint32_t n);

/* ---- verdicts ---- */
void nft_return(struct nft *t);
void nft_jump(struct nft *t, const char *chain);
void nft_redirect(struct nft *t, uint16_t port);
void nft_dnat(struct nft *t, const struct addr *to);
void nft_masquerade(struct nft *t);
void nft_reset(struct nft *t);  /* refuses with a TCP reset */
void nft_refuse(struct nft *t); /* refuses: port unreachable */

/* The table as nft(8) would write it. */
void nft_text(const struct nft *t, struct buf *out);

int nft_apply(struct nft *t, struct err *e);
/* Reads the table back.  ERR_MISSING when the table, a chain or a rule is not as it was
 * built: the text says which. */
int nft_verify(struct nft *t, struct err *e);
/* 0 also when there was none. */
int nft_remove(enum nft_family family, const char *table, struct err *e);

#endif
