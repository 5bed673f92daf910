/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/view.h"

#include <stdlib.h>

#include "base/obj.h"
#include "ctl/policyview.h"
#include "ctl/viewint.h"

#define VIEW_MAX ((size_t)1024 * 1024) /* bytes of one view */

#define OPAQUE_PORTS "config.linkerd.io/opaque-ports"

void *view_take(struct reading *r, size_t n, size_t size)
{
	void *p = arena_array(r->a, n ? n : 1, size);

	r->full |= !p;
	return p;
}

const char *view_text_or_null(struct reading *r, const char *s)
{
	size_t n = s ? strlen(s) + 1 : 0;
	char *copy = s ? view_take(r, n, 1) : NULL;

	return copy ? memcpy(copy, s, n) : NULL;
}

const char *view_text(struct reading *r, const char *s)
{
	const char *copy = s && *s ? view_text_or_null(r, s) : "";

	return copy ? copy : "";
}

uint16_t view_port_of(int64_t n)
{
	return n > 0 && n < 65536 ? (uint16_t)n : 0;
}

bool view_ip_of(const struct json *j, struct ip *out)
{
	const char *s = json_text(j);

	return s && ip_parse(slice_of(s), out);
}

const struct ip *view_ips(
	struct reading *r, const struct json *list, const char *member, size_t *n)
{
	struct ip *v = view_take(r, json_count(list), sizeof *v);

	*n = 0;
	if (v)
		json_each(i, list)
		{
			*n += view_ip_of(member ? json_get(i, member) : i, &v[*n]);
		}
	return v;
}

void view_owner(struct reading *r, struct owner *out)
{
	*out = (struct owner){"", ""};
	json_each(o, json_path(r->o, "metadata.ownerReferences"))
	{
		char kind[64] = "";

		if (!json_bool_at(o, "controller", false))
			continue;
		snprintf(kind, sizeof kind, "%s", json_text_or(o, "kind", ""));
		for (char *p = kind; *p; p++)
			if (*p >= 'A' && *p <= 'Z')
				*p = (char)(*p - 'A' + 'a');
		out->kind = view_text(r, kind);
		out->name = view_text(r, json_text_at(o, "name"));
	}
}

/* ---- services ---- */

static void read_service(struct reading *r, struct view *view)
{
	struct service_view *s = container_of(view, struct service_view, view);
	const struct json *ports = json_path(r->o, "spec.ports");
	struct service_port *v = view_take(r, json_count(ports), sizeof *v);

	s->opaque_ports = view_text_or_null(r, ANNOTATION(r->o, OPAQUE_PORTS));
	s->traffic = view_traffic(r);
	s->is_external =
		strcmp(json_text_or(r->o, "spec.type", ""), "ExternalName") == 0;
	s->is_local = strcmp(json_text_or(r->o, "spec.internalTrafficPolicy", ""),
			      "Local") == 0;
	s->ips = view_ips(r, json_path(r->o, "spec.clusterIPs"), NULL, &s->nips);
	if (!s->nips)
		s->nips = view_ip_of(
			json_path(r->o, "spec.clusterIP"), (struct ip *)s->ips);
	s->ports = v;
	if (!v)
		return;
	json_each(p, ports)
	{
		if (strcmp(json_text_or(p, "protocol", "TCP"), "TCP") != 0)
			continue;
		v[s->nports++] =
			(struct service_port){view_text(r, json_text_at(p, "name")),
				view_text(r, json_text_at(p, "appProtocol")),
				view_port_of(json_int_at(p, "port", 0)),
				view_port_of(json_int_at(p, "targetPort", 0))};
	}
}

/* ---- endpoint slices ---- */

static void hints(struct reading *r, const struct json *e, struct slice_endpoint *out)
{
	const struct json *list = json_path(e, "hints.forZones");
	const char **v =
		json_count(list) ? view_take(r, json_count(list), sizeof *v) : NULL;

	out->zones = v;
	if (v)
		json_each(z, list)
		{
			v[out->nzones++] = view_text(r, json_text_at(z, "name"));
		}
}

static void endpoint(struct reading *r, const struct json *e, const char *ns,
	struct slice_endpoint *out)
{
	const struct json *ref = json_get(e, "targetRef");
	bool is_pod = strcmp(json_text_or(ref, "kind", ""), "Pod") == 0;

	out->ready = json_bool_at(e, "conditions.ready", true);
	out->hostname = view_text(r, json_text_at(e, "hostname"));
	out->node = view_text(r, json_text_at(e, "nodeName"));
	out->zone = view_text(r, json_text_at(e, "zone"));
	out->pod = is_pod ? view_text(r, json_text_at(ref, "name")) : "";
	out->pod_ns = is_pod && strcmp(json_text_or(ref, "namespace", ns), ns) != 0
			      ? view_text(r, json_text_at(ref, "namespace"))
			      : ns;
	hints(r, e, out);
}

static void read_slice(struct reading *r, struct view *view)
{
	struct slice_view *s = container_of(view, struct slice_view, view);
	const struct json *ports = json_get(r->o, "ports"),
			  *endpoints = json_get(r->o, "endpoints");
	struct slice_port *p = view_take(r, json_count(ports), sizeof *p);
	struct slice_endpoint *v = view_take(r, json_count(endpoints), sizeof *v);

	s->service = view_text(r, LABEL(r->o, "kubernetes.io/service-name"));
	s->ports = p;
	s->endpoints = v;
	if (!p || !v)
		return;
	json_each(port, ports)
	{
		if (strcmp(json_text_or(port, "protocol", "TCP"), "TCP") == 0)
			p[s->nports++] = (struct slice_port){
				view_text(r, json_text_at(port, "name")),
				view_port_of(json_int_at(port, "port", 0))};
	}
	json_each(e, endpoints)
	{
		if (view_ip_of(
			    json_at(json_get(e, "addresses"), 0), &v[s->nendpoints].ip))
			endpoint(r, e, view->ns, &v[s->nendpoints++]);
	}
}

/* ---- the small ones ---- */

static void read_node(struct reading *r, struct view *view)
{
	container_of(view, struct node_view, view)->zone =
		view_text(r, LABEL(r->o, "topology.kubernetes.io/zone"));
}

static void read_namespace(struct reading *r, struct view *view)
{
	container_of(view, struct namespace_view, view)->opaque_ports =
		view_text_or_null(r, ANNOTATION(r->o, OPAQUE_PORTS));
}

static void read_owned(struct reading *r, struct view *view)
{
	view_owner(r, &container_of(view, struct owned_view, view)->owner);
}

static const struct view_type {
	size_t size;
	void (*read)(struct reading *r, struct view *v);
} types[VIEW_KINDS] = {
	[VIEW_POD] = {sizeof(struct pod_view), view_read_pod},
	[VIEW_SERVICE] = {sizeof(struct service_view), read_service},
	[VIEW_SLICE] = {sizeof(struct slice_view), read_slice},
	[VIEW_NODE] = {sizeof(struct node_view), read_node},
	[VIEW_NAMESPACE] = {sizeof(struct namespace_view), read_namespace},
	[VIEW_REPLICASET] = {sizeof(struct owned_view), read_owned},
	[VIEW_JOB] = {sizeof(struct owned_view), read_owned},
	[VIEW_SERVER] = {sizeof(struct server_view), view_read_server},
	[VIEW_SERVER_AUTHORIZATION] = {sizeof(struct server_authorization_view),
		view_read_server_authorization},
	[VIEW_AUTHORIZATION] = {sizeof(struct authorization_view),
		view_read_authorization},
	[VIEW_MESH_TLS] = {sizeof(struct mesh_tls_view), view_read_mesh_tls},
	[VIEW_NETWORK] = {sizeof(struct network_view), view_read_network},
	[VIEW_HTTPROUTE] = {sizeof(struct route_view), view_read_route},
	[VIEW_GATEWAY_HTTPROUTE] = {sizeof(struct route_view), view_read_route},
	[VIEW_GRPCROUTE] = {sizeof(struct route_view), view_read_route},
	[VIEW_PROFILE] = {sizeof(struct profile_view), view_read_profile},
};

/* NULL when it has no name or `a` has not enough room. */
static struct view *read_into(
	enum view_kind kind, const struct json *object, struct arena *a)
{
	struct reading r = {.a = a, .o = object};
	struct view *v = view_take(&r, 1, types[kind].size);

	if (!v)
		return NULL;
	v->kind = kind;
	list_init(&v->node);
	list_init(&v->places);
	v->ns = view_text(&r, json_text_at(object, "metadata.namespace"));
	v->name = view_text(&r, json_text_at(object, "metadata.name"));
	types[kind].read(&r, v);
	return r.full || !*v->name ? NULL : v;
}

/* Twice: once to learn how much it takes, so that it is kept in just that much. */
struct view *view_read(
	struct view_pool *pool, enum view_kind kind, const struct json *object)
{
	struct arena trial = {.limit = VIEW_MAX}, a = {.limit = VIEW_MAX};
	struct view *v = read_into(kind, object, &trial);

	a.chunk = trial.used;
	arena_fini(&trial);
	v = v ? read_into(kind, object, &a) : NULL;
	if (v && kind == VIEW_POD && !view_shape_take(pool, v, object))
		v = NULL;
	if (v)
		v->arena = a;
	else
		arena_fini(&a);
	return v;
}

void view_free(struct view *v)
{
	struct arena a;

	if (!v)
		return;
	if (v->kind == VIEW_POD)
		view_shape_drop(v);
	a = v->arena;
	arena_fini(&a);
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_pod(const struct pod_view *a, const struct pod_view *b)
{
	bool same = a->is == b->is && a->is_over == b->is_over &&
		    a->was_ready == b->was_ready &&
		    a->host_network == b->host_network && a->nips == b->nips &&
		    strcmp(a->node, b->node) == 0 && ip_eq(&a->host_ip, &b->host_ip);

	for (size_t i = 0; same && i < a->nips; i++)
		same = ip_eq(&a->ips[i], &b->ips[i]);
	return same;
}

/* Nodes tell that they live, ReplicaSets how many there are, pods how they are: most of
 * what comes. */
bool view_is_same(const struct view *a, const struct view *b)
{
	const struct owned_view *x, *y;

	switch (a->kind) {
	case VIEW_POD:
		return same_pod(container_of(a, const struct pod_view, view),
			container_of(b, const struct pod_view, view));
	case VIEW_NODE:
		return same_text(container_of(a, const struct node_view, view)->zone,
			container_of(b, const struct node_view, view)->zone);
	case VIEW_NAMESPACE:
		return same_text(container_of(a, const struct namespace_view, view)
					 ->opaque_ports,
			container_of(b, const struct namespace_view, view)
				->opaque_ports);
	case VIEW_REPLICASET:
	case VIEW_JOB:
		x = container_of(a, const struct owned_view, view);
		y = container_of(b, const struct owned_view, view);
		return same_text(x->owner.kind, y->owner.kind) &&
		       same_text(x->owner.name, y->owner.name);
	default:
		return false;
	}
}

bool ports_have(const char *list, uint16_t port, const char *name)
{
	struct slice rest = slice_of(list), part, from;
	uint64_t lo, hi;

	while (slice_cut(&rest, ',', &part)) {
		part = slice_trim(part);
		if (*name && slice_is(part, name))
			return true;
		if (!slice_cut(&part, '-', &from) ||
			!slice_u64(slice_trim(from), 65535, &lo))
			continue;
		hi = lo;
		if (part.p && part.n && !slice_u64(slice_trim(part), 65535, &hi))
			continue;
		if (port >= lo && port <= hi)
			return true;
	}
	return false;
}
