/* SPDX-License-Identifier: Apache-2.0 */
/* A pod's port as its clients are told of it (spec control-plane.md §2.2). */
#include <stdarg.h>

#include "base/obj.h"
#include "ctl/destint.h"

#define WEIGHT     10000
#define LABELS_MAX 12

char *make_text(struct arena *a, const char *fmt, ...)
{
	struct buf b = BUF_INIT;
	va_list ap;
	char *text;

	va_start(ap, fmt);
	must(buf_vprintf(&b, fmt, ap) == 0);
	va_end(ap);
	text = api_text(buf_slice(&b), a);
	must(text);
	buf_fini(&b);
	return text;
}

Common__Duration *make_duration(uint64_t ns, struct arena *a)
{
	Common__Duration *m = ns ? api_duration(ns, a) : NULL;

	must(m || !ns);
	return m;
}

size_t places_count(const struct list *places)
{
	const struct list *p;
	size_t n = 0;

	for (p = places->next; p != places; p = p->next)
		n++;
	return n;
}

/* ---- ports ---- */

const char *pod_port_name(const struct pod_view *p, uint16_t port)
{
	for (size_t i = 0; i < p->is->nports; i++)
		if (p->is->ports[i].port == port)
			return p->is->ports[i].name;
	return "";
}

bool pod_port_is_opaque(struct reader *r, const struct destination_config *cfg,
	const struct pod_view *p, uint16_t port)
{
	const struct server_view *s = server_of(r, p, port);

	if (s)
		return s->protocol == SERVER_OPAQUE;
	return ports_have(p->is->opaque_ports ? p->is->opaque_ports : cfg->opaque_ports,
		port, pod_port_name(p, port));
}

const struct service_port *service_port(const struct service_view *s, uint16_t port)
{
	for (size_t i = 0; i < s->nports; i++)
		if (s->ports[i].port == port)
			return &s->ports[i];
	return NULL;
}

const char *service_port_name(const struct service_view *s, uint16_t port)
{
	const struct service_port *p = service_port(s, port);

	return p ? p->name : "";
}

bool service_port_is_opaque(struct reader *r, const struct destination_config *cfg,
	const struct service_view *s, uint16_t port)
{
	const struct namespace_view *ns = index_namespace(r, s->view.ns);
	const char *list = s->opaque_ports          ? s->opaque_ports
			   : ns && ns->opaque_ports ? ns->opaque_ports
						    : cfg->opaque_ports;

	return ports_have(list, port, service_port_name(s, port));
}

/* ---- labels ---- */

struct labeling {
	Destination__WeightedAddr *m;
	struct arena *a;
};

static void label(struct labeling *l, const char *key, const char *value)
{
	Common__Label *made;

	if (!*value)
		return;
	made = api_label(key, value, l->a);
	must(made && l->m->n_metric_labels < LABELS_MAX);
	l->m->metric_labels[l->m->n_metric_labels++] = made;
}

/* A Deployment's pod belongs to a ReplicaSet that belongs to the Deployment. */
static void label_owner(struct labeling *l, struct reader *r, const struct pod_view *p)
{
	const struct owned_view *up =
		index_owned(r, p->is->owner.kind, p->view.ns, p->is->owner.name);

	if (up && *up->owner.kind)
		label(l, up->owner.kind, up->owner.name);
	else if (*p->is->owner.kind)
		label(l, p->is->owner.kind, p->is->owner.name);
}

static void label_pod(struct labeling *l, struct reader *r, const struct pod_view *p)
{
	label_owner(l, r, p);
	label(l, "pod", p->view.name);
	label(l, "serviceaccount", *p->is->account ? p->is->account : "default");
	label(l, "control_plane_ns", p->is->control_ns);
	label(l, "pod_template_hash", p->is->template_hash);
}

static const char *locality_name(const struct locality *w)
{
	if (!*w->zone || !*w->client_zone)
		return "unknown";
	return strcmp(w->zone, w->client_zone) == 0 ? "local" : "remote";
}

/* ---- what its proxy offers ---- */

static void set_identity(struct labeling *l, const struct destination_config *cfg,
	const struct pod_view *p)
{
	Destination__TlsIdentity *id =
		MAKE(Destination__TlsIdentity, destination__tls_identity, l->a);
	Destination__TlsIdentity__DnsLikeIdentity *name =
		MAKE(Destination__TlsIdentity__DnsLikeIdentity,
			destination__tls_identity__dns_like_identity, l->a);

	name->name = make_text(l->a, "%s.%s.serviceaccount.identity.%s.%s",
		*p->is->account ? p->is->account : "default", p->view.ns,
		cfg->namespace, cfg->trust_domain);
	id->strategy_case = DESTINATION__TLS_IDENTITY__STRATEGY_DNS_LIKE_IDENTITY;
	id->dns_like_identity = name;
	id->server_name = name;
	l->m->tls_identity = id;
}

static void set_hint(
	struct labeling *l, struct topic *t, const struct pod_view *p, uint16_t port)
{
	const struct destination_config *cfg = topic_context(t);
	Destination__ProtocolHint *h =
		MAKE(Destination__ProtocolHint, destination__protocol_hint, l->a);
	bool opaque = pod_port_is_opaque(&t->reader, cfg, p, port);
	bool is_proxys_own = strcmp(pod_port_name(p, port), "linkerd-admin") == 0 ||
			     port == p->is->inbound_port;

	if (opaque) {
		h->protocol_case = DESTINATION__PROTOCOL_HINT__PROTOCOL_OPAQUE;
		h->opaque = MAKE(Common__Empty, common__empty, l->a);
	} else if (cfg->h2_upgrade) {
		h->protocol_case = DESTINATION__PROTOCOL_HINT__PROTOCOL_H2;
		h->h2 = MAKE(Common__Empty, common__empty, l->a);
	}
	if ((opaque || cfg->transport_header) && p->is->inbound_port &&
		!is_proxys_own) {
		h->opaque_transport = MAKE(Destination__ProtocolHint__OpaqueTransport,
			destination__protocol_hint__opaque_transport, l->a);
		h->opaque_transport->inbound_port = p->is->inbound_port;
	}
	l->m->protocol_hint = h;
}

Destination__WeightedAddr *weighted_addr(struct topic *t, const struct pod_view *pod,
	const struct addr *at, const struct locality *where, struct arena *a)
{
	const struct destination_config *cfg = topic_context(t);
	Destination__WeightedAddr *m =
		MAKE(Destination__WeightedAddr, destination__weighted_addr, a);
	struct labeling l = {m, a};

	m->addr = api_addr(at, a);
	must(m->addr);
	m->weight = WEIGHT;
	m->metric_labels = MAKE_LIST(Common__Label *, LABELS_MAX, a);
	if (pod)
		label_pod(&l, &t->reader, pod);
	if (where) {
		label(&l, "zone", where->zone);
		label(&l, "zone_locality", locality_name(where));
	}
	if (!pod || !*pod->is->control_ns ||
		(pod->is->skip_inbound_ports &&
			ports_have(pod->is->skip_inbound_ports, at->port, "")))
		return m;
	set_hint(&l, t, pod, at->port);
	if (strcmp(pod->is->control_ns, cfg->namespace) == 0)
		set_identity(&l, cfg, pod);
	return m;
}
