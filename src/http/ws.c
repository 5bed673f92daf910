/* SPDX-License-Identifier: Apache-2.0 */
#include "http/ws.h"

#include <stdio.h>
#include <string.h>

#include "tls/key.h"

#define CONTROL_MAX 125

void ws_init(struct ws *w, bool is_server, size_t max)
{
	memset(w, 0, sizeof(*w));
	w->is_server = is_server;
	w->max = max;
	w->message = BUF_LIMIT(max);
	w->control = BUF_LIMIT(CONTROL_MAX);
}

void ws_fini(struct ws *w)
{
	buf_fini(&w->message);
	buf_fini(&w->control);
}

static bool is_control(enum ws_op op)
{
	return op >= WS_CLOSE;
}

static size_t head_size(const struct ws *w)
{
	size_t n = 2;

	if (w->nhead < 2)
		return 2;
	if ((w->head[1] & 127) == 126)
		n += 2;
	else if ((w->head[1] & 127) == 127)
		n += 8;
	return n + (w->head[1] & 128 ? 4 : 0);
}

static uint64_t length_of(const struct ws *w)
{
	uint64_t n = w->head[1] & 127;
	size_t bytes = n == 126 ? 2 : n == 127 ? 8 : 0;

	if (!bytes)
		return n;
	n = 0;
	for (size_t i = 0; i < bytes; i++)
		n = n << 8 | w->head[2 + i];
	return n;
}

static enum ws_op frame_op(const struct ws *w)
{
	return (enum ws_op)(w->head[0] & 15);
}

static bool is_last(const struct ws *w)
{
	return w->head[0] & 128;
}

/* RFC 6455, 5.2 and 5.5. */
static int check_head(struct ws *w, struct err *e)
{
	enum ws_op op = frame_op(w);
	bool masked = w->head[1] & 128;

	if (w->head[0] & 0x70)
		return err_set(e, ERR_SYNTAX, "a frame with reserved bits");
	if (masked != w->is_server)
		return err_set(e, ERR_SYNTAX, "a frame that is %smasked",
			masked ? "" : "not ");
	if (op > WS_PONG || (op > WS_BINARY && op < WS_CLOSE))
		return err_set(e, ERR_SYNTAX, "a frame of kind %d", op);
	if (is_control(op) && (!is_last(w) || length_of(w) > CONTROL_MAX))
		return err_set(e, ERR_SYNTAX, "a control frame in parts");
	if (!is_control(op) && (op == WS_MORE) != w->in_message)
		return err_set(e, ERR_SYNTAX, "a message within a message");
	w->left = length_of(w);
	if (!is_control(op) &&
		(w->left > w->max || buf_len(&w->message) > w->max - w->left))
		return err_set(e, ERR_LIMIT, "a message longer than %zu", w->max);
	return 0;
}

static int begin_payload(struct ws *w, struct err *e)
{
	if (check_head(w, e) < 0)
		return -1;
	w->in_payload = true;
	w->mask_at = 0;
	if (is_control(frame_op(w))) {
		buf_clear(&w->control);
	} else if (!w->in_message) {
		buf_clear(&w->message);
		w->in_message = true;
		w->op = frame_op(w);
	}
	return 0;
}

static int add_payload(struct ws *w, const char *p, size_t n, struct err *e)
{
	struct buf *to = is_control(frame_op(w)) ? &w->control : &w->message;
	const uint8_t *mask = w->head + head_size(w) - 4;
	char *out = buf_room(to, n);

	if (n && !out)
		return err_set(e, ERR_LIMIT, "no room for a message");
	for (size_t i = 0; i < n; i++)
		out[i] = (char)(w->is_server ? p[i] ^ mask[w->mask_at++ & 3] : p[i]);
	buf_added(to, n);
	w->left -= n;
	return 0;
}

/* The frame is whole: 1 when a message is. */
static int end_frame(struct ws *w, enum ws_op *op, struct slice *payload)
{
	enum ws_op kind = frame_op(w);

	w->in_payload = false;
	w->nhead = 0;
	if (is_control(kind)) {
		*op = kind;
		*payload = buf_slice(&w->control);
		return 1;
	}
	if (!(w->head[0] & 128))
		return 0;
	w->in_message = false;
	*op = w->op;
	*payload = buf_slice(&w->message);
	return 1;
}

int ws_read(struct ws *w, struct slice in, size_t *used, enum ws_op *op,
	struct slice *payload, struct err *e)
{
	*used = 0;
	while (*used < in.n || (w->in_payload && !w->left)) {
		size_t n = in.n - *used;

		if (!w->in_payload) {
			w->head[w->nhead++] = (uint8_t)in.p[(*used)++];
			if (w->nhead >= 2 && w->nhead == head_size(w) &&
				begin_payload(w, e) < 0)
				return -1;
			continue;
		}
		if (w->left) {
			n = n < w->left ? n : (size_t)w->left;
			if (add_payload(w, in.p + *used, n, e) < 0)
				return -1;
			*used += n;
		}
		if (!w->left && end_frame(w, op, payload))
			return 1;
	}
	return 0;
}

int ws_write(const struct ws *w, enum ws_op op, struct slice payload, struct buf *out)
{
	uint8_t head[14] = {(uint8_t)(128 | op)}, mask[4] = {0};
	size_t n = 2;
	char *p;

	if (payload.n < 126) {
		head[1] = (uint8_t)payload.n;
	} else {
		size_t bytes = payload.n < 65536 ? 2 : 8;

		head[1] = bytes == 2 ? 126 : 127;
		for (size_t i = 0; i < bytes; i++)
			head[n++] =
				(uint8_t)((uint64_t)payload.n >> 8 * (bytes - 1 - i));
	}
	if (!w->is_server) {
		random_secret(mask, sizeof(mask));
		head[1] |= 128;
		memcpy(head + n, mask, sizeof(mask));
		n += sizeof(mask);
	}
	if (buf_add(out, head, n) < 0)
		return -1;
	p = payload.n ? buf_room(out, payload.n) : NULL;
	if (payload.n && !p)
		return -1;
	for (size_t i = 0; i < payload.n; i++)
		p[i] = (char)(payload.p[i] ^ mask[i & 3]);
	buf_added(out, payload.n);
	return 0;
}

void ws_accept(struct slice key, char out[WS_ACCEPT])
{
	struct buf text = BUF_INIT, base64 = BUF_INIT;
	uint8_t digest[20];

	buf_adds(&text, key);
	buf_text(&text, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
	sha1(buf_slice(&text), digest);
	buf_base64(&base64, slice_bytes(digest, sizeof(digest)));
	snprintf(out, WS_ACCEPT, "%.*s", SLICE_FMT(buf_slice(&base64)));
	buf_fini(&text);
	buf_fini(&base64);
}
