/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_LIB_TLSPAIR_H
#define TEST_LIB_TLSPAIR_H

/* A client's and a server's TLS session joined in memory, the bytes cut as one likes.
 */
#include "tls/session.h"

#define TLSPAIR_WHOLE  0
#define TLSPAIR_BYTES  1 /* one byte at a time */
#define TLSPAIR_RANDOM 2

struct tlspair {
	struct tls *client, *server;
	struct buf to_server, to_client;   /* on their way */
	int client_is, server_is;          /* last result of tls_handshake() */
	struct err client_err, server_err; /* of a handshake that failed */
};

/* Sessions that cannot be made end the test. */
void tlspair_init(struct tlspair *p, const struct tls_config *client,
	const struct tls_config *server);
void tlspair_fini(struct tlspair *p);

/* Runs both handshakes until nothing moves; true when both are done. */
bool tlspair_run(struct tlspair *p, int cut);

#endif
