/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_BALANCER_INT_H
#define PROXY_BALANCER_INT_H

/*
 * Shared by balancer.c (life), balancer_endpoints.c (which there are, and which takes
 * the next), balancer_queue.c (who waits for one), balancer_http.c (exchanges),
 * balancer_stream.c (byte streams), balancer_count.c (its series) and balancer_fixed.c
 * (an address that discovery does not know).  All of it is of one worker.
 */
#include "proxy/balancer.h"
#include "proxy/balancermeter.h"

struct balancer {
	struct map_node node; /* by key, in the worker */
	struct pworker *worker;
	enum side side;
	char *key;
	const char *name; /* inside key; NULL for a fixed address */
	unsigned refs;
	uint64_t unused_since;
	uint64_t default_rtt, decay;

	struct sub *sub;
	enum endpoints_state state;
	uint64_t distrusted; /* generation that we asked to have anew */
	uint64_t generation;
	struct list endpoints;
	size_t count;
	unsigned marks;          /* given out so far */
	struct endpoint **ready; /* those of `endpoints` that may be picked */
	size_t nready, ready_cap;

	struct list queue; /* px for whom nobody was ready */
	size_t queued;
	struct list streams; /* waiting in the same way */
	size_t nstreams;
	bool is_shut;          /* in failfast */
	struct timer failfast; /* set while one of the queues is not empty */
	uint64_t failfast_at;
	struct err last; /* what the last failed endpoint said */

	char *labels; /* of its metrics, or NULL: none */
	struct balancer_meter *meters[BALANCED_KINDS]; /* NULL until used */
};

struct stream {
	struct list node; /* in balancer->streams while it is queued */
	struct balancer *balancer;
	struct endpoint *endpoint;
	struct conn *conn; /* while dialling */
	stream_done *done;
	void *arg;
	bool is_queued;
	unsigned tries;
	uint64_t since;
};

/* What errors call it: its name, or its address. */
const char *balancer_text(const struct balancer *b);

/* ---- endpoints ---- */

/* Of two that are ready the cheaper one, and any but `left` (which may be no more) when
 * there is another; NULL when none is ready. */
struct endpoint *balancer_pick(struct balancer *b, const struct endpoint *left);
/* After an endpoint came, went or changed its state; nobody in the queue is served. */
void balancer_find_ready(struct balancer *b);
/* Shares `owner`, in which `info` lies. */
void balancer_add(
	struct balancer *b, const struct endpoint_info *info, struct ref *owner);
/* Ends it; those that waited for it are given to others. */
void balancer_drop(struct balancer *b, struct endpoint *ep);
/* sub_fn: `value` is a struct endpoints, what discovery says now. */
void balancer_endpoints_told(void *arg, struct ref *value);

/* A snapshot of one address, for endpoints that discovery does not know; NULL when
 * memory is out.  The caller's reference; texts are copied. */
struct fixed_endpoint {
	struct ref ref;
	struct endpoint_info info;
};
struct fixed_endpoint *fixed_endpoint_new(const struct endpoint_info *info);

/* ---- the queue ---- */

/* How long one may wait now: 0 in failfast. */
uint64_t balancer_request_limit(const struct balancer *b);
uint64_t balancer_stream_limit(const struct balancer *b);
/* Nobody is ready: it waits.  The exchange fails at once when too many do. */
void balancer_queue_exchange(struct balancer *b, struct px *p);
void balancer_queue_stream(struct stream *s);
/* It waits no longer, whatever comes of it. */
void balancer_unqueue_exchange(struct balancer *b, struct px *p);
void balancer_unqueue_stream(struct stream *s);
/* Those who wait are dispatched, while somebody is ready. */
void balancer_queue_serve(struct balancer *b);
/* The timer `failfast`: those who have waited for too long fail. */
void balancer_queue_due(struct timer *t);
/* Why nobody can take it, and why the last one, of all, did not. */
void balancer_explain(const struct balancer *b, struct err *e);
void balancer_all_failed(const struct balancer *b, enum errc code,
	const struct err *last, struct err *e);

/* ---- exchanges and byte streams ---- */

/* To an endpoint, into the queue, or failed: for each try. */
void balancer_dispatch(struct balancer *b, struct px *p);
void stream_dispatch(struct stream *s);
/* Frees it, then calls `done`. */
void stream_fail(struct stream *s, const struct err *e);

/* ---- what is counted ---- */

/* One asks for an endpoint. */
void balancer_count_asked(struct balancer *b, enum balanced kind);
/* How many endpoints there are, and are ready, has changed. */
void balancer_count_endpoints(struct balancer *b);
void balancer_count_update(struct balancer *b, enum p2c_update what);

#endif
