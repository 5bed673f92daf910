/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/handshake.h"

#include <mbedtls/platform_util.h>
#include <mbedtls/ssl.h>

#include "base/obj.h"
#include "tls/cert.h"
#include "tls/credsint.h"
#include "tls/init.h"

#define HANDSHAKE_MAGIC 0x7a3d91c4
#define HANDSHAKE_MAX   65536 /* bytes from the peer */
#define ALPN_MAX        4
#define ALPN_TEXT       64

struct secret {
	uint8_t bytes[RECORD_SECRET];
	bool known;
};

struct handshake {
	unsigned magic;
	bool is_server, need_cert;
	struct buf *chain; /* the server's certificates go there, or NULL */
	struct creds *creds;
	mbedtls_ssl_context ssl;
	mbedtls_ssl_config conf;
	/* the caller's, during handshake_run() */
	const uint8_t *in;
	size_t in_n;
	struct buf *out;
	size_t taken; /* in all */
	bool muted;   /* what mbedTLS still says is an alert under the wrong keys */
	uint8_t alert;
	struct secret secret[2]; /* client's, server's */
	struct secret early;     /* the client's, of the handshake */
	struct x509_verdict verdict;
	char expect[TLS_ID_MAX], sni[TLS_ID_MAX];
	char alpn_text[ALPN_MAX][ALPN_TEXT];
	const char *alpn[ALPN_MAX + 1];
};

static const int suites[] = {MBEDTLS_TLS1_3_AES_128_GCM_SHA256, 0};
static const uint16_t groups[] = {MBEDTLS_SSL_IANA_TLS_GROUP_X25519,
	MBEDTLS_SSL_IANA_TLS_GROUP_SECP256R1, MBEDTLS_SSL_IANA_TLS_GROUP_NONE};

/* ---- callbacks of mbedTLS ---- */

/* Of a client whose keys are known: it must not go out in the clear. */
static bool is_bare_alert(const struct handshake *h, const unsigned char *p, size_t n)
{
	return !h->is_server && h->early.known && n == RECORD_HEAD + 2 &&
	       p[0] == RECORD_ALERT;
}

static int on_send(void *arg, const unsigned char *p, size_t n)
{
	struct handshake *h = obj_cast(struct handshake, arg, HANDSHAKE_MAGIC);

	if (is_bare_alert(h, p, n))
		h->alert = p[RECORD_HEAD + 1];
	else if (!h->muted && buf_add(h->out, p, n) != 0)
		return MBEDTLS_ERR_SSL_ALLOC_FAILED;
	return (int)n;
}

static int on_recv(void *arg, unsigned char *p, size_t n)
{
	struct handshake *h = obj_cast(struct handshake, arg, HANDSHAKE_MAGIC);

	/* A server reads only when all it had to say is said. */
	h->muted = h->is_server && h->secret[1].known;
	if (h->in_n == 0)
		return MBEDTLS_ERR_SSL_WANT_READ;
	if (n > h->in_n)
		n = h->in_n;
	memcpy(p, h->in, n);
	h->in += n;
	h->in_n -= n;
	h->taken += n;
	return (int)n;
}

static void on_secret(void *arg, mbedtls_ssl_key_export_type type,
	const unsigned char *secret, size_t n, const unsigned char client_random[32],
	const unsigned char server_random[32], mbedtls_tls_prf_types prf)
{
	struct handshake *h = obj_cast(struct handshake, arg, HANDSHAKE_MAGIC);
	struct secret *keep = NULL;

	(void)client_random;
	(void)server_random;
	(void)prf;
	if (type == MBEDTLS_SSL_KEY_EXPORT_TLS1_3_CLIENT_APPLICATION_TRAFFIC_SECRET)
		keep = &h->secret[0];
	if (type == MBEDTLS_SSL_KEY_EXPORT_TLS1_3_SERVER_APPLICATION_TRAFFIC_SECRET)
		keep = &h->secret[1];
	if (type == MBEDTLS_SSL_KEY_EXPORT_TLS1_3_CLIENT_HANDSHAKE_TRAFFIC_SECRET)
		keep = &h->early;
	if (!keep)
		return;
	must(n == RECORD_SECRET);
	memcpy(keep->bytes, secret, n);
	keep->known = true;
}

/* Called on a server when the ClientHello is read. */
static int on_hello(mbedtls_ssl_context *ssl)
{
	struct handshake *h = obj_cast(
		struct handshake, mbedtls_ssl_get_user_data_p(ssl), HANDSHAKE_MAGIC);
	size_t n = 0;
	const unsigned char *name = mbedtls_ssl_get_hs_sni(ssl, &n);

	if (name && n < sizeof h->sni && !memchr(name, 0, n)) {
		memcpy(h->sni, name, n);
		h->sni[n] = 0;
	}
	return 0;
}

/* ---- set up ---- */

static int copy_text(
	char *to, size_t size, const char *from, const char *what, struct err *e)
{
	size_t n = from ? strlen(from) : 0;

	if (n >= size)
		return err_set(e, ERR_LIMIT, "TLS: %s is too long", what);
	memcpy(to, from ? from : "", n + 1);
	return 0;
}

static int set_alpn(struct handshake *h, const char *const *list, struct err *e)
{
	size_t n = 0;

	for (; list && list[n]; n++) {
		if (n == ALPN_MAX)
			return err_set(e, ERR_LIMIT, "TLS: too many protocols");
		if (copy_text(h->alpn_text[n], ALPN_TEXT, list[n], "protocol", e) != 0)
			return -1;
		h->alpn[n] = h->alpn_text[n];
	}
	if (n && mbedtls_ssl_conf_alpn_protocols(&h->conf, h->alpn) != 0)
		return err_set(e, ERR_SYNTAX, "TLS: protocol name");
	return 0;
}

static int authmode(bool is_server, const struct tls_config *cfg)
{
	if (!is_server)
		return cfg->any_server ? MBEDTLS_SSL_VERIFY_NONE
				       : MBEDTLS_SSL_VERIFY_REQUIRED;
	/* Refusals are ours, see check_client(). */
	return cfg->ask_client_cert || cfg->need_client_cert
		       ? MBEDTLS_SSL_VERIFY_OPTIONAL
		       : MBEDTLS_SSL_VERIFY_NONE;
}

static int configure(struct handshake *h, const struct tls_config *cfg)
{
	struct creds *creds = h->creds;
	mbedtls_ssl_config *conf = &h->conf;
	int ret = mbedtls_ssl_config_defaults(conf,
		h->is_server ? MBEDTLS_SSL_IS_SERVER : MBEDTLS_SSL_IS_CLIENT,
		MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT);

	if (ret != 0)
		return ret;
	mbedtls_ssl_conf_rng(conf, tls_random, NULL);
	mbedtls_ssl_conf_ciphersuites(conf, suites);
	mbedtls_ssl_conf_groups(conf, groups);
	mbedtls_ssl_conf_authmode(conf, authmode(h->is_server, cfg));
	mbedtls_ssl_conf_ca_chain(conf, creds_anchors(creds), NULL);
	mbedtls_ssl_conf_verify(conf, x509_verdict_cb, &h->verdict);
	if (h->is_server)
		mbedtls_ssl_conf_cert_cb(conf, on_hello);
	if (!creds->key)
		return 0;
	return mbedtls_ssl_conf_own_cert(conf, &creds->chain, key_pk(creds->key));
}

static int start(struct handshake *h, const struct tls_config *cfg)
{
	int ret = mbedtls_ssl_setup(&h->ssl, &h->conf);

	if (ret != 0)
		return ret;
	mbedtls_ssl_set_user_data_p(&h->ssl, h);
	mbedtls_ssl_set_bio(&h->ssl, h, on_send, on_recv, NULL);
	mbedtls_ssl_set_export_keys_cb(&h->ssl, on_secret, h);
	/* NULL says that names are checked elsewhere: by x509_verdict_cb(). */
	return h->is_server ? 0 : mbedtls_ssl_set_hostname(&h->ssl, cfg->sni);
}

static int set_up(struct handshake *h, const struct tls_config *cfg, struct err *e)
{
	int ret;

	if (h->is_server && !h->creds->key)
		return err_set(e, ERR_MISSING, "TLS: no certificate yet");
	if (copy_text(h->expect, sizeof h->expect, cfg->expect, "identity", e) != 0)
		return -1;
	h->verdict.expect = cfg->expect ? h->expect : NULL;
	ret = configure(h, cfg);
	if (ret == 0 && set_alpn(h, cfg->alpn, e) != 0)
		return -1;
	if (ret == 0)
		ret = start(h, cfg);
	return ret ? tls_err(e, ERR_LIMIT, "TLS", ret) : 0;
}

struct handshake *handshake_new(
	bool is_server, const struct tls_config *cfg, struct err *e)
{
	struct handshake *h = calloc(1, sizeof *h);

	tls_init();
	if (!h)
		return err_set(e, ERR_LIMIT, "TLS: out of memory"), NULL;
	h->magic = HANDSHAKE_MAGIC;
	h->is_server = is_server;
	h->need_cert = cfg->need_client_cert;
	h->chain = is_server ? NULL : cfg->chain;
	h->creds = cfg->creds;
	ref_get(creds_ref(h->creds));
	mbedtls_ssl_init(&h->ssl);
	mbedtls_ssl_config_init(&h->conf);
	if (set_up(h, cfg, e) == 0)
		return h;
	handshake_free(h);
	return NULL;
}

void handshake_free(struct handshake *h)
{
	if (!h)
		return;
	mbedtls_ssl_free(&h->ssl);
	mbedtls_ssl_config_free(&h->conf);
	ref_put(creds_ref(h->creds));
	mbedtls_platform_zeroize(h, sizeof *h);
	free(h);
}

/* ---- failures ---- */

static const struct {
	uint8_t alert;
	const char *text;
} alerts[] = {
	{0, "close notify"},
	{10, "unexpected message"},
	{20, "bad record"},
	{22, "record too large"},
	{40, "no parameters in common"},
	{42, "bad certificate"},
	{43, "unsupported certificate"},
	{44, "certificate revoked"},
	{45, "certificate expired"},
	{46, "certificate unacceptable"},
	{47, "illegal parameter"},
	{48, "unknown authority"},
	{49, "access denied"},
	{50, "malformed message"},
	{51, "signature or Finished is wrong"},
	{70, "protocol version"},
	{71, "insufficient security"},
	{80, "internal error"},
	{90, "cancelled"},
	{109, "missing extension"},
	{110, "unsupported extension"},
	{112, "unrecognised name"},
	{116, "certificate required"},
	{120, "no application protocol in common"},
};

void alert_text(uint8_t alert, char *out, size_t size)
{
	for (size_t i = 0; i < countof(alerts); i++) {
		if (alerts[i].alert == alert) {
			snprintf(out, size, "%s (%u)", alerts[i].text, alert);
			return;
		}
	}
	snprintf(out, size, "alert %u", alert);
}

static int refused_by_peer(struct handshake *h, struct err *e)
{
	const unsigned char *msg =
		h->ssl.MBEDTLS_PRIVATE(in_msg); /* level, description */
	char text[64];

	alert_text(msg[1], text, sizeof text);
	return err_set(e, ERR_DENIED, "TLS: refused by the peer: %s", text);
}

static uint8_t alert_of_flags(uint32_t flags)
{
	if (flags & MBEDTLS_X509_BADCERT_NOT_TRUSTED)
		return MBEDTLS_SSL_ALERT_MSG_UNKNOWN_CA;
	if (flags & MBEDTLS_X509_BADCERT_EXPIRED)
		return MBEDTLS_SSL_ALERT_MSG_CERT_EXPIRED;
	return MBEDTLS_SSL_ALERT_MSG_BAD_CERT;
}

static uint8_t alert_of_error(int ret)
{
	switch (ret) {
	case MBEDTLS_ERR_SSL_INVALID_MAC:
		return MBEDTLS_SSL_ALERT_MSG_BAD_RECORD_MAC;
	case MBEDTLS_ERR_SSL_UNEXPECTED_MESSAGE:
	case MBEDTLS_ERR_SSL_UNEXPECTED_RECORD:
		return MBEDTLS_SSL_ALERT_MSG_UNEXPECTED_MESSAGE;
	case MBEDTLS_ERR_SSL_DECODE_ERROR:
		return MBEDTLS_SSL_ALERT_MSG_DECODE_ERROR;
	default:
		return MBEDTLS_SSL_ALERT_MSG_HANDSHAKE_FAILURE;
	}
}

static bool is_certificate_error(int ret)
{
	return ret == MBEDTLS_ERR_X509_CERT_VERIFY_FAILED ||
	       ret == MBEDTLS_ERR_SSL_BAD_CERTIFICATE;
}

static int refuse_certificate(struct handshake *h, struct err *e)
{
	struct err why = h->verdict.err;

	if (why.code == ERR_NONE)
		err_set(&why, ERR_DENIED, "the peer's certificate is not for this use");
	return err_set(e, ERR_DENIED, "TLS: %s", why.msg);
}

static int fail(struct handshake *h, int ret, struct err *e)
{
	if (ret == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE)
		return refused_by_peer(h, e);
	if (h->muted)
		h->alert = alert_of_error(ret);
	if (is_certificate_error(ret))
		return refuse_certificate(h, e);
	if (ret == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY || ret == MBEDTLS_ERR_SSL_CONN_EOF)
		return err_set(e, ERR_CLOSED, "TLS: closed during the handshake");
	if (ret == MBEDTLS_ERR_SSL_ALLOC_FAILED)
		return err_set(e, ERR_LIMIT, "TLS: out of memory");
	return tls_err(e, ERR_SYNTAX, "TLS", ret);
}

/* ---- running ---- */

/* A server lets the handshake end before it refuses: the alert can be read then. */
static int check_client(struct handshake *h, struct err *e)
{
	uint32_t flags = mbedtls_ssl_get_verify_result(&h->ssl);
	bool has_cert = mbedtls_ssl_get_peer_cert(&h->ssl) != NULL;

	if (!has_cert && h->need_cert) {
		h->alert = MBEDTLS_SSL_ALERT_MSG_CERT_REQUIRED;
		return err_set(e, ERR_DENIED, "TLS: the client sent no certificate");
	}
	if (has_cert && flags != 0) {
		h->alert = alert_of_flags(flags);
		return refuse_certificate(h, e);
	}
	return 1;
}

/* A client is done: what the server showed. */
static int keep_chain(struct handshake *h, struct err *e)
{
	const mbedtls_x509_crt *c = mbedtls_ssl_get_peer_cert(&h->ssl);

	for (; h->chain && c && c->raw.p; c = c->next)
		if (pem_wrap(
			    "CERTIFICATE", slice_bytes(c->raw.p, c->raw.len), h->chain))
			return err_set(e, ERR_LIMIT, "TLS: out of memory");
	return 1;
}

static int run(struct handshake *h, struct err *e)
{
	int ret = mbedtls_ssl_handshake(&h->ssl);

	if (h->taken > HANDSHAKE_MAX)
		return err_set(
			e, ERR_LIMIT, "TLS: handshake over %d bytes", HANDSHAKE_MAX);
	if (ret == MBEDTLS_ERR_SSL_WANT_READ)
		return 0;
	if (ret != 0)
		return fail(h, ret, e);
	return h->is_server ? check_client(h, e) : keep_chain(h, e);
}

int handshake_run(struct handshake *h, const uint8_t *in, size_t n, size_t *used,
	struct buf *out, struct err *e)
{
	int ret;

	h->in = in;
	h->in_n = n;
	h->out = out;
	ret = run(h, e);
	*used = n - h->in_n;
	return ret;
}

const uint8_t *handshake_secret(const struct handshake *h, bool of_server)
{
	return h->secret[of_server].known ? h->secret[of_server].bytes : NULL;
}

uint8_t handshake_alert(const struct handshake *h, const uint8_t **secret)
{
	*secret = h->is_server ? h->secret[1].bytes : h->early.bytes;
	return h->alert;
}

void handshake_peer_id(const struct handshake *h, char out[TLS_ID_MAX])
{
	const mbedtls_x509_crt *crt = mbedtls_ssl_get_peer_cert(&h->ssl);

	out[0] = 0;
	if (crt)
		x509_identity(crt, "spiffe://", out, TLS_ID_MAX);
}

const char *handshake_alpn(const struct handshake *h)
{
	const char *name = mbedtls_ssl_get_alpn_protocol(&h->ssl);

	return name ? name : "";
}

const char *handshake_sni(const struct handshake *h)
{
	return h->sni;
}
