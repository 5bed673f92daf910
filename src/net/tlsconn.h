/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_TLSCONN_H
#define NET_TLSCONN_H

/*
 * TLS as a conn over a conn.  Takes `below` (ends it when it ends).  on_open comes
 * after the handshake; a handshake that fails or lasts longer than `timeout` gives
 * on_gone with the reason (ERR_DENIED: certificate; ERR_TIMEOUT; ...).  Bytes that
 * `below` kept (a peeked ClientHello) are where the server's handshake starts.
 */
#include "net/conn.h"
#include "tls/session.h"

struct conn *tlsconn_client(struct conn *below, const struct tls_config *cfg,
	uint64_t timeout, struct err *e);
/* Its first step is done at once, the others when the loop has time (loop_spare()). */
struct conn *tlsconn_server(struct conn *below, const struct tls_config *cfg,
	uint64_t timeout, struct err *e);

#endif
