/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Destination.GetProfile: what an address or a name is - a Service or one endpoint -
 * and whether its bytes are looked into (spec control-plane.md §2.3).
 */
#include "base/clock.h"
#include "base/obj.h"
#include "ctl/destint.h"

/* As every profile has it that says nothing else. */
#define RETRY_RATIO 0.2f
#define RETRY_MIN   10
#define RETRY_TTL   (10 * NS_PER_S)

/* What a ServiceProfile says is written where the client is, else where the Service is.
 */
static const struct profile_view *profile_of(
	struct topic *t, const struct service_view *s)
{
	const struct destination_config *cfg = topic_context(t);
	const struct target_ask *ask = t->ask;
	const struct profile_view *found = NULL;
	char name[NAME_MAX_ + LABEL_MAX];

	snprintf(name, sizeof name, "%s.%s.svc.%s", s->view.name, s->view.ns,
		cfg->cluster_domain);
	if (*ask->client_ns)
		found = index_named_as(
			&t->reader, VIEW_PROFILE, profile_view, ask->client_ns, name);
	return found ? found
		     : index_named_as(&t->reader, VIEW_PROFILE, profile_view,
			       s->view.ns, name);
}

static Destination__DestinationProfile *profile_new(struct arena *a)
{
	Destination__DestinationProfile *m = MAKE(
		Destination__DestinationProfile, destination__destination_profile, a);

	m->retry_budget = MAKE(Destination__RetryBudget, destination__retry_budget, a);
	m->retry_budget->retry_ratio = RETRY_RATIO;
	m->retry_budget->min_retries_per_second = RETRY_MIN;
	m->retry_budget->ttl = api_duration(RETRY_TTL, a);
	must(m->retry_budget->ttl);
	return m;
}

static enum verdict tell(struct answer *out, const void *m)
{
	messages_add(&out->whole, m);
	return TELL;
}

/* ---- a Service ---- */

/* "host" has the port that was asked for. */
static Destination__WeightedDst * override(
	const Destination__WeightedDst *from, uint16_t port, struct arena *a)
{
	Destination__WeightedDst *m =
		MAKE(Destination__WeightedDst, destination__weighted_dst, a);
	bool has_port = strchr(from->authority, ':') != NULL;

	m->weight = from->weight;
	m->authority = has_port ? from->authority
				: make_text(a, "%s:%u", from->authority, port);
	return m;
}

static void set_profile(Destination__DestinationProfile *m,
	const struct profile_view *p, uint16_t port, struct arena *a)
{
	m->routes = p->routes;
	m->n_routes = p->nroutes;
	if (p->budget)
		m->retry_budget = p->budget;
	m->dst_overrides = MAKE_LIST(Destination__WeightedDst *, p->ndsts, a);
	for (size_t i = 0; i < p->ndsts; i++)
		m->dst_overrides[m->n_dst_overrides++] = override(p->dsts[i], port, a);
	m->profile_ref = api_meta(
		"linkerd.io", "ServiceProfile", p->view.ns, p->view.name, 0, a);
	must(m->profile_ref);
}

static enum verdict of_service(
	struct topic *t, const struct service_view *s, struct answer *out)
{
	const struct destination_config *cfg = topic_context(t);
	const struct target_ask *ask = t->ask;
	const struct profile_view *profile = profile_of(t, s);
	struct arena *a = &out->arena;
	Destination__DestinationProfile *m;

	if (s->is_external)
		return refuse(out, GRPC_INVALID_ARGUMENT,
			"a Service of type ExternalName has no profile");
	if (s->nports && !service_port(s, ask->at.port))
		return tell(out, MAKE(Destination__DestinationProfile,
					 destination__destination_profile, a));
	m = profile_new(a);
	m->fully_qualified_name = make_text(
		a, "%s.%s.svc.%s", s->view.name, s->view.ns, cfg->cluster_domain);
	if (profile)
		set_profile(m, profile, ask->at.port, a);
	m->opaque_protocol =
		profile && profile->opaque_ports
			? ports_have(profile->opaque_ports, ask->at.port,
				  service_port_name(s, ask->at.port))
			: service_port_is_opaque(&t->reader, cfg, s, ask->at.port);
	m->parent_ref =
		api_meta("core", "Service", s->view.ns, s->view.name, ask->at.port, a);
	must(m->parent_ref);
	return tell(out, m);
}

/* ---- one endpoint ---- */

static void add_namespace(
	Destination__WeightedAddr *m, const struct pod_view *pod, struct arena *a)
{
	Common__Label **all = MAKE_LIST(Common__Label *, m->n_metric_labels + 1, a);

	for (size_t i = 0; i < m->n_metric_labels; i++)
		all[i] = m->metric_labels[i];
	all[m->n_metric_labels] = api_label("namespace", pod->view.ns, a);
	must(all[m->n_metric_labels]);
	m->metric_labels = all;
	m->n_metric_labels++;
}

static enum verdict of_endpoint(struct topic *t, const struct pod_view *pod,
	const struct addr *at, struct answer *out)
{
	const struct destination_config *cfg = topic_context(t);
	struct arena *a = &out->arena;
	Destination__DestinationProfile *m = profile_new(a);

	m->endpoint = weighted_addr(t, pod, at, NULL, a);
	if (pod)
		add_namespace(m->endpoint, pod, a);
	m->opaque_protocol = pod ? pod_port_is_opaque(&t->reader, cfg, pod, at->port)
				 : ports_have(cfg->opaque_ports, at->port, "");
	return tell(out, m);
}

/* What a node's address and host port lead to: the pod's own address and port. */
static struct addr behind_host_port(const struct pod_view *p, const struct addr *host)
{
	struct addr at = *host;

	for (size_t i = 0; i < p->is->nports; i++)
		if (p->is->ports[i].host_port == host->port)
			at.port = p->is->ports[i].port;
	for (size_t i = 0; i < p->nips; i++)
		if (p->ips[i].family == host->ip.family)
			at.ip = p->ips[i];
	return at;
}

static enum verdict too_many(struct answer *out, const char *what)
{
	return refuse(out, GRPC_FAILED_PRECONDITION,
		make_text(&out->arena, "more than one %s has this address", what));
}

static enum verdict of_addr(struct topic *t, struct answer *out)
{
	const struct target_ask *ask = t->ask;
	struct addr at = {ask->at.ip, ask->at.port};
	const struct list *services = index_services_at(&t->reader, &at.ip),
			  *pods = index_pods_at(&t->reader, &at.ip),
			  *behind = index_host_ports_at(&t->reader, &at);
	struct place *p = list_first(services, struct place, node);

	if (places_count(services) > 1)
		return too_many(out, "Service");
	if (p)
		return of_service(t, place_as(p, service_view), out);
	if (places_count(pods) > 1 || places_count(behind) > 1)
		return too_many(out, "pod");
	p = list_first(pods, struct place, node);
	if (p)
		return of_endpoint(t, place_as(p, pod_view), &at, out);
	p = list_first(behind, struct place, node);
	if (!p)
		return of_endpoint(t, NULL, &at, out);
	at = behind_host_port(place_as(p, pod_view), &at);
	return of_endpoint(t, place_as(p, pod_view), &at, out);
}

/* NAME.SERVICE.NAMESPACE…: the endpoint that has that host name. */
static enum verdict of_instance(struct topic *t, struct answer *out)
{
	const struct target_ask *ask = t->ask;
	struct place *p;

	list_each(p, index_slices(&t->reader, ask->at.ns, ask->at.service), node)
	{
		const struct slice_view *s = place_as(p, slice_view);

		for (size_t i = 0; i < s->nendpoints; i++) {
			const struct slice_endpoint *e = &s->endpoints[i];
			const char *ns = *e->pod_ns ? e->pod_ns : s->view.ns;

			if (strcmp(e->hostname, ask->at.hostname) == 0)
				return of_endpoint(t,
					*e->pod ? index_pod(&t->reader, ns, e->pod)
						: NULL,
					&(struct addr){e->ip, ask->at.port}, out);
		}
	}
	return refuse(out, GRPC_NOT_FOUND, "no endpoint has this host name");
}

static enum verdict profile_answer(struct topic *t, struct answer *out)
{
	const struct target_ask *ask = t->ask;
	const struct service_view *s;

	if (ask->at.ip.family)
		return of_addr(t, out);
	s = index_service(&t->reader, ask->at.ns, ask->at.service);
	if (!s)
		return refuse(out, GRPC_NOT_FOUND, "no such Service");
	return *ask->at.hostname ? of_instance(t, out) : of_service(t, s, out);
}

void target_labels(const struct topic *t, struct buf *out)
{
	const struct target_ask *ask = t->ask;
	char ip[ADDR_TEXT];

	if (ask->at.ip.family)
		buf_printf(out, "ip=\"%s\",port=\"%u\"", ip_text(&ask->at.ip, ip),
			ask->at.port);
	else
		buf_printf(out,
			"namespace=\"%s\",service=\"%s\",hostname=\"%s\",port=\"%u\"",
			ask->at.ns, ask->at.service, ask->at.hostname, ask->at.port);
	buf_printf(out, ",client_namespace=\"%s\"", ask->client_ns);
}

const struct topic_kind profile_kind = {.name = "profile",
	.ask_size = sizeof(struct target_ask),
	.answer = profile_answer,
	.labels = target_labels};
