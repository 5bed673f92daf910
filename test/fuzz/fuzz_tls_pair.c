/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A TLS client and server of ours with somebody between them who changes bytes: during
 * the handshake and of records.  Whatever is changed, nobody reads what was not
 * written.
 *
 * Input: rows of four bytes: after how many flights, where (two bytes, of 65536 parts),
 * what is added.
 */
#include <string.h>

#include "base/obj.h"
#include "tls/cert.h"
#include "tls/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char text[] = "nothing but this was ever written by either of them";

static const uint8_t *rows;
static size_t nrows;
static unsigned flight;

static struct creds *make_creds(void)
{
	struct cert_spec spec = {.common_name = "web", .not_after = UINT64_MAX / 2};
	struct key *key = key_generate(NULL);
	struct buf der = BUF_INIT;
	struct slice chain;
	struct creds_spec cs = {.chain_der = &chain, .chain_der_count = 1, .key = key};
	struct creds *c;

	must(cert_issue(key, &spec, NULL, NULL, &der, NULL) == 0);
	chain = buf_slice(&der);
	c = creds_new(&cs, NULL);
	must(c);
	key_free(key);
	buf_fini(&der);
	return c;
}

/* What lies between them. */
static void change(struct buf *b)
{
	struct slice s = buf_slice(b);

	for (size_t i = 0; s.n && i < nrows; i++) {
		const uint8_t *r = rows + 4 * i;

		if (r[0] == flight)
			((char *)s.p)[((size_t)r[1] << 8 | r[2]) * s.n >> 16] +=
				(char)r[3];
	}
	flight++;
}

/* One flight from `from`, which was told `in`, into `in`: 1 when its handshake is done.
 */
static int shake(struct tls *t, struct buf *in)
{
	struct buf out = BUF_INIT;
	struct err e = {0};
	size_t used = 0;
	int r = tls_handshake(
		t, (const uint8_t *)buf_slice(in).p, buf_len(in), &used, &out, &e);

	must(used <= buf_len(in) && (r >= 0 || e.msg[0]));
	buf_fini(in);
	*in = out;
	change(in);
	return r;
}

static void speak(struct tls *from, struct tls *to)
{
	uint8_t sealed[sizeof text + 2 * TLS_RECORD_EXTRA + TLS_KEY_UPDATE_SIZE];
	struct buf b = BUF_INIT;
	struct tls_piece piece;
	struct err e = {0};
	size_t n = tls_seal(from, sealed, (const uint8_t *)text, sizeof text);

	must(n <= sizeof sealed && buf_add(&b, sealed, n) == 0);
	change(&b);
	if (tls_open(to, (uint8_t *)buf_slice(&b).p, buf_len(&b), &piece, &e) == 0 &&
		piece.kind == TLS_DATA && piece.n)
		must(piece.n == sizeof text && memcmp(piece.p, text, piece.n) == 0);
	buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const alpn[] = {"transport.l5d.io/v1", NULL};
	static struct tls_config sc = {.alpn = alpn, .ask_client_cert = true},
				 cc = {.alpn = alpn};
	struct tls *client, *server;
	struct buf between = BUF_INIT;
	int c = 0, s = 0;

	if (!sc.creds)
		sc.creds = cc.creds = make_creds();
	rows = data;
	nrows = size / 4;
	flight = 0;
	client = tls_client(&cc, NULL);
	server = tls_server(&sc, NULL);
	must(client && server);
	for (int i = 0; i < 3 && c >= 0 && s >= 0; i++) {
		if (c == 0)
			c = shake(client, &between);
		if (c >= 0 && s == 0)
			s = shake(server, &between);
	}
	buf_fini(&between);
	for (int i = 0; i < 3 && c == 1 && s == 1; i++) {
		speak(client, server);
		speak(server, client);
	}
	tls_free(client);
	tls_free(server);
	return 0;
}
