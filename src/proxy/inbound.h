/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_INBOUND_H
#define PROXY_INBOUND_H

/*
 * Connections that come to this pod (spec proxy.md §3, §7): who may connect, is it TLS
 * to us, what does it speak, then each request (or the whole byte stream) to the
 * application at the original destination, where the port's policy admits it.
 */
#include "net/conn.h"
#include "proxy/worker.h"

/* Takes `fd`, just accepted on the inbound listener. */
void inbound_accept(struct pworker *w, int fd);

/* Ports not used for the idle time lose their policy watch; from the worker's tick. */
void inbound_sweep(struct pworker *w);
/* Watches the ports of INBOUND_PORTS from the start, and for good. */
void inbound_watch_ports(struct pworker *w);

#endif
