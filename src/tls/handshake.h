/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TLS_HANDSHAKE_H
#define TLS_HANDSHAKE_H

/*
 * The handshake, done by mbedTLS: what a session has until its traffic secrets are
 * known.
 *
 * mbedTLS reads and writes through callbacks over the caller's bytes, one record at a
 * time, so that nothing behind the last handshake record is taken.
 */
#include "tls/record.h"
#include "tls/session.h"

struct handshake;

/* Returns owned. */
struct handshake *handshake_new(
	bool is_server, const struct tls_config *cfg, struct err *e);
void handshake_free(struct handshake *h); /* NULL is fine */

/* As tls_handshake(). */
int handshake_run(struct handshake *h, const uint8_t *in, size_t n, size_t *used,
	struct buf *out, struct err *e);

/* After success: the application traffic secrets; NULL while not known. */
const uint8_t *handshake_secret(const struct handshake *h, bool of_server);

/*
 * After a failure: the alert that the peer is still to be told, and the secret of the
 * keys that it is to be told under; 0 when mbedTLS has said it.  mbedTLS sends some
 * under keys that the peer does not have any more (RFC 8446 §7.3): a client that
 * refuses the server's certificate in the clear, a server that refuses the client's
 * under handshake keys.
 */
uint8_t handshake_alert(const struct handshake *h, const uint8_t **secret);

void handshake_peer_id(const struct handshake *h, char out[TLS_ID_MAX]);
const char *handshake_alpn(const struct handshake *h); /* "" when none */
const char *handshake_sni(const struct handshake *h);

/* "certificate expired (45)" */
void alert_text(uint8_t alert, char *out, size_t size);

#endif
