/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOCAL_PODIO_H
#define LOCAL_PODIO_H

/*
 * What the API server asks of the kubelet for a running pod: logs, exec, attach,
 * port-forward.  The server has authenticated the caller, found the pod and checked
 * that the container is one of its own; a hook then owns the answer to the call
 * (call_reply, call_stream or call_upgrade) and may give it later.
 */
#include "http/site.h"
#include "wire/json.h"

#define PODIO_COMMAND_MAX 64

struct podio_target {
	const struct json *pod; /* borrowed for the call of the hook */
	const char *ns, *name;
	const char *container; /* chosen; "" for port-forward */
	/* exec and attach */
	const char
		*command[PODIO_COMMAND_MAX + 1]; /* NULL-terminated; in call->arena */
	bool in, out, err, tty;
	/* logs */
	bool follow, previous, timestamps;
	int64_t tail;          /* lines; -1: all */
	int64_t since_seconds; /* -1: all */
	int64_t limit_bytes;   /* -1: no limit */
	/* port-forward: the ports of the query */
	uint16_t ports[16];
	size_t nports;
};

struct podio {
	void *arg;
	void (*logs)(void *arg, struct call *c, const struct podio_target *t);
	void (*exec)(void *arg, struct call *c, const struct podio_target *t);
	void (*attach)(void *arg, struct call *c, const struct podio_target *t);
	void (*forward)(void *arg, struct call *c, const struct podio_target *t);
};

#endif
