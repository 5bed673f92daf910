/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "proxy/inbound.h"
#include "proxy/inbound_int.h"

static bool says_http(enum proto p)
{
	return p == PROTO_HTTP1 || p == PROTO_HTTP2 || p == PROTO_GRPC;
}

static void told(void *arg, struct ref *value)
{
	struct in_port *p = arg;
	struct in_conn *c;

	ref_get(value);
	if (p->policy)
		ref_put(&p->policy->ref);
	p->policy = container_of(value, struct inbound_policy, ref);
	seen_inbound(p->seen, p->policy);
	if (says_http(p->policy->proto))
		p->client_first = true;
	p->refs++;
	while ((c = list_first(&p->waiting, struct in_conn, node))) {
		list_remove(&c->node);
		in_conn_policy(c);
	}
	list_each(c, &p->streams, node) in_conn_recheck(c);
	in_port_put(p);
}

static struct in_port *port_new(struct pworker *w, uint16_t port)
{
	struct in_port *p = calloc(1, sizeof *p);

	if (!p)
		return NULL;
	p->worker = w;
	snprintf(p->key, sizeof p->key, "%u", port);
	list_init(&p->waiting);
	list_init(&p->streams);
	if (map_insert(&w->ports, &p->node, slice_of(p->key)) < 0) {
		free(p);
		return NULL;
	}
	p->seen = seen_new(w, SIDE_IN, p->key);
	p->sub = disco_inbound(w->disco, w->loop, port, told, p);
	return p;
}

struct in_port *in_port_get(struct pworker *w, uint16_t port)
{
	char key[8];
	struct in_port *p;

	snprintf(key, sizeof key, "%u", port);
	p = map_get(&w->ports, slice_of(key), struct in_port, node);
	if (!p)
		p = port_new(w, port);
	if (p)
		p->refs++;
	return p;
}

void in_port_put(struct in_port *p)
{
	if (--p->refs > 0)
		return;
	p->unused_since = loop_now(p->worker->loop);
	worker_tick(p->worker);
}

static void port_free(struct in_port *p)
{
	map_remove(&p->worker->ports, &p->node);
	if (p->sub)
		sub_end(p->sub);
	seen_free(p->seen);
	if (p->policy)
		ref_put(&p->policy->ref);
	free(p);
}

void inbound_sweep(struct pworker *w)
{
	uint64_t now = loop_now(w->loop);
	struct in_port *p;

	map_each(p, &w->ports,
		node) if (p->refs == 0 && !p->permanent &&
			  now - p->unused_since > w->cfg->in.discovery_idle)
		port_free(p);
}

static void watch_always(struct pworker *w, uint16_t port)
{
	struct in_port *p = in_port_get(w, port);

	if (!p)
		return;
	p->permanent = true;
	in_port_put(p);
}

void inbound_watch_ports(struct pworker *w)
{
	for (size_t i = 0; i < w->cfg->ninbound_ports; i++)
		watch_always(w, w->cfg->inbound_ports[i]);
	if (*w->cfg->gateway_suffixes)
		watch_always(w, w->cfg->inbound_listen.port);
}
