/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTL_VIEW_H
#define CTL_VIEW_H

/*
 * What discovery and policy keep of a Kubernetes object: a small value made of its JSON
 * once, never changed after.  Texts lie in the view's own memory and are never NULL
 * where the object has none ("" instead), but where NULL is said.
 */
#include "base/addr.h"
#include "base/arena.h"
#include "base/list.h"
#include "base/map.h"
#include "wire/json.h"

enum view_kind {
	VIEW_POD,
	VIEW_SERVICE,
	VIEW_SLICE, /* EndpointSlice */
	VIEW_NODE,
	VIEW_NAMESPACE,
	VIEW_REPLICASET, /* only whose it is */
	VIEW_JOB,
	/* policyview.h has these */
	VIEW_SERVER,
	VIEW_SERVER_AUTHORIZATION,
	VIEW_AUTHORIZATION, /* AuthorizationPolicy */
	VIEW_MESH_TLS,      /* MeshTLSAuthentication */
	VIEW_NETWORK,       /* NetworkAuthentication */
	VIEW_HTTPROUTE,     /* policy.linkerd.io's */
	VIEW_GATEWAY_HTTPROUTE,
	VIEW_GRPCROUTE,
	VIEW_PROFILE, /* ServiceProfile */
	VIEW_KINDS
};

struct view {
	enum view_kind kind;
	struct arena arena;       /* the view lies in it, too */
	struct list node, places; /* index.c */
	const char *ns, *name;
};

/* The controller among an object's owners; `kind` as in labels: "replicaset", or "". */
struct owner {
	const char *kind, *name;
};

struct label {
	const char *key, *value;
};
struct labels {
	const struct label *v;
	size_t n;
};

enum requires { LABEL_IN, LABEL_NOT_IN, LABEL_EXISTS, LABEL_ABSENT };
struct requirement {
	enum requires op;
	const char *key;
	const char *const *values;
	size_t n;
};
/* All must hold; none: everything is selected. */
struct selector {
	const struct requirement *v;
	size_t n;
	bool broken; /* it could not be understood, and selects nothing */
};
bool selector_selects(const struct selector *s, const struct labels *l);

struct container_port {
	const char *name;
	uint16_t port, host_port;
};

struct http_probe {
	const char *path;
	uint16_t port;
};

/*
 * What pods of one template have alike: kept once for all of them.  Texts of
 * annotations are NULL when absent.
 */
struct pod_shape {
	struct map_node node; /* of the pool; its key is all that is below, as bytes */
	struct view_pool *pool;
	size_t pods;
	struct arena arena; /* the shape lies in it, too */
	struct owner owner;
	const char *account, *template_hash;
	const char *control_ns; /* whose proxy it has; "": none */
	const char *opaque_ports;
	const char *skip_inbound_ports;
	const char *default_policy;
	struct labels labels;
	uint16_t inbound_port; /* of its proxy; 0: none */
	const struct container_port *ports;
	size_t nports;
	const struct http_probe *probes;
	size_t nprobes;
};

struct pod_view {
	struct view view;
	const struct pod_shape *is;
	const char *node;
	bool host_network;
	bool is_over; /* Succeeded or Failed */
	/* The kubelet's last word: its containers and gates are ready, it is to stay.
	 * "Ready" itself is taken away from outside when the node is silent. */
	bool was_ready;
	struct ip host_ip;
	const struct ip *ips;
	size_t nips;
};

struct service_port {
	const char *name, *app_protocol;
	uint16_t port, target; /* target 0: a name */
};

struct service_view {
	struct view view;
	const char *opaque_ports;      /* annotation; NULL when absent */
	const struct traffic *traffic; /* policyview.h; NULL when it says nothing */
	bool is_external;              /* ExternalName */
	bool is_local;                 /* internalTrafficPolicy: Local */
	const struct ip *ips;          /* clusterIPs */
	size_t nips;
	const struct service_port *ports;
	size_t nports;
};

struct slice_port {
	const char *name;
	uint16_t port; /* 0: none */
};

struct slice_endpoint {
	struct ip ip;
	bool ready;
	const char *hostname, *node, *zone;
	const char *pod_ns, *pod; /* "": no pod */
	const char *const *zones; /* hints.forZones */
	size_t nzones;
};

struct slice_view {
	struct view view;
	const char *service; /* "": none */
	const struct slice_port *ports;
	size_t nports;
	const struct slice_endpoint *endpoints;
	size_t nendpoints;
};

struct node_view {
	struct view view;
	const char *zone;
};

struct namespace_view {
	struct view view;
	const char *opaque_ports; /* annotation; NULL when absent */
};

struct owned_view { /* VIEW_REPLICASET, VIEW_JOB */
	struct view view;
	struct owner owner;
};

/* What several views share; zeroed at first, empty once all of them are freed. */
struct view_pool {
	struct map shapes;
};

/* Owned; NULL when the object has no name or is absurdly large (1 MB as a view). */
struct view *view_read(
	struct view_pool *pool, enum view_kind kind, const struct json *object);
void view_free(struct view *v); /* NULL is fine */
/* Nothing of what anybody looks at differs.  May say no where it could say yes. */
bool view_is_same(const struct view *a, const struct view *b);

/*
 * Is `port` in a list of ports ("25,9000-9100,grpc")?  `name` is the port's own name or
 * "".  Parts that cannot be understood are no port.
 */
bool ports_have(const char *list, uint16_t port, const char *name);

#endif
