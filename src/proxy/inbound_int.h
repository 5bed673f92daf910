/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_INBOUND_INT_H
#define PROXY_INBOUND_INT_H

/*
 * Shared by inbound.c (connections), inbound_port.c (policy of a port) and
 * inbound_http.c (requests).
 */
#include "http/server.h"
#include "net/relay.h"
#include "proxy/balancer.h"
#include "proxy/seen.h"
#include "proxy/sniff.h"

/* One port of the application and its policy, as of now. */
struct in_port {
	struct map_node node; /* by "port" as text, in the worker */
	char key[8];
	struct pworker *worker;
	struct sub *sub;
	struct seen *seen;             /* owned; may be NULL */
	struct inbound_policy *policy; /* a reference; NULL until told */
	struct list waiting;           /* in_conn: until there is a policy */
	struct list streams;           /* in_conn: byte streams that it admitted */
	unsigned refs;
	uint64_t unused_since;
	bool permanent;
};

struct in_port *in_port_get(
	struct pworker *w, uint16_t port); /* a reference, or NULL */
void in_port_put(struct in_port *p);

enum in_at {
	IN_POLICY, /* waits for the port's first policy */
	IN_SNIFF,  /* TLS? */
	IN_SHAKE,  /* our TLS handshake */
	IN_DETECT, /* HTTP? */
	IN_DIAL,   /* opaque: the application is being dialled */
	IN_RELAY,
	IN_HTTP,
	IN_OVER,
};

/* What the series of an admitted request are, for one route and authorization. */
struct in_grant {
	const struct inbound_policy *policy; /* compared, not followed */
	const struct policy_route *route;
	const struct authz *authz;
	char *authority; /* that it was made for, where the label is asked for */
	struct meter *meter;
	struct route_meter *route_meter;
	struct series *allow;
};

struct in_conn {
	unsigned magic;
	enum in_at at;
	struct client client; /* in the worker */
	struct list node;     /* in the port: waiting or streams */
	struct in_port *port;
	struct conn *conn; /* the client's, top-most */
	struct addr dst, peer;
	uint64_t since; /* loop time when its bytes were first looked at */
	struct flow_count flow;
	bool tls;          /* mesh TLS ends here */
	bool tls_detected; /* somebody's TLS, not ours */
	char *client_id;   /* "" when TLS without a certificate; NULL without TLS */
	char *sni;
	const char *no_tls; /* label no_tls_reason */
	bool timed_out;     /* the client did not say in time what it speaks */

	struct sniff *sniff;
	struct stream *stream; /* to the application */
	struct conn *app;      /* dialled because the client was silent */
	struct flow_count app_flow;
	struct relay *relay;
	struct http_server *http;
	struct balancer *balancer; /* the application: a reference */
	struct in_grant grant;     /* of the last request */
};
#define IN_CONN_MAGIC 0x1bc00001u

/* The client is known to speak HTTP. */
void in_http_begin(struct in_conn *c, enum http_kind kind);

void in_grant_drop(struct in_grant *g);

/* Labels of the target and the client's TLS, in the order of spec §13.1. */
void in_target_labels(struct buf *b, const struct in_conn *c);
void in_tls_labels(struct buf *b, const struct in_conn *c);
void in_conn_free(struct in_conn *c, const struct err *why);
/* The policy changed: byte streams that it no longer admits end. */
void in_conn_recheck(struct in_conn *c);
void in_conn_policy(struct in_conn *c);
const char *in_identity(const struct in_conn *c); /* "" when none was proved */

#endif
