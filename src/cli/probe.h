/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_PROBE_H
#define CLI_PROBE_H

/*
 * Questions to a pod itself, through a port-forward of the API server: gRPC calls to
 * the control plane, and what a TLS server shows.  Each blocks, as cli/ask.h.
 */
#include "cli/ask.h"

struct probe_call {
	const char *ns, *pod;
	uint16_t port;
	const char *path; /* "/package.Service/Method" */
	struct slice request;
	/* Borrowed for the call. */
	void (*on_message)(void *arg, struct slice message);
	void *arg;
};
/*
 * A call whose answer is a stream that never ends: it is over when nothing more has
 * come for a moment after the first message, or with the stream.  -1: nothing came; the
 * call's status and text are the reason.
 */
int probe_grpc(struct ask *a, const struct probe_call *call, struct err *e);

/* The certificates that a TLS server shows for `name`, as PEM, leaf first, believed or
 * not. */
int probe_certificate(struct ask *a, const char *ns, const char *pod, uint16_t port,
	const char *name, struct buf *pem, struct err *e);

/* A pod of the control plane that is ready: owned, "" never; `component` as its label
 * linkerd.io/control-plane-component. */
char *probe_control_pod(
	struct ask *a, const char *ns, const char *component, struct err *e);

#endif
