/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/session.h"

#include <mbedtls/ssl.h>

#include "base/obj.h"
#include "tls/handshake.h"
#include "tls/record.h"

#define QUIET_MAX 32 /* records in a row that bring no data */

_Static_assert(RECORD_EXTRA == TLS_RECORD_EXTRA && RECORD_PLAIN_MAX == TLS_RECORD_MAX,
	"session.h and record.h tell the same");

enum tls_at {
	TLS_AT_HANDSHAKE,
	TLS_AT_OPEN,
	TLS_AT_CLOSED, /* the peer said close_notify; we may go on sending */
	TLS_AT_BROKEN,
};

/* RFC 8446 §4 */
enum message {
	MESSAGE_TICKET = 4,
	MESSAGE_KEY_UPDATE = 24,
};

#define MESSAGE_HEAD 4

/* A handshake message that may come in pieces; tickets are not kept. */
struct incoming {
	uint8_t head[MESSAGE_HEAD];
	uint8_t head_n;
	uint8_t update; /* KeyUpdate's one byte */
	uint32_t left;  /* of the body */
};

struct tls {
	struct flow rx, tx;
	bool is_server;
	bool owes_update;   /* a KeyUpdate is to be sent */
	uint8_t owes_alert; /* 0: none */
	uint8_t quiet;
	enum tls_at at;
	struct incoming msg;
	struct handshake *hs;  /* NULL once it is over */
	char *id, *alpn, *sni; /* in `names` */
	char *names;
};

static char none[1]; /* what id, alpn and sni are before there is one */

/* ---- life ---- */

static struct tls *session_new(
	bool is_server, const struct tls_config *cfg, struct err *e)
{
	struct tls *t = aligned_alloc(_Alignof(struct tls), sizeof *t);

	if (!t)
		return err_set(e, ERR_LIMIT, "TLS: out of memory"), NULL;
	memset(t, 0, sizeof *t);
	t->is_server = is_server;
	t->id = t->alpn = t->sni = none;
	t->hs = handshake_new(is_server, cfg, e);
	if (t->hs)
		return t;
	free(t);
	return NULL;
}

struct tls *tls_client(const struct tls_config *cfg, struct err *e)
{
	return session_new(false, cfg, e);
}

struct tls *tls_server(const struct tls_config *cfg, struct err *e)
{
	return session_new(true, cfg, e);
}

void tls_free(struct tls *t)
{
	if (!t)
		return;
	flow_fini(&t->rx);
	flow_fini(&t->tx);
	handshake_free(t->hs);
	free(t->names);
	free(t);
}

/* ---- the handshake ---- */

static char *store(char **at, const char *text)
{
	size_t n = strlen(text) + 1;
	char *to = *at;

	memcpy(to, text, n);
	*at += n;
	return to;
}

static int keep_names(struct tls *t, struct err *e)
{
	const char *alpn = handshake_alpn(t->hs), *sni = handshake_sni(t->hs);
	char id[TLS_ID_MAX], *at;

	handshake_peer_id(t->hs, id);
	at = t->names = malloc(strlen(id) + strlen(alpn) + strlen(sni) + 3);
	if (!at)
		return err_set(e, ERR_LIMIT, "TLS: out of memory");
	t->id = store(&at, id);
	t->alpn = store(&at, alpn);
	t->sni = store(&at, sni);
	return 0;
}

static int take_keys(struct tls *t)
{
	const uint8_t *rx = handshake_secret(t->hs, !t->is_server);
	const uint8_t *tx = handshake_secret(t->hs, t->is_server);

	if (!rx || !tx)
		return -1;
	return flow_init(&t->rx, rx) || flow_init(&t->tx, tx) ? -1 : 0;
}

static int break_off(struct tls *t)
{
	t->at = TLS_AT_BROKEN;
	handshake_free(t->hs);
	t->hs = NULL;
	return -1;
}

static int refuse(struct tls *t, struct buf *out)
{
	const uint8_t *secret;

	t->owes_alert = handshake_alert(t->hs, &secret);
	if (t->owes_alert && flow_init(&t->tx, secret) == 0)
		(void)tls_reply(t, out); /* best effort: it ends anyway */
	return break_off(t);
}

static int finish(struct tls *t, struct err *e)
{
	if (keep_names(t, e) != 0)
		return break_off(t);
	if (take_keys(t) != 0) {
		err_set(e, ERR_BUG, "TLS: no traffic keys");
		return break_off(t);
	}
	t->at = TLS_AT_OPEN;
	handshake_free(t->hs);
	t->hs = NULL;
	return 1;
}

int tls_handshake(struct tls *t, const uint8_t *in, size_t n, size_t *used,
	struct buf *out, struct err *e)
{
	int ret;

	*used = 0;
	if (t->at != TLS_AT_HANDSHAKE)
		return err_set(e, ERR_CLOSED, "TLS: the handshake is over");
	ret = handshake_run(t->hs, in, n, used, out, e);
	if (ret < 0)
		return refuse(t, out);
	return ret == 0 ? 0 : finish(t, e);
}

const char *tls_peer_id(const struct tls *t)
{
	return t->id;
}

const char *tls_alpn(const struct tls *t)
{
	return t->alpn;
}

const char *tls_sni(const struct tls *t)
{
	return t->hs ? handshake_sni(t->hs) : t->sni;
}

/* ---- receiving ---- */

static int broken(
	struct tls *t, uint8_t alert, enum errc code, const char *why, struct err *e)
{
	t->at = TLS_AT_BROKEN;
	t->owes_alert = alert;
	return err_set(e, code, "TLS: %s", why);
}

static int unexpected(struct tls *t, const char *why, struct err *e)
{
	return broken(t, MBEDTLS_SSL_ALERT_MSG_UNEXPECTED_MESSAGE, ERR_SYNTAX, why, e);
}

/* A record without data: allowed, but not for ever. */
static int count_quiet(struct tls *t, struct err *e)
{
	if (++t->quiet <= QUIET_MAX)
		return 0;
	return broken(t, MBEDTLS_SSL_ALERT_MSG_UNEXPECTED_MESSAGE, ERR_LIMIT,
		"too many records without data", e);
}

static int message_begin(struct tls *t, struct err *e)
{
	struct incoming *m = &t->msg;

	m->left = (uint32_t)m->head[1] << 16 | (uint32_t)m->head[2] << 8 | m->head[3];
	if (m->head[0] == MESSAGE_TICKET && !t->is_server && m->left <= 65536 + 64)
		return 0;
	if (m->head[0] == MESSAGE_KEY_UPDATE && m->left == 1)
		return 0;
	return unexpected(t, "unexpected message", e);
}

/* `rest`: bytes behind it in its record; keys change between records only (§5.1). */
static int key_update(struct tls *t, size_t rest, struct err *e)
{
	if (rest)
		return unexpected(t, "bytes behind a KeyUpdate", e);
	if (t->msg.update > 1)
		return broken(t, MBEDTLS_SSL_ALERT_MSG_ILLEGAL_PARAMETER, ERR_SYNTAX,
			"malformed KeyUpdate", e);
	if (flow_renew(&t->rx) != 0)
		return broken(t, MBEDTLS_SSL_ALERT_MSG_INTERNAL_ERROR, ERR_LIMIT,
			"out of memory", e);
	t->owes_update |= t->msg.update == 1;
	return 0;
}

static int message_end(struct tls *t, size_t rest, struct err *e)
{
	t->msg.head_n = 0;
	return t->msg.head[0] == MESSAGE_KEY_UPDATE ? key_update(t, rest, e) : 0;
}

/* Handles what of a message is at `p`; says how many bytes that were. */
static int message_part(
	struct tls *t, const uint8_t *p, size_t n, size_t *used, struct err *e)
{
	struct incoming *m = &t->msg;
	size_t take = m->left < n ? m->left : n;

	if (m->head_n < MESSAGE_HEAD) {
		*used = 1;
		m->head[m->head_n++] = *p;
		if (m->head_n < MESSAGE_HEAD)
			return 0;
		if (message_begin(t, e) != 0)
			return -1;
		return m->left ? 0 : message_end(t, n - 1, e);
	}
	*used = take;
	m->update = p[0];
	m->left -= (uint32_t)take;
	return m->left ? 0 : message_end(t, n - take, e);
}

static int open_handshake(struct tls *t, const uint8_t *p, size_t n, struct err *e)
{
	if (n == 0)
		return unexpected(t, "empty handshake record", e); /* §5.1 */
	while (n) {
		size_t used = 0;

		if (message_part(t, p, n, &used, e) != 0)
			return -1;
		p += used;
		n -= used;
	}
	return count_quiet(t, e);
}

static int open_alert(struct tls *t, const uint8_t *p, size_t n,
	struct tls_piece *piece, struct err *e)
{
	char text[64];

	if (n != 2)
		return broken(t, MBEDTLS_SSL_ALERT_MSG_DECODE_ERROR, ERR_SYNTAX,
			"malformed alert", e);
	if (p[1] == MBEDTLS_SSL_ALERT_MSG_CLOSE_NOTIFY) {
		t->at = TLS_AT_CLOSED;
		piece->kind = TLS_EOF;
		return 0;
	}
	if (p[1] == MBEDTLS_SSL_ALERT_MSG_USER_CANCELED)
		return count_quiet(t, e);
	t->at = TLS_AT_BROKEN;
	alert_text(p[1], text, sizeof text);
	return err_set(e, ERR_DENIED, "TLS: refused by the peer: %s", text);
}

static int open_data(struct tls *t, struct tls_piece *piece, struct err *e)
{
	piece->kind = TLS_DATA;
	if (piece->n == 0)
		return count_quiet(t, e);
	t->quiet = 0;
	return 0;
}

static int open_inner(
	struct tls *t, uint8_t type, struct tls_piece *piece, struct err *e)
{
	if (piece->n > TLS_RECORD_MAX)
		return broken(t, MBEDTLS_SSL_ALERT_MSG_RECORD_OVERFLOW, ERR_LIMIT,
			"record too large", e);
	if (t->msg.head_n && type != RECORD_HANDSHAKE)
		return unexpected(t, "a record inside a message", e);
	switch (type) {
	case RECORD_DATA:
		return open_data(t, piece, e);
	case RECORD_ALERT:
		return open_alert(t, piece->p, piece->n, piece, e);
	case RECORD_HANDSHAKE:
		return open_handshake(t, piece->p, piece->n, e);
	default:
		return unexpected(t, "unknown record type", e);
	}
}

static int open_head(struct tls *t, const uint8_t *in, struct err *e)
{
	if (in[0] != RECORD_DATA)
		return unexpected(t, "a record that is not protected", e);
	return broken(t, MBEDTLS_SSL_ALERT_MSG_RECORD_OVERFLOW, ERR_LIMIT,
		"record of a wrong size", e);
}

static int open_record(
	struct tls *t, uint8_t *in, size_t size, struct tls_piece *piece, struct err *e)
{
	uint8_t type;

	if (!flow_open(&t->rx, in, size, &type, &piece->n))
		return broken(t, MBEDTLS_SSL_ALERT_MSG_BAD_RECORD_MAC, ERR_SYNTAX,
			"a record does not decrypt", e);
	piece->kind = TLS_QUIET;
	piece->p = in + RECORD_HEAD;
	piece->used = size;
	if (open_inner(t, type, piece, e) != 0)
		return -1;
	piece->must_send = t->owes_update;
	return 0;
}

int tls_open(
	struct tls *t, uint8_t *in, size_t n, struct tls_piece *piece, struct err *e)
{
	int size;

	*piece = (struct tls_piece){.kind = TLS_PART};
	if (t->at == TLS_AT_CLOSED) { /* what follows is ignored (§6.1) */
		*piece = (struct tls_piece){.kind = TLS_EOF, .used = n};
		return 0;
	}
	if (t->at != TLS_AT_OPEN)
		return err_set(e, ERR_CLOSED, "TLS: the session is not open");
	size = record_size(in, n);
	if (size < 0)
		return open_head(t, in, e);
	return size == 0 ? 0 : open_record(t, in, (size_t)size, piece, e);
}

/* ---- sending ---- */

static size_t seal_alert(struct tls *t, uint8_t level, uint8_t alert, uint8_t *out)
{
	out[RECORD_HEAD] = level;
	out[RECORD_HEAD + 1] = alert;
	return flow_seal(&t->tx, RECORD_ALERT, out, 2);
}

/* Tells the peer that the next record has the next key. */
static size_t seal_update(struct tls *t, uint8_t *out)
{
	static const uint8_t update[] = {MESSAGE_KEY_UPDATE, 0, 0, 1, 0};
	size_t n;

	memcpy(out + RECORD_HEAD, update, sizeof update);
	n = flow_seal(&t->tx, RECORD_HANDSHAKE, out, sizeof update);
	t->owes_update = false;
	if (flow_renew(&t->tx) != 0)
		t->at = TLS_AT_BROKEN;
	return n;
}

int tls_reply(struct tls *t, struct buf *out)
{
	uint8_t rec[TLS_KEY_UPDATE_SIZE];
	size_t n = 0;

	if (t->owes_alert)
		n = seal_alert(t, MBEDTLS_SSL_ALERT_LEVEL_FATAL, t->owes_alert, rec);
	else if (t->owes_update && t->at != TLS_AT_BROKEN)
		n = seal_update(t, rec);
	t->owes_alert = 0;
	return buf_add(out, rec, n);
}

static bool may_send(const struct tls *t)
{
	return t->at == TLS_AT_OPEN || t->at == TLS_AT_CLOSED;
}

size_t tls_seal(struct tls *t, uint8_t *out, const uint8_t *in, size_t n)
{
	uint8_t *at = out;

	if (!may_send(t))
		return 0;
	while (n) {
		size_t part = n < TLS_RECORD_MAX ? n : TLS_RECORD_MAX;

		if (at + RECORD_HEAD != in)
			memcpy(at + RECORD_HEAD, in, part);
		at += flow_seal(&t->tx, RECORD_DATA, at, part);
		in += part;
		n -= part;
	}
	if (t->owes_update || flow_is_worn(&t->tx))
		at += seal_update(t, at);
	return (size_t)(at - out);
}

size_t tls_seal_close(struct tls *t, uint8_t out[TLS_RECORD_EXTRA + 2])
{
	if (!may_send(t))
		return 0;
	return seal_alert(t, MBEDTLS_SSL_ALERT_LEVEL_WARNING,
		MBEDTLS_SSL_ALERT_MSG_CLOSE_NOTIFY, out);
}
