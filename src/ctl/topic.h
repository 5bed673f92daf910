/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTL_TOPIC_H
#define CTL_TOPIC_H

/*
 * A topic is one question that many proxies have: it is answered once, and the same
 * bytes go to all who subscribed.  When something it depends on has changed it is
 * answered anew; who has the same answer already hears nothing.
 *
 * A kind says how: `answer` reads the index as the topic's reader and writes messages.
 * Until the index is synced nobody is told anything, so that no proxy ever takes a
 * cluster half known for the whole.
 *
 * A subscriber that reads too slowly (more messages waiting than the limit, or 8 MB) is
 * ended with UNAVAILABLE: it comes back and gets the present state.
 */
#include "base/map.h"
#include "ctl/index.h"
#include "http/grpc.h"

/* Messages one after the other, each with its length before it. */
struct messages {
	struct buf bytes;
};
void messages_add(struct messages *m, const void *message); /* a generated struct */

enum verdict {
	TELL,   /* what is in the answer */
	SILENT, /* what was told stays true; who comes new hears that */
	REFUSE, /* the call ends with status and text */
};

struct answer {
	struct messages whole;  /* what who comes new is told */
	struct messages change; /* what the others are told; empty: the whole */
	int status;
	char text[200];
	struct arena arena; /* to build messages in */
};
enum verdict refuse(struct answer *a, int status, const char *text); /* REFUSE */

struct topic;
struct topic_kind {
	const char *name; /* of the metrics: "endpoints" */
	size_t ask_size, state_size;
	enum verdict (*answer)(struct topic *t, struct answer *out);
	void (*fini)(struct topic *t); /* the state's; may be NULL */
	/* Appends `a="b",c="d"`. */
	void (*labels)(const struct topic *t, struct buf *out);
	const char *gauges[2]; /* further metrics; values in topic.gauge */
};

struct topics;
struct topic {
	struct map_node node;
	struct reader reader;
	const struct topic_kind *kind;
	struct topics *all;
	struct list subscribers;
	struct messages last;
	bool answered;
	unsigned held; /* being told: it is not freed meanwhile */
	uint64_t updates;
	uint64_t gauge[2];
	const void *ask; /* the kind's question */
	void *state;     /* the kind's own, zeroed at first */
};

/* `context` is for the kinds (topic_context()); `queue` messages may wait. */
struct topics *topics_new(struct index *ix, const void *context, unsigned queue);
const void *topic_context(const struct topic *t);
void topics_free(struct topics *all); /* after the servers; NULL is fine */

/*
 * `r` hears the topic from now on, or once.  `key` says what is asked, the same for all
 * who ask the same; `ask` is copied (kind->ask_size) when the topic is new.
 */
void topics_join(struct topics *all, const struct topic_kind *kind, const char *key,
	const void *ask, struct grpc_request *r, bool once);
void topics_synced(struct topics *all);
void topics_end(struct topics *all, int status, const char *text); /* every call */
/* For the kinds given, so that each metric stands together. */
void topics_metrics(const struct topics *all, const struct topic_kind *const *kinds,
	size_t n, struct buf *out);

#endif
