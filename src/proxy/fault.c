/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/fault.h"

#include "base/log.h"

void peer_fault(struct pworker *w, enum side side, bool client, const struct ip *ip,
	const char *what)
{
	struct buf b = BUF_INIT;
	char text[ADDR_TEXT];

	log_warn("proxy", "the peer breaks a limit of HTTP/2",
		LS("direction", side == SIDE_IN ? "inbound" : "outbound"),
		LS(client ? "client" : "server", ip_text(ip, text)),
		LS("reason", what));
	labels_add(&b, "peer", client ? SLICE("src") : SLICE("dst"));
	labels_add(&b, "error", slice_of(what));
	metrics_count(w->metrics,
		side == SIDE_IN ? M_IN_H2_PEER_ERRORS : M_OUT_H2_PEER_ERRORS,
		buf_slice(&b), w->index);
	buf_fini(&b);
}
