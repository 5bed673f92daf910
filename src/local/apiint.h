/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOCAL_APIINT_H
#define LOCAL_APIINT_H

/* Inside the API server: the parts, and the calls in progress. */
#include "http/site.h"
#include "local/admit.h"
#include "local/api.h"
#include "local/ctrl.h"
#include "local/pki.h"
#include "local/rest.h"

struct local_api {
	struct local_api_config cfg;
	struct loop *loop;
	struct pki pki;
	const struct podio *podio;
	struct rest rest;
	struct store *store;
	struct kinds *kinds;
	struct ctrls *ctrls;
	struct site *site;
	struct snap creds;
	char kubeconfig[512];

	struct later run; /* the controllers */
	struct timer due;
	struct store_watch crds;
	struct later crds_later;
	struct list creations; /* of controllers, at their webhooks */
};

void api_handle(struct call *c); /* any request */
/* For the controllers. */
void api_create(
	void *arg, const char *res, struct json *obj, ctrl_created *done, void *ctx);
void api_creations_end(struct local_api *a);

#endif
