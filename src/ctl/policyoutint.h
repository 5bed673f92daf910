/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTL_POLICYOUTINT_H
#define CTL_POLICYOUTINT_H

/* Inside of outbound policies: policyout.c (which policy), outroute.c (routes of HTTP
 * and gRPC), outbackend.c (where they lead). */
#include "api/outbound.pb-c.h"
#include "ctl/policyroute.h"

struct routing {
	struct arena *a;
	struct reader *reader;
	const struct destination_config *cfg;
	Outbound__Backend *backend;          /* by default; NULL: forbidden */
	const char *http_name, *opaque_name; /* of the default routes */
	const struct traffic *traffic;       /* the Service's; NULL: none */
	struct route_list http, grpc;        /* attached ones */
};

/* ---- backends ---- */
Outbound__Backend *backend_balance(
	const struct routing *r, const char *ns, const char *name, uint16_t port);
Outbound__Backend *backend_forward(
	const struct routing *r, const struct addr *at, Meta__Metadata *meta);
/* Where a rule leads; NULL or one without backends: the default. */
Outbound__HttpRoute__Distribution *backend_distribution(
	const struct routing *r, const struct route_rule *rule, bool grpc);

/* ---- routes: the attached ones, else one to the default backend ---- */
Outbound__HttpRoute **out_http_routes(const struct routing *r, size_t *n);
Outbound__GrpcRoute **out_grpc_routes(const struct routing *r, size_t *n);
Outbound__FailureAccrual *out_accrual(const struct routing *r); /* or NULL */

#endif
