/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "api/api.h"
#include "api/destination.pb-c.h"
#include "proxy/decode.h"

static void endpoints_free(struct ref *r)
{
	struct endpoints *s = container_of(r, struct endpoints, ref);

	arena_fini(&s->arena);
	free(s);
}

struct endpoints *endpoints_none(enum endpoints_state state)
{
	struct endpoints *s = calloc(1, sizeof *s);

	if (!s)
		return NULL;
	ref_init(&s->ref, endpoints_free);
	arena_init(&s->arena, SNAPSHOT_MAX);
	s->state = state;
	return s;
}

/* ---- labels: "dst_" before each key, sorted, the endpoint's own over the set's ----
 */

static const char *prefixed(const char *key, struct arena *a)
{
	size_t n = strlen(key);
	char *p = arena_alloc(a, n + 5);

	if (!p)
		return NULL;
	memcpy(p, "dst_", 4);
	memcpy(p + 4, key, n);
	return p;
}

static int by_key(const void *a, const void *b)
{
	return strcmp(((const struct label *)a)->key, ((const struct label *)b)->key);
}

static int labels_of(Common__Label *const *v, size_t n, const struct labels *set,
	struct arena *a, struct labels *out)
{
	size_t base = set ? set->n : 0, used = 0;
	struct label *l = arena_array(a, n + base + 1, sizeof *l);

	if (!l)
		return -1;
	for (size_t i = 0; i < n; i++) {
		l[used].key = prefixed(v[i]->key, a);
		if (!l[used].key)
			return -1;
		l[used++].value = v[i]->value;
	}
	for (size_t i = 0; i < base; i++) {
		bool own = false;

		for (size_t k = 0; k < n; k++)
			own |= strcmp(l[k].key, set->v[i].key) == 0;
		if (!own)
			l[used++] = set->v[i];
	}
	qsort(l, used, sizeof *l, by_key);
	*out = (struct labels){l, used};
	return 0;
}

/* ---- one endpoint ---- */

static void identity_of(const Destination__TlsIdentity *t, struct endpoint_info *out)
{
	if (!t)
		return;
	if (t->strategy_case == DESTINATION__TLS_IDENTITY__STRATEGY_DNS_LIKE_IDENTITY) {
		out->identity = t->dns_like_identity->name;
		out->server_name = out->identity;
	} else if (t->strategy_case ==
			   DESTINATION__TLS_IDENTITY__STRATEGY_URI_LIKE_IDENTITY &&
		   t->server_name) {
		out->identity = t->uri_like_identity->uri;
	}
	if (t->server_name && out->identity)
		out->server_name = t->server_name->name;
}

static void hints_of(const Destination__ProtocolHint *h, struct endpoint_info *out)
{
	if (!h)
		return;
	if (h->protocol_case == DESTINATION__PROTOCOL_HINT__PROTOCOL_H2)
		out->hint = HINT_H2;
	else if (h->protocol_case == DESTINATION__PROTOCOL_HINT__PROTOCOL_OPAQUE)
		out->hint = HINT_OPAQUE;
	if (h->opaque_transport)
		out->tunnel_port = (uint16_t)h->opaque_transport->inbound_port;
}

int decode_endpoint(const Destination__WeightedAddr *m, const struct labels *set,
	struct arena *a, struct endpoint_info *out, struct err *e)
{
	*out = (struct endpoint_info){.weight = m->weight};
	if (!api_to_addr(m->addr, &out->addr))
		return err_set(e, ERR_SYNTAX, "an endpoint without an address");
	if (labels_of(m->metric_labels, m->n_metric_labels, set, a, &out->labels) < 0)
		return err_set(e, ERR_LIMIT, "no memory for endpoints");
	identity_of(m->tls_identity, out);
	hints_of(m->protocol_hint, out);
	if (m->authority_override)
		out->authority = m->authority_override->authority_override;
	if (m->http2 && m->http2->keep_alive) {
		out->ping_every = api_to_ns(m->http2->keep_alive->interval, 0);
		out->ping_timeout = api_to_ns(m->http2->keep_alive->timeout, 0);
	}
	return 0;
}

/* ---- updates ---- */

static const char *keep(const char *text, struct arena *a)
{
	return text ? api_text(slice_of(text), a) : NULL;
}

/* Into another arena: what an update does not mention stays. */
static int keep_endpoint(
	const struct endpoint_info *from, struct arena *a, struct endpoint_info *to)
{
	struct label *l = arena_array(a, from->labels.n + 1, sizeof *l);

	if (!l)
		return -1;
	*to = *from;
	for (size_t i = 0; i < from->labels.n; i++) {
		l[i].key = keep(from->labels.v[i].key, a);
		l[i].value = keep(from->labels.v[i].value, a);
		if (!l[i].key || !l[i].value)
			return -1;
	}
	to->labels.v = l;
	to->identity = keep(from->identity, a);
	to->server_name = keep(from->server_name, a);
	to->authority = keep(from->authority, a);
	return 0;
}

static bool mentioned(const Destination__Update *u, const struct addr *addr)
{
	struct addr a;

	if (u->update_case == DESTINATION__UPDATE__UPDATE_ADD)
		for (size_t i = 0; i < u->add->n_addrs; i++)
			if (api_to_addr(u->add->addrs[i]->addr, &a) &&
				addr_eq(&a, addr))
				return true;
	if (u->update_case == DESTINATION__UPDATE__UPDATE_REMOVE)
		for (size_t i = 0; i < u->remove->n_addrs; i++)
			if (api_to_addr(u->remove->addrs[i], &a) && addr_eq(&a, addr))
				return true;
	return false;
}

static int by_addr(const void *a, const void *b)
{
	const struct endpoint_info *x = a, *y = b;
	int r = memcmp(&x->addr.ip, &y->addr.ip, sizeof x->addr.ip);

	return r ? r : (int)x->addr.port - (int)y->addr.port;
}

static int add_all(const Destination__WeightedAddrSet *set, struct endpoints *s,
	struct endpoint_info *v, struct err *e)
{
	struct labels common;

	if (labels_of(set->metric_labels, set->n_metric_labels, NULL, &s->arena,
		    &common) < 0)
		return err_set(e, ERR_LIMIT, "no memory for endpoints");
	for (size_t i = 0; i < set->n_addrs; i++)
		if (decode_endpoint(set->addrs[i], &common, &s->arena, &v[s->n++], e) <
			0)
			return -1;
	return 0;
}

static int apply(struct endpoints *s, const struct endpoints *before,
	const Destination__Update *u, struct err *e)
{
	size_t most =
		(before ? before->n : 0) +
		(u->update_case == DESTINATION__UPDATE__UPDATE_ADD ? u->add->n_addrs
								   : 0);
	struct endpoint_info *v = arena_array(&s->arena, most + 1, sizeof *v);

	if (!v)
		return err_set(e, ERR_LIMIT, "no memory for endpoints");
	for (size_t i = 0; before && i < before->n; i++) {
		if (mentioned(u, &before->v[i].addr))
			continue;
		if (keep_endpoint(&before->v[i], &s->arena, &v[s->n++]) < 0)
			return err_set(e, ERR_LIMIT, "no memory for endpoints");
	}
	if (u->update_case == DESTINATION__UPDATE__UPDATE_ADD &&
		add_all(u->add, s, v, e) < 0)
		return -1;
	qsort(v, s->n, sizeof *v, by_addr);
	s->v = v;
	return 0;
}

struct endpoints *decode_endpoints(
	const struct endpoints *before, bool reset, struct slice update, struct err *e)
{
	struct endpoints *s = endpoints_none(ENDPOINTS_KNOWN);
	Destination__Update *u;

	if (!s) {
		err_set(e, ERR_LIMIT, "no memory for endpoints");
		return NULL;
	}
	u = API_READ(Destination__Update, destination__update, update, &s->arena, e);
	if (u && u->update_case == DESTINATION__UPDATE__UPDATE_NO_ENDPOINTS) {
		reset = true;
		if (!u->no_endpoints->exists)
			s->state = ENDPOINTS_NO_SUCH;
	}
	if (!u || apply(s, reset ? NULL : before, u, e) < 0) {
		ref_put(&s->ref);
		return NULL;
	}
	s->generation = before ? before->generation + 1 : 1;
	return s;
}
