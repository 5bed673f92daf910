/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTP_H1HEAD_H
#define HTTP_H1HEAD_H

/*
 * Between HTTP/1 heads on the wire and heads as values (http/head.h), both ways.  What
 * is between two hops only (Connection and the fields it names, Keep-Alive, …) ends
 * here.
 */
#include "http/head.h"
#include "wire/http1.h"

struct h1_hop { /* what a head says of its connection */
	bool close, keep_alive;
	enum http1_framing framing;
};

/* `in` lies in `a` already (http1_parse()). */
int h1_request(const struct http1_head *in, struct arena *a, struct req_head *out,
	struct h1_hop *hop, struct err *e);
/* `method` of the request; its body is none after HEAD, a tunnel after CONNECT. */
int h1_response(const struct http1_head *in, struct arena *a, struct slice method,
	struct rsp_head *out, struct h1_hop *hop, struct err *e);

/* Heads as text.  `to` has room for HEAD_TEXT bytes; 0 when it does not fit. */
#define HEAD_TEXT ((size_t)128 * 1024)
size_t h1_write_request(const struct req_head *h, bool chunked, char *to);
struct h1_response_opts {
	bool minor0, head_only, close, keep_alive, chunked;
};
size_t h1_write_response(
	const struct rsp_head *h, const struct h1_response_opts *o, char *to);
/* "0" CRLF, trailers, CRLF: the end of a chunked body. */
size_t h1_write_last_chunk(const struct fields *trailers, char *to);

#endif
