/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTL_POLICYVIEW_H
#define CTL_POLICYVIEW_H

/*
 * Views of the kinds that the mesh is configured with (spec control-plane.md §4, ext.md
 * §8).  Rules of routes and profiles are kept as the parts of messages that they come
 * to: what an object says is understood once, when it is read.
 *
 * What cannot be understood opens nothing: a selector selects nobody, a network has no
 * address, a reference leads nowhere.  `created` is metadata.creationTimestamp, whose
 * texts stand in order of time.
 */
#include "api/destination.pb-c.h"
#include "api/grpc_route.pb-c.h"
#include "api/http_route.pb-c.h"
#include "api/outbound.pb-c.h"
#include "ctl/view.h"

/* ---- who ---- */

enum identity_kind {
	IDENTITY_EXACT,     /* name */
	IDENTITY_SUFFIX,    /* name: what is after "*."; "": all */
	IDENTITY_ACCOUNT,   /* the ServiceAccount ns/name */
	IDENTITY_NAMESPACE, /* every ServiceAccount in name */
};
struct identity_ref {
	enum identity_kind kind;
	const char *name, *ns;
};
struct identity_refs {
	const struct identity_ref *v;
	size_t n;
};

struct network {
	struct cidr net;
	const struct cidr *except;
	size_t nexcept;
};
struct networks {
	const struct network *v;
	size_t n;
};

struct mesh_tls_view {
	struct view view;
	struct identity_refs identities;
};

struct network_view {
	struct view view;
	struct networks networks;
};

/* ---- what ---- */

enum server_protocol {
	SERVER_DETECT,
	SERVER_HTTP1,
	SERVER_HTTP2,
	SERVER_GRPC,
	SERVER_OPAQUE,
	SERVER_TLS,
};

struct server_view {
	struct view view;
	const char *created;
	struct labels labels;
	struct selector pods; /* nobody, when it selects ExternalWorkloads */
	const char *port_name;
	uint16_t port; /* 0: by name */
	enum server_protocol protocol;
	const char *access; /* accessPolicy; "deny" when it says nothing */
};
/* Does it speak of this port?  `name` is the port's, or "". */
bool server_has_port(const struct server_view *s, uint16_t port, const char *name);

struct server_authorization_view {
	struct view view;
	const char *server; /* by name; "": by selector */
	struct selector servers;
	struct networks networks;
	bool anywhere; /* it says no network */
	bool unauthenticated, unauthenticated_tls;
	struct identity_refs identities;
};

struct object_ref {
	const char *group, *kind, *ns, *name; /* the core group is "" */
};

struct authorization_view { /* AuthorizationPolicy */
	struct view view;
	struct object_ref target;
	const struct object_ref *required;
	size_t nrequired;
};

/* ---- routes ---- */

struct parent_ref {
	struct object_ref to;
	uint16_t port; /* 0: every */
};

struct backend_ref {
	struct object_ref to;
	uint16_t port; /* 0: none was given */
	uint32_t weight;
	Outbound__HttpRoute__Filter **filters;
	size_t nfilters;
};

struct route_rule {
	HttpRoute__HttpRouteMatch **http; /* of the one kind or the other */
	GrpcRoute__GrpcRouteMatch **grpc;
	size_t nmatches;
	Outbound__HttpRoute__Filter **filters;
	size_t nfilters;
	const char *unknown; /* a filter that we have not; NULL: none */
	const struct backend_ref *backends;
	size_t nbackends;
	uint64_t request, backend_request; /* ns; 0: not given */
};

/* HTTPRoute of either group, GRPCRoute. */
struct route_view {
	struct view view;
	const char *created;
	bool is_grpc;
	HttpRoute__HostMatch **hosts;
	size_t nhosts;
	const struct parent_ref *parents;
	size_t nparents;
	const struct route_rule *rules;
	size_t nrules;
	const struct traffic *traffic; /* NULL: none */
};
const char *route_group(const struct route_view *r);
const char *route_kind(const struct route_view *r);

/* What annotations say about requests (spec control-plane.md §4.3). */
struct status_range {
	uint16_t from, to;
};
struct traffic {
	uint64_t request, response, idle; /* timeouts, ns; 0: none */
	const struct status_range *retry_http;
	size_t nretry_http;
	unsigned retry_grpc;  /* bits of enum retry_grpc; 0: none */
	uint32_t retry_limit; /* 0: not said */
	uint64_t retry_timeout;
	bool breaks; /* failure accrual by consecutive failures */
	uint32_t break_after;
	uint64_t penalty_min, penalty_max;
	float jitter;
};
enum retry_grpc {
	RETRY_CANCELLED = 1,
	RETRY_DEADLINE = 2,
	RETRY_EXHAUSTED = 4,
	RETRY_INTERNAL = 8,
	RETRY_UNAVAILABLE = 16,
};

/* ---- profiles ---- */

struct profile_view {
	struct view view;
	Destination__Route **routes;
	size_t nroutes;
	Destination__RetryBudget *budget; /* NULL: the preset */
	Destination__WeightedDst **dsts;  /* authorities as written */
	size_t ndsts;
	const char *opaque_ports; /* "80,90-99"; NULL: not said */
};

#endif
