/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOCAL_API_H
#define LOCAL_API_H

/*
 * The API server of the one-machine runtime: a store, its REST view over HTTPS,
 * admission, tokens and the controllers, in one process and on one loop.
 *
 * State lies in one directory: the object log, the CA, the token key, admin.conf (a
 * kubeconfig with a client certificate that may do everything).  Service accounts may
 * do everything too: it is a machine with a single user.
 */
#include "base/addr.h"
#include "ev/dns.h"
#include "ev/loop.h"
#include "local/podio.h"
#include "local/store.h"

struct local_api;

struct local_api_config {
	const char *dir; /* made when absent; mode 0700 */
	struct addr at;  /* where to listen */
	/* What the Service default/kubernetes leads to; family 0: the listener's. */
	struct addr advertise;
	struct cidr friends; /* family not 0: only these and loopback may connect */
	const char *service_cidr; /* NULL: "10.96.0.0/16"; IPv4, at most /24 */
	const char *domain;       /* of the cluster; NULL: "cluster.local" */
	struct dns *dns; /* for webhooks given by URL; may be NULL without any */
	/* More names and addresses for the server's certificate; NULL-terminated. */
	const char *const *names;
};

struct local_api *local_api_start(
	struct loop *l, const struct local_api_config *cfg, struct err *e);
void local_api_stop(struct local_api *a); /* state stays on disk */

/* Who answers for logs and exec; borrowed.  Before: 501. */
void local_api_podio(struct local_api *a, const struct podio *io);

struct store *local_api_store(struct local_api *a);
const struct addr *local_api_addr(const struct local_api *a);
const char *local_api_ca(const struct local_api *a);         /* PEM */
const char *local_api_kubeconfig(const struct local_api *a); /* path */

/* A service account token, for the kubelet's projected volumes. */
struct token_spec {
	const char *ns, *account;
	const char *audience[8];   /* none: the API server's own */
	int64_t seconds;           /* life; 0: one hour */
	const char *pod, *pod_uid; /* bound to; NULL: not */
};
int local_api_token(struct local_api *a, const struct token_spec *spec, struct buf *out,
	struct err *e);

#endif
