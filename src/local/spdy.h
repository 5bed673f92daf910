/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOCAL_SPDY_H
#define LOCAL_SPDY_H

/*
 * SPDY/3.1 frames without I/O, as kubectl's port-forward speaks them; both sides read,
 * the server side is written.
 *
 * Bytes may come cut anywhere.  The payload of a control frame is put together here and
 * limited (SPDY_CONTROL_MAX; its headers unpacked: SPDY_HEADERS_MAX); that of DATA is
 * shown as it comes, in parts.  Frames of unknown kinds are left out.
 *
 * There is no flow control: Kubernetes' peers neither wait for windows nor open them.
 *
 * Source: the SPDY Protocol drafts 3 and 3.1.
 */
#include "base/buf.h"
#include "base/err.h"

#define SPDY_CONTROL_MAX ((size_t)16384)
#define SPDY_HEADERS_MAX ((size_t)16384)
#define SPDY_STREAM_MAX  0x7fffffffu

enum spdy_kind {
	SPDY_DATA = 0, /* not a number of the wire */
	SPDY_SYN_STREAM = 1,
	SPDY_SYN_REPLY = 2,
	SPDY_RST_STREAM = 3,
	SPDY_SETTINGS = 4,
	SPDY_PING = 6,
	SPDY_GOAWAY = 7,
	SPDY_HEADERS = 8,
	SPDY_WINDOW_UPDATE = 9,
};

enum spdy_status { /* of RST_STREAM */
	SPDY_PROTOCOL_ERROR = 1,
	SPDY_INVALID_STREAM = 2,
	SPDY_REFUSED_STREAM = 3,
	SPDY_CANCEL = 5,
	SPDY_STREAM_IN_USE = 8,
};

struct spdy_frame {
	enum spdy_kind kind;
	uint32_t stream; /* PING: its number; GOAWAY: the last good one */
	uint32_t value;  /* the status, or the growth of a window */
	bool fin;        /* the peer's last of this stream */
	/* DATA: a part of it; where there are headers: all of them, for spdy_header().
	 * Valid until the next call. */
	struct slice bytes;
};

struct spdy;
struct spdy *spdy_new(void); /* NULL: no memory */
void spdy_free(struct spdy *s);

/*
 * Reads on.  1: a frame is there; call again with the rest of `in`.  0: all of `in` was
 * taken.  -1: malformed or too large: the session is over.  *used says how much was
 * taken.
 */
int spdy_read(struct spdy *s, struct slice in, size_t *used, struct spdy_frame *f,
	struct err *e);

/* The value of a header (its name in lower case); p == NULL when absent. */
struct slice spdy_header(const struct spdy_frame *f, const char *name);

/* Each appends one frame; -1: no room.  The reply has no headers. */
int spdy_write_reply(struct spdy *s, uint32_t stream, struct buf *out);
int spdy_write_data(uint32_t stream, bool fin, struct slice bytes, struct buf *out);
int spdy_write_reset(uint32_t stream, enum spdy_status status, struct buf *out);
int spdy_write_ping(uint32_t id, struct buf *out);

#endif
