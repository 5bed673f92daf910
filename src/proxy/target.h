/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_TARGET_H
#define PROXY_TARGET_H

/*
 * What discovery and policy say, as immutable snapshots: decoded once by the control
 * thread from the API's messages (spec api.md §5–§8), read by workers without a lock.
 *
 * Each snapshot starts with a struct ref and owns everything it points at (one arena).
 */
#include "base/addr.h"
#include "base/arena.h"
#include "base/snap.h"

struct label {
	const char *key, *value;
};
struct labels {
	const struct label *v;
	size_t n;
};

/* Of whom a policy speaks: metric labels group, kind, namespace, name, section, port.
 */
struct meta {
	const char *group, *kind, *ns, *name, *section; /* "" when absent, never NULL */
	uint16_t port;
};

/* ---- endpoints: Destination.Get ---- */
enum hint { HINT_NONE, HINT_H2, HINT_OPAQUE };

struct endpoint_info {
	struct addr addr;
	uint32_t weight;      /* 10000 = 1.0 */
	struct labels labels; /* ready to print: "dst_namespace", … sorted by key */
	const char *identity; /* expected SAN; NULL: plaintext */
	const char *server_name; /* SNI */
	enum hint hint;
	uint16_t tunnel_port;              /* opaque_transport.inbound_port, or 0 */
	const char *authority;             /* authority_override, or NULL */
	uint64_t ping_every, ping_timeout; /* http2 client params, ns; 0: unset */
};

enum endpoints_state { ENDPOINTS_UNKNOWN, ENDPOINTS_KNOWN, ENDPOINTS_NO_SUCH };

struct endpoints {
	struct ref ref;
	struct arena arena;
	enum endpoints_state state;
	uint64_t generation; /* grows with each change */
	size_t n;
	const struct endpoint_info *v; /* sorted by address */
};

/* ---- matching requests ---- */
enum text_match_kind {
	MATCH_ANY,
	MATCH_EXACT,
	MATCH_PREFIX,
	MATCH_SUFFIX,
	MATCH_REGEX
};
struct text_match {
	enum text_match_kind kind;
	const char *text;    /* MATCH_SUFFIX of hosts: ".example.com" */
	const void *program; /* MATCH_REGEX: compiled regex_t */
};
struct field_match {
	const char *name;
	struct text_match value;
};
struct request_match {
	struct text_match path;
	const char *method; /* NULL: any */
	size_t nfields, nquery;
	const struct field_match *fields, *query;
	const char *rpc_service, *rpc_method; /* gRPC routes; NULL: any */
};

/* ---- filters in routes ---- */
enum route_filter_kind { RF_FAIL, RF_REDIRECT, RF_REQUEST_FIELDS, RF_RESPONSE_FIELDS };
struct field_edit {
	size_t nadd, nset, nremove;
	const struct label *add, *set;
	const char *const *remove;
};
struct route_filter {
	enum route_filter_kind kind;
	uint32_t status;     /* RF_FAIL, RF_REDIRECT; gRPC code in a gRPC route */
	const char *message; /* RF_FAIL */
	uint32_t numerator, denominator; /* RF_FAIL: ratio; denominator 0: always */
	const char *scheme, *host, *path_full,
		*path_prefix; /* RF_REDIRECT; NULL: keep */
	uint16_t port;
	struct field_edit edit;
};

/* ---- inbound: InboundServerPolicies.WatchPort ---- */
enum proto {
	PROTO_DETECT,
	PROTO_HTTP1,
	PROTO_HTTP2,
	PROTO_GRPC,
	PROTO_OPAQUE,
	PROTO_TLS
};

enum policy_source {       /* whose word a policy's protocol is */
	SOURCE_DEFAULT,    /* nobody's: we know no better */
	SOURCE_ANNOTATION, /* opaque ports, as the injector or the policy service has it
			    */
	SOURCE_POLICY,
	SOURCE_PROFILE,
};

struct authz_net {
	struct cidr net;
	size_t nexcept;
	const struct cidr *except;
};
enum authn { AUTHN_NONE, AUTHN_TLS, AUTHN_IDENTITY };
struct authz {
	struct meta meta;
	size_t nnets;
	const struct authz_net *nets;
	enum authn authn;
	size_t nids, nsuffixes;
	const char *const *ids;
	const char *const *suffixes; /* ".ns.serviceaccount…" or "" for any */
	bool audit;                  /* allowed, and logged */
};
struct rule {
	size_t nmatches, nfilters;
	const struct request_match *matches; /* none: any request */
	const struct route_filter *filters;
	const struct distribution *backends; /* outbound only */
	uint64_t timeout;                    /* outbound: ns, 0: none */
};
struct policy_route {
	struct meta meta;
	bool is_grpc;
	size_t nhosts, nauthz, nrules;
	const struct text_match *hosts; /* none: any */
	const struct authz *authz;      /* inbound: tried before the server's */
	const struct rule *rules;
};
struct inbound_policy {
	struct ref ref;
	struct arena arena;
	bool invalid; /* the update could not be decoded: refuse with 500 */
	enum proto proto;
	enum policy_source source;
	uint64_t detect_timeout; /* ns */
	struct meta server;      /* srv_* labels */
	size_t nauthz, nroutes;
	const struct authz *authz;
	const struct policy_route *routes; /* never empty for HTTP */
};

/* ---- outbound: GetProfile and OutboundPolicies.Watch, merged ---- */
enum backend_kind { BACKEND_NONE, BACKEND_FORWARD, BACKEND_BALANCE };
struct backend {
	struct meta meta;
	enum backend_kind kind;
	const char *name;                /* BALANCE: what to ask Destination.Get for */
	uint64_t default_rtt, rtt_decay; /* ns */
	struct endpoint_info forward;    /* FORWARD */
	uint32_t weight;
	size_t nfilters;
	const struct route_filter *filters;
	const char *problem; /* BACKEND_NONE: what to tell, e.g. "Service not found" */
};
enum distribution_kind { DIST_EMPTY, DIST_FIRST, DIST_RANDOM };
struct distribution {
	enum distribution_kind kind;
	size_t n;
	const struct backend *v;
	bool forbidden, invalid; /* opaque route filters */
};
struct outbound_policy {
	struct ref ref;
	struct arena arena;
	uint64_t generation;
	enum proto proto;
	enum policy_source source;
	uint64_t detect_timeout;
	struct meta parent, stream_route; /* of `opaque` */
	const char *logical;              /* "svc.ns.svc.cluster.local:port", or NULL */
	size_t nhttp;                     /* routes by what the client speaks */
	const struct policy_route *http;
	size_t nh2;
	const struct policy_route *h2;
	const struct distribution *opaque;
	size_t ntls; /* PROTO_TLS: hosts are server names, and a rule is all there is */
	const struct policy_route *tls;
};

/* ---- evaluation: pure, used by the data path and by tests ---- */
struct req_head;
/* The best route and rule (Gateway API precedence), or NULL. */
const struct rule *routes_match(const struct policy_route *v, size_t n,
	const struct req_head *req, const struct policy_route **route);
/* The longest prefix among the rule's matches that fits the path, or NULL. */
const char *rule_prefix(const struct rule *r, struct slice path);
/* "host:80" without ":80". */
struct slice authority_host(struct slice authority);
/* The first authorization that admits this client, or NULL. `identity` "" : none. */
const struct authz *authz_match(const struct authz *v, size_t n,
	const struct ip *client, bool tls, const char *identity);

#endif
