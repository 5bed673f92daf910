/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Destination.Get: the endpoints of a Service as one client's node sees them (spec
 * control-plane.md §2.2).  Who is subscribed hears what was added and what went.
 */
#include <stdlib.h>

#include "base/obj.h"
#include "ctl/destint.h"

#define ADD_MAX 500 /* addresses in a message: well below what clients accept */

/* One address that may be told. */
struct candidate {
	const struct slice_endpoint *e;
	const struct pod_view *pod; /* NULL: not a pod's */
	struct addr at;
	const char *zone;
};

struct candidates {
	struct candidate *v;
	size_t n;
};

/* What was told: addresses in order, each with its bytes. */
struct told {
	struct addr at;
	size_t from, n; /* in endpoints_state.bytes */
};
struct endpoints_state {
	struct told *v;
	size_t n;
	struct buf bytes;
};

struct looking {
	struct topic *t;
	const struct endpoints_ask *ask;
	const struct destination_config *cfg;
	const struct service_view *service;
	const char *client_zone;
};

/* ---- which ---- */

/* The slice's own port first: it says what the targetPort came to.  0: none. */
static uint16_t target_port(
	const struct service_view *s, const struct slice_view *slice, uint16_t port)
{
	const struct service_port *p = service_port(s, port);

	if (!p)
		return port;
	for (size_t i = 0; i < slice->nports; i++)
		if (strcmp(slice->ports[i].name, p->name) == 0)
			return slice->ports[i].port;
	return p->target;
}

static const char *zone_of(struct looking *l, const struct slice_endpoint *e)
{
	const struct node_view *n;

	if (*e->zone || !*e->node)
		return e->zone;
	n = index_node(&l->t->reader, e->node);
	return n ? n->zone : "";
}

static bool is_wanted(const struct looking *l, const struct slice_endpoint *e)
{
	if (e->ip.family == 6 && !l->cfg->ipv6)
		return false;
	if (*l->ask->at.hostname && strcmp(l->ask->at.hostname, e->hostname) != 0)
		return false;
	return !l->service->is_local || !*l->ask->node ||
	       strcmp(e->node, l->ask->node) == 0;
}

static const struct pod_view *pod_of(
	struct looking *l, const struct slice_view *s, const struct slice_endpoint *e)
{
	return *e->pod ? index_pod(&l->t->reader, *e->pod_ns ? e->pod_ns : s->view.ns,
				 e->pod)
		       : NULL;
}

/* Those that are ready, or those that a silent node alone keeps from it. */
static void add_slice(
	struct looking *l, const struct slice_view *s, bool ready, struct candidates *c)
{
	uint16_t port = target_port(l->service, s, l->ask->at.port);

	for (size_t i = 0; i < s->nendpoints && port; i++) {
		const struct slice_endpoint *e = &s->endpoints[i];
		const struct pod_view *pod;

		if (e->ready != ready || !is_wanted(l, e))
			continue;
		pod = pod_of(l, s, e);
		if (!ready && (!pod || !pod->was_ready))
			continue;
		c->v[c->n++] = (struct candidate){
			.e = e, .pod = pod, .at = {e->ip, port}, .zone = zone_of(l, e)};
	}
}

static int addr_order(const struct addr *a, const struct addr *b)
{
	int d = (int)a->ip.family - (int)b->ip.family;

	if (!d)
		d = memcmp(a->ip.b, b->ip.b, sizeof a->ip.b);
	return d ? d : (int)a->port - (int)b->port;
}

static int candidate_order(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	return addr_order(&x->at, &y->at);
}

/* Keeps those that `keep` says, in order. */
static void filter(struct candidates *c,
	bool (*keep)(const struct looking *l, const struct candidates *c, size_t i),
	const struct looking *l)
{
	bool *yes = calloc(c->n + 1, 1);
	size_t n = 0;

	must(yes);
	for (size_t i = 0; i < c->n; i++)
		yes[i] = keep(l, c, i);
	for (size_t i = 0; i < c->n; i++)
		if (yes[i])
			c->v[n++] = c->v[i];
	c->n = n;
	free(yes);
}

/* An endpoint may stand in two slices while it moves between them. */
static bool is_first(const struct looking *l, const struct candidates *c, size_t i)
{
	(void)l;
	return i == 0 || addr_order(&c->v[i - 1].at, &c->v[i].at) != 0;
}

/* A pod of both families is told once, by its IPv6 address. */
static bool is_preferred(const struct looking *l, const struct candidates *c, size_t i)
{
	const struct pod_view *p = c->v[i].pod;

	(void)l;
	for (size_t k = 0; p && k < p->nips && c->v[i].at.ip.family == 4; k++) {
		struct candidate other = {.at = {p->ips[k], c->v[i].at.port}};

		if (other.at.ip.family == 6 &&
			bsearch(&other, c->v, c->n, sizeof *c->v, candidate_order))
			return false;
	}
	return true;
}

static bool is_hinted(const struct looking *l, const struct candidates *c, size_t i)
{
	const struct slice_endpoint *e = c->v[i].e;

	for (size_t k = 0; k < e->nzones; k++)
		if (strcmp(e->zones[k], l->client_zone) == 0)
			return true;
	return false;
}

/* Hints count when every endpoint has them and one of them is for this zone. */
static void filter_hints(struct candidates *c, const struct looking *l)
{
	bool some = false;

	if (!*l->client_zone || l->service->is_local)
		return;
	for (size_t i = 0; i < c->n; i++) {
		if (!c->v[i].e->nzones)
			return;
		some |= is_hinted(l, c, i);
	}
	if (some)
		filter(c, is_hinted, l);
}

static void add_slices(
	struct looking *l, const struct list *slices, bool ready, struct candidates *c)
{
	struct place *p;

	list_each(p, slices, node)
	{
		add_slice(l, place_as(p, slice_view), ready, c);
	}
}

/*
 * A node that does not report, be it the API server's fault, makes all of its pods
 * unready at once.  Where nobody else is left they are told: who is truly gone, the
 * proxies find out.
 */
static void find(struct looking *l, struct candidates *c, struct arena *a)
{
	const struct list *slices =
		index_slices(&l->t->reader, l->ask->at.ns, l->ask->at.service);
	struct place *p;
	size_t n = 0;

	list_each(p, slices, node)
	{
		n += place_as(p, slice_view)->nendpoints;
	}
	c->v = MAKE_LIST(struct candidate, n, a);
	add_slices(l, slices, true, c);
	if (c->n == 0)
		add_slices(l, slices, false, c);
	qsort(c->v, c->n, sizeof *c->v, candidate_order);
	filter(c, is_first, l);
	filter(c, is_preferred, l);
	filter_hints(c, l);
}

/* ---- what is told ---- */

static void add_messages(const struct looking *l, Destination__WeightedAddr **v,
	size_t n, struct messages *out, struct arena *a)
{
	Destination__WeightedAddrSet set = DESTINATION__WEIGHTED_ADDR_SET__INIT;
	Destination__Update m = DESTINATION__UPDATE__INIT;
	Common__Label *labels[2] = {api_label("namespace", l->ask->at.ns, a),
		api_label("service", l->ask->at.service, a)};

	must(labels[0] && labels[1]);
	m.update_case = DESTINATION__UPDATE__UPDATE_ADD;
	m.add = &set;
	set.metric_labels = labels;
	set.n_metric_labels = countof(labels);
	for (size_t at = 0; at < n; at += ADD_MAX) {
		set.addrs = v + at;
		set.n_addrs = n - at < ADD_MAX ? n - at : ADD_MAX;
		messages_add(out, &m);
	}
}

static void remove_message(Net__TcpAddress **v, size_t n, struct messages *out)
{
	Destination__AddrSet set = DESTINATION__ADDR_SET__INIT;
	Destination__Update m = DESTINATION__UPDATE__INIT;

	if (n == 0)
		return;
	m.update_case = DESTINATION__UPDATE__UPDATE_REMOVE;
	m.remove = &set;
	set.addrs = v;
	set.n_addrs = n;
	messages_add(out, &m);
}

/* To who comes when there are none: else it could not tell "none" from "not yet". */
static void none_message(bool exists, struct messages *out)
{
	Destination__NoEndpoints none = DESTINATION__NO_ENDPOINTS__INIT;
	Destination__Update m = DESTINATION__UPDATE__INIT;

	none.exists = exists;
	m.update_case = DESTINATION__UPDATE__UPDATE_NO_ENDPOINTS;
	m.no_endpoints = &none;
	messages_add(out, &m);
}

static struct slice told_bytes(const struct endpoints_state *s, size_t i)
{
	return (struct slice){buf_slice(&s->bytes).p + s->v[i].from, s->v[i].n};
}

static void remember(const struct candidates *c, Destination__WeightedAddr **v,
	struct endpoints_state *out)
{
	out->v = calloc(c->n + 1, sizeof *out->v);
	must(out->v);
	out->n = c->n;
	for (size_t i = 0; i < c->n; i++) {
		size_t from = buf_len(&out->bytes);

		must(api_write(v[i], &out->bytes) == 0);
		out->v[i] =
			(struct told){c->v[i].at, from, buf_len(&out->bytes) - from};
	}
}

static void forget(struct endpoints_state *s)
{
	free(s->v);
	buf_fini(&s->bytes);
}

/* Both are in order of addresses. */
static void tell_change(const struct looking *l, const struct endpoints_state *before,
	const struct endpoints_state *now, Destination__WeightedAddr **all,
	struct answer *out)
{
	Destination__WeightedAddr **add =
		MAKE_LIST(Destination__WeightedAddr *, now->n, &out->arena);
	Net__TcpAddress **gone = MAKE_LIST(Net__TcpAddress *, before->n, &out->arena);
	size_t i = 0, k = 0, nadd = 0, ngone = 0;

	while (i < before->n || k < now->n) {
		int order = i == before->n ? 1
			    : k == now->n  ? -1
					  : addr_order(&before->v[i].at, &now->v[k].at);

		if (order < 0) {
			gone[ngone++] = api_addr(&before->v[i++].at, &out->arena);
			must(gone[ngone - 1]);
			continue;
		}
		if (order > 0 || !slice_eq(told_bytes(before, i), told_bytes(now, k)))
			add[nadd++] = all[k];
		i += order == 0;
		k++;
	}
	add_messages(l, add, nadd, &out->change, &out->arena);
	remove_message(gone, ngone, &out->change);
}

/* ---- the topic ---- */

static const char *client_zone(struct topic *t, const struct endpoints_ask *ask)
{
	const struct node_view *n =
		*ask->node ? index_node(&t->reader, ask->node) : NULL;

	return n ? n->zone : "";
}

static enum verdict endpoints_answer(struct topic *t, struct answer *out)
{
	const struct endpoints_ask *ask = t->ask;
	struct looking l = {.t = t,
		.ask = ask,
		.cfg = topic_context(t),
		.service = index_service(&t->reader, ask->at.ns, ask->at.service),
		.client_zone = client_zone(t, ask)};
	struct endpoints_state *before = t->state, now = {0};
	struct candidates c = {0};
	Destination__WeightedAddr **v;

	if (!l.service && !t->answered)
		return refuse(out, GRPC_NOT_FOUND, "no such Service");
	if (l.service && l.service->is_external)
		return refuse(out, GRPC_INVALID_ARGUMENT,
			"a Service of type ExternalName has no endpoints");
	if (l.service)
		find(&l, &c, &out->arena);
	v = MAKE_LIST(Destination__WeightedAddr *, c.n, &out->arena);
	for (size_t i = 0; i < c.n; i++)
		v[i] = weighted_addr(t, c.v[i].pod, &c.v[i].at,
			&(struct locality){c.v[i].zone, l.client_zone}, &out->arena);
	remember(&c, v, &now);
	add_messages(&l, v, c.n, &out->whole, &out->arena);
	if (c.n == 0)
		none_message(l.service != NULL, &out->whole);
	tell_change(&l, before, &now, v, out);
	forget(before);
	*before = now;
	t->gauge[0] = c.n;
	t->gauge[1] = l.service != NULL;
	return TELL;
}

static void endpoints_fini(struct topic *t)
{
	forget(t->state);
}

static void endpoints_labels(const struct topic *t, struct buf *out)
{
	const struct endpoints_ask *ask = t->ask;

	buf_printf(out,
		"cluster=\"local\",namespace=\"%s\",service=\"%s\",port=\"%u\","
		"hostname=\"%s\",node=\"%s\"",
		ask->at.ns, ask->at.service, ask->at.port, ask->at.hostname, ask->node);
}

const struct topic_kind endpoints_kind = {.name = "endpoints",
	.ask_size = sizeof(struct endpoints_ask),
	.state_size = sizeof(struct endpoints_state),
	.answer = endpoints_answer,
	.fini = endpoints_fini,
	.labels = endpoints_labels,
	.gauges = {"endpoints_pods", "endpoints_exists"}};
