/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_BALANCER_H
#define PROXY_BALANCER_H

/*
 * The service under both stacks: picks an endpoint for each exchange (power of two
 * choices over peak-EWMA, spec proxy.md §9.2), waits when none can take it, and tries
 * elsewhere while nothing of the request has left.
 *
 * A balancer is either over a name that discovery resolves, or over one fixed address
 * (an inbound application, an original destination).  Cached per worker, kept for the
 * idle time after its last reference.
 *
 * An endpoint that refuses is left at once and tried again after a backoff.  A request
 * fails with what its endpoints said when each of them was tried, or with ERR_TIMEOUT
 * when none could be tried within the fail-fast time.
 */
#include "net/conn.h"
#include "proxy/px.h"

struct balancer;

/* Each returns a new reference, or NULL when memory is out. */
struct balancer *balancer_for_name(struct pworker *w, const struct backend *b);
struct balancer *balancer_for_addr(
	struct pworker *w, enum side side, const struct endpoint_info *info);
/* Whom its metrics speak of; the first to say so is kept. */
void balancer_for(
	struct balancer *b, const struct meta *parent, const struct meta *backend);
struct balancer *balancer_ref(struct balancer *b);
void balancer_unref(struct balancer *b); /* NULL is fine */

/* Over a name, which discovery resolves. */
bool balancer_has_name(const struct balancer *b);
/* In failfast: nobody was ready for so long that requests are refused at once, until
 * somebody is. */
bool balancer_is_shut(const struct balancer *b);

/* The service: px->balancer says which.  (`shared` is unused.) */
extern const struct service balancer_service;

/* The first byte (or the end) of a response came; told once by the meter. */
void balancer_sample(struct px *p);
/* The exchange is over in any way. */
void balancer_done(struct px *p);

/*
 * A byte stream instead of an exchange: a connection to one of the endpoints.  `done`
 * is called once, later: with an open conn (taken by the caller, and the endpoint's
 * address), or with the error.  stream_cancel() may be called before.
 */
struct stream;
typedef void stream_done(
	void *arg, struct conn *c, const struct endpoint_info *to, const struct err *e);
struct stream *balancer_stream(
	struct balancer *b, stream_done *done, void *arg, struct err *e);
void stream_cancel(struct stream *s);
/* The series of its endpoint's connections; borrowed until the stream is over. */
struct transport_meter *stream_meter(const struct stream *s);
/* Its client speaks HTTP: the connection, `open` or (NULL) still being dialled, is
 * taken for one of the next requests, and the stream is over.  False: it can be of no
 * use there, and all is as before. */
bool stream_spare(struct stream *s, struct conn *open);
/* The stream's connection ended: its endpoint carries one less. */
void stream_over(struct stream *s);

/* Eviction of unused balancers, from the worker's tick; `all` at the end. */
void balancers_sweep(struct pworker *w, bool all);
/* Takes no more: idle connections close, sessions drain. */
void balancers_drain(struct pworker *w);

#endif
