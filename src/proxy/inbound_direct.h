/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_INBOUND_DIRECT_H
#define PROXY_INBOUND_DIRECT_H

/*
 * Connections to the inbound port itself (spec proxy.md §3.4, §4, §9.3): another proxy,
 * which proves who it is and says first which port of this pod it means, or, when this
 * pod is a gateway, which name.
 */
#include "api/transport_header.h"
#include "proxy/inbound_int.h"
#include "proxy/outbound_int.h"

struct in_direct {
	struct in_conn *conn;
	struct timer timer; /* TLS and the header are to come in time */
	struct transport_header header;
	/* a gateway's: */
	char authority[270]; /* "name:port" */
	bool is_bad_name;    /* of no domain that it may serve */
	struct out_target
		*target; /* a reference, from when it is known to be allowed */
	struct out_wait wait;
};

/* Begins with TLS.  False when memory is out. */
bool in_direct_new(struct in_conn *c);
void in_direct_free(struct in_direct *d);
/* TLS is there: the header is awaited. */
void in_direct_shaken(struct in_conn *c, const struct tls *tls);
/* The policy of the port is there, and the header says what is spoken. */
void in_direct_begin(struct in_conn *c);
/* Requests: to the name, through this proxy's outbound side. */
extern const struct stack gateway_stack, logged_gateway_stack;

/* Does `client` come from here, or has one of the `forwarded` fields been through here?
 */
bool gateway_is_loop(const struct in_conn *c, const struct fields *f);

#endif
