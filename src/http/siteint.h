/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTP_SITEINT_H
#define HTTP_SITEINT_H

/* What site.c (connections) and sitecall.c (requests) share. */
#include "base/list.h"
#include "http/server.h"
#include "http/site.h"
#include "tls/session.h"

struct site {
	struct loop *loop;
	struct listener *listener; /* NULL: site_serve() only, or draining */
	struct snap *creds;
	bool also_plain, ask_client_cert;
	size_t body_max;
	const struct route *routes;
	size_t nroutes;
	void *arg;
	bool (*admit)(void *arg, const struct addr *peer);
	bool (*permit)(struct call *c);
	struct http_server_config http;
	struct list conns; /* site_conn */
	bool draining;
	void (*drained)(void *arg);
	void *drained_arg;
};

struct site_conn {
	struct list node;
	struct site *site;
	struct conn *conn;        /* until HTTP has it */
	struct http_server *http; /* from then on */
	struct timer timer;       /* until then */
	struct addr peer;
	bool is_tls;
	char peer_id[TLS_ID_MAX];
};

/* on_exch of the site's servers; `arg` is the site_conn. */
void site_exch(void *arg, struct exch *x);

#endif
