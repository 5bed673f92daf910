/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_OUTBOUND_H
#define PROXY_OUTBOUND_H

/*
 * Connections that this pod's application opens (spec proxy.md §8): what does discovery
 * say of the original destination, what does the client speak, then each request to the
 * route and backend it matches, or the whole byte stream to one endpoint.
 */
#include "proxy/worker.h"

/* Takes `fd`, just accepted on the outbound listener. */
void outbound_accept(struct pworker *w, int fd);

/* Targets not used for the idle time are forgotten; from the worker's tick. */
void outbound_sweep(struct pworker *w);

#endif
