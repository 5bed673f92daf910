/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTP_CHANNEL_H
#define HTTP_CHANNEL_H

/*
 * A lasting way to one service by name: resolves it (SRV first when asked, re-resolved
 * at TTL), dials, TLS with the newest credentials, HTTP/2 or HTTP/1, reconnects with
 * backoff, spreads calls over the addresses.  For control-plane clients, the Kubernetes
 * client, and scraping: not the proxy's data path.
 */
#include "ev/dns.h"
#include "http/client.h"
#include "net/via.h"
#include "tls/session.h"

struct channel;

struct channel_config {
	const char *host; /* name or literal address */
	uint16_t port;
	bool srv;
	enum http_kind kind;
	bool alpn;                /* offer h2 and http/1.1, and speak what is chosen */
	struct snap *creds;       /* TLS when not NULL; waits until a value is there */
	const char *sni, *expect; /* NULL: host */
	bool any_server;          /* with creds: whoever answers is believed */
	/* Calls go to this name, and `host` is only where it is reached: a proxy that
	 * `via` says (borrowed).  NULL: `host` itself. */
	const char *authority;
	const struct via *via;
	/* Makes each connection instead, NULL when it cannot; `host` is a literal
	 * address then, and only a name.  Or NULL. */
	struct conn *(*dial)(void *dial_arg, struct err *e);
	void *dial_arg;
	uint64_t connect_timeout;          /* ns; 0: 5 s */
	uint64_t backoff_min, backoff_max; /* ns; 0: 100 ms, 10 s */
	double backoff_jitter;
	uint64_t wait_max; /* ns a call waits for a connection before ERR_TIMEOUT; 0: 10
			      s */
	const struct filter *filter; /* sees each call; NULL: none */
	void *filter_shared;
	/* Both may be NULL; the second tells how names were resolved. */
	void (*on_state)(void *arg, bool up, const struct err *e);
	void (*on_lookup)(void *arg, bool is_srv, bool found);
	void *arg;
};

struct channel *channel_new(struct loop *l, struct dns *d,
	const struct channel_config *cfg, struct err *e); /* copies the texts */
void channel_free(struct channel *c);                     /* calls in progress fail */
bool channel_is_up(const struct channel *c);
const char *channel_authority(const struct channel *c); /* "host:port" */
struct loop *channel_loop(const struct channel *c);
/* Makes the stack of one call: the channel's filter, and the channel. */
void channel_stack(struct channel *c, struct stack *s);

/* A connection of one's own to where calls go, made as theirs are; not open yet.  After
 * a call has had an answer: ERR_BUSY before. */
struct conn *channel_dial(struct channel *c, const char *const *alpn, struct err *e);

/* Carries one exchange out on a connection, waiting for one when there is none. */
void channel_begin(struct channel *c, struct exch *x);
extern const struct service channel_service; /* shared = struct channel * */

/* ---- one simple call: for REST clients ---- */
struct fetch;
struct fetch_user {
	void (*on_head)(void *arg, struct fetch *f, const struct rsp_head *head);
	void (*on_data)(
		void *arg, struct fetch *f, struct slice bytes); /* as it comes */
	/* Once, last: e->code is ERR_NONE when the response ended in order. */
	void (*on_over)(void *arg, struct fetch *f, const struct err *e);
};
struct fetch_spec {
	const char *method, *path; /* with query */
	const struct field *fields;
	size_t nfields;
	struct slice body; /* copied */
};
struct fetch *fetch_begin(struct channel *c, const struct fetch_spec *spec,
	const struct fetch_user *user, void *arg, struct err *e);
void fetch_end(struct fetch *f); /* no callback follows */

#endif
