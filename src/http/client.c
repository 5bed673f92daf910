/* SPDX-License-Identifier: Apache-2.0 */
#include "http/client.h"

#include "http/clientint.h"

struct http_client *http_client_new(struct conn *c, enum http_kind kind,
	const struct http_client_config *cfg, const struct http_client_user *user,
	void *arg, struct err *e)
{
	struct http_client *cl = kind == HTTP_KIND_2 ? h2_client_new(c, cfg, e)
						     : h1_client_new(c, cfg, e);

	if (!cl)
		return NULL;
	cl->conn = c;
	cl->cfg = *cfg;
	cl->user = user;
	cl->arg = arg;
	return cl;
}

bool http_client_has_room(const struct http_client *c)
{
	return c->ops->has_room(c);
}

size_t http_client_open(const struct http_client *c)
{
	return c->ops->open(c);
}

size_t http_client_limit(const struct http_client *c)
{
	return c->ops->limit ? c->ops->limit(c) : 1;
}

int http_client_takes_connect(const struct http_client *c)
{
	return c->ops->takes_connect ? c->ops->takes_connect(c) : 0;
}

void http_client_begin(struct http_client *c, struct exch *x)
{
	x->unheard = false;
	c->ops->begin(c, x);
}

void http_client_data(struct exch *x, const uint8_t *p, size_t n)
{
	if (x->service_arg) /* else the client has done with it */
		client_of(x)->ops->data(x, p, n);
}

void http_client_end_body(struct exch *x, const struct fields *trailers)
{
	if (x->service_arg) /* else the client has done with it */
		client_of(x)->ops->end_body(x, trailers);
}

void http_client_credit(struct exch *x, size_t n)
{
	if (x->service_arg) /* else the client has done with it */
		client_of(x)->ops->credit(x, n);
}

void http_client_cancel(struct exch *x)
{
	if (x->service_arg) /* else the client has done with it */
		client_of(x)->ops->cancel(x);
}

void http_client_drain(struct http_client *c)
{
	c->ops->drain(c);
}

void http_client_end(struct http_client *c)
{
	c->ops->end(c);
}

struct conn *http_client_conn(struct http_client *c)
{
	return c->conn;
}

uint64_t http_client_idle_limit(const struct http_client *c)
{
	return c->idle_limit;
}
