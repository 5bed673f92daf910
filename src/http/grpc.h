/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTP_GRPC_H
#define HTTP_GRPC_H

/*
 * gRPC over HTTP/2: unary and streaming calls, as client (over a channel) and as
 * server. Messages are byte slices; api/ packs and unpacks them.  Uncompressed only (a
 * compressed message is answered UNIMPLEMENTED).  A message larger than
 * GRPC_MESSAGE_MAX ends the call with RESOURCE_EXHAUSTED.
 */
#include "http/channel.h"
#include "http/server.h"

#define GRPC_MESSAGE_MAX ((size_t)4 * 1024 * 1024)

enum grpc_status {
	GRPC_OK,
	GRPC_CANCELLED,
	GRPC_UNKNOWN,
	GRPC_INVALID_ARGUMENT,
	GRPC_DEADLINE_EXCEEDED,
	GRPC_NOT_FOUND,
	GRPC_ALREADY_EXISTS,
	GRPC_PERMISSION_DENIED,
	GRPC_RESOURCE_EXHAUSTED,
	GRPC_FAILED_PRECONDITION,
	GRPC_ABORTED,
	GRPC_OUT_OF_RANGE,
	GRPC_UNIMPLEMENTED,
	GRPC_INTERNAL,
	GRPC_UNAVAILABLE,
	GRPC_DATA_LOSS,
	GRPC_UNAUTHENTICATED,
};
const char *grpc_status_name(int status); /* "NOT_FOUND" */

/* ---- client ---- */
struct grpc_call;

struct grpc_user {
	void (*on_message)(void *arg, struct grpc_call *c, struct slice message);
	/* Once, last.  `text` is grpc-message or the transport's error (status
	 * UNAVAILABLE). */
	void (*on_over)(void *arg, struct grpc_call *c, int status, const char *text);
};

/* Sends one request message and (when `more` is false) ends the request.  `path` is
 * "/package.Service/Method". */
struct grpc_call *grpc_call_begin(struct channel *ch, const char *path,
	struct slice request, bool more, const struct grpc_user *user, void *arg,
	struct err *e);
void grpc_call_send(struct grpc_call *c, struct slice message, bool last);
void grpc_call_end(struct grpc_call *c); /* cancels; no callback follows */

/* ---- server ---- */
struct grpc_request; /* one call being served */

struct grpc_method {
	const char *path;
	/* A request message came.  For unary and server streaming it is the only one.
	 */
	void (*on_message)(struct grpc_request *r, struct slice message);
	/* The client will send no more; may be NULL. */
	void (*on_half_close)(struct grpc_request *r);
};

void *grpc_server_arg(const struct grpc_request *r); /* of the server */
/* The handler's own; on_gone is called once, when the call is over in any way. */
void grpc_set(
	struct grpc_request *r, void *arg, void (*on_gone)(struct grpc_request *r));
void *grpc_get(const struct grpc_request *r);
const char *grpc_peer_id(const struct grpc_request *r); /* TLS identity or "" */
struct slice grpc_metadata(const struct grpc_request *r, const char *name);
void grpc_send(struct grpc_request *r, struct slice message);
size_t grpc_backlog(const struct grpc_request *r); /* bytes not yet sent */
void grpc_end(struct grpc_request *r, int status, const char *text);

struct grpc_server;
struct grpc_server *grpc_server_new(struct loop *l, const struct addr *at,
	struct snap *creds, const struct grpc_method *methods, size_t n, void *arg,
	struct err *e);
const struct addr *grpc_server_addr(const struct grpc_server *s);
void grpc_server_drain(struct grpc_server *s, void (*done)(void *arg), void *arg);
void grpc_server_free(struct grpc_server *s);

#endif
