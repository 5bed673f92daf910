/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTP_WS_H
#define HTTP_WS_H

/*
 * WebSocket messages (RFC 6455) without I/O, both sides; no extensions.
 *
 * Bytes may come cut anywhere; frames of a message are put together.  What is not whole
 * is kept here, so the caller may take everything off its connection.
 */
#include "base/buf.h"
#include "base/err.h"

enum ws_op {
	WS_MORE = 0,
	WS_TEXT = 1,
	WS_BINARY = 2,
	WS_CLOSE = 8,
	WS_PING = 9,
	WS_PONG = 10,
};

struct ws {
	bool is_server; /* what comes must be masked; else it must not be */
	size_t max;     /* of a message */
	/* private */
	uint8_t head[14];
	size_t nhead;
	uint64_t left; /* of the payload */
	size_t mask_at;
	bool in_payload, in_message;
	enum ws_op op; /* of the message being put together */
	struct buf message, control;
};

void ws_init(struct ws *w, bool is_server, size_t max);
void ws_fini(struct ws *w);

/*
 * Reads on.  1: a message is there, in *op and *payload (valid until the next call);
 * call again with the rest of `in`.  0: all of `in` was taken.  -1: malformed or too
 * large: close.  *used says how much was taken.
 */
int ws_read(struct ws *w, struct slice in, size_t *used, enum ws_op *op,
	struct slice *payload, struct err *e);

/* Appends one whole message. */
int ws_write(const struct ws *w, enum ws_op op, struct slice payload, struct buf *out);

/* Sec-WebSocket-Accept for a Sec-WebSocket-Key. */
#define WS_ACCEPT 29
void ws_accept(struct slice key, char out[WS_ACCEPT]);

/* The channels of Kubernetes' streams: the first byte of each message. */
enum ws_channel {
	WS_STDIN,
	WS_STDOUT,
	WS_STDERR,
	WS_STATUS,     /* a Status, when it ends */
	WS_RESIZE,     /* {"Width":…,"Height":…} */
	WS_HALF = 255, /* v5: the channel named by the second byte ends */
};

#endif
