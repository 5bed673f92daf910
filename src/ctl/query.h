/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTL_QUERY_H
#define CTL_QUERY_H

/*
 * What a proxy asks for, out of the texts it asks with (spec control-plane.md §2.1).
 * Values; no memory.
 */
#include "base/addr.h"
#include "base/err.h"

#define LABEL_MAX 64  /* a DNS label with its end */
#define NAME_MAX_ 254 /* a Kubernetes name with its end */

/* `host[:port]` of the client's request; port 80 when absent. */
struct authority {
	struct ip ip;             /* family 0: a name */
	char hostname[LABEL_MAX]; /* of one instance, or "" */
	char service[LABEL_MAX], ns[LABEL_MAX];
	uint16_t port;
};

/* `domain` is the cluster's, "cluster.local".  -1 when it is neither an address nor a
 * Service's name in it. */
int authority_parse(
	struct slice text, const char *domain, struct authority *out, struct err *e);

/* Who asks: {"ns":…,"nodeName":…,"pod":…}, or the old "ns:NAME".  Absent is "". */
struct asker {
	char ns[LABEL_MAX];
	char node[NAME_MAX_], pod[NAME_MAX_];
};
/* -1 (and an empty asker) when it cannot be understood. */
int asker_parse(struct slice token, struct asker *out, struct err *e);
/* A policy workload: the same JSON, or "NAMESPACE:POD". */
int workload_parse(struct slice token, struct asker *out, struct err *e);

#endif
