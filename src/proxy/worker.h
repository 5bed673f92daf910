/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_WORKER_H
#define PROXY_WORKER_H

/*
 * What one worker of the data plane has: its loop, its caches, its connections. Nothing
 * in here is touched by another thread but what the pointers to shared parts allow
 * (metrics cells, the credentials' place, discovery's mailbox).
 */
#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "ev/loop.h"
#include "http/server.h"
#include "proxy/config.h"
#include "proxy/disco.h"
#include "proxy/metrics.h"
#include "proxy/shakes.h"

struct pworker {
	struct loop *loop;
	unsigned index;
	const struct proxy_config *cfg; /* shared, constant */
	struct metrics *metrics;        /* shared */
	struct report *report;          /* shared */
	struct disco *disco;            /* shared */
	struct access_log *access;      /* own; NULL: off */
	struct snap *creds; /* shared: own credentials, renewed at any time */

	struct http_server_config in_http, out_http; /* made from cfg */

	struct map ports;      /* inbound: struct in_port by port */
	struct map targets;    /* outbound: struct out_target by original destination */
	struct map balancers;  /* struct balancer by name or address */
	struct map meters;     /* struct meter by labels */
	struct map transports; /* struct transport_meter by labels */
	struct map route_meters; /* struct route_meter by labels */
	struct list flows;       /* every transport, to be counted every second */
	struct list conns;       /* struct client: every accepted connection */
	struct shakes shakes;    /* TLS handshakes of inbound clients */
	int fd_max;              /* from here on descriptors are not for dialling */
	struct timer tick; /* a second, while there is something to count or to evict */
	struct heap_watch heap;
	uint32_t
		in_flight[2]; /* exchanges without a response head: inbound, outbound */
	bool draining;        /* what still comes is served and then ended */
	unsigned leaving;  /* conns that are finished, but for what they still send */
	struct timer left; /* looks whether they have */
	void (*drained)(struct pworker *w); /* called once draining has ended */
};

/* `w` zeroed but for the shared pointers and the index. */
void worker_init(struct pworker *w, struct loop *l);

enum side { SIDE_IN, SIDE_OUT };

static inline const struct side_config *worker_side(
	const struct pworker *w, enum side s)
{
	return s == SIDE_IN ? &w->cfg->in : &w->cfg->out;
}

/* An address of this pod (INBOUND_IPS). */
bool worker_has_ip(const struct pworker *w, const struct ip *ip);

/* Keeps the tick going; call when something was added that it looks after. */
void worker_tick(struct pworker *w);

/* Accepted connections announce themselves so that a drain can end them in order. */
struct client {
	struct list node;
	struct pworker *worker;
	void (*drain)(struct client *c); /* finish what is begun, take no more, go */
	void (*stop)(struct client *c);  /* now */
	void (*shed)(struct client *c);  /* if it takes nothing of what it is sent */
};
/* Who has taken nothing for so long holds memory for nothing, where that is short. */
#define SHED_AFTER 10 /* s */
void client_add(struct pworker *w, struct client *c);
void client_remove(struct client *c);

/*
 * Ends every connection in order: silent and idle ones now, HTTP after the exchanges in
 * progress, byte streams when their peers end them.  New ones are still taken, and
 * ended in the same way: an application that is stopping too may need one more request.
 * `drained` is called when none is left and what they had to send is sent.
 */
void worker_drain(struct pworker *w, void (*drained)(struct pworker *w));
void worker_stop_all(struct pworker *w);

#endif
