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
	uint64_t exec_until; /* wall: what the plugin said holds; 0: ask it */
	char authority[300];
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

/* ---- who we are, on each request (login.c) ---- */

#define KUBE_FIELDS_MAX 128

/* The values are borrowed from the target, or lie in `text`. */
struct kube_fields {
	struct field v[KUBE_FIELDS_MAX];
	size_t n;
	struct buf text, names; /* of Authorization; of Impersonate-Extra-… */
};
void kube_fields_add(struct kube_fields *f, const char *name, struct slice value);
void kube_fields_fini(struct kube_fields *f);

int kube_login_begin(struct kube *k, struct err *e); /* before the channel */
/* What is newest: files are read again, the plugin is asked again when it is time. */
int kube_login_fields(struct kube *k, struct kube_fields *out, struct err *e);
void kube_login_refused(struct kube *k); /* 401: the plugin is asked before the next */

void kube_events_drop(struct kube *k);

#endif
