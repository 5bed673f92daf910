/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the series of an inbound connection are called (spec proxy.md §13.1).
 */
#include <stdio.h>

#include "proxy/inbound_int.h"

const char *in_identity(const struct in_conn *c)
{
	return c->client_id ? c->client_id : "";
}

void in_target_labels(struct buf *b, const struct in_conn *c)
{
	char text[ADDR_TEXT], port[8];

	snprintf(port, sizeof port, "%u", c->dst.port);
	labels_add(b, "target_addr", slice_of(addr_text(&c->dst, text)));
	labels_add(b, "target_ip", slice_of(ip_text(&c->dst.ip, text)));
	labels_add(b, "target_port", slice_of(port));
}

void in_tls_labels(struct buf *b, const struct in_conn *c)
{
	if (c->tls) {
		labels_add(b, "tls", SLICE("true"));
		labels_add(b, "client_id", slice_of(in_identity(c)));
	} else if (c->tls_detected) {
		labels_add(b, "tls", SLICE("opaque"));
		labels_add(b, "sni", slice_of(c->sni ? c->sni : ""));
	} else {
		labels_add(b, "tls", SLICE("no_identity"));
		labels_add(b, "no_tls_reason", slice_of(c->no_tls));
	}
}

struct transport_meter *in_accepted_meter(const struct in_conn *c)
{
	const struct meta none = {"", "", "", "", "", 0};
	struct transport_meter *m;
	struct buf b = BUF_INIT;

	labels_add(&b, "direction", SLICE("inbound"));
	labels_add(&b, "peer", SLICE("src"));
	in_target_labels(&b, c);
	in_tls_labels(&b, c);
	labels_meta(&b, "srv_",
		c->port && c->port->policy ? &c->port->policy->server : &none);
	m = transport_meter_get(c->duct.client.worker, buf_slice(&b));
	buf_fini(&b);
	return m;
}

void in_count(const struct in_conn *c, enum family f, const struct authz *az)
{
	struct pworker *w = c->duct.client.worker;
	struct buf b = BUF_INIT;

	in_target_labels(&b, c);
	if (c->port && c->port->policy)
		labels_meta(&b, "srv_", &c->port->policy->server);
	if (az)
		labels_meta(&b, "authz_", &az->meta);
	in_tls_labels(&b, c);
	metrics_count(w->metrics, f, buf_slice(&b), w->index);
	buf_fini(&b);
}

void in_count_error(const struct in_conn *c, const char *error)
{
	struct pworker *w = c->duct.client.worker;
	struct buf b = BUF_INIT;

	labels_add(&b, "error", slice_of(error));
	in_target_labels(&b, c);
	metrics_count(w->metrics, M_IN_TCP_ERRORS, buf_slice(&b), w->index);
	buf_fini(&b);
}
