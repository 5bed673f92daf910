/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/forward.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/obj.h"
#include "http/ws.h"
#include "kube/call.h"
#include "net/codedconn.h"
#include "tls/key.h"
#include "wire/http1.h"

#define PATIENCE    (15 * NS_PER_S)
#define ANSWER_MAX  ((size_t)64 * 1024) /* of one that is no 101 */
#define MESSAGE_MAX ((size_t)1024 * 1024)
#define PROTOCOL    "v4.channel.k8s.io"

/* The first byte of each message; the first message on each says the port. */
enum { CHANNEL_DATA, CHANNEL_ERROR, CHANNELS };

struct forward {
	struct buf request, answer;
	char accept[WS_ACCEPT];
	struct http1 head;
	struct ws ws;
	bool is_up; /* 101 has come */
	bool named[CHANNELS];
};

static void forward_free(void *codec)
{
	struct forward *f = codec;

	if (f->request.p)
		explicit_bzero(f->request.p, f->request.cap); /* it has the token */
	buf_fini(&f->request);
	buf_fini(&f->answer);
	ws_fini(&f->ws);
	free(f);
}

static void forward_greet(void *codec, struct buf *out)
{
	buf_adds(out, buf_slice(&((struct forward *)codec)->request));
}

/* ---- the upgrade ---- */

/* What the API server says instead is a Status, or a text. */
static int refused(struct forward *f, const struct http1_out *got, struct err *e)
{
	struct slice body = buf_slice(&f->answer), rest;
	struct json *j;
	int status = got->head.status;

	rest = slice_bytes(body.p + got->used, body.n - got->used);
	j = json_parse(rest, NULL);
	err_set(e, status == 403 || status == 401 ? ERR_DENIED : ERR_MISSING,
		"the API server answers %d: %s", status,
		json_text_or(j, "message", "no port-forward"));
	json_free(j);
	return -1;
}

static struct slice field(const struct http1_head *h, const char *name)
{
	for (size_t i = 0; i < h->nfields; i++)
		if (slice_ieq(h->field[i].name, slice_of(name)))
			return h->field[i].value;
	return SLICE_NONE;
}

/* The body of a refusal is worth waiting for, as long as it says how long it is. */
static bool is_whole(const struct forward *f, const struct http1_out *got)
{
	size_t have = buf_len(&f->answer) - got->used;

	return got->head.length < 0 || have >= (size_t)got->head.length;
}

/* 1: it is up, and what came behind it is left in `answer`; 0: not all is there. */
static int read_head(struct forward *f, struct err *e)
{
	struct slice all = buf_slice(&f->answer);
	struct http1_out got;
	enum http1_got what;

	http1_init(&f->head, HTTP1_RESPONSE, ANSWER_MAX);
	http1_answers(&f->head, false, false);
	what = http1_next(&f->head, (const uint8_t *)all.p, all.n, 0, &got);
	if (what == HTTP1_MORE)
		return 0;
	if (what != HTTP1_HEAD)
		return err_set(e, ERR_SYNTAX, "the API server does not speak HTTP/1");
	if (got.head.status != 101)
		return is_whole(f, &got) ? refused(f, &got, e) : 0;
	if (!slice_is(field(&got.head, "sec-websocket-accept"), f->accept) ||
		!slice_is(field(&got.head, "sec-websocket-protocol"), PROTOCOL))
		return err_set(e, ERR_SYNTAX,
			"the API server does not agree to a WebSocket of " PROTOCOL);
	buf_take(&f->answer, got.used);
	f->is_up = true;
	return 1;
}

/* ---- messages ---- */

static int on_error(struct slice text, struct err *e)
{
	while (text.n && text.p[text.n - 1] == '\n')
		text.n--;
	return err_set(e, ERR_CLOSED, "%.*s", SLICE_FMT(slice_trim(text)));
}

/* 1: the port is connected. */
static int take(struct forward *f, struct slice m, struct buf *plain, struct err *e)
{
	uint8_t channel = m.n ? (uint8_t)m.p[0] : CHANNELS;
	struct slice rest = slice_bytes(m.p + 1, m.n ? m.n - 1 : 0);

	if (channel >= CHANNELS)
		return err_set(e, ERR_SYNTAX, "a message for no channel");
	if (!f->named[channel]) {
		f->named[channel] = true;
		return rest.n >= 2 ? 0 : err_set(e, ERR_SYNTAX, "it names no port");
	}
	if (channel == CHANNEL_ERROR)
		return on_error(rest, e);
	return buf_adds(plain, rest) ? err_set(e, ERR_LIMIT, "no memory to receive")
				     : 0;
}

static int read_messages(struct forward *f, struct slice in, struct buf *plain,
	struct buf *out, enum coded_at *at, struct err *e)
{
	struct slice m;
	enum ws_op op;
	size_t used;
	int rc;

	while ((rc = ws_read(&f->ws, in, &used, &op, &m, e)) == 1) {
		in = slice_bytes(in.p + used, in.n - used);
		if (op == WS_CLOSE) {
			*at = CODED_OVER;
			return 0;
		}
		if (op == WS_PING && ws_write(&f->ws, WS_PONG, m, out))
			return -1;
		if ((op == WS_BINARY || op == WS_TEXT) && take(f, m, plain, e))
			return -1;
	}
	if (rc == 0 && f->named[CHANNEL_DATA] && f->named[CHANNEL_ERROR])
		*at = CODED_OPEN;
	return rc;
}

static int forward_read(void *codec, struct slice in, struct buf *plain,
	struct buf *out, enum coded_at *at, struct err *e)
{
	struct forward *f = codec;
	int rc;

	if (f->is_up)
		return read_messages(f, in, plain, out, at, e);
	if (buf_adds(&f->answer, in))
		return err_set(e, ERR_LIMIT, "the API server's answer is too long");
	rc = read_head(f, e);
	if (rc <= 0)
		return rc;
	rc = read_messages(f, buf_slice(&f->answer), plain, out, at, e);
	buf_fini(&f->answer);
	return rc;
}

static int forward_wrap(void *codec, struct slice bytes, struct buf *out)
{
	const struct forward *f = codec;
	struct buf m = BUF_INIT;
	int rc = buf_char(&m, CHANNEL_DATA) || buf_adds(&m, bytes) ||
		 ws_write(&f->ws, WS_BINARY, buf_slice(&m), out);

	buf_fini(&m);
	return rc ? -1 : 0;
}

static void forward_bye(void *codec, struct buf *out)
{
	static const char normal[2] = {3, (char)232}; /* 1000 */

	(void)ws_write(&((struct forward *)codec)->ws, WS_CLOSE,
		slice_bytes(normal, sizeof normal), out);
}

static const struct coded_ops forward_ops = {.greet = forward_greet,
	.read = forward_read,
	.wrap = forward_wrap,
	.bye = forward_bye,
	.free = forward_free,
	.is_whole = true};

/* ---- the request ---- */

static void add_key(struct forward *f)
{
	struct buf key = BUF_INIT;
	uint8_t bytes[16];

	random_secret(bytes, sizeof bytes);
	buf_base64(&key, slice_bytes(bytes, sizeof bytes));
	ws_accept(buf_slice(&key), f->accept);
	buf_printf(
		&f->request, "Sec-WebSocket-Key: %.*s\r\n", SLICE_FMT(buf_slice(&key)));
	buf_fini(&key);
}

static int make_request(struct forward *f, struct kube *k, const char *namespace,
	const char *pod, uint16_t port, struct err *e)
{
	struct kube_fields fields;

	if (kube_login_fields(k, &fields, e))
		return -1;
	buf_printf(&f->request,
		"GET %s/api/v1/namespaces/%s/pods/%s/portforward?ports=%u HTTP/1.1\r\n"
		"Host: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: " PROTOCOL "\r\n",
		k->target.prefix, namespace, pod, port, k->authority);
	add_key(f);
	for (size_t i = 0; i < fields.n; i++)
		buf_printf(&f->request, "%.*s: %.*s\r\n", SLICE_FMT(fields.v[i].name),
			SLICE_FMT(fields.v[i].value));
	buf_text(&f->request, "\r\n");
	kube_fields_fini(&fields);
	return f->request.failed ? err_set(e, ERR_LIMIT, "out of memory") : 0;
}

struct conn *kube_forward(struct kube *k, const char *namespace, const char *pod,
	uint16_t port, struct err *e)
{
	static const char *const alpn[] = {"http/1.1", NULL};
	struct forward *f = calloc(1, sizeof *f);
	struct conn *below;

	must(f);
	f->answer = BUF_LIMIT(ANSWER_MAX);
	ws_init(&f->ws, false, MESSAGE_MAX);
	below = make_request(f, k, namespace, pod, port, e)
			? NULL
			: channel_dial(k->channel, alpn, e);
	if (below)
		return codedconn_new(below, &forward_ops, f, PATIENCE, e);
	forward_free(f);
	return NULL;
}
