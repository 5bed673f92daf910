/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_DECODE_H
#define PROXY_DECODE_H

/*
 * The API's messages (spec api.md §5–§8) into snapshots (proxy/target.h).  Pure: bytes
 * in, a new snapshot out, with one reference; NULL and `e` when the bytes make no
 * sense.
 */
#include "base/err.h"
#include "base/obj.h"
#include "proxy/config.h"
#include "proxy/target.h"

#define SNAPSHOT_MAX ((size_t)32 * 1024 * 1024)

/* inbound.Server.  What cannot be understood becomes a policy that refuses (`invalid`).
 */
struct inbound_policy *decode_inbound(struct slice bytes);
/* Before the policy service has answered (spec proxy.md §7.2). */
struct inbound_policy *default_inbound(const struct proxy_config *cfg, uint16_t port);

/* What an outbound policy is for: an original destination, or a name. */
struct outbound_key {
	struct addr addr; /* of a name: only its port */
	const char *name; /* "host:port"; NULL: the address counts */
};
/*
 * outbound.OutboundPolicy and destination.DestinationProfile, either may be absent (p
 * NULL); without both, to the destination itself, or to the endpoints of the name.
 */
struct outbound_policy *decode_outbound(struct slice policy, struct slice profile,
	const struct outbound_key *to, struct err *e);

/* In place of what could not be understood: requests are answered 500 with `reason`,
 * byte streams are refused. */
struct outbound_policy *outbound_invalid(
	const struct outbound_key *to, const char *reason);

/* destination.Update applied to what was known (`before` may be NULL).  `reset`: the
 * first one after a reconnect, which replaces everything. */
struct endpoints *decode_endpoints(
	const struct endpoints *before, bool reset, struct slice update, struct err *e);
struct endpoints *endpoints_none(enum endpoints_state state);

/* ---- parts, shared by the decoders; NULL or -1 when the arena is full or it is
 * malformed ---- */
struct Meta__Metadata;
struct Destination__WeightedAddr;
struct HttpRoute__HttpRouteMatch;
struct GrpcRoute__GrpcRouteMatch;
struct HttpRoute__HostMatch;

void decode_meta(const struct Meta__Metadata *m, struct meta *out);
int decode_endpoint(const struct Destination__WeightedAddr *m, const struct labels *set,
	struct arena *a, struct endpoint_info *out, struct err *e);
int decode_match(const struct HttpRoute__HttpRouteMatch *m, struct arena *a,
	struct request_match *out, struct err *e);
int decode_rpc(const struct GrpcRoute__GrpcRouteMatch *m, struct arena *a,
	struct request_match *out, struct err *e);
int decode_hosts(struct HttpRoute__HostMatch *const *v, size_t n, struct arena *a,
	struct policy_route *out, struct err *e);

struct HttpRoute__HttpFailureInjector;
struct GrpcRoute__GrpcFailureInjector;
struct HttpRoute__RequestHeaderModifier;
struct HttpRoute__ResponseHeaderModifier;
struct HttpRoute__RequestRedirect;
int decode_failure(const struct HttpRoute__HttpFailureInjector *m,
	struct route_filter *out, struct err *e);
int decode_rpc_failure(const struct GrpcRoute__GrpcFailureInjector *m,
	struct route_filter *out, struct err *e);
int decode_request_edit(const struct HttpRoute__RequestHeaderModifier *m,
	struct arena *a, struct route_filter *out, struct err *e);
int decode_response_edit(const struct HttpRoute__ResponseHeaderModifier *m,
	struct arena *a, struct route_filter *out, struct err *e);
int decode_redirect(const struct HttpRoute__RequestRedirect *m,
	struct route_filter *out, struct err *e);

#endif
