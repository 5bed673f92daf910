/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTP_CLIENTINT_H
#define HTTP_CLIENTINT_H

/* What the client codecs share.  For http/ only. */
#include "http/client.h"

struct http_client_ops {
	bool (*has_room)(const struct http_client *c);
	size_t (*open)(const struct http_client *c);
	size_t (*limit)(const struct http_client *c); /* may be NULL, as the next */
	int (*takes_connect)(const struct http_client *c);
	void (*begin)(struct http_client *c, struct exch *x);
	void (*data)(struct exch *x, const uint8_t *p, size_t n);
	void (*end_body)(struct exch *x, const struct fields *trailers);
	void (*credit)(struct exch *x, size_t n);
	void (*cancel)(struct exch *x);
	void (*drain)(struct http_client *c);
	void (*end)(struct http_client *c);
};

struct http_client { /* first in each codec's struct */
	const struct http_client_ops *ops;
	struct conn *conn; /* NULL once it is gone or given back */
	struct http_client_config cfg;
	const struct http_client_user *user;
	void *arg;
	uint64_t idle_limit; /* ns; 0: not said */
};

struct client_stream { /* what x->service_arg points at: first in each codec's own */
	struct http_client *client;
};

static inline struct http_client *client_of(const struct exch *x)
{
	return ((struct client_stream *)x->service_arg)->client;
}

static inline size_t client_head_max(const struct http_client *c)
{
	return c->cfg.head_max ? c->cfg.head_max : HTTP_HEAD_MAX;
}

struct http_client *h1_client_new(
	struct conn *c, const struct http_client_config *cfg, struct err *e);
struct http_client *h2_client_new(
	struct conn *c, const struct http_client_config *cfg, struct err *e);

#endif
