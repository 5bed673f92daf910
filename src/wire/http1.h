/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIRE_HTTP1_H
#define WIRE_HTTP1_H

/*
 * HTTP/1 messages without I/O (RFC 9112): bytes in, events out.
 *
 * Strict: bare CR or LF, NUL, folded lines, blanks before a colon, two Content-Length,
 * Content-Length beside Transfer-Encoding, codings other than "chunked", malformed
 * chunk sizes, trailers that speak of framing are HTTP1_BAD.  Any cut of the input
 * gives the same events, but for where HTTP1_DATA is cut.
 *
 * A head is parsed when all of it is there: the caller keeps what was not consumed and
 * shows it again, longer.  So the parser owns no memory, and text is copied once, by
 * the caller.
 */
#include "base/err.h"
#include "base/slice.h"

#define HTTP1_FIELDS_MAX 256

enum http1_kind { HTTP1_REQUEST, HTTP1_RESPONSE };

enum http1_got {
	HTTP1_MORE, /* nothing more to say until there are more bytes */
	HTTP1_HEAD, /* out->head; an informational response is a head alone */
	HTTP1_DATA, /* out->data: some of the body */
	HTTP1_HELD, /* there is more body, but data_max is 0 */
	HTTP1_END,  /* the message is complete; trailers are in out->head.field */
	HTTP1_BAD,  /* h->status and http1_explain(); nothing more can be read */
};

struct http1_head {
	struct slice method, target; /* request; all text lies in the input */
	struct slice reason;         /* response */
	int status;
	int minor; /* HTTP/1.minor: 0 or 1 */
	/* Of the body; -1: chunked or until the end.  Where a response has none, what
	 * it says of the one that HEAD or 304 leave out, or -1. */
	int64_t length;
	bool chunked;
	bool until_end; /* the body ends with the connection */
	bool upgrade;   /* 101: what follows is not HTTP; DATA until the end */
	size_t nfields;
	struct {
		struct slice name, value; /* as sent, value trimmed */
	} field[HTTP1_FIELDS_MAX];
};

struct http1_out {
	size_t used; /* bytes of the input consumed, in every case */
	struct slice data;
	struct slice culprit;   /* BAD: the field that is to blame, or "" */
	struct http1_head head; /* valid after HEAD and END only */
};

struct http1 {
	uint64_t left;    /* of the body, or of this chunk */
	uint32_t scanned; /* bytes known not to end the head */
	uint32_t head_max;
	uint8_t kind, at;
	bool no_body; /* response to HEAD */
	bool connect; /* response to CONNECT */
	uint16_t status;
	const char *why;
};

void http1_init(struct http1 *h, enum http1_kind kind, size_t head_max);

/* Before a response: what its request was decides whether it has a body. */
void http1_answers(struct http1 *h, bool head, bool connect);

/* The next event of `p`; at most `data_max` bytes of body. */
enum http1_got http1_next(struct http1 *h, const uint8_t *p, size_t n, size_t data_max,
	struct http1_out *out);

/* After a request whose answer was 101 or 2xx to CONNECT: everything is DATA. */
void http1_tunnel(struct http1 *h);

/* The input ended: HTTP1_MORE between messages, HTTP1_END where a body may end so, or
 * HTTP1_BAD. */
enum http1_got http1_eof(struct http1 *h);

/* After HTTP1_BAD: what was wrong, with the limit and the field where there are. */
void http1_explain(const struct http1 *h, const struct http1_out *out, struct err *e);

/* Between messages. */
bool http1_is_idle(const struct http1 *h);

/* Only the characters of a token (RFC 9110, section 5.6.2), and at least one. */
bool http1_is_token(struct slice s);

#endif
