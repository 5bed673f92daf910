/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/session.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "http/spelling.h"
#include "proxy/extended.h"
#include "proxy/fault.h"

static void session_free(struct session *s, const struct err *why)
{
	struct endpoint *ep = s->ep;

	flow_end(&s->flow, why);
	list_remove(&s->node);
	free(s);
	endpoint_reap(ep);
}

/*
 * The server has said when it closes an idle connection: it is left before, so that no
 * request is on its way then.
 */
static bool is_stale(const struct session *s, uint64_t now)
{
	uint64_t said = http_client_idle_limit(s->client);
	uint64_t margin = said / 2 < NS_PER_S ? said / 2 : NS_PER_S;

	return said && s->idle_since && now - s->idle_since >= said - margin;
}

static bool has_room(const struct session *s)
{
	return s->client && !s->closing && http_client_has_room(s->client);
}

/* A limit that changed may have left a full one in front. */
static struct session *any_with_room(struct endpoint *ep)
{
	struct session *s;

	list_each(s, &ep->sessions[HTTP_KIND_2], node) if (has_room(s)) return s;
	return NULL;
}

/* The server has closed it; other events were before that one. */
static bool is_closed(const struct session *s)
{
	return s->idle_since && conn_has_ended(http_client_conn(s->client));
}

struct session *session_with_room(struct endpoint *ep, enum http_kind kind, bool once)
{
	struct session *s;

	if (kind == HTTP_KIND_2)
		return any_with_room(ep);
	while ((s = list_first(&ep->sessions[kind], struct session, node))) {
		if (!has_room(s))
			return NULL;
		if (!is_stale(s, loop_now(ep->worker->loop)) && !(once && is_closed(s)))
			return s;
		session_drain(s);
	}
	return NULL;
}

bool session_takes(const struct session *s, const struct px *p)
{
	return s->kind == HTTP_KIND_1 || !extended_is(p) ||
	       http_client_takes_connect(s->client) == 1;
}

/* "HTTP/1.1; absolute-form; case=title": what the far proxy is to turn it back into. */
static struct slice orig_proto(const struct req_head *req, struct arena *a)
{
	static const char *const names[2][2] = {
		{"HTTP/1.0; ", "HTTP/1.0; absolute-form; "},
		{"HTTP/1.1; ", "HTTP/1.1; absolute-form; "},
	};
	struct slice form =
		slice_of(names[req->version == HTTP_1_1][req->absolute_form]);
	struct slice none = req->no_host ? SLICE("no-host; ") : SLICE("");
	char text[SPELLING_ROOM];
	size_t n = spelling_say(&req->fields, req->titled, text);
	char *p = arena_alloc(a, form.n + none.n + n);

	if (!p) /* the version at least */
		return slice_bytes(form.p, form.n - 2);
	memcpy(p, form.p, form.n);
	memcpy(p + form.n, none.p, none.n);
	memcpy(p + form.n + none.n, text, n);
	return slice_bytes(p, form.n + none.n + n);
}

static struct slice where(const struct px *p)
{
	struct slice text = slice_of(p->endpoint->text);
	char *copy = arena_alloc(p->x->arena, text.n + 1);

	if (!copy)
		return SLICE("");
	memcpy(copy, text.p, text.n);
	return slice_bytes(copy, text.n);
}

/*
 * HTTP/1 over HTTP/2 or, when an earlier try was that, no longer.  HTTP/2 wants an
 * authority of every request (RFC 9113, section 8.3.1): one without says where it goes.
 */
static void carry(struct px *p, enum http_kind kind)
{
	struct req_head *req = &p->x->req;

	if (p->was_h1)
		fields_remove(&req->fields, SLICE("l5d-orig-proto"));
	p->was_h1 = kind == HTTP_KIND_2 && req->version != HTTP_2;
	if (req->no_host)
		req->authority = p->was_h1 ? where(p) : SLICE("");
	if (p->was_h1)
		fields_add(&req->fields, p->x->arena, SLICE("l5d-orig-proto"),
			orig_proto(req, p->x->arena));
}

/* What came as HTTP/2 and goes on as HTTP/1 (RFC 9113 §8.2.3, RFC 8441 §5). */
static void for_http1(struct px *p)
{
	(void)fields_join(/* else they go as they came */
		&p->x->req.fields, p->x->arena, SLICE("cookie"), SLICE("; "));
	if (extended_is(p))
		(void)extended_to_upgrade(p); /* without a key the server refuses it */
}

void session_begin(struct session *s, struct px *p)
{
	bool ended =
		p->request_ended; /* else service_end() passes it on, in any turn */
	struct exch *x = p->x;

	s->idle_since = 0;
	p->client = s->client;
	meter_request(p->meter);
	if (p->side == SIDE_OUT)
		carry(p, s->kind);
	if (s->kind == HTTP_KIND_1 && p->version == HTTP_2)
		for_http1(p);
	http_client_begin(s->client, x);
	if (p->client && ended)
		http_client_end_body(x, p->trailers);
	/* those without room go to the back; the front always says whether there is any
	 */
	if (!http_client_has_room(s->client)) {
		list_remove(&s->node);
		list_push(&s->ep->sessions[s->kind], &s->node);
	}
}

/* Those whose extended CONNECT this endpoint does not take go on as upgrades. */
static void upgrade_waiting(struct endpoint *ep)
{
	struct px *p;

	ep->no_extended = true;
	list_each(p, &ep->waiting[HTTP_KIND_2], node) if (extended_is(p))
	{
		list_remove(&p->node);
		list_push(&ep->waiting[HTTP_KIND_1], &p->node);
	}
	session_dial(ep, HTTP_KIND_1);
}

static struct px *next_waiting(const struct session *s)
{
	struct px *p;

	list_each(p, &s->ep->waiting[s->kind], node) if (session_takes(s, p)) return p;
	return NULL;
}

static void serve_waiting(struct session *s)
{
	struct endpoint *ep = s->ep;
	struct px *p;

	while (has_room(s) && (p = next_waiting(s))) {
		list_remove(&p->node);
		session_begin(s, p);
	}
	session_dial(ep, s->kind);
}

static void client_room(void *arg, struct http_client *c)
{
	struct session *s = arg;

	(void)c;
	list_remove(&s->node);
	list_push_front(&s->ep->sessions[s->kind], &s->node);
	serve_waiting(s);
}

/* The server said, anew, what it takes. */
static void client_settings(void *arg, struct http_client *c)
{
	struct session *s = arg;

	s->heard = true;
	if (http_client_takes_connect(c) == 1)
		s->ep->no_extended = false;
	else
		upgrade_waiting(s->ep);
	serve_waiting(s);
}

static void client_fault(void *arg, const char *what)
{
	const struct endpoint *ep = ((struct session *)arg)->ep;
	struct pworker *w = ep->worker;

	peer_fault(w, ep->side == &w->cfg->in ? SIDE_IN : SIDE_OUT, false,
		&ep->info->addr.ip, what);
}

static void client_idle(void *arg, struct http_client *c)
{
	struct session *s = arg;

	(void)c;
	s->idle_since = loop_now(s->ep->worker->loop);
	if (s->ep->at == ENDPOINT_REMOVED || s->ep->worker->draining)
		session_drain(s);
	else if (s->kind == HTTP_KIND_1 || &s->node != s->ep->sessions[s->kind].next)
		worker_tick(s->ep->worker);
}

static void client_closing(void *arg, struct http_client *c)
{
	struct session *s = arg;

	(void)c;
	s->closing = true;
	list_remove(&s->node);
	list_push(&s->ep->sessions[s->kind], &s->node);
	session_dial(s->ep, s->kind);
}

static void client_gone(void *arg, struct http_client *c, const struct err *e)
{
	struct session *s = arg;
	struct endpoint *ep = s->ep;
	enum http_kind kind = s->kind;

	(void)c;
	ep->users++;
	if (kind == HTTP_KIND_2 && !s->heard)
		upgrade_waiting(ep); /* perhaps it does not even speak HTTP/2 */
	session_free(s, e);
	session_dial(ep, kind);
	endpoint_unuse(ep);
}

static const struct http_client_user client_user = {.on_room = client_room,
	.on_settings = client_settings,
	.on_fault = client_fault,
	.on_idle = client_idle,
	.on_closing = client_closing,
	.on_gone = client_gone};

static void dial_over(struct session *s, const struct err *e)
{
	struct endpoint *ep = s->ep;

	ep->dialing[s->kind]--;
	ep->users++;
	endpoint_dial_failed(ep, e);
	session_free(s, e);
	endpoint_unuse(ep);
}

static void dial_open(struct conn *c, void *arg)
{
	struct session *s = arg;
	struct endpoint *ep = s->ep;
	const struct h2_settings *h2 = &ep->worker->cfg->h2_client;
	struct http_client_config cfg = {.head_max = ep->worker->cfg->head_max,
		.stream_window = h2->stream_window,
		.conn_window = h2->conn_window,
		.keepalive_every = ep->info->ping_every,
		.keepalive_timeout = ep->info->ping_timeout,
		.stall = ep->worker->cfg->h2_stall};
	enum transport_session spoken =
		s->kind == HTTP_KIND_2 ? SESSION_HTTP2 : SESSION_HTTP1;
	struct err e;

	if (endpoint_opened(ep, c, spoken, &e) == 0)
		s->client = http_client_new(c, s->kind, &cfg, &client_user, s, &e);
	if (!s->client) {
		conn_end(c);
		dial_over(s, &e);
		return;
	}
	s->conn = NULL;
	ep->dialing[s->kind]--;
	endpoint_dial_worked(ep);
	flow_begin(&s->flow, ep->worker, c, transport_meter_ref(ep->transport));
	list_remove(&s->node);
	list_push_front(&ep->sessions[s->kind], &s->node);
	serve_waiting(s);
	if (http_client_open(s->client) == 0)
		client_idle(s, s->client);
}

/* Before it is open nobody can have anything to say to us, but errors. */
static size_t dial_in(struct conn *c, void *arg, const uint8_t *p, size_t n)
{
	(void)c, (void)arg, (void)p, (void)n;
	return 0;
}

static void dial_gone(struct conn *c, void *arg, const struct err *e)
{
	struct err why = *e;

	(void)c;
	if (why.code == ERR_NONE)
		err_set(&why, ERR_CLOSED, "closed by the peer");
	dial_over(arg, &why);
}

static const struct conn_user dial_user = {
	.on_open = dial_open, .on_in = dial_in, .on_gone = dial_gone};

static bool dial_one(struct endpoint *ep, enum http_kind kind)
{
	struct session *s = calloc(1, sizeof *s);
	struct err e;

	if (!s)
		return false;
	s->ep = ep;
	s->kind = kind;
	list_init(&s->node);
	s->conn = endpoint_take_spare(ep);
	if (!s->conn)
		s->conn = endpoint_dial(ep, &e);
	if (!s->conn) {
		free(s);
		endpoint_dial_failed(ep, &e);
		return false;
	}
	list_push(&ep->sessions[kind], &s->node);
	ep->dialing[kind]++;
	conn_use(s->conn, &dial_user, s);
	if (s->conn->is_open)
		dial_open(s->conn, s);
	return true;
}

/* How long one may wait for a stream of a server whose sessions are all full; and how
 * long for a server that may not even speak HTTP/2. */
#define QUEUE_LIMIT (10 * NS_PER_S)
#define PROBE_LIMIT NS_PER_S

/* A session that has not said its limit may have room soon; one whose server wants no
 * streams now says so for all. */
static bool may_dial_another(const struct endpoint *ep)
{
	const struct session *s;
	unsigned n = 0;

	list_each(s, &ep->sessions[HTTP_KIND_2], node)
	{
		if (!s->client || s->closing)
			continue;
		if (!s->heard || http_client_limit(s->client) == 0)
			return false;
		n++;
	}
	return n < H2_SESSIONS_MAX;
}

static unsigned wanted(const struct endpoint *ep, enum http_kind kind)
{
	unsigned n = 0;

	if (kind == HTTP_KIND_2)
		return !list_is_empty(&ep->waiting[kind]) && may_dial_another(ep);
	for (const struct list *l = ep->waiting[kind].next; l != &ep->waiting[kind];
		l = l->next)
		if (++n >= ep->side->max_idle_conns)
			break;
	return n;
}

static void wait_in_queue(struct endpoint *ep)
{
	if (!list_is_empty(&ep->waiting[HTTP_KIND_2]) && !timer_is_set(&ep->queue))
		timer_set(&ep->queue, PROBE_LIMIT);
}

void session_dial(struct endpoint *ep, enum http_kind kind)
{
	while (ep->at != ENDPOINT_REMOVED && ep->dialing[kind] < wanted(ep, kind))
		if (!dial_one(ep, kind))
			return;
	wait_in_queue(ep);
}

static bool is_heard(const struct endpoint *ep)
{
	const struct session *s;

	list_each(s, &ep->sessions[HTTP_KIND_2], node) if (s->heard) return true;
	return false;
}

static bool is_late(const struct px *p, uint64_t now)
{
	return now - p->sent >= QUEUE_LIMIT;
}

void session_queue_due(struct timer *t)
{
	struct endpoint *ep = container_of(t, struct endpoint, queue);
	uint64_t now = loop_now(ep->worker->loop);
	struct px *p;
	struct err e;

	err_set(&e, ERR_BUSY, "%s: its HTTP/2 connections take no more streams",
		ep->text);
	ep->users++;
	while ((p = list_first(&ep->waiting[HTTP_KIND_2], struct px, node)) &&
		is_late(p, now)) {
		list_remove(&p->node);
		exch_fail(p->x, &e);
	}
	if (ep->at != ENDPOINT_REMOVED && !is_heard(ep))
		upgrade_waiting(ep);
	wait_in_queue(ep);
	endpoint_unuse(ep);
}

void session_drain(struct session *s)
{
	s->closing = true;
	if (s->client)
		http_client_drain(s->client);
}

void session_sweep(struct session *s, uint64_t now)
{
	if (!s->client || !s->idle_since || s->closing)
		return;
	if (now - s->idle_since > s->ep->side->pool_idle || is_stale(s, now))
		session_drain(s);
}
