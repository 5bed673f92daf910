/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections to an endpoint: straight to it, over mTLS, or to the port of the proxy in
 * front of it, which is then told where to go (spec proxy.md §4).
 */
#include <stdio.h>

#include "net/tcp.h"
#include "net/tlsconn.h"
#include "proxy/endpoint.h"

static const char *const transport_alpn[] = {TRANSPORT_ALPN, NULL};

bool endpoint_has_header(const struct endpoint *ep)
{
	return ep->use.identity && (ep->use.tunnel_port || ep->use.authority);
}

static struct addr dial_addr(const struct endpoint *ep)
{
	struct addr to = ep->use.addr;

	if (endpoint_has_header(ep) && ep->use.tunnel_port)
		to.port = ep->use.tunnel_port;
	return to;
}

static struct conn *dial_tls(
	struct endpoint *ep, const struct tcp_opts *o, struct err *e)
{
	struct ref *creds = snap_get(ep->worker->creds);
	struct tls_config cfg = {.creds = (struct creds *)creds,
		.alpn = endpoint_has_header(ep) ? transport_alpn : NULL,
		.sni = ep->use.server_name,
		.expect = ep->use.identity};
	struct addr to = dial_addr(ep);
	struct conn *c = NULL;

	if (creds_usable(cfg.creds, e) < 0)
		err_wrap(e, "%s wants TLS", ep->text);
	else
		c = tcp_dial(ep->worker->loop, &to, o, e);
	if (c)
		c = tlsconn_client(c, &cfg, ep->side->detect_timeout, e);
	ref_put(creds);
	return c;
}

struct conn *endpoint_dial(struct endpoint *ep, struct err *e)
{
	struct tcp_opts o = {.connect_timeout = ep->side->connect_timeout,
		.tuning = {.keepalive = ep->side->connect_keepalive,
			.user_timeout = ep->side->connect_user_timeout},
		.leaving = &ep->worker->leaving,
		.fd_max = ep->worker->fd_max};

	if (ep->use.identity)
		return dial_tls(ep, &o, e);
	return tcp_dial(ep->worker->loop, &ep->use.addr, &o, e);
}

/* "host:port", or without a port: the endpoint's own. */
static void name_authority(const char *authority, struct transport_header *h)
{
	struct slice rest = slice_of(authority), host = rest, port;
	const char *colon = strrchr(authority, ':');
	uint64_t n;

	if (colon) {
		host.n = (size_t)(colon - authority);
		port = slice_of(colon + 1);
		if (slice_u64(port, 65535, &n) && n > 0)
			h->port = (uint16_t)n;
	}
	snprintf(h->name, sizeof h->name, "%.*s", SLICE_FMT(host));
}

int endpoint_opened(struct endpoint *ep, struct conn *c, enum transport_session session,
	struct err *e)
{
	struct transport_header h = {.port = ep->use.addr.port};
	struct buf b = BUF_INIT;

	if (!endpoint_has_header(ep))
		return 0;
	if (strcmp(tls_alpn(conn_tls(c)), TRANSPORT_ALPN) != 0)
		return err_set(e, ERR_DENIED, "%s: the peer does not speak %s",
			ep->text, TRANSPORT_ALPN);
	if (ep->use.hint != HINT_OPAQUE)
		h.session = session;
	if (ep->use.authority)
		name_authority(ep->use.authority, &h);
	if (transport_header_write(&h, &b) < 0) {
		buf_fini(&b);
		return err_set(e, ERR_LIMIT, "no memory for a connection");
	}
	conn_write(c, buf_slice(&b).p, buf_len(&b));
	buf_fini(&b);
	return 0;
}
