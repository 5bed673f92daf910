/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KUBE_CALL_H
#define KUBE_CALL_H

/* Inside the client: what requests and watches share.  Private to kube/. */
#include "base/map.h"
#include "ev/loop.h"
#include "http/channel.h"
#include "kube/config.h"
#include "kube/kube.h"

#define KUBE_BODY_MAX                                                                  \
	((size_t)64 * 1024 * 1024) /* of a response, as a page of a list */

struct kube {
	struct loop *loop;
	struct kube_target target;
	struct snap creds;
	struct channel *channel;
	uint64_t ca_stamp, token_stamp;
	struct list calls;
	struct list watches;
	struct map events;   /* struct kube_told */
	uint64_t events_due; /* when all that were written would be, one by one */
	uint64_t events_dropped;
	char component[64];
};

/*
 * Begins a request: the channel, the prefix of the path, the token, the fields.  The
 * caller ends it.
 */
struct fetch *kube_fetch(struct kube *k, const char *method, const char *path,
	const char *content_type, struct slice body, const struct fetch_user *user,
	void *arg, struct err *e);

/* Appends `text` with %XX for all but unreserved characters (RFC 3986, 2.3). */
void kube_escape(struct buf *out, const char *text);

void kube_events_drop(struct kube *k);

#endif
