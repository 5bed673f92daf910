/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_DUCT_H
#define PROXY_DUCT_H

/*
 * What an accepted connection is in either direction: the client's conn, what is found
 * out about it (sniff.h), and where it leads: an HTTP server of ours, or the byte
 * stream of one server.  Inbound and outbound say who may connect and where to.
 *
 * Lies in its owner.  Each callback of struct duct_user but `balancer` and `on_dialled`
 * hands the connection back: the owner goes on with one of the calls below, or ends it.
 */
#include "base/clock.h"
#include "http/server.h"
#include "net/relay.h"
#include "proxy/balancer.h"
#include "proxy/sniff.h"

struct duct;

struct duct_user {
	/* The client has shown what it speaks (DETECT_OPAQUE also: ended, or too slow).
	 * A server that was dialled for it is kept: duct_stream(), or
	 * duct_drop_server(). */
	void (*on_verdict)(
		struct duct *d, enum detect verdict, const char *sni, bool late);
	/* The client was silent and the server has spoken: duct_stream(). */
	void (*on_server_first)(struct duct *d);
	/* Where the byte stream goes; borrowed; NULL and `e`: nowhere. */
	struct balancer *(*balancer)(struct duct *d, struct err *e);
	/* The server is there; to be told of it, or NULL. */
	void (*on_dialled)(struct duct *d, const struct endpoint_info *to);
	void (*on_failed)(struct duct *d, const struct err *why); /* duct_refuse() */
	/* Both conns are gone (ERR_NONE: in order; NULL: the proxy ends): duct_fini()
	 * and free it. */
	void (*on_over)(struct duct *d, const struct err *why);
};

enum duct_at {
	DUCT_HELD,  /* the owner has yet to say what is done */
	DUCT_SNIFF, /* what does it speak? */
	DUCT_DIAL,  /* bytes: the server is being dialled */
	DUCT_RELAY,
	DUCT_HTTP,
};

struct duct {
	enum duct_at at;
	enum side side;
	struct client client; /* in the worker */
	const struct duct_user *user;
	struct conn *conn; /* the client's, top-most */
	struct flow_count flow;
	struct sniff *sniff;
	struct stream *stream;
	struct conn *server;            /* dialled because the client was silent */
	struct flow_count *server_flow; /* NULL: never dialled, as for HTTP */
	struct relay *relay;
	struct http_server *http;
	const void *told_peer; /* the target of whose endpoint the report knows */
};

/* Takes `fd`.  -1: closed, nothing to undo.  Then duct_hold() or one of the others. */
int duct_init(struct duct *d, struct pworker *w, enum side side, int fd,
	const struct duct_user *user, struct err *e);
/* Leaves the worker.  Does not touch conns that the owner has not given away. */
void duct_fini(struct duct *d, const struct err *why);

/* The client waits; its bytes are kept.  on_over when it leaves. */
void duct_hold(struct duct *d);
/* The series of the client's side; takes over a reference. */
void duct_meter(struct duct *d, struct transport_meter *taken);
/* A client silent for so long may be waiting for the server to speak; where clients
 * speak HTTP there is less of a hurry. */
#define DUCT_QUIET      NS_PER_MS
#define DUCT_QUIET_HTTP (50 * NS_PER_MS)
void duct_sniff(struct duct *d, const struct sniff_spec *how);
void duct_stream(struct duct *d);
/* Dialled for nothing: the client speaks HTTP, or TLS. */
void duct_drop_server(struct duct *d);
/* `user` gets `arg`; its on_gone says when it is over.  Is dropped (on_over) when
 * memory is out. */
void duct_http(struct duct *d, enum http_kind kind, const struct http_server_user *user,
	void *arg);

/* Resets the client (and the server); the owner frees it then. */
void duct_refuse(struct duct *d, const struct err *why);
/* Ends a byte stream that is no longer wanted, as duct_refuse() does. */
void duct_cut(struct duct *d);

#endif
