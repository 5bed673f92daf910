/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOCAL_CLIENT_H
#define LOCAL_CLIENT_H

/*
 * A client of the API server for commands: one call after the other, each waits for its
 * answer.  Straight-line code; not for what has a loop of its own.
 */
#include "base/buf.h"
#include "base/err.h"
#include "net/conn.h"
#include "wire/json.h"

struct client;

struct client *client_new(const char *kubeconfig, struct err *e);
void client_free(struct client *c);

struct ask {
	const char *method, *path; /* with query, encoded */
	const char *type;          /* of the body; NULL: application/json */
	const char *accept;        /* NULL: application/json */
	const struct json *body;   /* NULL: none */
	/* Called with what comes when the status is below 300 (NULL: it is gathered).
	 */
	void (*on_data)(void *arg, struct slice bytes);
	void *arg;
};
/* The HTTP status, with the answer's JSON in *out (owned; NULL when it is none); -1
 * when there was no answer.  From 400 on `e` has the message of the Status. */
int client_ask(
	struct client *c, const struct ask *ask, struct json **out, struct err *e);

/* For streams: a connection of one's own (TLS, not yet open), and the loop it lives on.
 * The server must be given by address.  Borrows `c` for its life. */
struct conn *client_dial(struct client *c, struct err *e);
struct loop *client_loop(struct client *c);
const char *client_host(const struct client *c);

#endif
