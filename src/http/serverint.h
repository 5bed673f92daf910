/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTP_SERVERINT_H
#define HTTP_SERVERINT_H

/* What the server codecs share.  For http/ only. */
#include "http/server.h"

struct http_server_ops {
	void (*drain)(struct http_server *s);
	void (*end)(struct http_server *s);
	size_t (*open)(const struct http_server *s);
	struct conn *(*take)(struct http_server *s, struct exch *x); /* may be NULL */
	void (*shed)(struct http_server *s, uint64_t stall);         /* also */
};

struct http_server { /* first in each codec's struct */
	const struct http_server_ops *ops;
	struct conn *conn; /* NULL once it is gone or given back */
	const struct http_server_config *cfg;
	const struct http_server_user *user;
	void *arg;
};

static inline size_t server_head_max(const struct http_server *s)
{
	return s->cfg->head_max ? s->cfg->head_max : HTTP_HEAD_MAX;
}

struct http_server *h1_server_new(
	struct conn *c, const struct http_server_config *cfg, struct err *e);
struct http_server *h2_server_new(
	struct conn *c, const struct http_server_config *cfg, struct err *e);

/* A status for a request that could not even be begun, or failed without an answer. */
int status_of_error(const struct err *e);
/* "Not Found"; "" for codes without a name. */
const char *status_reason(int status);

#endif
