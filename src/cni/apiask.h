/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CNI_APIASK_H
#define CNI_APIASK_H

/*
 * One object from the API server, waited for: what a plugin asks that is started for
 * one call and has nothing else to do meanwhile.
 *
 * An API server that is away, or does not take our token, is asked again until
 * `deadline`; the kubeconfig is read for each try, since a new token comes by it.
 */
#include "wire/json.h"

struct api_ask {
	const char *kubeconfig; /* NULL: in a pod, as the pod does */
	uint64_t deadline;      /* clock_mono() */
};

/* Returns owned.  NULL: ERR_MISSING when the server says that there is none, ERR_DENIED
 * when it refuses us, ERR_BUSY when it was away all the time. */
struct json *api_get(const struct api_ask *a, const char *path, struct err *e);

#endif
