/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TLS_SESSION_H
#define TLS_SESSION_H

/*
 * One TLS 1.3 connection, without I/O: bytes in, bytes out (RFC 8446; spec proxy.md
 * §12.2).
 *
 * mbedTLS does the handshake and is freed when it ends; what stays are two traffic
 * keys, two sequence numbers and who the peer is (about 2.5 KB).  Records are sealed
 * and opened in place with AES-128-GCM.  TLS_AES_128_GCM_SHA256 and X25519, P-256 only.
 *
 * A session belongs to one thread.  Its credentials are shared and stay until it ends,
 * so renewed certificates never touch a standing connection.
 */
#include "base/addr.h"
#include "base/buf.h"
#include "tls/creds.h"

struct tls;

#define TLS_RECORD_MAX   16384 /* plaintext in one record */
#define TLS_RECORD_EXTRA 22    /* header 5, content type 1, tag 16 */
#define TLS_ID_MAX       256

struct tls_config {
	struct creds *creds; /* borrowed; the session takes its own reference */
	const char *const
		*alpn; /* NULL-terminated list or NULL; borrowed for the call */
	/* client */
	const char *sni;    /* NULL: none is sent */
	const char *expect; /* DNS, URI or IP identity the peer must have; NULL: chain
			       only */
	bool any_server;    /* whoever answers is believed: only to look at it, or where
			       the user says so */
	struct buf *chain;  /* takes the server's certificates as PEM, leaf first, when
			       the handshake ends; or NULL */
	/* server */
	bool ask_client_cert; /* ask; a certificate that comes must verify */
	bool need_client_cert;
};

struct tls *tls_client(const struct tls_config *cfg, struct err *e); /* returns owned */
struct tls *tls_server(const struct tls_config *cfg, struct err *e); /* returns owned */
void tls_free(struct tls *t);

/*
 * Goes on with the handshake: consumes from `in`, appends to `out` what must be sent
 * (also on failure: the alert).  A client's first call has n == 0.
 * 1: done; bytes of `in` beyond *used are records for tls_open().  0: more is needed.
 * -1: refused; e says why: ERR_DENIED (chain, name, validity, no certificate),
 * ERR_SYNTAX, ERR_LIMIT (more than 64 KB of handshake).
 */
int tls_handshake(struct tls *t, const uint8_t *in, size_t n, size_t *used,
	struct buf *out, struct err *e);

/* Who the peer proved to be: first DNS SAN, else spiffe URI SAN, else ""; after the
 * handshake; borrowed from `t`. */
const char *tls_peer_id(const struct tls *t);
const char *tls_alpn(const struct tls *t); /* chosen protocol or "" */
const char *tls_sni(const struct tls *t); /* server: what the client asked for, or "" */

enum tls_piece_kind {
	TLS_PART,  /* no whole record there yet; nothing consumed */
	TLS_DATA,  /* plaintext at p, n (n may be 0) */
	TLS_EOF,   /* close_notify */
	TLS_QUIET, /* a post-handshake message was handled */
};
struct tls_piece {
	enum tls_piece_kind kind;
	uint8_t *p; /* inside `in` */
	size_t n;
	size_t used;    /* bytes of `in` consumed */
	bool must_send; /* call tls_reply() before the next tls_seal() (KeyUpdate) */
};

/*
 * Opens the first record of `in`, in place.  -1: the connection is broken or forged;
 * tls_reply() then has the alert, and nothing is opened or sealed any more.
 */
int tls_open(
	struct tls *t, uint8_t *in, size_t n, struct tls_piece *piece, struct err *e);
/* Appends what the session itself has to say; nothing when there is nothing. */
int tls_reply(struct tls *t, struct buf *out);

/* How many bytes tls_seal() may write for `n` bytes: records, and a KeyUpdate behind
 * them. */
#define TLS_KEY_UPDATE_SIZE (TLS_RECORD_EXTRA + 5)
static inline size_t tls_sealed_size(size_t n)
{
	return n + (n / TLS_RECORD_MAX + 1) * TLS_RECORD_EXTRA + TLS_KEY_UPDATE_SIZE;
}

/*
 * Seals `n` bytes as records of at most 16 KB into `out`, which has room for
 * tls_sealed_size(n); returns bytes written.
 * `out` may be `in` - 5 only when n <= TLS_RECORD_MAX (sealing in place); otherwise
 * they must not overlap.  Renews its own key (KeyUpdate) before the limit of RFC 8446
 * §5.5.
 */
size_t tls_seal(struct tls *t, uint8_t *out, const uint8_t *in, size_t n);
size_t tls_seal_close(
	struct tls *t, uint8_t out[TLS_RECORD_EXTRA + 2]); /* close_notify */

#endif
