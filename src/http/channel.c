/* SPDX-License-Identifier: Apache-2.0 */
#include "http/channel.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "net/tcp.h"
#include "net/tlsconn.h"

#define ADDRS_MAX  8 /* addresses that are kept connected to */
#define QUEUE_MAX  1000
#define TTL_MIN    5
#define POLL_CREDS (100 * NS_PER_MS)

struct lane { /* one address and the session to it */
	struct channel *channel;
	struct addr addr;
	struct conn *conn;          /* while dialling */
	struct http_client *client; /* after */
	bool wanted;                /* still among the addresses */
};

struct waiting {
	struct list node;
	struct exch *x;
	uint64_t since;
};

struct channel {
	struct loop *loop;
	struct dns *dns;
	struct channel_config cfg;
	char host[256], sni[256], expect[256], authority[280];
	struct dns_query *query;
	struct timer retry; /* resolve, or dial, again */
	struct timer wait;  /* the oldest call's patience */
	struct lane lanes[ADDRS_MAX];
	size_t nlanes;
	struct list queue;
	size_t queued;
	unsigned failures;
	bool up, resolved;
	uint64_t resolved_at, ttl;
	struct err last;
};

static void serve_queue(struct channel *c);
static void dial_all(struct channel *c);

/* ---- state ---- */

static bool lane_is_up(const struct lane *l)
{
	return l->client && http_client_has_room(l->client);
}

static void tell_state(struct channel *c, const struct err *e)
{
	bool up = false;

	for (size_t i = 0; i < c->nlanes; i++)
		up |= c->lanes[i].client != NULL;
	if (up == c->up)
		return;
	c->up = up;
	if (c->cfg.on_state)
		c->cfg.on_state(c->cfg.arg, up, e);
}

static void try_later(struct channel *c, const struct err *e)
{
	unsigned doublings = c->failures > 16 ? 16 : c->failures;
	uint64_t ns = c->cfg.backoff_min << doublings;

	c->last = *e;
	c->failures++;
	if (ns > c->cfg.backoff_max)
		ns = c->cfg.backoff_max;
	ns += (uint64_t)((double)ns * c->cfg.backoff_jitter * random_unit());
	if (!timer_is_set(&c->retry))
		timer_set(&c->retry, ns);
}

/* ---- addresses ---- */

static struct lane *lane_of(struct channel *c, const struct addr *a)
{
	for (size_t i = 0; i < c->nlanes; i++)
		if (addr_eq(&c->lanes[i].addr, a))
			return &c->lanes[i];
	return NULL;
}

/* A lane that is neither wanted nor connected makes room for another. */
static struct lane *lane_free_one(struct channel *c)
{
	for (size_t i = 0; i < c->nlanes; i++)
		if (!c->lanes[i].wanted && !c->lanes[i].client && !c->lanes[i].conn)
			return &c->lanes[i];
	return c->nlanes < ADDRS_MAX ? &c->lanes[c->nlanes++] : NULL;
}

static void resolved(void *arg, const struct addr *addrs, size_t n, uint32_t ttl,
	const struct err *e)
{
	struct channel *c = arg;

	c->query = NULL;
	if (n == 0) {
		try_later(c, e);
		return;
	}
	c->resolved = true;
	c->resolved_at = loop_now(c->loop);
	c->ttl = (ttl < TTL_MIN ? TTL_MIN : ttl) * NS_PER_S;
	for (size_t i = 0; i < c->nlanes; i++)
		c->lanes[i].wanted = false;
	for (size_t i = 0; i < n; i++) {
		struct lane *l = lane_of(c, &addrs[i]);

		if (!l)
			l = lane_free_one(c);
		if (!l)
			break;
		l->channel = c;
		l->addr = addrs[i];
		l->wanted = true;
	}
	for (size_t i = 0; i < c->nlanes; i++)
		if (!c->lanes[i].wanted && c->lanes[i].client)
			http_client_drain(c->lanes[i].client);
	dial_all(c);
}

static void looked_up(void *arg, bool is_srv, bool found)
{
	struct channel *c = arg;

	if (c->cfg.on_lookup)
		c->cfg.on_lookup(c->cfg.arg, is_srv, found);
}

static void resolve(struct channel *c)
{
	struct slice host = slice_of(c->host);
	struct err e;

	if (c->query)
		return;
	c->query = c->cfg.srv ? dns_resolve_srv(c->dns, host, c->cfg.port, resolved, c)
			      : dns_resolve(c->dns, host, c->cfg.port, resolved, c);
	if (c->query) {
		dns_query_watch(c->query, looked_up);
		return;
	}
	err_set(&e, ERR_LIMIT, "no memory to resolve %s", c->host);
	try_later(c, &e);
}

static bool is_stale(const struct channel *c)
{
	return !c->resolved || loop_now(c->loop) - c->resolved_at > c->ttl;
}

static void on_retry(struct timer *t)
{
	struct channel *c = container_of(t, struct channel, retry);

	if (is_stale(c) || c->failures > 2)
		resolve(c);
	else
		dial_all(c);
}

/* ---- connections ---- */

static void client_room(void *arg, struct http_client *client)
{
	(void)client;
	serve_queue(((struct lane *)arg)->channel);
}

static void lane_lost(struct lane *l, const struct err *e)
{
	struct channel *c = l->channel;
	struct err why = *e;

	if (why.code == ERR_NONE)
		err_set(&why, ERR_CLOSED, "%s closed the connection", c->authority);
	l->conn = NULL;
	l->client = NULL;
	tell_state(c, &why);
	try_later(c, &why);
}

static void client_gone(void *arg, struct http_client *client, const struct err *e)
{
	(void)client;
	lane_lost(arg, e);
}

static void client_closing(void *arg, struct http_client *client)
{
	struct lane *l = arg;
	struct err e;

	(void)client;
	err_set(&e, ERR_CLOSED, "%s is going away", l->channel->authority);
	try_later(l->channel, &e);
}

static const struct http_client_user client_user = {.on_room = client_room,
	.on_idle = client_room,
	.on_closing = client_closing,
	.on_gone = client_gone};

static enum http_kind kind_of(const struct channel *c, const struct conn *conn)
{
	const struct tls *tls = conn_tls(conn);

	if (!c->cfg.alpn || !tls)
		return c->cfg.kind;
	return strcmp(tls_alpn(tls), "h2") == 0 ? HTTP_KIND_2 : HTTP_KIND_1;
}

static void lane_open(struct conn *conn, void *arg)
{
	static const struct http_client_config cfg = {.stream_window = 1 << 20,
		.keepalive_every = 10 * NS_PER_S,
		.keepalive_timeout = 3 * NS_PER_S};
	struct lane *l = arg;
	struct channel *c = l->channel;
	struct err e;

	l->client = http_client_new(conn, kind_of(c, conn), &cfg, &client_user, l, &e);
	if (!l->client) {
		conn_end(conn);
		lane_lost(l, &e);
		return;
	}
	l->conn = NULL;
	c->failures = 0;
	tell_state(c, NULL);
	serve_queue(c);
}

static size_t lane_in(struct conn *conn, void *arg, const uint8_t *p, size_t n)
{
	(void)conn, (void)arg, (void)p, (void)n;
	return 0;
}

static void lane_gone(struct conn *conn, void *arg, const struct err *e)
{
	(void)conn;
	lane_lost(arg, e);
}

static const struct conn_user dial_user = {
	.on_open = lane_open, .on_in = lane_in, .on_gone = lane_gone};

static struct conn *dial_tls(struct channel *c, struct conn *tcp, struct ref *creds,
	const char *const *alpn, struct err *e)
{
	struct tls_config tls = {.creds = (struct creds *)creds,
		.alpn = alpn,
		.sni = c->sni,
		.expect = c->expect,
		.any_server = c->cfg.any_server};

	return tlsconn_client(tcp, &tls, c->cfg.connect_timeout, e);
}

/* Bytes, then perhaps a proxy's way, then perhaps TLS. */
static struct conn *dial(struct channel *c, const struct addr *to, struct ref *creds,
	const char *const *alpn, struct err *e)
{
	struct tcp_opts o = {.connect_timeout = c->cfg.connect_timeout};
	struct conn *conn = c->cfg.dial ? c->cfg.dial(c->cfg.dial_arg, e)
					: tcp_dial(c->loop, to, &o, e);

	if (conn && c->cfg.via)
		conn = via_new(conn, c->cfg.via, c->cfg.connect_timeout, e);
	if (conn && creds)
		conn = dial_tls(c, conn, creds, alpn, e);
	return conn;
}

struct conn *channel_dial(struct channel *c, const char *const *alpn, struct err *e)
{
	struct ref *creds = c->cfg.creds ? snap_get(c->cfg.creds) : NULL;
	const struct lane *l = NULL;
	struct conn *conn = NULL;

	for (size_t i = 0; i < c->nlanes; i++)
		if (c->lanes[i].wanted && (!l || c->lanes[i].client))
			l = &c->lanes[i];
	if (l && (creds || !c->cfg.creds))
		conn = dial(c, &l->addr, creds, alpn, e);
	else
		err_set(e, ERR_BUSY, "%s is not resolved yet", c->authority);
	ref_put(creds);
	return conn;
}

static int lane_dial(struct lane *l, struct err *e)
{
	static const char *const both[] = {"h2", "http/1.1", NULL};
	struct channel *c = l->channel;
	struct ref *creds = c->cfg.creds ? snap_get(c->cfg.creds) : NULL;
	struct conn *conn;

	if (c->cfg.creds &&
		!creds) { /* asked for again soon: they come once, at the start */
		timer_set(&c->retry, POLL_CREDS);
		return 0;
	}
	conn = dial(c, &l->addr, creds, c->cfg.alpn ? both : NULL, e);
	ref_put(creds);
	if (!conn)
		return -1;
	l->conn = conn;
	conn_use(conn, &dial_user, l);
	return 0;
}

/* HTTP/1 has one exchange a connection: each waiting call may need a lane of its own.
 */
static void dial_all(struct channel *c)
{
	struct err e;

	for (size_t i = 0; i < c->nlanes; i++) {
		struct lane *l = &c->lanes[i];

		if (!l->wanted || l->client || l->conn)
			continue;
		if (lane_dial(l, &e) < 0)
			try_later(c, &e);
	}
}

/* ---- calls ---- */

static struct lane *pick(struct channel *c)
{
	struct lane *best = NULL;

	for (size_t i = 0; i < c->nlanes; i++) {
		struct lane *l = &c->lanes[i];

		if (!lane_is_up(l) || !l->wanted)
			continue;
		if (!best ||
			http_client_open(l->client) < http_client_open(best->client))
			best = l;
	}
	return best;
}

static void serve_queue(struct channel *c)
{
	struct waiting *w;
	struct lane *l;

	while ((w = list_first(&c->queue, struct waiting, node)) && (l = pick(c))) {
		struct exch *x = w->x;

		list_remove(&w->node);
		c->queued--;
		x->service_arg = NULL;
		http_client_begin(l->client, x);
		if (x->at != EXCH_OVER && x->end_passed)
			http_client_end_body(x, x->req_trailers);
	}
	if (list_is_empty(&c->queue))
		timer_clear(&c->wait);
}

static void on_wait(struct timer *t)
{
	struct channel *c = container_of(t, struct channel, wait);
	uint64_t now = loop_now(c->loop);
	struct waiting *w;
	struct err e;

	while ((w = list_first(&c->queue, struct waiting, node)) &&
		now - w->since >= c->cfg.wait_max) {
		list_remove(&w->node);
		c->queued--;
		w->x->service_arg = NULL;
		err_set(&e, ERR_TIMEOUT, "%s: no connection within %llu ms%s%s",
			c->authority, (unsigned long long)(c->cfg.wait_max / NS_PER_MS),
			c->last.code ? "; " : "", c->last.code ? c->last.msg : "");
		exch_fail(w->x, &e);
	}
	if (w)
		timer_set(&c->wait, w->since + c->cfg.wait_max - now);
}

void channel_begin(struct channel *c, struct exch *x)
{
	struct lane *l = list_is_empty(&c->queue) ? pick(c) : NULL;
	struct waiting *w;
	struct err e;

	if (is_stale(c))
		resolve(c);
	if (l) {
		http_client_begin(l->client, x);
		return;
	}
	w = c->queued < QUEUE_MAX ? arena_alloc(x->arena, sizeof *w) : NULL;
	if (!w) {
		err_set(&e, ERR_BUSY, "%s: %zu calls wait, the limit", c->authority,
			c->queued);
		exch_fail(x, &e);
		return;
	}
	*w = (struct waiting){.x = x, .since = loop_now(c->loop)};
	list_push(&c->queue, &w->node);
	c->queued++;
	if (!timer_is_set(&c->wait))
		timer_set(&c->wait, c->cfg.wait_max);
}

static struct waiting *waiting_of(struct channel *c, const struct exch *x)
{
	struct waiting *w;

	list_each(w, &c->queue, node) if (w->x == x) return w;
	return NULL;
}

static void service_begin(struct exch *x, void *shared)
{
	channel_begin(shared, x);
}

static void service_data(struct exch *x, void *shared, const uint8_t *p, size_t n)
{
	(void)shared;
	http_client_data(x, p, n);
}

static void service_end(struct exch *x, void *shared, const struct fields *trailers)
{
	if (!waiting_of(
		    shared, x)) /* else it is passed on when there is a connection */
		http_client_end_body(x, trailers);
}

static void service_credit(struct exch *x, void *shared, size_t n)
{
	(void)shared;
	http_client_credit(x, n);
}

static void service_cancel(struct exch *x, void *shared)
{
	struct channel *c = shared;
	struct waiting *w = waiting_of(c, x);

	if (!w) {
		http_client_cancel(x);
		return;
	}
	list_remove(&w->node);
	c->queued--;
}

const struct service channel_service = {.begin = service_begin,
	.data = service_data,
	.end = service_end,
	.credit = service_credit,
	.cancel = service_cancel};

/* ---- life ---- */

struct channel *channel_new(
	struct loop *l, struct dns *d, const struct channel_config *cfg, struct err *e)
{
	struct channel *c = calloc(1, sizeof *c);
	size_t n = strlen(cfg->host);

	if (!c || n >= sizeof c->host) {
		free(c);
		err_set(e, ERR_LIMIT, "no memory for a channel to %s", cfg->host);
		return NULL;
	}
	c->loop = l;
	c->dns = d;
	c->cfg = *cfg;
	snprintf(c->host, sizeof c->host, "%s", cfg->host);
	if (n && cfg->host[n - 1] == '.')
		n--;
	snprintf(c->sni, sizeof c->sni, "%s", cfg->sni ? cfg->sni : cfg->host);
	snprintf(c->expect, sizeof c->expect, "%s",
		cfg->expect ? cfg->expect : cfg->host);
	if (cfg->authority)
		snprintf(c->authority, sizeof c->authority, "%s", cfg->authority);
	else
		snprintf(c->authority, sizeof c->authority, "%.*s:%u", (int)n,
			cfg->host, cfg->port);
	if (!c->cfg.connect_timeout)
		c->cfg.connect_timeout = 5 * NS_PER_S;
	if (!c->cfg.backoff_min)
		c->cfg.backoff_min = 100 * NS_PER_MS;
	if (!c->cfg.backoff_max)
		c->cfg.backoff_max = 10 * NS_PER_S;
	if (!c->cfg.wait_max)
		c->cfg.wait_max = 10 * NS_PER_S;
	list_init(&c->queue);
	timer_init(&c->retry, l, on_retry);
	timer_init(&c->wait, l, on_wait);
	resolve(c);
	return c;
}

void channel_free(struct channel *c)
{
	struct waiting *w;
	struct err e;

	if (!c)
		return;
	err_set(&e, ERR_CLOSED, "the channel to %s is ending", c->authority);
	if (c->query)
		dns_cancel(c->query);
	while ((w = list_first(&c->queue, struct waiting, node))) {
		list_remove(&w->node);
		exch_fail(w->x, &e);
	}
	for (size_t i = 0; i < c->nlanes; i++) {
		if (c->lanes[i].conn)
			conn_end(c->lanes[i].conn);
		if (c->lanes[i].client)
			http_client_end(c->lanes[i].client);
	}
	timer_clear(&c->retry);
	timer_clear(&c->wait);
	free(c);
}

bool channel_is_up(const struct channel *c)
{
	return c->up;
}

struct loop *channel_loop(const struct channel *c)
{
	return c->loop;
}

const char *channel_authority(const struct channel *c)
{
	return c->authority;
}

void channel_stack(struct channel *c, struct stack *s)
{
	static const struct filter nothing = {.name = "channel"};

	stack_push(s, c->cfg.filter ? c->cfg.filter : &nothing, c->cfg.filter_shared);
	s->service = &channel_service;
	s->service_shared = c;
}
