/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_PX_H
#define PROXY_PX_H

/*
 * What the proxy remembers of one exchange (exch.user), in the exchange's arena, and
 * the filters that both directions share.
 */
#include "http/exch.h"
#include "proxy/meter.h"
#include "proxy/routemeter.h"
#include "proxy/target.h"

struct balancer;
struct duct;
struct endpoint;
struct http_client;
struct out_hold;
struct out_target;

struct px {
	struct exch *x;
	struct pworker *worker;
	enum side side;
	struct list node;          /* in the queue of a balancer or of an endpoint */
	struct balancer *balancer; /* where it is to go; a reference while set */
	struct endpoint *endpoint; /* where it went; counted there while set */
	struct http_client *client;
	bool queued;                 /* `node` is in a balancer's queue */
	bool request_ended;          /* before there was a connection for it */
	bool fresh;                  /* a connection failed it: the next is to be new */
	bool refused;                /* sent back unread, as the peer's proxy says */
	const struct endpoint *left; /* one that failed it; may be no more */
	struct fields *trailers;
	struct err last; /* why the last try failed */
	unsigned tries;
	uint64_t tried; /* their marks */

	uint64_t begun;       /* loop time of the request head */
	uint64_t sent;        /* of its dispatch to the endpoint, or into the queue */
	uint64_t waits_since; /* the queue's patience with it: since it first came there
			       */
	bool sampled;         /* its round trip was told to the balancer */
	bool in_flight;
	bool is_grpc;
	bool was_h1;       /* travels as HTTP/2 to the next proxy (l5d-orig-proto) */
	bool restored;     /* has come so, and is what it was again */
	bool respells;     /* the peer's proxy tells how names were spelt, or is told */
	bool was_extended; /* an extended CONNECT, sent on as an HTTP/1 upgrade */
	enum http_version version; /* what the source speaks */
	bool informs;        /* l5d-* response headers may be shown to this client */
	const char *error;   /* label `error` of a route that failed, or "" */
	int grpc_status;     /* -1 until said */
	struct meter *meter; /* a reference, as are these: */
	struct route_meter *route_meter, *backend_meter;
	struct meter *outer; /* of a gateway: of its own client */
	struct route_meter *outer_route;
	uint64_t request_over; /* loop time of its end, or 0 */

	struct out_target
		*target;       /* outbound: where to; a reference, from the route on */
	struct out_hold *hold; /* waits for the target's policy */
	struct duct *duct;     /* the client's connection */
	const struct policy_route *route; /* of the policy below */
	const struct rule *rule;
	struct ref *policy;                         /* keeps the above; a reference */
	const struct route_filter *backend_filters; /* of the backend chosen */
	size_t nbackend_filters;
	struct slice require_id; /* l5d-require-id, or none */
	struct slice authority;  /* as asked for, when an endpoint overrides it */
};

/* Makes x->user.  NULL when the exchange's arena is full. */
struct px *px_new(struct exch *x, struct pworker *w, enum side side);

/* Turns failures into responses (spec proxy.md §11), once, and says the cause. */
extern const struct filter rescue_filter;
/* Limits exchanges in flight; counts responses into px->meter. */
extern const struct filter meter_filter;
/* Applies the matched rule's filters: header edits, redirects, injected failures. */
extern const struct filter edit_filter;
/* The lowest: what failed and may be begun again, is; see again.c. */
extern const struct filter again_filter;

/* The filters of the backend that was chosen, on the request. */
enum flow px_edit_backend(struct px *p);

/*
 * Between our proxies, in an error that stands for an application which gave no answer:
 * nobody listened, and the request is unread; or the connection ended before a byte of
 * an answer to a request that may be repeated.
 */
#define PX_UNANSWERED "l5d-proxy-unanswered"
#define PX_REFUSED    "refused"
#define PX_LOST       "lost"

/* Answers `status` (as gRPC: `grpc`) with `text` as l5d-proxy-error. */
enum flow px_answer(struct px *p, int status, int grpc, bool close, const char *text);

/* What http_server_user.on_refused does: counts, logs and, where the client is to be
 * told (`informs`), says why in the answer. */
void px_refused(struct pworker *w, enum side side, bool informs, struct rsp_head *rsp,
	struct arena *a, const struct err *why);

/* What `e` becomes: counted, logged and answered (spec proxy.md §11). */
enum flow px_fail(struct px *p, const struct err *e);

/* Counts a failure in {in,out}bound_http_errors_total. */
void px_count_error(struct px *p, const char *error);
/* What x->err is called in the metrics of routes (spec proxy.md §13.2), "" for none. */
const char *px_error_name(const struct exch *x);

#endif
