/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_SEEN_H
#define PROXY_SEEN_H

/*
 * What was seen of the connections to one inbound port or outbound target: the metrics
 * of spec proxy.md §13.2 that speak of connections, the row in /ports.json, and the
 * warnings when detection had to give up or when those who should know disagree.
 *
 * Belongs to its port or target, on its worker.  NULL is fine everywhere: nothing is
 * counted then.
 */
#include "proxy/report.h"
#include "wire/detect.h"

struct seen;

/* `key` is the owner's, and lives longer. */
struct seen *seen_new(struct pworker *w, enum side side, const char *key);
void seen_free(struct seen *s);

/* A policy came: it decides, or leaves it to detection; the labels follow it. */
void seen_inbound(struct seen *s, const struct inbound_policy *p);
void seen_outbound(struct seen *s, const struct outbound_policy *p);

/* A connection begins as the policy says. */
void seen_connection(struct seen *s);
/* Detection, which began at the loop time `since`, ended: with a verdict (late: it took
 * too long), because the server spoke first, or because the client left. */
void seen_verdict(struct seen *s, enum detect d, bool late, uint64_t since);
void seen_server_first(struct seen *s, uint64_t since);
void seen_client_left(struct seen *s, uint64_t since);
/* A connection goes to an endpoint with this hint; HTTP to one whose own proxy takes
 * the port as opaque is a disagreement. */
void seen_peer(struct seen *s, enum hint hint, bool is_http);

/* A byte stream of the target's route, or of the TLS route that was chosen (then not
 * NULL), begins, and ends (`why` NULL: in order). */
void seen_stream_open(struct seen *s, const struct meta *tls_route);
void seen_stream_close(
	struct seen *s, const struct meta *tls_route, const struct err *why);

#endif
