/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTP_H1HEAD_H
#define HTTP_H1HEAD_H

/*
 * HTTP/1 heads to and from struct req_head and rsp_head: what connection fields say is
 * taken out on the way in and said again on the way out.  For h1server.c and
 * h1client.c.
 */
#include "http/head.h"
#include "wire/http1.h"

/* What only this connection is told. */
struct h1_hop {
	bool close;      /* Connection: close, or HTTP/1.0 without keep-alive */
	bool keep_alive; /* Connection: keep-alive was said */
	unsigned idle;   /* Keep-Alive: timeout=N, in seconds; 0: not said */
	const char *why; /* reading failed: what was wrong */
};

/*
 * Copies `in` into `a` (one allocation of text).  0, or the status to answer with: 400,
 * or 431 when `a` is full.
 */
int h1_read_request(const struct http1_head *in, struct arena *a, struct req_head *out,
	struct h1_hop *hop);
int h1_read_response(const struct http1_head *in, struct arena *a, struct rsp_head *out,
	struct h1_hop *hop);
int h1_read_trailers(const struct http1_head *in, struct arena *a, struct fields *out);

/* A field that only a codec may write; `name` is lower case. */
bool h1_is_own(struct slice name);

/* How a message's end is told. */
enum h1_framing { H1_NONE, H1_LENGTH, H1_CHUNKED, H1_CLOSE };

/* Text being put together in memory of a fixed size. */
struct h1_text {
	char *p;
	size_t n, cap;
	bool full; /* it did not fit; do not send */
};

/* It was full: more room, in `a`, to write it again; false when there is none. */
bool h1_text_grow(struct h1_text *t, struct arena *a, size_t head_max);

void h1_write_request(
	struct h1_text *t, const struct req_head *req, enum h1_framing framing);
/* `close` and `keep_alive`: what to say in Connection. */
void h1_write_response(struct h1_text *t, const struct rsp_head *rsp,
	enum h1_framing framing, struct h1_hop say);
void h1_write_trailers(struct h1_text *t, const struct fields *trailers);
void h1_write_chunk_size(struct h1_text *t, size_t n);

enum h1_framing h1_request_framing(const struct req_head *req);
/* `minor`: what the client speaks; `head`: it asked with HEAD. */
enum h1_framing h1_response_framing(const struct rsp_head *rsp, int minor, bool head);

#endif
