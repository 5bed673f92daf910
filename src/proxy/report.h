/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_REPORT_H
#define PROXY_REPORT_H

/*
 * What is spoken on each inbound port and to each outbound target, and who decided it:
 * GET /ports.json.  One table for all workers: a row is looked up under a lock when a
 * port or target is made, and then written with atomics, once a connection.  A row
 * stays after its last user, to be read, until REPORT_MAX others need its place.
 */
#include "base/buf.h"
#include "proxy/target.h"
#include "proxy/worker.h"

#define REPORT_MAX 1000

enum spoken {
	SPOKEN_NOTHING, /* nobody has spoken yet */
	SPOKEN_HTTP1,
	SPOKEN_HTTP2,
	SPOKEN_TLS,
	SPOKEN_OPAQUE,
	SPOKEN_SERVER_FIRST, /* opaque: the server spoke, the client waited */
	SPOKEN_TOO_SLOW,     /* opaque: the client began, and stopped in the middle */
	SPOKEN_KINDS
};

enum decided {
	DECIDED_BY_NOBODY,
	DECIDED_BY_ANNOTATION, /* opaque ports of the pod, or of its namespace */
	DECIDED_BY_POLICY,     /* what the policy service says */
	DECIDED_BY_PROFILE,    /* the destination is marked opaque */
	DECIDED_BY_DETECTION,
	DECIDED_BY_TIMEOUT,
};

struct report;
struct report_row;

struct report *report_new(void);
void report_free(struct report *r);

/* Returns a reference, or NULL: more than REPORT_MAX rows are in use, or no memory. */
struct report_row *report_row_get(struct report *r, enum side side, const char *key);
void report_row_put(struct report_row *row); /* NULL is fine, here and below */

/* A policy came: what it says is spoken (SPOKEN_NOTHING: to be detected). */
void report_policy(struct report_row *row, enum spoken proto, enum decided by);
/* A connection was seen to speak this. */
void report_spoken(struct report_row *row, enum spoken what, enum decided by);
/* What discovery says of the endpoint that was used last. */
void report_peer(struct report_row *row, enum hint hint);
/* How many connections spoke it before. */
uint64_t report_count(const struct report_row *row, enum spoken what);
/* True once a minute: a warning about this row is due. */
bool report_may_warn(struct report_row *row);

void report_write_json(struct report *r, struct buf *out);
void report_write_text(struct report *r, struct buf *out);

#endif
