/* SPDX-License-Identifier: Apache-2.0 */
#ifndef APP_RPC_H
#define APP_RPC_H

/*
 * Unary gRPC calls with a deadline, and the answers to them.  One connection a channel,
 * made again with backoff when it is lost.
 */
#include "app.h"

struct rpc;

/* Once, last; `r` is not touched after.  `reply` is borrowed for the call. */
typedef void rpc_done(struct rpc *r, int status, const char *text, struct slice reply);

struct rpc { /* the caller's storage, zeroed */
	struct grpc_call *call;
	struct timer deadline;
	struct buf reply;
	bool *over; /* set when it ends while it begins */
	rpc_done *done;
	void *arg; /* the caller's */
};

/* `host` lives as long as the channel. */
struct channel *rpc_channel(struct app *app, const struct place *to, struct err *e);

/* Sends `request`, a generated message, which is borrowed. */
void rpc_begin(struct rpc *r, struct channel *ch, const char *path, const void *request,
	rpc_done *done);
void rpc_end(struct rpc *r); /* done is not called; nothing when it is not under way */

/* A server's answer: one generated message and OK. */
void rpc_reply(struct grpc_request *r, const void *message);
/* For grpc_method.on_half_close: a unary call without a message. */
void rpc_no_message(struct grpc_request *r);

#endif
