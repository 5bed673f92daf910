/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nat_rule PRIORITY PORT TO
 *
 * Somebody else's rules: the table "other" of this network namespace, which redirects
 * inbound TCP for PORT to port TO.
 */
#include <stdio.h>
#include <stdlib.h>

#include "sys/nft.h"

static uint16_t port(const char *text)
{
	return (uint16_t)strtoul(text, NULL, 10);
}

int main(int argc, char **argv)
{
	struct nft_hook hook = {.type = "nat", .at = NFT_PREROUTING};
	struct nft *t = nft_new(NFT_INET, "other");
	struct err e = {0};

	if (argc != 4)
		return 64;
	hook.priority = (int)strtol(argv[1], NULL, 10);
	nft_chain(t, "in", &hook);
	nft_rule(t, "in", "somebody else's");
	nft_tcp(t);
	nft_dport(t, port(argv[2]), port(argv[2]));
	nft_redirect(t, port(argv[3]));
	if (nft_apply(t, &e) || nft_verify(t, &e)) {
		fprintf(stderr, "%s\n", e.msg);
		return 1;
	}
	nft_free(t);
	return 0;
}
