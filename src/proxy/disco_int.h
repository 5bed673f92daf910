/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_DISCO_INT_H
#define PROXY_DISCO_INT_H

/*
 * Shared by disco.c (watches and their life), disco_sub.c (subscriptions: between the
 * threads), disco_ask.c (what is asked), disco_stream.c (a stream's failures and ends)
 * and disco_read.c (its messages).  All of it is the control thread's, but for what
 * disco_sub.c says is a worker's.
 */
#include <stdatomic.h>

#include "base/map.h"
#include "http/grpc.h"
#include "proxy/config.h"
#include "proxy/disco.h"

enum watch_kind { WATCH_INBOUND, WATCH_OUTBOUND, WATCH_ENDPOINTS };
enum part_at { PART_UNKNOWN, PART_KNOWN, PART_NONE };

struct watch_key { /* what a subscriber asks for */
	enum watch_kind kind;
	char text[320]; /* "in 8080", "out 10.0.0.1:80", "outname web:80", "eps web:80"
			 */
};

/* One stream to the control plane, opened again whenever it ends. */
struct stream_call {
	struct disco_watch *watch;
	struct grpc_call *call;
	struct timer retry; /* or the stream's lifetime, while it is open */
	struct timer quiet; /* nothing has come for too long */
	uint64_t opened;
	unsigned failures;
	bool told;     /* that it fails */
	bool fresh;    /* nothing came since it was opened */
	bool broken;   /* what came makes no sense: what follows does not count */
	bool terminal; /* the answer was final */
	enum part_at at;
	struct buf last; /* the last message */
};

struct disco_watch {
	struct map_node node;
	struct disco *disco;
	struct watch_key key;
	struct list subs;
	struct ref *value;   /* the newest snapshot, or NULL */
	struct timer idle;   /* nobody is subscribed */
	struct timer wait;   /* nobody has answered */
	struct timer retell; /* somebody could not be told */
	uint64_t asked_anew;
	struct addr dst;
	const char *name;           /* in key.text */
	struct stream_call main;    /* policy; endpoints */
	struct stream_call profile; /* outbound only */
};

struct disco {
	struct loop *loop;
	const struct proxy_config *cfg;
	struct channel *destination, *policy;
	struct map watches;
	uint64_t invalid[3]; /* messages that made no sense, by enum watch_kind */
};

struct sub {
	struct list node; /* in the watch; control thread */
	struct disco *disco;
	struct disco_watch *watch; /* control thread */
	struct timer again;        /* memory was out: attach once more */
	struct loop *worker;
	sub_fn *fn;
	void *arg;
	bool ended; /* worker */
	struct post leave;
	struct watch_key key;
	atomic_uint refs; /* one of each thread, one of each message under way */
};

/* ---- watches ---- */

/* Begins to ask; in disco->watches until it is unused for long.  NULL: no memory. */
struct disco_watch *watch_new(struct disco *d, const struct watch_key *key);
/* Takes `value` (NULL: nothing is done): what is known from now, and told to all. */
void watch_publish(struct disco_watch *w, struct ref *value);
/* The timer `retell`: without memory for a message all are told again. */
void watch_retell(struct timer *t);
/* What a client policy is for. */
struct outbound_key watch_outbound_key(const struct disco_watch *w);
/* From what both streams said, once both have; -1: it makes no sense. */
int watch_publish_outbound(struct disco_watch *w, struct err *e);

/* The value goes to the subscriber's worker. */
void sub_tell(struct sub *s, struct ref *value);

/* ---- streams ---- */

void stream_init(struct stream_call *c, struct disco_watch *w);
void stream_fini(struct stream_call *c);
/* Asks, anew when it is open.  What fails is tried again later. */
void stream_open(struct stream_call *c);
/* How long until it is asked again; counts the failure. */
uint64_t stream_backoff(struct stream_call *c);
/* A message: decoded and published; -1: it makes no sense. */
int stream_read(struct stream_call *c, struct slice message, struct err *e);
/* The last message, SLICE_NONE when there is none. */
struct slice stream_part(const struct stream_call *c);
extern const struct grpc_user stream_user; /* `arg` is the stream_call */

#endif
