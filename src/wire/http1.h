/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIRE_HTTP1_H
#define WIRE_HTTP1_H

/*
 * HTTP/1 messages without I/O (RFC 9112).  The start line is read here (any method that
 * is a token is fine), fields, chunks and trailers by llhttp in its strict mode.  What
 * could be read in two ways is refused: two lengths, a length beside chunks, bare CR or
 * LF, folded lines, blanks before a colon, NUL.
 */
#include <llhttp.h>

#include "base/buf.h"
#include "base/err.h"

#define HTTP1_FIELDS_MAX 256

struct http1_field {
	struct slice name, value; /* name in lower case */
};

struct http1_head {
	struct slice method, target; /* of a request */
	int status;                  /* of a response */
	struct slice reason;
	int minor; /* HTTP/1.minor: 0 or 1 */
	struct http1_field fields[HTTP1_FIELDS_MAX];
	size_t n;
	int64_t length; /* Content-Length, or -1 */
	bool chunked;   /* Transfer-Encoding: chunked is the last coding */
	bool coded;     /* another transfer coding comes before it, or alone */
};

enum http1_kind { HTTP1_REQUEST, HTTP1_RESPONSE };

/*
 * How many bytes of p the head takes, its blank line included; 0 when it is not
 * complete. *scanned is kept between calls for the same message (0 at first), so that a
 * slow sender does not make us search the same bytes again.
 */
size_t http1_head_end(const uint8_t *p, size_t n, size_t *scanned);

enum http1_framing {
	HTTP1_NO_BODY,
	HTTP1_LENGTH,
	HTTP1_CHUNKED,
	HTTP1_UNTIL_CLOSE,
	HTTP1_TUNNEL, /* bytes for ever: after 101, or 2xx to CONNECT */
};

struct http1 {
	llhttp_t parser; /* of chunks and trailers */
	enum http1_framing framing;
	uint64_t left; /* of a body with a length */
	void (*on_data)(void *arg, const uint8_t *p, size_t n);
	void *arg;
	struct http1_head *head; /* while one is parsed */
	struct buf trailers;     /* name NUL value NUL … */
	size_t head_max;
	bool in_trailers, done;
};

/*
 * Parses a complete head.  `text` is changed (names become lower case) and what `head`
 * points at lies in it.  -1: e says what is wrong; ERR_LIMIT for too many fields.
 */
int http1_parse(struct http1 *h, enum http1_kind kind, char *text, size_t n,
	struct http1_head *head, struct err *e);

/* After http1_parse(): what follows.  `left` for HTTP1_LENGTH. */
void http1_expect(struct http1 *h, enum http1_framing framing, uint64_t left);

/*
 * Body bytes: calls on_data for each run.  Returns 1 when the message is complete
 * (bytes beyond *used are the next one's), 0 when more is needed, -1 when it is
 * malformed.
 */
int http1_body(
	struct http1 *h, const uint8_t *p, size_t n, size_t *used, struct err *e);

/* The trailers of a complete message, in order; false when there are no more.  *at is 0
 * first. */
bool http1_trailer(const struct http1 *h, size_t *at, struct http1_field *out);

/* Ready for the next message; frees what the last one needed. */
void http1_reset(struct http1 *h);

/* A token (RFC 9110, 5.6.2); a field value without control bytes. */
bool http1_is_token(struct slice s);
bool http1_is_value(struct slice s);

#endif
