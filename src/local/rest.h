/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOCAL_REST_H
#define LOCAL_REST_H

/*
 * The Kubernetes REST API over the store, without I/O: a request in, an answer out; or,
 * for what cannot be answered at once, what is to be done first (enum rest_then).
 */
#include "base/arena.h"
#include "local/change.h"
#include "local/podio.h"
#include "local/table.h"
#include "tls/key.h"

struct rest {
	struct change_env env;
	const struct key *token_key;
	uint64_t started; /* wall ns */
};

enum rest_then {
	REST_ANSWER, /* status, type and out are the answer */
	REST_WATCH,  /* stream events: watch_* */
	REST_ADMIT,  /* show c->change to the webhooks, then rest_commit() */
	REST_POD,    /* the kubelet answers: c->pod_op and c->target */
};

enum rest_pod { REST_LOG, REST_EXEC, REST_ATTACH, REST_FORWARD };

struct rest_call {
	/* The request; borrowed. */
	struct slice method, path, query, body, content_type, accept;
	const char *user; /* who asks: "system:admin", "system:serviceaccount:…" */
	struct arena *arena;

	/* What the path says. */
	struct slice group, version, resource;
	char ns[254], name[254], sub[32];
	const struct kind *kind;
	bool table; /* the answer is a Table */
	enum table_include include;

	/* The answer. */
	enum rest_then then;
	int status;
	const char *type;
	struct buf out;

	/* REST_WATCH; owned. */
	struct json *labels, *fields;
	uint64_t since;
	bool initial; /* begin with what is there */
	bool bookmarks, initial_end;
	uint64_t timeout; /* ns; 0: none */
	bool sent_columns;

	struct change change; /* REST_ADMIT */

	enum rest_pod pod_op; /* REST_POD */
	struct podio_target target;
};

/* `c` zeroed but for the request. */
void rest_handle(const struct rest *r, struct rest_call *c);
/* After the webhooks: `refused` (taken; NULL: none did) or the object as they made it
 * in c->change.obj.  Then c->then is REST_ANSWER. */
void rest_commit(const struct rest *r, struct rest_call *c, struct json *refused);
void rest_call_fini(struct rest_call *c);

/* ---- watches ---- */
/* Appends what is there already, when asked for. */
void rest_watch_begin(const struct rest *r, struct rest_call *c, struct buf *out);
/* Appends the event as the caller wants it, when it wants it. */
void rest_watch_event(const struct rest *r, struct rest_call *c,
	const struct store_event *ev, struct buf *out);
void rest_watch_bookmark(
	const struct rest *r, struct rest_call *c, uint64_t version, struct buf *out);
/* 410: the window has passed. */
void rest_watch_expired(struct buf *out);

/* A Status as the answer; takes it. */
void rest_refuse(struct rest_call *c, struct json *status);

#endif
