/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTL_DESTINT_H
#define CTL_DESTINT_H

/*
 * What the files of discovery and policy share: the questions, and the parts of answers
 * that more than one of them gives.
 *
 * Messages are built in an answer's arena, which has no limit: what they are made of is
 * the cluster's, not a peer's.
 */
#include "api/api.h"
#include "api/destination.pb-c.h"
#include "ctl/destination.h"
#include "ctl/policyview.h"
#include "ctl/query.h"
#include "ctl/topic.h"

struct endpoints_ask {
	struct authority at;
	char node[NAME_MAX_]; /* the client's, or "" */
};
struct target_ask { /* of a profile or an outbound policy */
	struct authority at;
	char client_ns[LABEL_MAX]; /* whose own say goes before others'; or "" */
};
struct inbound_ask {
	struct asker workload;
	uint16_t port;
};

extern const struct topic_kind endpoints_kind, profile_kind, inbound_kind,
	outbound_kind;
void target_labels(const struct topic *t, struct buf *out); /* of a target_ask */

/* ---- building messages ---- */

#define MAKE(type, name, a)                                                            \
	({                                                                             \
		type *made_ = API_NEW(type, name, (a));                                \
		must(made_);                                                           \
		made_;                                                                 \
	})
#define MAKE_LIST(type, n, a)                                                          \
	({                                                                             \
		type *list_ = arena_array((a), (n) ? (n) : 1, sizeof *list_);          \
		must(list_);                                                           \
		list_;                                                                 \
	})
char *make_text(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);

Common__Duration *make_duration(uint64_t ns, struct arena *a); /* 0: NULL */

/* ---- what a port carries ---- */

/* Bytes that are not looked into, by the Server in charge, else by the pod's annotation
 * or the preset. */
bool pod_port_is_opaque(struct reader *r, const struct destination_config *cfg,
	const struct pod_view *p, uint16_t port);
/* By the Service's annotation, its namespace's, or the preset. */
bool service_port_is_opaque(struct reader *r, const struct destination_config *cfg,
	const struct service_view *s, uint16_t port);
/* NULL when the Service has no such port. */
const struct service_port *service_port(const struct service_view *s, uint16_t port);
/* The Server in charge of a pod's port; NULL: none. */
const struct server_view *server_of(
	struct reader *r, const struct pod_view *p, uint16_t port);
const char *service_port_name(const struct service_view *s, uint16_t port); /* or "" */
/* Of the container port with that number; "" when it has none. */
const char *pod_port_name(const struct pod_view *p, uint16_t port);

/* ---- addresses ---- */

struct locality {
	const char *zone;        /* of the endpoint; "" unknown */
	const char *client_zone; /* "" unknown */
};
/* The pod's port as clients are told of it: identity, protocol, labels.  `pod` NULL: an
 * address that is not a pod's. */
Destination__WeightedAddr *weighted_addr(struct topic *t, const struct pod_view *pod,
	const struct addr *at, const struct locality *where, struct arena *a);

size_t places_count(const struct list *places);

#endif
