/* SPDX-License-Identifier: Apache-2.0 */
#include "net/via.h"

#include <stdio.h>
#include <stdlib.h>

#include "net/codedconn.h"

#define ANSWER_MAX ((size_t)16 * 1024) /* a proxy's head */

struct way {
	struct buf ask;   /* what is still to be said */
	struct buf got;   /* of an answer that is not whole */
	struct buf login; /* SOCKS: said when it is asked for */
	char where[300];
	bool greeted, open;
};

static void way_free(void *codec)
{
	struct way *w = codec;

	buf_fini(&w->ask);
	buf_fini(&w->got);
	buf_fini(&w->login);
	free(w);
}

static void way_greet(void *codec, struct buf *out)
{
	struct way *w = codec;

	buf_adds(out, buf_slice(&w->ask));
}

/* What comes behind the proxy's answer is the far side's. */
static int way_opened(struct way *w, size_t used, struct buf *plain, enum coded_at *at)
{
	buf_take(&w->got, used);
	w->open = true;
	*at = CODED_OPEN;
	buf_adds(plain, buf_slice(&w->got));
	buf_fini(&w->got);
	return 0;
}

static int gather(struct way *w, struct slice in, struct err *e)
{
	if (buf_adds(&w->got, in) == 0)
		return 0;
	return err_set(e, ERR_LIMIT, "the proxy's answer is too long");
}

/* ---- CONNECT ---- */

static int http_refused(
	const struct way *w, struct slice line, int status, struct err *e)
{
	return err_set(e, ERR_DENIED, "the proxy does not connect to %s: %.*s%s",
		w->where, SLICE_FMT(slice_trim(line)),
		status == 407 ? " (user and password belong in the proxy's URL: "
				"http://user:password@host:port)"
			      : "");
}

/* `line` is the first, the head is `used` bytes. */
static int http_answer(struct way *w, struct slice line, size_t used, struct buf *plain,
	enum coded_at *at, struct err *e)
{
	int status = 0;

	if (line.n >= 12 && slice_starts(line, SLICE("HTTP/1.")))
		status = (int)strtol(line.p + 9, NULL, 10);
	if (status >= 200 && status < 300)
		return way_opened(w, used, plain, at);
	return status ? http_refused(w, slice_bytes(line.p + 9, line.n - 9), status, e)
		      : err_set(e, ERR_SYNTAX, "the proxy does not speak HTTP/1");
}

static int http_read(void *codec, struct slice in, struct buf *plain, struct buf *out,
	enum coded_at *at, struct err *e)
{
	struct way *w = codec;
	struct slice all, line;
	const char *end;

	(void)out;
	if (w->open)
		return buf_adds(plain, in);
	if (gather(w, in, e))
		return -1;
	all = buf_slice(&w->got);
	end = all.p ? memmem(all.p, all.n, "\r\n\r\n", 4) : NULL;
	if (!end)
		return 0;
	line = slice_bytes(all.p, strcspn(all.p, "\r"));
	return http_answer(w, line, (size_t)(end - all.p) + 4, plain, at, e);
}

static void http_ask(struct way *w, const struct via *v)
{
	struct buf pair = BUF_INIT;

	buf_printf(&w->ask, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n", w->where, w->where);
	if (v->user) {
		buf_printf(&pair, "%s:%s", v->user, v->password ? v->password : "");
		buf_text(&w->ask, "Proxy-Authorization: Basic ");
		buf_base64(&w->ask, buf_slice(&pair));
		buf_text(&w->ask, "\r\n");
	}
	buf_text(&w->ask, "\r\n");
	buf_fini(&pair);
}

static const struct coded_ops http_ops = {
	.greet = way_greet, .read = http_read, .free = way_free};

/* ---- SOCKS 5 ---- */

#define SOCKS_NO_LOGIN 0
#define SOCKS_LOGIN    2

static const char *const socks_why[] = {"", "a failure of its own",
	"its rules forbid it", "the network is unreachable", "the host is unreachable",
	"the connection was refused", "it took too long", "it cannot connect",
	"it does not know this kind of address"};

/* The version with the methods; then, when there is none to wait for, the request. */
static int socks_chosen(struct way *w, struct buf *out, struct err *e)
{
	uint8_t method = (uint8_t)w->got.p[w->got.at + 1];

	buf_take(&w->got, 2);
	if (method == SOCKS_LOGIN && buf_len(&w->login))
		return buf_adds(out, buf_slice(&w->login));
	if (method != SOCKS_NO_LOGIN)
		return err_set(e, ERR_DENIED,
			"the SOCKS proxy wants a login: its URL is "
			"socks5://user:password@host:port");
	buf_fini(&w->login);
	w->greeted = true;
	return 0;
}

static int socks_logged_in(struct way *w, struct err *e)
{
	uint8_t status = (uint8_t)w->got.p[w->got.at + 1];

	buf_take(&w->got, 2);
	buf_fini(&w->login);
	w->greeted = true;
	return status ? err_set(e, ERR_DENIED, "the SOCKS proxy refuses the login") : 0;
}

static size_t socks_answer_size(struct slice s)
{
	uint8_t kind = (uint8_t)s.p[3];

	return kind == 1 ? 10 : kind == 4 ? 22 : 7 + (size_t)(uint8_t)s.p[4];
}

static int socks_answer(
	struct way *w, struct buf *plain, enum coded_at *at, struct err *e)
{
	struct slice s = buf_slice(&w->got);
	uint8_t status;

	if (!s.p || s.n < 5 || s.n < socks_answer_size(s))
		return 0;
	status = (uint8_t)s.p[1];
	if (status == 0)
		return way_opened(w, socks_answer_size(s), plain, at);
	return err_set(e, ERR_DENIED, "the SOCKS proxy does not connect to %s: %s",
		w->where,
		status < sizeof socks_why / sizeof *socks_why ? socks_why[status]
							      : "it does not say why");
}

static int socks_read(void *codec, struct slice in, struct buf *plain, struct buf *out,
	enum coded_at *at, struct err *e)
{
	struct way *w = codec;
	bool waits_login = false;

	if (w->open)
		return buf_adds(plain, in);
	if (gather(w, in, e))
		return -1;
	while (!w->greeted && buf_len(&w->got) >= 2) {
		uint8_t version = (uint8_t)w->got.p[w->got.at];

		if (version != 5 && version != 1)
			return err_set(
				e, ERR_SYNTAX, "the proxy does not speak SOCKS 5");
		waits_login = version == 1; /* RFC 1929's own version */
		if (waits_login ? socks_logged_in(w, e) : socks_chosen(w, out, e))
			return -1;
		if (w->greeted)
			buf_adds(out, buf_slice(&w->ask));
	}
	return w->greeted ? socks_answer(w, plain, at, e) : 0;
}

static void socks_greet(void *codec, struct buf *out)
{
	struct way *w = codec;

	if (buf_len(&w->login))
		buf_add(out, "\5\2\0\2", 4);
	else
		buf_add(out, "\5\1\0", 3);
}

static void socks_ask(struct way *w, const struct via *v)
{
	size_t n = strlen(v->host);
	struct ip ip;

	buf_add(&w->ask, "\5\1\0", 3); /* connect */
	if (ip_parse(slice_of(v->host), &ip)) {
		buf_char(&w->ask, ip.family == 4 ? 1 : 4);
		buf_add(&w->ask, ip.b, ip.family == 4 ? 4 : 16);
	} else {
		buf_char(&w->ask, 3);
		buf_char(&w->ask, (char)n);
		buf_add(&w->ask, v->host, n);
	}
	buf_char(&w->ask, (char)(v->port >> 8));
	buf_char(&w->ask, (char)v->port);
	if (!v->user)
		return;
	buf_char(&w->login, 1);
	buf_char(&w->login, (char)strlen(v->user));
	buf_text(&w->login, v->user);
	buf_char(&w->login, (char)strlen(v->password ? v->password : ""));
	buf_text(&w->login, v->password ? v->password : "");
}

static const struct coded_ops socks_ops = {
	.greet = socks_greet, .read = socks_read, .free = way_free};

/* ---- either ---- */

static bool is_too_long(const char *text)
{
	return text && strlen(text) > 255;
}

struct conn *via_new(
	struct conn *below, const struct via *v, uint64_t timeout, struct err *e)
{
	struct way *w = calloc(1, sizeof *w);
	bool is_v6 = strchr(v->host, ':');

	if (!w || is_too_long(v->host) || is_too_long(v->user) ||
		is_too_long(v->password)) {
		free(w);
		conn_end(below);
		err_set(e, ERR_LIMIT, "a name for the proxy is too long");
		return NULL;
	}
	w->got = BUF_LIMIT(ANSWER_MAX);
	snprintf(w->where, sizeof w->where, "%s%s%s:%u", is_v6 ? "[" : "", v->host,
		is_v6 ? "]" : "", v->port);
	if (v->kind == VIA_HTTP)
		http_ask(w, v);
	else
		socks_ask(w, v);
	return codedconn_new(
		below, v->kind == VIA_HTTP ? &http_ops : &socks_ops, w, timeout, e);
}
