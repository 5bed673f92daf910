/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_INBOUND_INT_H
#define PROXY_INBOUND_INT_H

/*
 * Shared by inbound.c (connections), inbound_port.c (policy of a port),
 * inbound_http.c (requests) and inbound_labels.c (what they are counted under).
 */
#include "proxy/duct.h"
#include "proxy/seen.h"

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
	bool client_first; /* the application answers HTTP (a client's word is not
			      enough): no hurry to listen to it */
};

struct in_port *in_port_get(
	struct pworker *w, uint16_t port); /* a reference, or NULL */
void in_port_put(struct in_port *p);

enum in_at {
	IN_BEGUN,
	IN_SNIFF,  /* TLS? */
	IN_SHAKE,  /* our TLS handshake */
	IN_DETECT, /* HTTP? */
	IN_DIRECT, /* which HTTP? */
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
	struct duct duct;
	struct list node;       /* in the port: waiting or streams */
	struct in_shake *shake; /* of a handshake that waits or goes on */
	struct in_port *port;
	struct addr dst, peer;
	uint64_t since;    /* loop time when its bytes were first looked at */
	bool tls;          /* mesh TLS ends here */
	bool tls_detected; /* somebody's TLS, not ours */
	char *client_id;   /* "" when TLS without a certificate; NULL without TLS */
	char *sni;
	const char *no_tls; /* label no_tls_reason */

	struct in_direct *direct;  /* it came to our own port; NULL else */
	struct balancer *balancer; /* the application: a reference; not of a gateway */
	struct in_grant grant;     /* of the last request */
};
#define IN_CONN_MAGIC 0x1bc00001u

/* The client is known to speak HTTP. */
void in_http_begin(struct in_conn *c, enum http_kind kind);
/* Who may; who it is (and what it spoke to the proxy that asks). */
extern const struct filter in_policy_filter, in_client_filter;

void in_grant_drop(struct in_grant *g);

/* Labels of the target and the client's TLS, in the order of spec §13.1. */
void in_target_labels(struct buf *b, const struct in_conn *c);
void in_tls_labels(struct buf *b, const struct in_conn *c);
struct transport_meter *in_accepted_meter(const struct in_conn *c); /* a reference */
/* Adds 1 to the series with the target, the server and an authorization (or NULL). */
void in_count(const struct in_conn *c, enum family f, const struct authz *az);
void in_count_error(const struct in_conn *c, const char *error);

/* Those that came to the inbound port itself have more (inbound_direct.h). */
struct in_direct;

void in_conn_free(struct in_conn *c, const struct err *why);
/* Counted under this `error`, logged, reset and freed. */
void in_conn_refuse(struct in_conn *c, const char *label, const struct err *why);
/* c->dst is known: on, as soon as its port's policy is. */
void in_conn_target(struct in_conn *c);
/* Its bytes as they are, when the policy admits it. */
void in_conn_stream(struct in_conn *c);
/* The policy changed: byte streams that it no longer admits end. */
void in_conn_recheck(struct in_conn *c);
void in_conn_policy(struct in_conn *c);
const char *in_identity(const struct in_conn *c); /* "" when none was proved */

#endif
