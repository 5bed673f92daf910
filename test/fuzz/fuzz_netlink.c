/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as messages with a list of expressions: read within their bounds, and what
 * is read is written in one way only. */
#include "base/obj.h"
#include "sys/netlink.h"
#include "sys/nftexpr.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void check_list(struct slice list)
{
	struct buf once = BUF_INIT, twice = BUF_INIT;

	if (nft_exprs_rewrite(list, &once) == 0) {
		must(nft_exprs_rewrite(buf_slice(&once), &twice) == 0);
		must(slice_eq(buf_slice(&once), buf_slice(&twice)));
	}
	buf_fini(&once);
	buf_fini(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct slice rest = slice_bytes(p, n);
	struct nl_message m;

	check_list(rest);
	while (nl_next_message(&rest, &m) > 0)
		check_list(m.body);
	return 0;
}
