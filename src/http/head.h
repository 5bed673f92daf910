/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTP_HEAD_H
#define HTTP_HEAD_H

/*
 * Message heads as values, the same for HTTP/1 and HTTP/2.
 *
 * All text lies in the exchange's arena and is borrowed from there.  Field names are
 * lower case.  Pseudo-fields, Host, Content-Length, Connection and the fields it names,
 * Keep-Alive, Proxy-Connection, TE (but "trailers"), Upgrade and Transfer-Encoding are
 * not in `fields`: the codecs read and write them; what they say is in the members
 * beside it.
 */
#include "base/arena.h"
#include "base/slice.h"

enum http_version { HTTP_1_0, HTTP_1_1, HTTP_2 };

struct field {
	struct slice name, value;
	const char *spelt; /* the name as an HTTP/1 peer wrote it (name.n bytes), NULL:
			      as it is, or SPELT_TITLE; see http/spelling.h */
};

struct fields {
	struct field *v;
	size_t n, cap;
};

#define HTTP_FIELDS_MAX 256
#define HTTP_HEAD_MAX   ((size_t)64 * 1024) /* default limit of a head or trailers */

#define BODY_UNKNOWN                                                                   \
	INT64_C(-1) /* chunked, close-delimited or HTTP/2 without length               \
		     */

struct req_head {
	enum http_version version;
	struct slice method;
	struct slice scheme;    /* "http" when not said */
	struct slice authority; /* :authority, absolute form, else Host; "" when none */
	struct slice path;      /* origin form with query, "*", or "" for CONNECT */
	struct fields fields;
	int64_t length;       /* body bytes; BODY_UNKNOWN; 0: none */
	struct slice upgrade; /* Upgrade of a request that asks for one, or extended
				 CONNECT's :protocol */
	bool says_length;     /* of a body, or that there is none */
	bool absolute_form;
	bool no_host;     /* HTTP/1.0 without Host or any authority */
	bool expects_100; /* Expect: 100-continue */
	bool te_trailers;
	bool two_hosts; /* HTTP/2: Host is not what :authority says; it was dropped */
	bool titled; /* HTTP/1: it spells names Like-This, and so are the codec's own */
};

struct rsp_head {
	enum http_version version;
	int status;
	struct slice reason; /* HTTP/1 only; may be "" */
	struct fields fields;
	int64_t length;
	struct slice upgrade; /* of a 101 */
	bool close;  /* the server codec closes (HTTP/1) or sends GOAWAY after this one
		      */
	bool titled; /* as a request's */
};

/* Fit for an authority: no byte that ends it or starts something else. */
bool is_authority(struct slice s);
/* A head from HTTP/2 means the same as HTTP/1: nothing in its first line or Host ends
 * either, and it has one authority. */
bool req_head_fits_http1(const struct req_head *req);

/* May be repeated when its fate is not known (RFC 9110 §9.2.2). */
bool method_is_idempotent(struct slice method);

/* -1 when there are too many or the arena is full.  Names must be lower case. */
int fields_add(
	struct fields *f, struct arena *a, struct slice name, struct slice value);
/* Replaces the first, removes the others; adds when there is none. */
int fields_set(
	struct fields *f, struct arena *a, struct slice name, struct slice value);
/* Makes one of all with that name, in order (RFC 9113 §8.2.3: cookies). */
int fields_join(
	struct fields *f, struct arena *a, struct slice name, struct slice between);
void fields_remove(struct fields *f, struct slice name);
/* The first, or NULL. */
const struct field *fields_find(const struct fields *f, struct slice name);
struct slice fields_get(const struct fields *f, struct slice name); /* "" when absent */
/* "application/grpc", also with +suffix or ;parameters. */
bool fields_is_grpc(const struct fields *f);

#endif
