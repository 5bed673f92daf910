/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_FAULT_H
#define PROXY_FAULT_H

/*
 * A peer that breaks a limit or a rule of its protocol: counted in
 * {in,out}bound_http2_peer_errors_total, and said in one line, which the log counts
 * while it repeats.
 */
#include "proxy/worker.h"

/* `client`: it connected to us; else we to it.  `what` is one of a fixed list. */
void peer_fault(struct pworker *w, enum side side, bool client, const struct ip *ip,
	const char *what);

#endif
